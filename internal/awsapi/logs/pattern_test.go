package logs

import (
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	const event = `{"level": "ERROR", "n": 5, "ok": true, "gone": null, "user": {"name": "Steve", "id": "42"}, "list": [{"a": 1}, {"a": 2}], "a.b": "c d"}`
	const access = `127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`
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
		{`"say \"no\""`, `they say "no"`, true},
		{"ERROR -retry", "ERROR now", true},
		{"ERROR -retry", "ERROR retry", false},
		{`ERROR -"try again"`, "ERROR try again", false},
		{"?ERROR ?WARN", "a WARN", true},
		{"?ERROR ?WARN", "an INFO", false},
		{`?"no space" -old`, "no space", true},
		{"%5[0-9]{2}%", "status 503", true},
		{"%5[0-9]{2}%", "status 404", false},
		{"?%^a% ?b", "xb", true},

		{`{ $.level = "ERROR" && $.n > 3 }`, event, true},
		{`{ $.level = "ERROR" && $.n > 5 }`, event, false},
		{`{$.level="ERROR"}`, event, true},
		{`{ $.level = ERROR }`, event, true},
		{`{ $.level = "ERR*" }`, event, true},
		{`{ $.level = *ROR }`, event, true},
		{`{ $.level = "*x*" }`, event, false},
		{`{ $.level != "ERROR" }`, event, false},
		{`{ $.level != "INFO" }`, event, true},
		{`{ $.missing != "INFO" }`, event, false},
		{`{ $.missing NOT EXISTS }`, event, true},
		{`{ $.level NOT EXISTS }`, event, false},
		{`{ $.gone IS NULL }`, event, true},
		{`{ $.ok IS TRUE }`, event, true},
		{`{ $.ok is false }`, event, false},
		{`{ $.ok = true }`, event, true},
		{`{ $.n = 5.0 }`, event, true},
		{`{ $.n >= 5 && $.n <= 5 }`, event, true},
		{`{ $.n < 5 || $.user.name = "Steve" }`, event, true},
		{`{ ($.n = 5 || $.n = 6) && ($.level = "INFO") }`, event, false},
		{`{ $.n = 1 && $.n = 2 || $.n = 5 }`, event, true},
		{`{ $.user.id = 42 }`, event, true},
		{`{ $.list[1].a = 2 }`, event, true},
		{`{ $.list[0].a = 2 }`, event, false},
		{`{ $.list[*].a = 2 }`, event, true},
		{`{ $['a.b'] = "c d" }`, event, true},
		{`{ $.user.name = %^St% }`, event, true},
		{`{ $.level = "ERROR" }`, "level = ERROR", false},
		{`{ $.level = "ERROR" }`, `{"level": "ERROR"`, false},

		{"[ip, user, name, at, request, status=4*, size]", access, true},
		{"[ip, user, name, at, request, status=5*, size]", access, false},
		{"[ip, user, name, at, request, status=404, size > 1000]", access, true},
		{"[ip, user, name, at, request, status, size < 1000]", access, false},
		{"[ip, ..., status=404, size]", access, true},
		{"[..., size]", access, true},
		{"[ip, user]", access, false},
		{"[ip=127.*, ...]", access, true},
		{`[ip, user, name="fr*" || name=bob, ...]`, access, true},
		{"[ip, user, name, at, request=*index*, status=404 || status=410, size]", access, true},
		{"[ip, user, name!=frank, ...]", access, false},
		{"[a, b=%^5..$%]", "x 503", true},
		{"[,,]", "a b c", true},
	} {
		p, err := parsePattern(c.pattern)
		if err != nil || p.matches(c.line) != c.want {
			t.Errorf("%q on %q: want %v, %v", c.pattern, c.line, c.want, err)
		}
	}
	for _, bad := range []string{
		`"open`, "a -", "?", `""`, "%open", "%(%", "%%", "{", "{}", "{ $.a }", "{ $.a = }", "{ $ = 1 }", "{ a = 1 }", "{ $.a = 1 && }",
		"{ ($.a = 1 }", "{ $.a = 1 } x }", `{ $.a = "open }`, "{ $.a IS MAYBE }", "{ $.a NOT HERE }", "{ $.a[x] = 1 }", "{ $..a = 1 }", "[", "[a b]",
		"[..., ...]", "[a=]", "{ " + strings.Repeat("(", 40) + "$.a = 1" + strings.Repeat(")", 40) + " }",
	} {
		if p, err := parsePattern(bad); err == nil {
			t.Errorf("%q is taken for %+v", bad, p)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, seed := range []string{
		`ERROR "disk full" -retry ?a`, `{ $.level = "ERROR" && ($.n > 3 || $.x[0].y IS NULL) }`, "[a, b=5xx*, ..., c != %^x%]", "%[a-z]+%", "{ $['a'] NOT EXISTS }",
	} {
		f.Add(seed, `{"level": "ERROR", "n": 4}`)
		f.Add(seed, `a 5xx1 "b c" [d e]`)
	}
	f.Fuzz(func(t *testing.T, text, line string) {
		p, err := parsePattern(text)
		if err != nil {
			return
		}
		matched := p.matches(line)
		if words, ok := p.(terms); ok && matched {
			for _, w := range words.none {
				if w.in(line) {
					t.Errorf("%q matches %q, which it excludes", text, line)
				}
			}
		}
	})
}
