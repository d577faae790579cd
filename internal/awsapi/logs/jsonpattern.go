package logs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// jsonPattern finds lines that are JSON objects by conditions over their members.
type jsonPattern struct{ where condition[selector] }

// selector is the way to a member: names, and indexes of arrays; -1 is any element.
type selector []step

type step struct {
	name  string
	index int
	array bool
}

func parseJSONPattern(text string) (pattern, error) {
	inner, ok := strings.CutSuffix(strings.TrimPrefix(text, "{"), "}")
	if !ok {
		return nil, errors.New("a brace is not closed")
	}
	s := &scanner{text: inner}
	where, err := parseAny(s, parseMember)
	if err != nil {
		return nil, err
	}
	if s.skip(); s.text != "" {
		return nil, fmt.Errorf("%q is not expected", s.text)
	}
	return jsonPattern{where}, nil
}

func parseMember(s *scanner) (c condition[selector], err error) {
	if c.of, err = parseSelector(s); err != nil {
		return c, err
	}
	switch {
	case s.word("IS"):
		for _, word := range []string{"NULL", "TRUE", "FALSE"} {
			if s.word(word) {
				c.op = strings.ToLower(word)
				return c, nil
			}
		}
		return c, errors.New("IS needs NULL, TRUE or FALSE")
	case s.word("NOT"):
		if !s.word("EXISTS") {
			return c, errors.New("NOT needs EXISTS")
		}
		c.op = "not exists"
		return c, nil
	}
	if c.op, err = s.operator(); err != nil {
		return c, err
	}
	c.want, err = s.operand(" )")
	return c, err
}

// parseSelector reads $.a.b[0].c or $['a b'][*].
func parseSelector(s *scanner) (selector, error) {
	if !s.take("$") {
		return nil, fmt.Errorf("a selector that begins with $ is expected at %q", s.text)
	}
	var out selector
	for {
		switch {
		case strings.HasPrefix(s.text, "."):
			s.text = s.text[1:]
			name := s.name()
			if name == "" {
				return nil, errors.New("a selector has an empty name")
			}
			out = append(out, step{name: name})
		case strings.HasPrefix(s.text, "["):
			inner, rest, ok := strings.Cut(s.text[1:], "]")
			if !ok {
				return nil, errors.New("a bracket is not closed")
			}
			next, err := subscript(inner)
			if err != nil {
				return nil, err
			}
			out, s.text = append(out, next), rest
		case len(out) == 0:
			return nil, errors.New("a selector names no member")
		default:
			return out, nil
		}
	}
}

func subscript(text string) (step, error) {
	text = strings.TrimSpace(text)
	if text == "*" {
		return step{array: true, index: -1}, nil
	}
	if len(text) >= 2 && (text[0] == '\'' || text[0] == '"') && text[len(text)-1] == text[0] {
		return step{name: text[1 : len(text)-1]}, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return step{}, fmt.Errorf("%q is no index", text)
	}
	return step{array: true, index: int(n)}, nil
}

// name reads a name of a selector, up to a byte that cannot be in it.
func (s *scanner) name() string {
	i := strings.IndexAny(s.text, " \t.[=!<>()&|")
	if i < 0 {
		i = len(s.text)
	}
	name := s.text[:i]
	s.text = s.text[i:]
	return name
}

func (p jsonPattern) matches(line string) bool {
	if !strings.HasPrefix(strings.TrimSpace(line), "{") {
		return false
	}
	var doc any
	dec := json.NewDecoder(strings.NewReader(line))
	dec.UseNumber()
	if dec.Decode(&doc) != nil {
		return false
	}
	return p.where.holds(func(c condition[selector]) bool {
		found := c.of.find(doc, nil)
		if c.op == "not exists" {
			return len(found) == 0
		}
		for _, v := range found {
			if compareMember(c, v) {
				return true
			}
		}
		return false
	})
}

// find adds what the selector leads to; several where it goes through all elements of an array.
func (s selector) find(v any, found []any) []any {
	if len(s) == 0 {
		return append(found, v)
	}
	at := s[0]
	if !at.array {
		if object, ok := v.(map[string]any); ok {
			if member, ok := object[at.name]; ok {
				return s[1:].find(member, found)
			}
		}
		return found
	}
	list, _ := v.([]any)
	for i, element := range list {
		if at.index == i || at.index < 0 {
			found = s[1:].find(element, found)
		}
	}
	return found
}

func compareMember(c condition[selector], v any) bool {
	switch c.op {
	case "null":
		return v == nil
	case "true", "false":
		b, ok := v.(bool)
		return ok && b == (c.op == "true")
	}
	switch v := v.(type) {
	case json.Number:
		n, err := v.Float64()
		return err == nil && c.compareNumber(n, v.String())
	case string:
		return c.compareText(v)
	case bool:
		return c.compareText(strconv.FormatBool(v))
	}
	return false
}
