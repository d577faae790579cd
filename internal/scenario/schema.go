package scenario

import (
	"bytes"
	_ "embed" // the schema
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// This file and answer_schema.go are the only ones that know the JSON Schema library.

//go:embed schema.json
var schemaText []byte

// Schema is the JSON Schema of scenario files, for editors.
func Schema() []byte { return bytes.Clone(schemaText) }

// noLoader refuses every reference to another document: nothing is fetched to check a file.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is not part of the schema; write the schema in one file", url)
}

func compileSchema(doc any) (*jsonschema.Schema, error) {
	const name = "urn:greengate:schema"
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource(name, doc); err != nil {
		return nil, fmt.Errorf("add schema: %w", err)
	}
	s, err := c.Compile(name)
	if err != nil {
		return nil, fmt.Errorf("compile schema: %w", err)
	}
	return s, nil
}

// format is the schema of scenario files, compiled once.
var format = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText))
	if err != nil {
		return nil, fmt.Errorf("decode schema: %w", err)
	}
	return compileSchema(doc)
})

// checkFormat returns what the schema says of a file, in words and with positions.
func checkFormat(file string, tree *node) []Fault {
	schema, err := format()
	if err != nil {
		panic(err) // our own file; a test compiles it
	}
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(tree.plain()); !errors.As(err, &invalid) {
		return nil
	}
	t := &translator{file: file, tree: tree}
	t.walk(invalid)
	return t.faults
}

// translator turns the library's errors into faults that a person can act on.
type translator struct {
	file   string
	tree   *node
	faults []Fault
}

func (t *translator) walk(e *jsonschema.ValidationError) {
	switch e.ErrorKind.(type) {
	case *kind.OneOf, *kind.AnyOf:
		t.branch(e)
		return
	case *kind.PropertyNames:
		t.leaf(e)
		return
	}
	for _, c := range e.Causes {
		t.walk(c)
	}
	if len(e.Causes) == 0 {
		t.leaf(e)
	}
}

// branch picks of several forms the one that the value has, and says what is wrong with that.
func (t *translator) branch(e *jsonschema.ValidationError) {
	n, _ := t.find(e.InstanceLocation)
	var want []string
	for _, c := range e.Causes {
		mismatch := typeMismatch(c, len(e.InstanceLocation))
		if mismatch == nil {
			t.walk(c)
			return
		}
		want = append(want, mismatch.Want...)
	}
	t.fault(n.at, "%s must be %s, not %s", label(e.InstanceLocation), words(want), n.kind)
}

// typeMismatch finds the error that says that the value itself is of another type.
func typeMismatch(e *jsonschema.ValidationError, depth int) *kind.Type {
	if k, ok := e.ErrorKind.(*kind.Type); ok && len(e.InstanceLocation) == depth {
		return k
	}
	for _, c := range e.Causes {
		if k := typeMismatch(c, depth); k != nil {
			return k
		}
	}
	return nil
}

func (t *translator) fault(at position, format string, args ...any) {
	t.faults = append(t.faults, Fault{t.file, at.line, at.column, fmt.Sprintf(format, args...)})
}

// find is the node at a location, and the key under which it stands.
func (t *translator) find(location []string) (*node, entry) {
	n, at := t.tree, entry{at: t.tree.at}
	for _, part := range location {
		next := n.child(part)
		if i, err := strconv.Atoi(part); next == nil && err == nil && n.kind == kindList && i < len(n.items) {
			next = n.items[i]
			at = entry{at: next.at}
		}
		if next == nil {
			return n, at
		}
		for _, e := range n.entries {
			if e.key == part {
				at = e
			}
		}
		n = next
	}
	return n, at
}

