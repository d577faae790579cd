package metric

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Expression is arithmetic over the datapoints of metrics, as metric math of CloudWatch has it: numbers, ids, + - * /,
// parentheses, and the functions FILL, IF (a condition of > >= < <= == !=), MAX, MIN and SUM of ids. Nothing else is read.
type Expression struct {
	root node
	ids  []string
}

// IDs are those that the expression speaks of, in their order.
func (e Expression) IDs() []string { return e.ids }

// Of is the value for one period; false where an id in it has none, or it divides by zero.
func (e Expression) Of(values func(id string) (float64, bool)) (float64, bool) {
	v, ok := e.root(values)
	return v, ok && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// node computes a part of an expression.
type node func(values func(id string) (float64, bool)) (float64, bool)

// maxExpression is the most characters of an expression (MetricDataQuery), maxDepth how deep its parentheses may be.
const (
	maxExpression = 2048
	maxDepth      = 50
)

// ParseExpression reads an expression.
func ParseExpression(text string) (Expression, error) {
	if len(text) > maxExpression {
		return Expression{}, fmt.Errorf("the expression has more than %d characters", maxExpression)
	}
	p := &parser{rest: text}
	root, err := p.comparison(0)
	if err != nil {
		return Expression{}, err
	}
	if p.peek() != "" {
		return Expression{}, fmt.Errorf("unexpected %q", p.rest)
	}
	if len(p.ids) == 0 {
		return Expression{}, errors.New("the expression speaks of no metric")
	}
	return Expression{root: root, ids: p.ids}, nil
}

type parser struct {
	rest string
	ids  []string
}

func isWord(c byte) bool {
	return c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// peek is the next token: a word, or an operator; "" at the end.
func (p *parser) peek() string {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.rest == "" {
		return ""
	}
	n := 0
	for n < len(p.rest) && isWord(p.rest[n]) {
		n++
	}
	if n > 0 {
		return p.rest[:n]
	}
	for _, op := range []string{">=", "<=", "==", "!="} {
		if strings.HasPrefix(p.rest, op) {
			return op
		}
	}
	return p.rest[:1]
}

func (p *parser) take(token string) bool {
	if token == "" || p.peek() != token {
		return false
	}
	p.rest = p.rest[len(token):]
	return true
}

// binary joins two parts; where one has no value, both together have none.
func binary(a, b node, f func(x, y float64) float64) node {
	return func(values func(string) (float64, bool)) (float64, bool) {
		x, ok := a(values)
		y, ok2 := b(values)
		if !ok || !ok2 {
			return 0, false
		}
		return f(x, y), true
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// operator is a binary operator of a rank, or nil.
func operator(token string, rank int) func(x, y float64) float64 {
	switch strconv.Itoa(rank) + token {
	case "0>":
		return func(x, y float64) float64 { return truth(x > y) }
	case "0>=":
		return func(x, y float64) float64 { return truth(x >= y) }
	case "0<":
		return func(x, y float64) float64 { return truth(x < y) }
	case "0<=":
		return func(x, y float64) float64 { return truth(x <= y) }
	case "0==":
		return func(x, y float64) float64 { return truth(x == y) }
	case "0!=":
		return func(x, y float64) float64 { return truth(x != y) }
	case "1+":
		return func(x, y float64) float64 { return x + y }
	case "1-":
		return func(x, y float64) float64 { return x - y }
	case "2*":
		return func(x, y float64) float64 { return x * y }
	case "2/":
		return func(x, y float64) float64 { return x / y }
	}
	return nil
}

// ranks are how many ranks of binary operators there are.
const ranks = 3

func (p *parser) comparison(depth int) (node, error) { return p.ranked(0, depth) }

func (p *parser) ranked(rank, depth int) (node, error) {
	if rank == ranks {
		return p.factor(depth)
	}
	left, err := p.ranked(rank+1, depth)
	for err == nil {
		f := operator(p.peek(), rank)
		if f == nil {
			break
		}
		p.take(p.peek())
		var right node
		if right, err = p.ranked(rank+1, depth); err == nil {
			left = binary(left, right, f)
		}
	}
	return left, err
}

func (p *parser) factor(depth int) (node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("parentheses are more than %d deep", maxDepth)
	}
	token := p.peek()
	switch {
	case token == "":
		return nil, errors.New("the expression ends too early")
	case p.take("-"):
		inner, err := p.factor(depth + 1)
		if err != nil {
			return nil, err
		}
		zero := func(func(string) (float64, bool)) (float64, bool) { return 0, true }
		return binary(zero, inner, func(x, y float64) float64 { return x - y }), nil
	case p.take("("):
		inner, err := p.comparison(depth + 1)
		if err == nil && !p.take(")") {
			err = fmt.Errorf("a parenthesis is not closed before %q", p.rest)
		}
		return inner, err
	case !isWord(token[0]):
		return nil, fmt.Errorf("unexpected %q", token)
	}
	p.take(token)
	return p.word(token, depth)
}

// word is a number, an id, or a function.
func (p *parser) word(token string, depth int) (node, error) {
	switch {
	case token[0] >= '0' && token[0] <= '9' || token[0] == '.':
		n, err := strconv.ParseFloat(token, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", token)
		}
		return func(func(string) (float64, bool)) (float64, bool) { return n, true }, nil
	case token[0] >= 'a' && token[0] <= 'z' && !strings.Contains(token, "."):
		p.ids = append(p.ids, token)
		return func(values func(string) (float64, bool)) (float64, bool) { return values(token) }, nil
	}
	args, err := p.arguments(depth)
	if err != nil {
		return nil, err
	}
	return function(token, args)
}

func (p *parser) arguments(depth int) ([]node, error) {
	if !p.take("(") {
		return nil, fmt.Errorf("a parenthesis is missing before %q", p.rest)
	}
	p.take("[") // a list of ids may be written as one
	var args []node
	for {
		a, err := p.comparison(depth + 1)
		if err != nil {
			return nil, err
		}
		if args = append(args, a); !p.take(",") {
			break
		}
	}
	p.take("]")
	if !p.take(")") {
		return nil, fmt.Errorf("a parenthesis is not closed before %q", p.rest)
	}
	return args, nil
}

func function(name string, args []node) (node, error) {
	switch {
	case name == "FILL" && len(args) == 2:
		return func(values func(string) (float64, bool)) (float64, bool) {
			if v, ok := args[0](values); ok {
				return v, true
			}
			return args[1](values)
		}, nil
	case name == "IF" && len(args) == 3:
		return func(values func(string) (float64, bool)) (float64, bool) {
			c, ok := args[0](values)
			switch {
			case !ok:
				return 0, false
			case c != 0:
				return args[1](values)
			}
			return args[2](values)
		}, nil
	case name == "MAX" && len(args) > 1:
		return fold(args, math.Max), nil
	case name == "MIN" && len(args) > 1:
		return fold(args, math.Min), nil
	case name == "SUM" && len(args) > 1:
		return fold(args, func(x, y float64) float64 { return x + y }), nil
	}
	return nil, fmt.Errorf("the function %s of %d arguments is not served: FILL, IF, MAX, MIN and SUM are", name, len(args))
}

func fold(args []node, f func(x, y float64) float64) node {
	all := args[0]
	for _, a := range args[1:] {
		all = binary(all, a, f)
	}
	return all
}
