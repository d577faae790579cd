package wire

import (
	"reflect"
	"strconv"
)

// node is a body of text before shapes give it a meaning: an element of XML or a part of the dotted names of a form.
type node struct {
	name     string
	text     string
	children []*node
}

// all returns the children of a name.
func (n *node) all(name string) []*node {
	var out []*node
	for _, c := range n.children {
		if c.name == name {
			out = append(out, c)
		}
	}
	return out
}

func (n *node) first(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// layout is how lists and maps look in a tree.
type layout interface {
	// list returns the nodes of the items of a list.
	list(parent *node, m *member) (items []*node, found bool)
	// entries returns the nodes of the entries of a map.
	entries(parent *node, m *member) (entries []*node, found bool)
}

// treeReader fills structures from trees.
type treeReader struct{ layout layout }

func (t treeReader) structure(path string, n *node, s *shape, v reflect.Value) error {
	for i := range s.members {
		m := &s.members[i]
		if m.place != inBody || m.payload {
			continue
		}
		if err := t.member(join(path, m.label), n, m, v); err != nil {
			return err
		}
	}
	return nil
}

func (t treeReader) member(path string, parent *node, m *member, v reflect.Value) error {
	switch m.shape.kind { //nolint:exhaustive // the others are one node
	case kindList:
		items, found := t.layout.list(parent, m)
		if !found {
			return nil
		}
		list := reflect.MakeSlice(m.shape.typ, len(items), len(items))
		for i, item := range items {
			if err := t.value(path+"["+strconv.Itoa(i)+"]", item, m.shape.elem, list.Index(i)); err != nil {
				return err
			}
		}
		m.make(v).Set(list)
		return nil
	case kindMap:
		return t.mapping(path, parent, m, v)
	}
	n := parent.first(m.name)
	if n == nil {
		return nil
	}
	return t.value(path, n, m.shape, m.make(v))
}

func (t treeReader) mapping(path string, parent *node, m *member, v reflect.Value) error {
	entries, found := t.layout.entries(parent, m)
	if !found {
		return nil
	}
	out := reflect.MakeMapWithSize(m.shape.typ, len(entries))
	for i, e := range entries {
		key, value := e.first(m.key), e.first(m.value)
		if key == nil {
			return malformed("%s[%d]: an entry of a map has no %s", path, i, m.key)
		}
		elem := reflect.New(m.shape.elem.typ).Elem()
		if value != nil {
			if err := t.value(join(path, key.text), value, m.shape.elem, elem); err != nil {
				return err
			}
		}
		out.SetMapIndex(reflect.ValueOf(key.text).Convert(m.shape.typ.Key()), elem)
	}
	m.make(v).Set(out)
	return nil
}

func (t treeReader) value(path string, n *node, s *shape, v reflect.Value) error {
	if s.kind == kindStructure {
		return t.structure(path, n, s, v)
	}
	if len(n.children) > 0 {
		return malformed("%s: expected a value of type %s, got a structure", path, s.kind)
	}
	return setText(path, s, v, n.text)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
