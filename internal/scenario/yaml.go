package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// This is the only file that knows the YAML library. It ends in a tree of nodes with positions, aliases resolved.

// Bounds of a scenario file. They are far above any honest one; what they stop is a file that makes the loader work
// without end, such as nested aliases.
const (
	maxFileSize = 256 << 10
	maxNodes    = 20_000
	maxDepth    = 64
)

type nodeKind string

const (
	kindText    nodeKind = "a text"
	kindNumber  nodeKind = "a number"
	kindBool    nodeKind = "true or false"
	kindNull    nodeKind = "nothing"
	kindList    nodeKind = "a list"
	kindMapping nodeKind = "a mapping"
)

type position struct{ line, column int }

// node is one value of the file.
type node struct {
	kind nodeKind
	text string // of a scalar, as it was written, without quotes
	at   position
	// inside is the column of a text's first letter where it stands on one line, 0 where it does not.
	inside  int
	value   any // of a scalar
	items   []*node
	entries []entry
}

type entry struct {
	key   string
	at    position
	value *node
}

// walk goes down by keys and indexes, as far as there is something. It returns what it came to and where that stands: at its key
// where it has one.
func (n *node) walk(path []string) (*node, position) {
	at := n.at
	for _, part := range path {
		i, err := strconv.Atoi(part)
		e := slices.IndexFunc(n.entries, func(e entry) bool { return e.key == part })
		switch {
		case e >= 0:
			n, at = n.entries[e].value, n.entries[e].at
		case err == nil && 0 <= i && i < len(n.items):
			n, at = n.items[i], n.items[i].at
		default:
			return n, at
		}
	}
	return n, at
}

// place is where something stands, or else what it would be in.
func (n *node) place(path ...string) position {
	_, at := n.walk(path)
	return at
}

// child is the value of a key, or nil.
func (n *node) child(key string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// plain is the node as encoding/json would have decoded it.
func (n *node) plain() any {
	switch n.kind {
	case kindList:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.plain()
		}
		return list
	case kindMapping:
		m := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			m[e.key] = e.value.plain()
		}
		return m
	case kindText, kindNumber, kindBool, kindNull:
	}
	return n.value
}

// parseYAML returns the one document of content. With faults the tree is what could be read, or nil.
func parseYAML(file string, content []byte) (*node, []Fault) {
	c := &converter{file: file, budget: maxNodes, open: map[*yaml.Node]bool{}}
	top := position{1, 1}
	if len(content) > maxFileSize {
		c.fault(top, "the file has %d bytes; the limit is %d", len(content), maxFileSize)
		return nil, c.faults
	}
	loader, err := yaml.NewLoader(bytes.NewReader(content))
	if err != nil {
		c.fault(top, "%s", err)
		return nil, c.faults
	}
	var doc yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		c.fault(top, "the file is empty")
		return nil, c.faults
	} else if err != nil {
		c.syntax(err)
		return nil, c.faults
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		c.fault(top, "the file is empty")
		return nil, c.faults
	}
	tree := c.convert(doc.Content[0], 0)
	var second yaml.Node
	if err := loader.Load(&second); err == nil {
		c.fault(position{max(second.Line, 1), max(second.Column, 1)}, "the file holds more than one document; one file is one scenario")
	} else if !errors.Is(err, io.EOF) {
		c.syntax(err)
	}
	return tree, c.faults
}

// converter turns the library's nodes into ours and refuses what a scenario file must not hold.
type converter struct {
	file   string
	faults []Fault
	budget int                 // nodes that may still be made
	open   map[*yaml.Node]bool // anchors that are being resolved
}

func (c *converter) fault(at position, format string, args ...any) {
	c.faults = append(c.faults, Fault{c.file, at.line, at.column, fmt.Sprintf(format, args...)})
}

func (c *converter) syntax(err error) {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		c.fault(position{1, 1}, "is not YAML: %s", err)
		return
	}
	message := load.Message
	if load.ContextMsg != "" {
		message += " (" + load.ContextMsg + ")"
	}
	c.fault(position{max(load.Mark.Line, 1), max(load.Mark.Column, 1)}, "is not YAML: %s", message)
}

