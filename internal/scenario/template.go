package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// template is a value of the file in which texts may hold ${{ expressions }}. $${{ is a literal ${{.
type template struct {
	at     position
	text   []segment            // of a text
	list   []*template          // of a list
	fields map[string]*template // of a mapping
	value  any                  // of any other scalar
	kind   nodeKind
}

// segment is literal text, or an expression.
type segment struct {
	literal string
	expr    *expression
}

const (
	exprOpen  = "${{"
	exprClose = "}}"
)

// template reads a node. names are what its expressions may use.
func (d *decoder) template(n *node, names env) *template {
	if n == nil {
		return nil
	}
	t := &template{at: n.at, kind: n.kind, value: n.value}
	switch n.kind {
	case kindText:
		t.text = d.segments(n, names)
	case kindList:
		for _, item := range n.items {
			t.list = append(t.list, d.template(item, names))
		}
	case kindMapping:
		t.fields = map[string]*template{}
		for _, e := range n.entries {
			if strings.Contains(e.key, exprOpen) {
				d.fault(e.at, "a key cannot hold %s", exprOpen)
			}
			t.fields[e.key] = d.template(e.value, names)
		}
	case kindNumber, kindBool, kindNull:
	}
	return t
}

// literalText is a text without expressions.
func literalText(s string) *template { return &template{kind: kindText, text: []segment{{literal: s}}} }

func (d *decoder) segments(n *node, names env) []segment {
	var out []segment
	literal, rest, offset := "", n.text, 0
	for {
		before, after, found := strings.Cut(rest, exprOpen)
		if found && strings.HasSuffix(before, "$") { // $${{
			literal += before[:len(before)-1] + exprOpen
			offset += len(before) + len(exprOpen)
			rest = after
			continue
		}
		literal += before
		if literal != "" {
			out = append(out, segment{literal: literal})
			literal = ""
		}
		if !found {
			return out
		}
		source, tail, closed := strings.Cut(after, exprClose)
		offset += len(before) + len(exprOpen)
		if !closed {
			d.fault(n.within(offset-len(exprOpen)), "%s is not closed by %s", exprOpen, exprClose)
			return out
		}
		trimmed := strings.TrimLeft(source, " ")
		at := n.within(offset + len(source) - len(trimmed))
		if strings.TrimSpace(source) == "" {
			d.fault(at, "%s %s holds no expression", exprOpen, exprClose)
		} else if e := d.expression(strings.TrimSpace(source), at, names, anyResult); e != nil {
			out = append(out, segment{expr: e})
		}
		offset += len(source) + len(exprClose)
		rest = tail
	}
}

// within is the position of a text's byte.
func (n *node) within(offset int) position {
	if n.inside == 0 {
		return n.at
	}
	return position{n.at.line, n.inside + offset}
}

// resolve is the value with every expression in the place of its result. A text that is one expression keeps the
// result's type.
func (t *template) resolve(values map[string]any) (any, error) {
	switch {
	case t.kind == kindList:
		list := make([]any, len(t.list))
		for i, item := range t.list {
			v, err := item.resolve(values)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	case t.kind == kindMapping:
		m := make(map[string]any, len(t.fields))
		for name, item := range t.fields {
			v, err := item.resolve(values)
			if err != nil {
				return nil, err
			}
			m[name] = v
		}
		return m, nil
	case t.kind != kindText:
		return t.value, nil
	case len(t.text) == 1 && t.text[0].expr != nil:
		return t.text[0].expr.value(values)
	}
	return t.string(values)
}

// string is the value as text. Only scalars have one.
func (t *template) string(values map[string]any) (string, error) {
	if t.kind != kindText {
		return scalarText(t.value)
	}
	var b strings.Builder
	for _, s := range t.text {
		if s.expr == nil {
			b.WriteString(s.literal)
			continue
		}
		v, err := s.expr.value(values)
		if err != nil {
			return "", err
		}
		text, err := scalarText(v)
		if err != nil {
			return "", fmt.Errorf("%s: %w", s.expr.source, err)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

func scalarText(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", errors.New("is null, which has no text")
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case json.Number:
		return v.String(), nil
	case fmt.Stringer:
		return v.String(), nil
	}
	return "", fmt.Errorf("is %s, which has no text", kindOf(v))
}