func (t *translator) leaf(e *jsonschema.ValidationError) {
	n, at := t.find(e.InstanceLocation)
	what := label(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		known := properties(e.SchemaURL)
		for _, name := range slices.Sorted(slices.Values(k.Properties)) {
			_, own := t.find(append(slices.Clone(e.InstanceLocation), name))
			suffix := didYouMean(name, known)
			if suffix == "" {
				suffix = "; known here are " + strings.Join(known, ", ")
			}
			t.fault(own.at, "unknown field %q%s", name, suffix)
		}
	case *kind.PropertyNames:
		t.misnamed(t.tree, k.Property)
	case *kind.Required:
		t.fault(n.at, "%s lacks %s", what, quoted(k.Missing))
	case *kind.Type:
		t.fault(n.at, "%s must be %s, not %s", what, words(k.Want), n.kind)
	case *kind.Const:
		t.fault(n.at, "%s is %v; this program knows %v", what, n.value, k.Want)
	case *kind.Enum:
		var known []string
		for _, w := range k.Want {
			known = append(known, fmt.Sprint(w))
		}
		t.fault(n.at, "%s %q is unknown%s; it is one of %s", what, n.text, didYouMean(n.text, known), strings.Join(known, ", "))
	case *kind.Pattern:
		t.pattern(n, at, what, k)
	default:
		t.size(n, what, e.ErrorKind)
	}
}

// misnamed finds a name that is none: for names of keys the library does not tell where they stand.
func (t *translator) misnamed(n *node, name string) {
	for _, item := range n.items {
		t.misnamed(item, name)
	}
	for _, e := range n.entries {
		if e.key == "vars" || e.key == "secrets" || e.key == "capture" {
			for _, own := range e.value.entries {
				if own.key == name {
					t.fault(own.at, "%q is not a name: use letters, digits and _, and no digit first", name)
				}
			}
		}
		t.misnamed(e.value, name)
	}
}

func (t *translator) pattern(n *node, at entry, what string, k *kind.Pattern) {
	if strings.Contains(k.Want, "ms|s|m|h") {
		t.fault(n.at, "%s %q is not a duration; write for example 500ms, 30s or 2m", what, k.Got)
		return
	}
	if n.kind == kindText && n.text == k.Got {
		at.at = n.at
	}
	t.fault(at.at, "%q is not a name: use letters, digits and _, and no digit first", k.Got)
}

func (t *translator) size(n *node, what string, k jsonschema.ErrorKind) {
	switch k := k.(type) {
	case *kind.MinLength, *kind.MinItems:
		t.fault(n.at, "%s is empty", what)
	case *kind.MinProperties:
		t.fault(n.at, "%s is empty", what)
	case *kind.MaxProperties:
		t.fault(n.at, "%s has %d entries; %d is the limit", what, k.Got, k.Want)
	case *kind.Minimum:
		want, _ := k.Want.Float64()
		t.fault(n.at, "%s is %s; at least %v is needed", what, n.text, want)
	case *kind.Maximum:
		want, _ := k.Want.Float64()
		t.fault(n.at, "%s is %s; at most %v is possible", what, n.text, want)
	default:
		t.fault(n.at, "%s does not have the form of %v", what, k.KeywordPath())
	}
}

// label names what stands at a location: its key, or the item of a list.
func label(location []string) string {
	for i, part := range slices.Backward(location) {
		if _, err := strconv.Atoi(part); err != nil {
			if i == len(location)-1 {
				return part
			}
			return part + "[" + strings.Join(location[i+1:], "][") + "]"
		}
	}
	return "the scenario"
}

func quoted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strconv.Quote(w)
	}
	return strings.Join(out, ", ")
}

// words says JSON's types as YAML has them.
func words(types []string) string {
	names := map[string]string{
		"string": "a text", "number": "a number", "integer": "a whole number", "boolean": "true or false", "array": "a list",
		"object": "a mapping", "null": "nothing",
	}
	var out []string
	for _, t := range types {
		if !slices.Contains(out, names[t]) {
			out = append(out, names[t])
		}
	}
	return strings.Join(out, " or ")
}

// properties are the keys that the schema at a URL knows.
func properties(url string) []string {
	_, pointer, _ := strings.Cut(url, "#")
	var at any
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText))
	if err != nil {
		return nil
	}
	at = doc
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch v := at.(type) {
		case map[string]any:
			if part != "" {
				at = v[part]
			}
		case []any:
			if i, err := strconv.Atoi(part); err == nil && i < len(v) {
				at = v[i]
			}
		}
	}
	object, _ := at.(map[string]any)
	known, _ := object["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(known))
}
