package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// decoder reads a tree into values and collects what is wrong with it.
type decoder struct {
	folder string              // absolute; relative paths of the file are meant from here
	at     map[string]position // of the value of each field
	faults []Fault
	// excused are fields that only look missing, because their key is misspelt.
	excused map[string]bool
}

// setter reads one value into its place.
type setter func(n *node, field string)

func newDecoder(folder string, tree *node) *decoder {
	d := &decoder{folder: folder, at: map[string]position{}, excused: map[string]bool{}}
	d.index(tree, "")
	return d
}

func (d *decoder) index(n *node, field string) {
	d.at[field] = n.at
	for i, item := range n.items {
		d.index(item, fmt.Sprintf("%s[%d]", field, i))
	}
	for _, e := range n.entries {
		d.index(e.value, joinField(field, e.key))
	}
}

// fault notes a fault at the position of field, or of the nearest parent that the file holds.
func (d *decoder) fault(field, format string, args ...any) {
	at := d.at[""]
	for f := field; f != ""; f = parentField(f) {
		if p, ok := d.at[f]; ok {
			at = p
			break
		}
	}
	d.faultAt(at, field, format, args...)
}

func (d *decoder) faultAt(at position, field, format string, args ...any) {
	d.faults = append(d.faults, Fault{at.line, at.column, field, fmt.Sprintf(format, args...)})
}

// blamed reports whether field, something in it or something around it has a fault already.
func (d *decoder) blamed(field string) bool {
	for f := field; f != ""; f = parentField(f) {
		if d.excused[f] {
			return true
		}
	}
	return slices.ContainsFunc(d.faults, func(f Fault) bool {
		return within(f.Field, field) || within(field, f.Field)
	})
}

// within reports whether field is outer or a part of it. Nothing but the root is within the root.
func within(field, outer string) bool {
	rest, ok := strings.CutPrefix(field, outer)
	return ok && outer != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func parentField(field string) string {
	i := strings.LastIndexAny(field, ".[")
	if i < 0 {
		return ""
	}
	return field[:i]
}

// fields reads a mapping by a table of its keys.
func (d *decoder) fields(n *node, field string, table map[string]setter) {
	if n.kind != kindMapping {
		d.fault(field, "must be a mapping, not %s; its keys are %s", n.kind, listing(table))
		return
	}
	for _, e := range n.entries {
		path := joinField(field, e.key)
		set, ok := table[e.key]
		switch {
		case !ok:
			d.unknown(e, field, slices.Sorted(maps.Keys(table)))
		case e.value.kind == kindNull:
			d.faultAt(e.at, path, "has no value; give it one, or remove the key")
		default:
			set(e.value, path)
		}
	}
}

func (d *decoder) unknown(e entry, field string, known []string) {
	path := joinField(field, e.key)
	if meant := nearest(e.key, known); meant != "" {
		d.excused[joinField(field, meant)] = true
		d.faultAt(e.at, path, "is an unknown key (did you mean %q?)", meant)
		return
	}
	d.faultAt(e.at, path, "is an unknown key; known here are %s", strings.Join(known, ", "))
}

func listing(table map[string]setter) string {
	return strings.Join(slices.Sorted(maps.Keys(table)), ", ")
}

// expect reports whether n is a scalar of one of the kinds, and says so where it is not.
func (d *decoder) expect(n *node, field, what string, kinds ...nodeKind) bool {
	if slices.Contains(kinds, n.kind) {
		return true
	}
	switch n.kind {
	case kindList, kindMapping, kindNull:
		d.fault(field, "must be %s, not %s", what, n.kind)
	case kindText, kindNumber, kindBool:
		d.fault(field, "must be %s; %q is %s", what, n.text, n.kind)
	}
	return false
}

// word reads a text. A number is none: what looks like one but is meant as a name must be quoted.
func (d *decoder) word(to *string) setter {
	return func(n *node, field string) {
		if d.expect(n, field, "a text", kindText) {
			*to = n.text
		}
	}
}

// label reads a text or a number as it is written, so that "version: 2.10" stays 2.10.
func (d *decoder) label(to *string) setter {
	return func(n *node, field string) {
		if d.expect(n, field, "a text", kindText, kindNumber) {
			*to = n.text
		}
	}
}

// choice reads one of the given words.
func choice[T ~string](d *decoder, to *T, words ...T) setter {
	return func(n *node, field string) {
		known := make([]string, len(words))
		for i, w := range words {
			known[i] = string(w)
		}
		if !d.expect(n, field, "one of "+strings.Join(known, ", "), kindText) {
			return
		}
		if !slices.Contains(known, n.text) {
			d.fault(field, "%q is unknown%s; it is one of %s", n.text, meant(n.text, known), strings.Join(known, ", "))
			return
		}
		*to = T(n.text)
	}
}

func meant(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

func (d *decoder) boolean(to *bool) setter {
	return func(n *node, field string) {
		if d.expect(n, field, "true or false", kindBool) {
			*to = strings.EqualFold(n.text, "true")
		}
	}
}

// environment reads names and values; numbers and booleans are taken as they are written.
func (d *decoder) environment(to *map[string]string) setter {
	return func(n *node, field string) {
		if n.kind != kindMapping {
			d.fault(field, "must be a mapping of names to values, not %s", n.kind)
			return
		}
		env := map[string]string{}
		for _, e := range n.entries {
			path := joinField(field, e.key)
			switch {
			case e.key == "" || strings.ContainsAny(e.key, "=\x00"):
				d.faultAt(e.at, path, "%q is not the name of a variable", e.key)
			case e.value.kind == kindNull:
				d.faultAt(e.at, path, "has no value; write \"\" for an empty one")
			case d.expect(e.value, path, "a text", kindText, kindNumber, kindBool):
				env[e.key] = e.value.text
			}
		}
		*to = env
	}
}

// command reads a program with its arguments: a list, or one line that is split as a shell splits words.
func (d *decoder) command(to *[]string) setter {
	return func(n *node, field string) {
		switch {
		case n.kind == kindList:
			words := make([]string, 0, len(n.items))
			for i, item := range n.items {
				if d.expect(item, fmt.Sprintf("%s[%d]", field, i), "a text", kindText, kindNumber, kindBool) {
					words = append(words, item.text)
				}
			}
			if len(words) == 0 && !d.blamed(field) {
				d.fault(field, "is empty; it names the program to run")
			}
			*to = words
		case d.expect(n, field, "a list or a text", kindText):
			words, err := SplitCommand(n.text)
			if err != nil {
				d.fault(field, "%s", err)
				return
			}
			*to = words
		}
	}
}
