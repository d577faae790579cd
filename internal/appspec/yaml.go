package appspec

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v4"
)

// This is the only file that knows the YAML library.

func readYAML(data []byte) (*node, []Fault) {
	start := position{1, 1}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, []Fault{start.fault("", "%v", err)}
	}
	var doc, second yaml.Node
	err = loader.Load(&doc)
	if errors.Is(err, io.EOF) || err == nil && (doc.Kind != yaml.DocumentNode || len(doc.Content) != 1) {
		return nil, []Fault{start.fault("", "the file is empty")}
	}
	if err != nil {
		return nil, []Fault{yamlFault(err)}
	}
	c := &converter{budget: maxNodes, open: map[*yaml.Node]bool{}}
	tree := c.convert(doc.Content[0], 0)
	switch err := loader.Load(&second); {
	case err == nil:
		c.faults = append(c.faults, place(&second).fault("", "the file holds more than one document"))
	case !errors.Is(err, io.EOF):
		c.faults = append(c.faults, yamlFault(err))
	}
	return tree, c.faults
}

func yamlFault(err error) Fault {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return position{1, 1}.fault("", "is neither YAML nor JSON: %v", err)
	}
	message := load.Message
	if load.ContextMsg != "" {
		message += " (" + load.ContextMsg + ")"
	}
	return position{max(load.Mark.Line, 1), max(load.Mark.Column, 1)}.fault("", "is not YAML: %s", message)
}

func place(y *yaml.Node) position { return position{max(y.Line, 1), max(y.Column, 1)} }

// converter turns the library's nodes into ours, with aliases resolved.
type converter struct {
	faults []Fault
	budget int                 // nodes that may still be made
	open   map[*yaml.Node]bool // anchors that are being resolved
}

func (c *converter) convert(y *yaml.Node, depth int) *node {
	n := &node{kind: kindNull, at: place(y)}
	if c.budget--; c.budget < 0 || depth > maxDepth {
		if c.budget >= -1 {
			c.faults = append(c.faults, n.at.fault("", "the file holds too many values or nests them too deep (are there aliases in aliases?)"))
		}
		c.budget = -2 // said once; nothing more is read
		return n
	}
	switch y.Kind {
	case yaml.MappingNode:
		n.kind = kindMap
		c.mapping(y, n, depth)
	case yaml.SequenceNode:
		n.kind = kindList
		for _, item := range y.Content {
			n.items = append(n.items, c.convert(item, depth+1))
		}
	case yaml.ScalarNode:
		n.kind, n.text = scalarKind(y), y.Value
	case yaml.AliasNode:
		return c.alias(y, n, depth)
	case yaml.DocumentNode, yaml.StreamNode:
	}
	return n
}

func (c *converter) mapping(y *yaml.Node, n *node, depth int) {
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, at := y.Content[i], place(y.Content[i])
		switch {
		case key.Kind != yaml.ScalarNode:
			c.faults = append(c.faults, at.fault("", "a key must be a word"))
		case key.ShortTag() == "!!merge":
			c.faults = append(c.faults, at.fault("", "merge keys are not supported; write the keys out"))
		default:
			n.entries = append(n.entries, entry{key.Value, at, c.convert(y.Content[i+1], depth+1)})
		}
	}
}

// alias resolves *name; the value stands where the alias stands.
func (c *converter) alias(y *yaml.Node, n *node, depth int) *node {
	if y.Alias == nil || c.open[y.Alias] {
		c.faults = append(c.faults, n.at.fault("", "the alias *%s contains itself", y.Value))
		return n
	}
	c.open[y.Alias] = true
	defer delete(c.open, y.Alias)
	target := c.convert(y.Alias, depth+1)
	target.at = n.at
	return target
}

// scalarKind goes by the resolved tag; what has a tag of its own is text.
func scalarKind(y *yaml.Node) nodeKind {
	switch y.ShortTag() {
	case "!!int", "!!float":
		return kindNumber
	case "!!bool":
		return kindBool
	case "!!null":
		return kindNull
	}
	return kindText
}
