package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// This is the only file that knows the YAML library. It ends in a tree of nodes with positions, aliases resolved.

// Bounds of a service file. They are far above any honest one; what they stop is a file that makes the loader work
// without end, such as nested aliases.
const (
	maxFileSize = 1 << 20
	maxNodes    = 20_000
	maxDepth    = 32
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

// node is one value of the file. text is a scalar as it was written, without quotes.
type node struct {
	kind    nodeKind
	text    string
	at      position
	items   []*node
	entries []entry
}

type entry struct {
	key   string
	at    position
	value *node
}

func (n *node) scalar() bool {
	return n.kind == kindText || n.kind == kindNumber || n.kind == kindBool
}

// parseYAML returns the one document of content. With faults the tree is what could be read, or nil.
func parseYAML(content []byte) (*node, []Fault) {
	start := position{1, 1}
	if len(content) > maxFileSize {
		return nil, []Fault{{1, 1, "", fmt.Sprintf("the file has %d bytes; the limit is %d", len(content), maxFileSize)}}
	}
	loader, err := yaml.NewLoader(bytes.NewReader(content))
	if err != nil {
		return nil, []Fault{{1, 1, "", err.Error()}}
	}
	var doc yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return nil, []Fault{{1, 1, "", "the file is empty"}}
	} else if err != nil {
		return nil, []Fault{syntaxFault(err)}
	}
	c := &converter{budget: maxNodes, open: map[*yaml.Node]bool{}}
	tree := c.document(&doc, start)
	var second yaml.Node
	if err := loader.Load(&second); err == nil {
		at := position{max(second.Line, 1), max(second.Column, 1)}
		c.fault(at, "", "the file holds more than one document; one file describes one service")
	} else if !errors.Is(err, io.EOF) {
		c.faults = append(c.faults, syntaxFault(err))
	}
	return tree, c.faults
}

func syntaxFault(err error) Fault {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return Fault{1, 1, "", "is not YAML: " + err.Error()}
	}
	message := "is not YAML: " + load.Message
	if load.ContextMsg != "" {
		message += " (" + load.ContextMsg + ")"
	}
	return Fault{max(load.Mark.Line, 1), max(load.Mark.Column, 1), "", message}
}

// converter turns the library's nodes into ours and refuses what a service file must not hold.
type converter struct {
	faults []Fault
	budget int                 // nodes that may still be made
	open   map[*yaml.Node]bool // anchors that are being resolved
}

func (c *converter) fault(at position, field, format string, args ...any) {
	c.faults = append(c.faults, Fault{at.line, at.column, field, fmt.Sprintf(format, args...)})
}

func (c *converter) document(doc *yaml.Node, start position) *node {
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		c.fault(start, "", "the file is empty")
		return nil
	}
	return c.convert(doc.Content[0], "", 0)
}

func (c *converter) convert(y *yaml.Node, field string, depth int) *node {
	n := &node{kind: kindNull, at: position{max(y.Line, 1), max(y.Column, 1)}}
	c.budget--
	if c.budget < 0 || depth > maxDepth {
		if c.budget == -1 || depth > maxDepth {
			c.fault(n.at, field, "the file holds too many values or nests them too deep (are there aliases in aliases?)")
		}
		c.budget = min(c.budget, -2) // said once
		return n
	}
	switch y.Kind {
	case yaml.AliasNode:
		return c.alias(y, n, field, depth)
	case yaml.MappingNode:
		c.tag(y, n, field, "!!map")
		n.kind = kindMapping
		c.mapping(y, n, field, depth)
	case yaml.SequenceNode:
		c.tag(y, n, field, "!!seq")
		n.kind = kindList
		for i, item := range y.Content {
			n.items = append(n.items, c.convert(item, fmt.Sprintf("%s[%d]", field, i), depth+1))
		}
	case yaml.ScalarNode:
		c.scalar(y, n, field)
	case yaml.DocumentNode, yaml.StreamNode:
		c.fault(n.at, field, "is not a value")
	}
	return n
}

// alias resolves *name. Its own position is where it stands, what is in it keeps the anchor's.
func (c *converter) alias(y *yaml.Node, n *node, field string, depth int) *node {
	if y.Alias == nil || c.open[y.Alias] {
		c.fault(n.at, field, "the alias *%s contains itself", y.Value)
		return n
	}
	c.open[y.Alias] = true
	defer delete(c.open, y.Alias)
	target := c.convert(y.Alias, field, depth+1)
	target.at = n.at
	return target
}

func (c *converter) mapping(y *yaml.Node, n *node, field string, depth int) {
	seen := map[string]position{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		at := position{max(k.Line, 1), max(k.Column, 1)}
		switch first, double := seen[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			c.fault(at, field, "a key must be a word")
			continue
		case k.ShortTag() == "!!merge":
			c.fault(at, joinField(field, "<<"), "merge keys are not supported; write the keys out")
			continue
		case double:
			c.fault(at, joinField(field, k.Value), "is given twice, first in line %d", first.line)
			continue
		}
		seen[k.Value] = at
		n.entries = append(n.entries, entry{k.Value, at, c.convert(v, joinField(field, k.Value), depth+1)})
	}
}

func (c *converter) scalar(y *yaml.Node, n *node, field string) {
	n.text = y.Value
	switch tag := y.ShortTag(); tag {
	case "!!str", "!!timestamp":
		n.kind = kindText
	case "!!int", "!!float":
		n.kind = kindNumber
	case "!!bool":
		n.kind = kindBool
	case "!!null":
		n.kind = kindNull
	default:
		n.kind = kindText
		c.fault(n.at, field, "the tag %s is not supported", tag)
	}
	if strings.ContainsRune(n.text, 0) {
		c.fault(n.at, field, "holds a NUL character")
	}
}

func (c *converter) tag(y *yaml.Node, n *node, field, want string) {
	if tag := y.ShortTag(); tag != want {
		c.fault(n.at, field, "the tag %s is not supported", tag)
	}
}

func joinField(parent, key string) string {
	if parent == "" {
		return key
	}
	return parent + "." + key
}
