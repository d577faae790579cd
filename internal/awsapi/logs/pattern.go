package logs

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// pattern is what people type to find lines ("Filter pattern syntax" of the CloudWatch Logs guide): terms, { conditions
// over the members of JSON } or [ conditions over fields ].
type pattern interface{ matches(line string) bool }

// maxDepth bounds how deep conditions are nested in parentheses.
const maxDepth = 32

func parsePattern(text string) (pattern, error) {
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "{"):
		return parseJSONPattern(text)
	case strings.HasPrefix(text, "["):
		return parseFieldPattern(text)
	}
	return parseTerms(text)
}

// terms are words and "quoted phrases" that must all be there, -excluded ones, and ?alternatives of which one is enough.
// Case matters. A term between two % is a regular expression.
type terms struct {
	all, any, none []term
}

// term is a text, or a regular expression.
type term struct {
	text string
	expr *regexp.Regexp
}

func (t term) in(line string) bool {
	if t.expr != nil {
		return t.expr.MatchString(line)
	}
	return strings.Contains(line, t.text)
}

func (p terms) matches(line string) bool {
	for _, t := range p.all {
		if !t.in(line) {
			return false
		}
	}
	for _, t := range p.none {
		if t.in(line) {
			return false
		}
	}
	for _, t := range p.any {
		if t.in(line) {
			return true
		}
	}
	return len(p.any) == 0
}

func parseTerms(text string) (terms, error) {
	var p terms
	for text != "" {
		to := &p.all
		switch text[0] {
		case '?':
			to, text = &p.any, text[1:]
		case '-':
			to, text = &p.none, text[1:]
		}
		t, rest, err := nextTerm(text)
		if err != nil {
			return p, err
		}
		*to = append(*to, t)
		text = strings.TrimSpace(rest)
	}
	return p, nil
}

func nextTerm(text string) (t term, rest string, err error) {
	for _, mark := range []string{`"`, "%"} {
		inner, quoted := strings.CutPrefix(text, mark)
		if !quoted {
			continue
		}
		word, rest, closed := cutQuoted(inner, mark[0])
		if !closed {
			return t, "", errors.New("a quoted phrase or a regular expression has no end")
		}
		if word == "" {
			return t, "", errors.New("a term is empty")
		}
		if mark == "%" {
			t.expr, err = expression(word)
			return t, rest, err
		}
		return term{text: word}, rest, nil
	}
	word, rest, _ := strings.Cut(text, " ")
	if word == "" {
		return t, "", errors.New("a term is empty")
	}
	return term{text: word}, rest, nil
}

// cutQuoted cuts at the next mark that no backslash stands before. Of backslashes only those before a mark go.
func cutQuoted(text string, mark byte) (inner, rest string, closed bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && text[i+1] == mark:
			i++
			b.WriteByte(mark)
		case text[i] == mark:
			return b.String(), text[i+1:], true
		default:
			b.WriteByte(text[i])
		}
	}
	return "", "", false
}

// expression compiles a regular expression; it takes time in proportion to the line, whatever it says.
func expression(text string) (*regexp.Regexp, error) {
	e, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("the regular expression %%%s%% is not valid", text)
	}
	return e, nil
}