func (c *converter) convert(y *yaml.Node, depth int) *node {
	n := &node{kind: kindNull, at: position{max(y.Line, 1), max(y.Column, 1)}}
	c.budget--
	if c.budget < 0 || depth > maxDepth {
		if c.budget == -1 || depth > maxDepth {
			c.fault(n.at, "the file holds too many values or nests them too deep (are there aliases in aliases?)")
		}
		c.budget = min(c.budget, -2) // said once
		return n
	}
	switch y.Kind {
	case yaml.AliasNode:
		return c.alias(y, n, depth)
	case yaml.MappingNode:
		c.tag(y, n, "!!map")
		n.kind = kindMapping
		c.mapping(y, n, depth)
	case yaml.SequenceNode:
		c.tag(y, n, "!!seq")
		n.kind = kindList
		for _, item := range y.Content {
			n.items = append(n.items, c.convert(item, depth+1))
		}
	case yaml.ScalarNode:
		c.scalar(y, n)
	case yaml.DocumentNode, yaml.StreamNode:
		c.fault(n.at, "is not a value")
	}
	return n
}

// alias resolves *name. Its own position is where it stands, what is in it keeps the anchor's.
func (c *converter) alias(y *yaml.Node, n *node, depth int) *node {
	if y.Alias == nil || c.open[y.Alias] {
		c.fault(n.at, "the alias *%s contains itself", y.Value)
		return n
	}
	c.open[y.Alias] = true
	defer delete(c.open, y.Alias)
	target := c.convert(y.Alias, depth+1)
	target.at, target.inside = n.at, 0
	return target
}

func (c *converter) mapping(y *yaml.Node, n *node, depth int) {
	seen := map[string]position{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		at := position{max(k.Line, 1), max(k.Column, 1)}
		switch first, double := seen[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			c.fault(at, "a key must be a word")
			continue
		case k.ShortTag() == "!!merge":
			c.fault(at, "merge keys are not supported; write the keys out")
			continue
		case double:
			c.fault(at, "%q is given twice, first in line %d", k.Value, first.line)
			continue
		}
		seen[k.Value] = at
		n.entries = append(n.entries, entry{k.Value, at, c.convert(v, depth+1)})
	}
}

func (c *converter) scalar(y *yaml.Node, n *node) {
	n.text, n.value = y.Value, y.Value
	switch tag := y.ShortTag(); tag {
	case "!!str", "!!timestamp":
		n.kind = kindText
		n.inside = inside(y)
	case "!!int", "!!float":
		n.kind = kindNumber
		c.number(n)
	case "!!bool":
		n.kind, n.value = kindBool, strings.EqualFold(y.Value, "true")
	case "!!null":
		n.kind, n.value = kindNull, nil
	default:
		n.kind = kindText
		c.fault(n.at, "the tag %s is not supported", tag)
	}
	if strings.ContainsRune(n.text, 0) {
		c.fault(n.at, "holds a NUL character")
	}
}

// inside is the column of the first letter of a text on one line.
func inside(y *yaml.Node) int {
	quoted := y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0
	switch {
	case y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || strings.Contains(y.Value, "\n"):
		return 0
	case quoted:
		return y.Column + 1
	}
	return y.Column
}

// number keeps integers exact: those beyond 64 bits stay as they were written.
func (c *converter) number(n *node) {
	if i, err := strconv.ParseInt(n.text, 0, 64); err == nil {
		n.value = int(i)
		return
	}
	if strings.Trim(strings.TrimPrefix(n.text, "-"), "0123456789") == "" {
		n.value = json.Number(n.text)
		return
	}
	f, err := strconv.ParseFloat(n.text, 64)
	if err != nil || f-f != 0 { // infinite, or none
		c.fault(n.at, "%q is not a number that JSON has", n.text)
		n.value = 0
		return
	}
	n.value = f
}

func (c *converter) tag(y *yaml.Node, n *node, want string) {
	if tag := y.ShortTag(); tag != want {
		c.fault(n.at, "the tag %s is not supported", tag)
	}
}
