package iam

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// reference matches in the simplest way, by trying every length for every star. It is for short inputs.
func reference(g glob, value []rune) bool {
	if len(g) == 0 {
		return len(value) == 0
	}
	if g[0].kind != tokenStar {
		return len(value) > 0 && g[0].one(value[0]) && reference(g[1:], value[1:])
	}
	for n := 0; ; n++ {
		if reference(g[1:], value[n:]) {
			return true
		}
		if n == len(value) || g[0].bound && value[n] == ':' {
			return false
		}
	}
}

func TestGlob_agreesWithReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab:*?]{0,12}`).Draw(t, "pattern")
		value := rapid.StringMatching(`[ab:]{0,12}`).Draw(t, "value")
		for kind, g := range map[string]glob{"text": compileText(pattern), "resource": compileResource(template{{text: pattern}})} {
			want := reference(g, []rune(value))
			if got := g.match([]rune(value)); got != want {
				t.Errorf("%s: match(%q, %q) = %v, want %v", kind, pattern, value, got, want)
			}
			if got := g.matchBound([]rune(value)); got != want {
				t.Errorf("%s: matchBound(%q, %q) = %v, want %v", kind, pattern, value, got, want)
			}
		}
	})
}

// TestGlob_worstCase matches the longest pattern with as many stars as fit against a long value: with backtracking over
// all stars this would not end.
func TestGlob_worstCase(t *testing.T) {
	t.Parallel()
	stars := strings.Repeat("a*", MaxPattern/2)
	cases := map[string]struct {
		g     glob
		value string
	}{
		"free stars":        {compileText(stars + "b"), strings.Repeat("a", MaxPattern)},
		"bound stars":       {compileResource(template{{text: stars + "b:"}}), strings.Repeat("a", MaxPattern)},
		"one long piece":    {compileText("*" + strings.Repeat("a", MaxPattern-2) + "b"), strings.Repeat("a", MaxPattern)},
		"question marks":    {compileText("*" + strings.Repeat("?", MaxPattern-2) + "b"), strings.Repeat("a", MaxPattern)},
		"stars among field": {compileResource(template{{text: "arn:" + stars + ":" + stars + "b:x:y:z"}}), "arn:" + strings.Repeat("a", MaxPattern)},
	}
	for name, c := range cases {
		start := time.Now()
		if c.g.match([]rune(c.value)) {
			t.Errorf("%s: matches", name)
		}
		// 2,048 × 2,048 steps take milliseconds; the bound only tells them from exponential time on a busy machine.
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func TestGlob_matchesCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"**", "é", true},
		{"?", "é", true},
		{"?", "", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"*a", "aa", true},
		{"a*a", "a", false},
		{"*?", "", false},
		{"?*", "a", true},
	} {
		if got := compileText(c.pattern).match([]rune(c.value)); got != c.want {
			t.Errorf("match(%q, %q) = %v", c.pattern, c.value, got)
		}
	}
}
