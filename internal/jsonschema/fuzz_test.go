package jsonschema

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// seeds are schemas with a word of every keyword, and values.
func seeds(f *testing.F, add func(schema, value string)) {
	f.Helper()
	for _, schema := range []string{
		`{"type":["object","null"],"properties":{"a":{"type":"integer","minimum":1}},"required":["a"],"additionalProperties":false}`,
		`{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"format":"date-time"}],"additionalItems":false,"dependencies":{"a":["b"]}}`,
		`{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveAnchor":true,"properties":{"a":{"$recursiveRef":"#"}}}`,
		`{"$id":"http://x.test/a","$defs":{"b":{"$id":"b","$dynamicAnchor":"n","items":{"$dynamicRef":"#n"}}},"$ref":"b","$dynamicAnchor":"n"}`,
		`{"prefixItems":[true],"items":{"multipleOf":0.01},"contains":{"const":1},"minContains":2,"uniqueItems":true,"unevaluatedItems":false}`,
		`{"anyOf":[{"pattern":"^a\\u0061"},{"not":{"enum":[1,"a"]}}],"if":{"minLength":1},"then":{"maxLength":3},"else":false}`,
		`{"patternProperties":{"^a":false},"propertyNames":{"maxLength":2},"unevaluatedProperties":{"$ref":"#"},"dependentRequired":{"a":["b"]}}`,
		`{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"},{"$ref":"#/$defs/b"}]},"b":{"oneOf":[{},{}]}}}`,
		`{"$ref":"#"}`, `{"type":"wat","minLength":-1,"pattern":"(","$ref":"http://other.test/"}`, `false`, `[]`,
	} {
		for _, value := range []string{`{"a":1,"b":[{}]}`, `[1,1.0,"a"]`, `1e999999999`, `"aa"`, `null`} {
			add(schema, value)
		}
	}
}

// FuzzCompile: whatever a schema is, it is taken, or refused with words and places, and again in the same words.
func FuzzCompile(f *testing.F) {
	seeds(f, func(schema, _ string) { f.Add([]byte(schema)) })
	f.Fuzz(func(t *testing.T, schema []byte) {
		doc, err := decode(schema)
		if err != nil {
			return
		}
		_, err = Compile(doc)
		if err == nil {
			return
		}
		bad, ok := errors.AsType[*Error](err)
		if !ok || len(bad.Problems) == 0 {
			t.Fatalf("%v names no problem", err)
		}
		for _, p := range bad.Problems {
			if p.What == "" || p.At != "" && !strings.HasPrefix(p.At, "/") {
				t.Errorf("%+v", p)
			}
		}
		if _, again := Compile(doc); again == nil || again.Error() != err.Error() {
			t.Errorf("first %v, then %v", err, again)
		}
	})
}

// FuzzValidate: a validation ends, says the same twice, and agrees with another implementation.
func FuzzValidate(f *testing.F) {
	seeds(f, func(schema, value string) { f.Add([]byte(schema), []byte(value)) })
	if files, err := filepath.Glob("../scenario/schema.json"); err == nil {
		for _, file := range files {
			if content, err := os.ReadFile(file); err == nil {
				f.Add(content, []byte(`{"version":1,"steps":[{"request":"GET /","assert":["status == 200"]}]}`))
			}
		}
	}
	f.Fuzz(func(t *testing.T, schema, value []byte) {
		doc, err := decode(schema)
		v, errValue := decode(value)
		if err != nil || errValue != nil {
			return
		}
		s, err := Compile(doc)
		if err != nil {
			return
		}
		s.steps = 1 << 16
		first, second := s.Validate(v), s.Validate(v)
		if sentences(first) != sentences(second) {
			t.Errorf("first %v, then %v", first, second)
		}
		for _, fault := range first {
			if fault.String() == "" {
				t.Errorf("%+v", fault)
			}
		}
		if len(first) == 0 || first[0].Keyword != Limit {
			agree(t, string(schema)+string(value), doc, v)
		}
	})
}

// agree compares with the other implementation where the two are to be the same.
func agree(t *testing.T, text string, schema, value any) {
	t.Helper()
	for _, apart := range []string{
		"format", // it asserts more formats
		"$id",    // it makes other URIs of those that are none
		"recursive", "$schema", `\`,
	} {
		if strings.Contains(text, apart) {
			return
		}
	}
	if !hugeExponent.MatchString(text) { // the other one writes such numbers out
		compare(t, schema, value)
	}
}

var hugeExponent = regexp.MustCompile(`[eE][+-]?[0-9]{4}`)
