# Prints why each failed test of "go test -v" failed, in short: its own messages, without the commands of
# scripts and without whole logs.
function flush(   i) {
  for (i = 1; i <= failures; i++)
    if (text[failed[i]] != "") printf "%s:\n%s", failed[i], text[failed[i]]
  delete text; delete lines; delete failed
  failures = left = 0
  name = ""
}
/^=== (RUN|NAME|CONT)/ {name = $3; left = 0; next}
/^(ok|FAIL)\t/ || /^ok / {flush(); next}
/^ *--- (PASS|SKIP)/ {left = 0; next}
/^ *--- FAIL/ {failed[++failures] = $3; name = $3; left = 0; next}
/^panic: / || /^WARNING: DATA RACE/ {
  if (!(name in text)) text[name] = ""
  left = 20
}
/^ +[A-Za-z0-9_]+_test\.go:[0-9]+: / {left = ($0 ~ /_test\.go:[0-9]+: (testdata\/|--- )/) ? 0 : 8}
left > 0 && lines[name] < 30 {
  text[name] = text[name] substr($0, 1, 300) "\n"
  lines[name]++
  left--
}
END {flush()}
