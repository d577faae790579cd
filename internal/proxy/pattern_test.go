package proxy

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestPattern(t *testing.T) {
	long := strings.Repeat("a", maxPattern)
	for _, c := range []struct {
		pattern, yes, no string // subjects apart by spaces; - is the empty one
	}{
		{"/", "/", "- // /a a/"},
		{"/api", "/api", "/API /ap /apis /api/ - x/api"},
		{"/api/*", "/api/ /api/x /api/x/y /api/*", "/api /apix /API/x x/api/"},
		{"*", "- a / abc", ""},
		{"**", "- a abc", ""},
		{"***a", "a ba aba", "- b ab"},
		{"?", "a / ?", "- ab"},
		{"??", "ab", "- a abc"},
		{"*?", "a ab abc", "-"},
		{"?*", "a ab abc", "-"},
		{"?*?", "ab abc", "- a"},
		{"*.jpg", ".jpg a.jpg a.jpg.jpg", "jpg a.jpgx a.JPG"},
		{"/img/*/x?.png", "/img//x1.png /img/a/b/xx.png /img/x/x1.png/x2.png", "/img/x1.png /img/a/x.png /img/a/x11.png"},
		{"*a*b*c*", "abc xaxbxcx aabbcc abcabc", "- ab acb cba"},
		{"a*a", "aa aaa aba", "a ab ba"},
		{"*ab*ab", "abab abxab ababab", "ab aba abba"},
		{"a*bc*d", "abcd axbcxd abcbcd abbcd", "abd acbd abcdx"},
		{`a\*b`, `a\b a\xb`, "a*b"}, // no escapes here
		{long, long, long + "a " + long[1:]},
		{"*" + long[2:] + "?", long[2:] + "x " + long + "x", long[3:]},
		{long[:64] + "b*", long[:64] + "b " + long[:64] + "bx", long + " " + long[:65] + "b"},
		{long[:63] + "*b", long[:63] + "b " + long[:64] + "xb", long[:63] + " " + long[:62] + "b"},
	} {
		p := compilePattern(tokens(c.pattern, false), false)
		for want, subjects := range map[bool]string{true: c.yes, false: c.no} {
			for s := range strings.FieldsSeq(subjects) {
				if s == "-" {
					s = ""
				}
				if got := p.match([]byte(s)); got != want {
					t.Errorf("%q on %q: %v", c.pattern, s, got)
				}
			}
		}
	}
}

func TestPatternFoldsAndEscapes(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"*.Example.COM", "WWW.eXample.com", true},
		{"*.example.com", "example.com", false},
		{"[x]", "{x}", false}, // the same bits apart as a letter and its capital
		{"@", "`", false},
		{`a\*b`, "a*b", true},
		{`a\*b`, "axb", false},
		{`a\?b`, "A?B", true},
		{`a\?b`, "axb", false},
		{`a\b`, `a\b`, true},
		{`a\\*`, `a\*`, true}, // a backslash, then an escaped star
		{`a\\*`, `a\x`, false},
		{`\`, `\`, true},
		{`*\**`, "a*b", true},
		{`*\**`, "ab", false},
		{"caf\xc3\xa9", "CAF\xc3\xa9", true},
		{"caf\xc3\xa9", "CAF\xc3\x89", false}, // ASCII only
	} {
		if got := compilePattern(tokens(c.pattern, true), true).match([]byte(c.subject)); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.subject, got)
		}
	}
}

// TestPatternIsLinear: matching that goes back would need the age of the universe for these.
func TestPatternIsLinear(t *testing.T) {
	subject := bytes.Repeat([]byte("a"), 256<<10)
	for _, text := range []string{"*a*a*a*a*b", "*" + strings.Repeat("a", 126) + "b", "*" + strings.Repeat("?", 126) + "b", "a*a*a*a*?b"} {
		p := compilePattern(tokens(text, false), false)
		start := time.Now()
		if p.match(subject) {
			t.Fatalf("%q matches", text)
		}
		if took := time.Since(start); took > 5*time.Second { // 1 ms on a quiet machine
			t.Errorf("%q took %s for %d bytes", text, took, len(subject))
		}
	}
}

// covers says slowly and plainly what match must say.
func covers(list []token, fold bool, s []byte) bool {
	if len(list) == 0 {
		return len(s) == 0
	}
	t := list[0]
	if t.wildcard && t.char == '*' {
		return covers(list[1:], fold, s) || (len(s) > 0 && covers(list, fold, s[1:]))
	}
	if len(s) == 0 {
		return false
	}
	same := t.wildcard || t.char == s[0] || (fold && bytes.EqualFold([]byte{t.char}, s[:1]) && t.char < 0x80 && s[0] < 0x80)
	return same && covers(list[1:], fold, s[1:])
}

func FuzzPattern(f *testing.F) {
	f.Add("/img/*/x?.png", []byte("/img/a/x1.png"), false, false)
	f.Add(`*a\**b?`, []byte("AA*bbc"), true, true)
	f.Add("*a*a*a*b", []byte("aaaaaaaaaaaaaaaaab"), false, false)
	f.Add(strings.Repeat("a", 70)+"*b", []byte(strings.Repeat("a", 72)+"b"), false, false)
	f.Add("", []byte(""), false, false)
	f.Fuzz(func(t *testing.T, text string, subject []byte, fold, escapes bool) {
		list := tokens(text, escapes)
		if len(text) > maxPattern || len(subject) > 200 {
			return
		}
		stars := 0
		for _, tok := range list {
			if tok.wildcard && tok.char == '*' {
				stars++
			}
		}
		if stars > 3 && len(subject) > 40 { // the reference is slow
			return
		}
		if stars > MaxWildcards {
			return
		}
		if got, want := compilePattern(list, fold).match(subject), covers(list, fold, subject); got != want {
			t.Fatalf("pattern %q (fold %v, escapes %v) on %q: %v, want %v", text, fold, escapes, subject, got, want)
		}
	})
}
