package logs

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// condition is a comparison, or conditions joined by && or ||. S says where a comparison finds its value.
type condition[S any] struct {
	join  string // "&&", "||", or "" for a comparison
	parts []condition[S]
	of    S
	op    string // = != < > <= >=, or what follows IS or NOT: "null", "true", "false", "not exists"
	want  operand
}

// operand is what a value is compared with.
type operand struct {
	text   string
	number float64
	// isNumber: it was written without quotes and is a number.
	isNumber bool
	// glob is set where the text has a *, expr where it was written between two %.
	glob []string
	expr *regexp.Regexp
}

// holds evaluates; look compares one value.
func (c condition[S]) holds(look func(c condition[S]) bool) bool {
	switch c.join {
	case "&&":
		for _, p := range c.parts {
			if !p.holds(look) {
				return false
			}
		}
		return true
	case "||":
		for _, p := range c.parts {
			if p.holds(look) {
				return true
			}
		}
		return false
	}
	return look(c)
}

// compareText compares a value that is text; one that reads as a number is one for < and >.
func (c condition[S]) compareText(have string) bool {
	switch c.op {
	case "=":
		return c.want.equals(have)
	case "!=":
		return !c.want.equals(have)
	}
	n, err := strconv.ParseFloat(have, 64)
	return err == nil && c.want.isNumber && c.order(n)
}

// compareNumber compares a value that is a number.
func (c condition[S]) compareNumber(have float64, text string) bool {
	switch c.op {
	case "=":
		return c.equalsNumber(have, text)
	case "!=":
		return !c.equalsNumber(have, text)
	}
	return c.want.isNumber && c.order(have)
}

func (c condition[S]) equalsNumber(have float64, text string) bool {
	if c.want.isNumber {
		return have == c.want.number
	}
	return c.want.equals(text)
}

func (c condition[S]) order(have float64) bool {
	switch c.op {
	case "<":
		return have < c.want.number
	case ">":
		return have > c.want.number
	case "<=":
		return have <= c.want.number
	case ">=":
		return have >= c.want.number
	}
	return false
}

func (o operand) equals(have string) bool {
	switch {
	case o.expr != nil:
		return o.expr.MatchString(have)
	case o.glob != nil:
		return matchGlob(o.glob, have)
	case o.isNumber && have != o.text:
		n, err := strconv.ParseFloat(have, 64)
		return err == nil && n == o.number
	}
	return have == o.text
}

// matchGlob matches pieces that a * stands between.
func matchGlob(pieces []string, text string) bool {
	last := len(pieces) - 1
	text, ok := strings.CutPrefix(text, pieces[0])
	if !ok {
		return false
	}
	for _, p := range pieces[1:last] {
		i := strings.Index(text, p)
		if i < 0 {
			return false
		}
		text = text[i+len(p):]
	}
	return strings.HasSuffix(text, pieces[last])
}

// scanner reads conditions.
type scanner struct {
	text  string
	depth int
}

func (s *scanner) skip() { s.text = strings.TrimLeft(s.text, " \t\r\n") }

// take reads a token where it is next.
func (s *scanner) take(token string) bool {
	s.skip()
	rest, ok := strings.CutPrefix(s.text, token)
	if ok {
		s.text = rest
	}
	return ok
}

// word reads a word where it is next, whatever its case.
func (s *scanner) word(word string) bool {
	s.skip()
	if len(s.text) < len(word) || !strings.EqualFold(s.text[:len(word)], word) {
		return false
	}
	if len(s.text) > len(word) && !strings.ContainsRune(" \t)}],&|", rune(s.text[len(word)])) {
		return false
	}
	s.text = s.text[len(word):]
	return true
}

// until reads up to one of the bytes, or a && or ||.
func (s *scanner) until(stop string) string {
	s.skip()
	i := 0
	for i < len(s.text) && !strings.ContainsRune(stop, rune(s.text[i])) && !strings.HasPrefix(s.text[i:], "&&") && !strings.HasPrefix(s.text[i:], "||") {
		i++
	}
	word := s.text[:i]
	s.text = s.text[i:]
	return strings.TrimSpace(word)
}

func (s *scanner) operator() (string, error) {
	for _, op := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if s.take(op) {
			return op, nil
		}
	}
	return "", fmt.Errorf("an operator is expected at %q", s.text)
}

// operand reads what is compared with: "text", %expression%, a number or a word, which may have a *.
func (s *scanner) operand(stop string) (operand, error) {
	s.skip()
	for _, mark := range []string{`"`, "%"} {
		if !s.take(mark) {
			continue
		}
		inner, rest, closed := cutQuoted(s.text, mark[0])
		if !closed {
			return operand{}, errors.New("a quoted value or a regular expression has no end")
		}
		s.text = rest
		if mark == "%" {
			expr, err := expression(inner)
			return operand{text: inner, expr: expr}, err
		}
		return textOperand(inner), nil
	}
	word := s.until(stop)
	if word == "" {
		return operand{}, fmt.Errorf("a value is expected at %q", s.text)
	}
	o := textOperand(word)
	if n, err := strconv.ParseFloat(word, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
		o.number, o.isNumber = n, true
	}
	return o, nil
}

func textOperand(text string) operand {
	o := operand{text: text}
	if strings.Contains(text, "*") {
		o.glob = strings.Split(text, "*")
	}
	return o
}

// parseAny reads conditions joined by ||, each of which is conditions joined by &&. leaf reads a comparison.
func parseAny[S any](s *scanner, leaf func(*scanner) (condition[S], error)) (condition[S], error) {
	return parseJoined(s, "||", func(s *scanner) (condition[S], error) {
		return parseJoined(s, "&&", func(s *scanner) (condition[S], error) { return parseOne(s, leaf) })
	})
}

func parseJoined[S any](s *scanner, join string, part func(*scanner) (condition[S], error)) (condition[S], error) {
	first, err := part(s)
	if err != nil || !s.take(join) {
		return first, err
	}
	all := condition[S]{join: join, parts: []condition[S]{first}}
	for {
		next, err := part(s)
		if err != nil {
			return all, err
		}
		all.parts = append(all.parts, next)
		if !s.take(join) {
			return all, nil
		}
	}
}

func parseOne[S any](s *scanner, leaf func(*scanner) (condition[S], error)) (condition[S], error) {
	if !s.take("(") {
		return leaf(s)
	}
	if s.depth++; s.depth > maxDepth {
		return condition[S]{}, fmt.Errorf("parentheses are nested more than %d deep", maxDepth)
	}
	c, err := parseAny(s, leaf)
	if err == nil && !s.take(")") {
		err = errors.New("a parenthesis is not closed")
	}
	s.depth--
	return c, err
}
