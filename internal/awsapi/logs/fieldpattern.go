package logs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// fieldPattern finds lines by their fields, which blanks separate; what stands in quotes or brackets is one field.
type fieldPattern struct {
	fields []condition[string]
	// rest is where "..." stands for any number of fields; -1 where it does not.
	rest int
}

// maxFields bounds what is split of a line.
const maxFields = 500

// named is a field of a pattern that is only counted.
const named = "any"

func parseFieldPattern(text string) (pattern, error) {
	inner, ok := strings.CutSuffix(strings.TrimPrefix(text, "["), "]")
	if !ok {
		return nil, errors.New("a bracket is not closed")
	}
	p := fieldPattern{rest: -1}
	s := &scanner{text: inner}
	for {
		if s.take("...") {
			if p.rest >= 0 {
				return nil, errors.New("... stands twice")
			}
			p.rest = len(p.fields)
		} else {
			c, err := parseAny(s, parseField)
			if err != nil {
				return nil, err
			}
			p.fields = append(p.fields, c)
		}
		if len(p.fields) > maxFields {
			return nil, fmt.Errorf("there are more than %d fields", maxFields)
		}
		if s.skip(); s.text == "" {
			return p, nil
		}
		if !s.take(",") {
			return nil, fmt.Errorf("%q is not expected", s.text)
		}
	}
}

// parseField reads a name, or a comparison of it: the name itself means nothing.
func parseField(s *scanner) (c condition[string], err error) {
	c.of = s.until(",=!<>() \t")
	s.skip()
	if s.text == "" || s.text[0] == ',' || s.text[0] == ')' || strings.HasPrefix(s.text, "&&") || strings.HasPrefix(s.text, "||") {
		c.op = named
		return c, nil
	}
	if c.op, err = s.operator(); err != nil {
		return c, err
	}
	c.want, err = s.operand(",) ")
	return c, err
}

func (p fieldPattern) matches(line string) bool {
	have := splitFields(line)
	if p.rest >= 0 {
		extra := len(have) - len(p.fields)
		if extra < 0 {
			return false
		}
		have = slices.Delete(have, p.rest, p.rest+extra)
	}
	if len(have) != len(p.fields) {
		return false
	}
	for i, c := range p.fields {
		if !c.holds(func(c condition[string]) bool { return c.op == named || c.compareText(have[i]) }) {
			return false
		}
	}
	return true
}

func splitFields(line string) []string {
	var out []string
	for line = strings.TrimSpace(line); line != "" && len(out) < maxFields; line = strings.TrimLeft(line, " \t\n") {
		end := map[byte]string{'"': `"`, '[': "]"}[line[0]]
		if inner, rest, ok := strings.Cut(line[1:], end); end != "" && ok {
			out, line = append(out, inner), rest
			continue
		}
		i := strings.IndexAny(line, " \t\n")
		if i < 0 {
			i = len(line)
		}
		out, line = append(out, line[:i]), line[i:]
	}
	return out
}
