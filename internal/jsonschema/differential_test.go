package jsonschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	library "github.com/santhosh-tekuri/jsonschema/v6"
)

// What another implementation says of the same schemas and values is a check on ours: github.com/santhosh-tekuri/jsonschema
// passes the same suite.

type noLoader struct{}

func (noLoader) Load(url string) (any, error) { return nil, errors.New(url + " is not fetched") }

// other compiles a schema by the other implementation.
func other(doc any) (*library.Schema, error) {
	c := library.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource("urn:test:schema", doc); err != nil {
		return nil, err
	}
	return c.Compile("urn:test:schema")
}

func decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

// compare checks a value by both. It returns whether both have taken the schema.
func compare(t *testing.T, schema, value any) bool {
	t.Helper()
	ours, err := Compile(schema)
	theirs, errTheirs := other(schema)
	if err != nil || errTheirs != nil {
		return false
	}
	faults := ours.Validate(value)
	if len(faults) > 0 && faults[0].Keyword == Limit {
		return true
	}
	if errTheirs = theirs.Validate(value); (len(faults) == 0) != (errTheirs == nil) {
		t.Errorf("schema %s\nvalue %s\nours: %v\ntheirs: %v", shown(schema), shown(value), faults, errTheirs)
	}
	return true
}

func shown(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// TestDifferential makes schemas and values at random and checks each pair by both implementations.
func TestDifferential(t *testing.T) {
	t.Parallel()
	const schemas = 500
	compared := 0
	for seed := range uint64(schemas) {
		g := &generator{rand.New(rand.NewPCG(seed, 1)), []string{
			"https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2019-09/schema",
			"http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-06/schema#",
		}[seed%4], 0}
		schema := map[string]any{"$schema": g.draft, "$defs": map[string]any{"a": g.schema(2), "b": g.schema(2)}}
		maps.Copy(schema, g.object(3))
		for range 5 {
			if compare(t, schema, g.value(3)) {
				compared++
			}
		}
	}
	t.Logf("%d of %d pairs were compared", compared, 5*schemas)
	if compared < 4*schemas {
		t.Error("too few schemas were taken by both")
	}
}

// generator makes schemas out of few names and small values, so that they often have to do with one another.
type generator struct {
	*rand.Rand
	draft string
	refs  int
}

func (g *generator) schema(depth int) any {
	if depth <= 0 || g.IntN(12) == 0 {
		return g.IntN(4) > 0
	}
	return g.object(depth)
}

func (g *generator) name() string { return string(rune('a' + g.IntN(3))) }

func (g *generator) names() []any {
	all := []any{"a", "b", "c"}
	return all[:g.IntN(3)]
}

func (g *generator) value(depth int) any {
	switch n := g.IntN(9); {
	case n == 0:
		return nil
	case n == 1:
		return g.IntN(2) == 0
	case n <= 3:
		return json.Number([]string{"0", "1", "2", "3", "1.0", "1.5", "-2", "1e2", "100", "0.01", "3e-2"}[g.IntN(11)])
	case n == 4 || depth == 0:
		return []string{"", "a", "b", "ab", "aé", "abc"}[g.IntN(6)]
	case n <= 6:
		list := make([]any, g.IntN(4))
		for i := range list {
			list[i] = g.value(depth - 1)
		}
		return list
	}
	object := map[string]any{}
	for range g.IntN(4) {
		object[g.name()] = g.value(depth - 1)
	}
	return object
}

func (g *generator) list(depth int) []any {
	list := make([]any, 1+g.IntN(3))
	for i := range list {
		list[i] = g.schema(depth)
	}
	return list
}

func (g *generator) members(depth int) map[string]any {
	object := map[string]any{}
	for range 1 + g.IntN(2) {
		object[g.name()] = g.schema(depth)
	}
	return object
}

// object makes a schema with some keywords.
func (g *generator) object(depth int) map[string]any {
	s := map[string]any{}
	for range 1 + g.IntN(3) {
		if g.IntN(2) == 0 {
			g.assertion(s)
		} else {
			g.applicator(s, depth-1)
		}
	}
	return s
}

func (g *generator) small() json.Number { return json.Number(fmt.Sprint(g.IntN(3))) }

func (g *generator) assertion(s map[string]any) {
	switch g.IntN(9) {
	case 0:
		s["type"] = types()[g.IntN(7)]
	case 1:
		s["type"] = []any{types()[g.IntN(3)], types()[3+g.IntN(4)]}
	case 2:
		s["const"] = g.value(1)
	case 3:
		s["enum"] = []any{g.value(1), g.value(0)}
	case 4:
		s[[]string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}[g.IntN(4)]] = g.small()
	case 5:
		s["multipleOf"] = json.Number([]string{"1", "0.01", "2", "0.5", "1e1"}[g.IntN(5)])
	case 6:
		s[[]string{"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}[g.IntN(6)]] = g.small()
	case 7:
		s["required"] = g.names()
	case 8:
		s[[]string{"uniqueItems", "minContains", "maxContains", "pattern"}[g.IntN(4)]] = true
		for k, v := range map[string]any{"minContains": g.small(), "maxContains": g.small(), "pattern": "^a"} {
			if s[k] != nil {
				s[k] = v
			}
		}
	}
}

func (g *generator) applicator(s map[string]any, depth int) {
	if g.refs < 3 && g.IntN(8) == 0 && !strings.Contains(g.draft, "draft-0") {
		g.refs++
		s["$ref"] = []string{"#/$defs/a", "#/$defs/b", "#"}[g.IntN(3)]
		return
	}
	single := []string{
		"not", "if", "then", "else", "contains", "items", "additionalItems", "additionalProperties", "propertyNames", "unevaluatedItems",
		"unevaluatedProperties",
	}
	switch n := g.IntN(16); {
	case n < len(single):
		s[single[n]] = g.schema(depth)
	case n == 11:
		s[[]string{"allOf", "anyOf", "oneOf"}[g.IntN(3)]] = g.list(depth)
	case n == 12:
		s[[]string{"properties", "dependentSchemas", "dependencies"}[g.IntN(3)]] = g.members(depth)
	case n == 13:
		s["patternProperties"] = map[string]any{"^" + g.name(): g.schema(depth)}
	case n == 14 && strings.Contains(g.draft, "2020"):
		s["prefixItems"] = g.list(depth)
	case n == 14:
		s["items"] = g.list(depth)
	default:
		s["dependentRequired"] = map[string]any{g.name(): g.names()}
	}
}
