package logs

import (
	"errors"
	"strings"
)

// pattern is what people type to find lines: terms and "quoted phrases" that must all be there, -excluded ones, and
// ?alternatives of which one is enough. Case matters. ("Filter pattern syntax" of the CloudWatch Logs guide; patterns over
// JSON members and fields are refused.)
type pattern struct {
	all, any, none []string
}

func (p pattern) matches(line string) bool {
	for _, t := range p.all {
		if !strings.Contains(line, t) {
			return false
		}
	}
	for _, t := range p.none {
		if strings.Contains(line, t) {
			return false
		}
	}
	for _, t := range p.any {
		if strings.Contains(line, t) {
			return true
		}
	}
	return len(p.any) == 0
}

func parsePattern(text string) (pattern, error) {
	var p pattern
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, "%") {
		return p, errors.New("patterns over JSON, fields and regular expressions are not served; use terms, \"phrases\", -excluded and ?alternatives")
	}
	for text != "" {
		to := &p.all
		switch text[0] {
		case '?':
			to, text = &p.any, text[1:]
		case '-':
			to, text = &p.none, text[1:]
		}
		var term string
		if phrase, quoted := strings.CutPrefix(text, `"`); quoted {
			var closed bool
			if term, text, closed = strings.Cut(phrase, `"`); !closed {
				return p, errors.New("a quoted phrase has no end")
			}
		} else {
			term, text, _ = strings.Cut(text, " ")
		}
		if term == "" {
			return p, errors.New("a term is empty")
		}
		*to = append(*to, term)
		text = strings.TrimSpace(text)
	}
	return p, nil
}
