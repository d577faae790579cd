package appspec

import (
	"bytes"
	"fmt"
)

// Bounds of a file, far above any honest one. They stop a file that would make the reader work
// without end, such as aliases of aliases.
const (
	maxSize  = 1 << 20
	maxNodes = 20_000
	maxDepth = 64
)

// position counts lines and columns from 1.
type position struct{ line, column int }

func (p position) fault(field, format string, args ...any) Fault {
	return Fault{Line: p.line, Column: p.column, Field: field, Message: fmt.Sprintf(format, args...)}
}

// nodeKind is what a value is, in words for messages.
type nodeKind string

const (
	kindText   nodeKind = "a text"
	kindNumber nodeKind = "a number"
	kindBool   nodeKind = "true or false"
	kindNull   nodeKind = "nothing"
	kindList   nodeKind = "a list"
	kindMap    nodeKind = "a map"
)

// node is one value of a file, whichever way it was written. text is a scalar without its quotes.
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

func (n *node) scalar() bool { return n.kind == kindText || n.kind == kindNumber || n.kind == kindBool }

// readTree reads a file as JSON when it begins like JSON, else as YAML. What begins like JSON and is
// not may still be YAML in braces.
func readTree(data []byte) (*node, []Fault) {
	if len(data) > maxSize {
		return nil, []Fault{position{1, 1}.fault("", "the file has %d bytes; the limit is %d", len(data), maxSize)}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 {
		return nil, []Fault{position{1, 1}.fault("", "the file is empty")}
	} else if trimmed[0] != '{' {
		return readYAML(data)
	}
	tree, faults := readJSON(data)
	if len(faults) == 0 {
		return tree, nil
	}
	if tree, again := readYAML(data); len(again) == 0 {
		return tree, nil
	}
	return nil, faults
}
