package iam

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxDepth is deeper than any valid document: document, statements, statement, condition, operator, key, values.
const maxDepth = 12

type nodeKind string

const (
	nodeObject nodeKind = "an object"
	nodeList   nodeKind = "a list"
	nodeText   nodeKind = "a string"
	nodeNumber nodeKind = "a number"
	nodeBool   nodeKind = "a boolean"
	nodeNull   nodeKind = "null"
)

// node is a JSON value with its place, kept in order, so that duplicate keys can be refused.
type node struct {
	kind       nodeKind
	text       string // of a string, number or boolean
	fields     []field
	items      []node
	start, end int // byte offsets
}

type field struct {
	key   string
	value node
}

func (n node) field(key string) (node, bool) {
	for _, f := range n.fields {
		if f.key == key {
			return f.value, true
		}
	}
	return node{}, false
}

// treeReader reads one JSON text.
type treeReader struct {
	decoder *json.Decoder
	faults  []Fault
}

// readTree reads text, whose syntax it checks as a whole first, since json.Decoder.Token alone is lax.
func readTree(text string) (node, []Fault) {
	var raw json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return node{}, []Fault{{Message: syntaxMessage(text, err)}}
	}
	r := treeReader{decoder: json.NewDecoder(strings.NewReader(text))}
	r.decoder.UseNumber()
	root, err := r.value("", 0)
	if err != nil {
		return node{}, append(r.faults, Fault{Message: err.Error()})
	}
	return root, r.faults
}

func syntaxMessage(text string, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return "the document is not valid JSON: " + err.Error()
	}
	at := newLines(text).position(max(int(syntax.Offset)-1, 0))
	return fmt.Sprintf("the document is not valid JSON at line %d, column %d: %s", at.Line, at.Column, syntax.Error())
}

// lines holds the byte offset at which each line begins.
type lines []int

func newLines(text string) lines {
	starts := lines{0}
	for i := range len(text) {
		if text[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

func (l lines) position(offset int) Position {
	line, exact := slices.BinarySearch(l, offset)
	if !exact {
		line--
	}
	return Position{Line: line + 1, Column: offset - l[line] + 1}
}

func (r *treeReader) value(path string, depth int) (node, error) {
	if depth > maxDepth {
		return node{}, errors.New("the document is nested too deeply")
	}
	token, err := r.decoder.Token()
	if err != nil {
		return node{}, fmt.Errorf("read the document: %w", err)
	}
	end := int(r.decoder.InputOffset())
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return r.object(path, depth, end-1)
		}
		return r.list(path, depth, end-1)
	case string:
		return node{kind: nodeText, text: t}, nil
	case json.Number:
		return node{kind: nodeNumber, text: t.String()}, nil
	case bool:
		return node{kind: nodeBool, text: fmt.Sprint(t)}, nil
	}
	return node{kind: nodeNull}, nil
}

func (r *treeReader) object(path string, depth, start int) (node, error) {
	n := node{kind: nodeObject, start: start}
	seen := map[string]bool{}
	for r.decoder.More() {
		token, err := r.decoder.Token()
		if err != nil {
			return node{}, fmt.Errorf("read the document: %w", err)
		}
		key, _ := token.(string)
		at := join(path, key)
		child, err := r.value(at, depth+1)
		if err != nil {
			return node{}, err
		}
		// A key may stand once in an object (reference_policies_grammar).
		if seen[key] {
			r.faults = append(r.faults, Fault{Path: at, Message: "stands here twice"})
			continue
		}
		seen[key] = true
		n.fields = append(n.fields, field{key: key, value: child})
	}
	return r.closed(n)
}

func (r *treeReader) list(path string, depth, start int) (node, error) {
	n := node{kind: nodeList, start: start}
	for r.decoder.More() {
		child, err := r.value(item(path, len(n.items)), depth+1)
		if err != nil {
			return node{}, err
		}
		n.items = append(n.items, child)
	}
	return r.closed(n)
}

func (r *treeReader) closed(n node) (node, error) {
	if _, err := r.decoder.Token(); err != nil {
		return node{}, fmt.Errorf("read the document: %w", err)
	}
	n.end = int(r.decoder.InputOffset())
	return n, nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func item(path string, index int) string {
	return fmt.Sprintf("%s[%d]", path, index)
}
