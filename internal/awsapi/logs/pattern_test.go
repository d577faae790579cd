package logs

import "testing"

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, line string
		want          bool
	}{
		{"", "anything", true},
		{"ERROR", "an ERROR here", true},
		{"ERROR", "an error here", false},
		{"ERROR disk", "disk ERROR", true},
		{"ERROR disk", "ERROR", false},
		{`"disk full"`, "the disk full of", true},
		{`"disk full"`, "disk is full", false},
		{"ERROR -retry", "ERROR now", true},
		{"ERROR -retry", "ERROR retry", false},
		{"?ERROR ?WARN", "a WARN", true},
		{"?ERROR ?WARN", "an INFO", false},
		{`?"no space" -old`, "no space", true},
	} {
		p, err := parsePattern(c.pattern)
		if err != nil || p.matches(c.line) != c.want {
			t.Errorf("%q on %q: %v, %v", c.pattern, c.line, p.matches(c.line), err)
		}
	}
	for _, bad := range []string{`"open`, "{ $.a = 1 }", "[a, b]", "a -", "?", `""`, "%x%"} {
		if p, err := parsePattern(bad); err == nil {
			t.Errorf("%q is taken for %+v", bad, p)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add(`ERROR "disk full" -retry ?a`, "line")
	f.Fuzz(func(t *testing.T, text, line string) {
		p, err := parsePattern(text)
		if err == nil && p.matches(line) && len(p.none) > 0 && line == p.none[0] {
			t.Errorf("%q matches what it excludes", text)
		}
	})
}
