package scenario

import (
	"bytes"
	_ "embed" // the schema
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"greengate/internal/jsonschema"
)

//go:embed schema.json
var schemaText []byte

// Schema is the JSON Schema of scenario files, for editors.
func Schema() []byte { return bytes.Clone(schemaText) }

// format is the schema of scenario files, compiled once.
var format = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := decodeJSON(schemaText)
	if err != nil {
		return nil, fmt.Errorf("decode schema: %w", err)
	}
	return jsonschema.Compile(doc)
})

// checkFormat returns what the schema says of a file, in words and with positions.
func checkFormat(file string, tree *node) []Fault {
	schema, err := format()
	if err != nil {
		panic(err) // our own file; a test compiles it
	}
	t := &translator{file: file, tree: tree}
	for _, f := range schema.Validate(tree.plain()) {
		t.translate(f)
	}
	return t.faults
}

// translator turns faults of JSON into those of a file, which a person can act on.
type translator struct {
	file   string
	tree   *node
	faults []Fault
}

func (t *translator) fault(at position, format string, args ...any) {
	t.faults = append(t.faults, Fault{t.file, at.line, at.column, fmt.Sprintf(format, args...)})
}

func (t *translator) translate(f jsonschema.Fault) {
	n, _ := t.tree.walk(f.Place)
	what := label(f.Place)
	switch f.Keyword {
	case "oneOf", "anyOf": // of several forms the one that the value has decides what is wrong
		closest := f.Closest()
		for _, own := range closest {
			t.translate(own)
		}
		if closest == nil {
			t.fault(n.at, "%s must be %s, not %s", what, words(f.Types()), n.kind)
		}
	case "type":
		want, _ := f.Want.([]string)
		t.fault(n.at, "%s must be %s, not %s", what, words(want), n.kind)
	case "additionalProperties":
		t.unknown(n, f)
	case "propertyNames":
		t.misnamed(n.place(fmt.Sprint(f.Got)), f.Got)
	case "required":
		missing, _ := f.Want.([]string)
		t.fault(n.at, "%s lacks %s", what, quoted(missing))
	case "pattern":
		if strings.HasPrefix(f.Schema, "/$defs/duration/") {
			t.fault(n.at, "%s %q is not a duration; write for example 500ms, 30s or 2m", what, f.Got)
			return
		}
		t.misnamed(n.at, f.Got)
	default:
		t.value(n, what, f)
	}
}

func (t *translator) misnamed(at position, name any) {
	t.fault(at, "%q is not a name: use letters, digits and _, and no digit first", name)
}

// unknown names each key that a mapping must not have.
func (t *translator) unknown(n *node, f jsonschema.Fault) {
	names, _ := f.Got.([]string)
	known, _ := f.Want.([]string)
	for _, name := range names {
		suffix := didYouMean(name, known)
		if suffix == "" {
			suffix = "; known here are " + strings.Join(known, ", ")
		}
		t.fault(n.place(name), "unknown field %q%s", name, suffix)
	}
}

// value says what is wrong with a value of the right type.
func (t *translator) value(n *node, what string, f jsonschema.Fault) {
	switch f.Keyword {
	case "const":
		t.fault(n.at, "%s is %v; this program knows %v", what, n.value, f.Want)
	case "enum":
		var known []string
		want, _ := f.Want.([]any)
		for _, w := range want {
			known = append(known, fmt.Sprint(w))
		}
		t.fault(n.at, "%s %q is unknown%s; it is one of %s", what, n.text, didYouMean(n.text, known), strings.Join(known, ", "))
	case "minLength", "minItems", "minProperties":
		t.fault(n.at, "%s is empty", what)
	case "maxProperties":
		t.fault(n.at, "%s has %d entries; %d is the limit", what, f.Got, f.Want)
	case "minimum":
		t.fault(n.at, "%s is %s; at least %v is needed", what, n.text, f.Want)
	case "maximum":
		t.fault(n.at, "%s is %s; at most %v is possible", what, n.text, f.Want)
	default:
		t.fault(n.at, "%s: %s", what, f)
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
