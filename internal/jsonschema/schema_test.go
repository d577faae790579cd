package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parse(tb testing.TB, text string) any {
	tb.Helper()
	v, err := decode([]byte(text))
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return v
}

func compile(tb testing.TB, text string) *Schema {
	tb.Helper()
	s, err := Compile(parse(tb, text))
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return s
}

// TestCompile_problems: every problem of a schema is named with its place, all at once.
func TestCompile_problems(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		`1`: `the schema itself: a schema is an object, true or false, not a number`,
		`{"properties":{"qty":{"type":"wat"},"a":{"minLength":-1}},"required":"a"}`: `/required: must be an array of strings, not a string; ` +
			`/properties/a/minLength: must be a whole number that is not negative, not -1; ` +
			`/properties/qty/type: "wat" is not a type; types are null, boolean, number, integer, string, array, object`,
		`{"type":[]}`:                      `/type: names no type`,
		`{"type":["string","string"]}`:     `/type: has "string" twice`,
		`{"type":["string",1]}`:            `/type: must be an array of strings; 1 is none; /type: "" is not a type; types are null, boolean, number, integer, string, array, object`,
		`{"$ref":"#/$defs/a"}`:             `/$ref: there is nothing at "#/$defs/a"`,
		`{"$ref":"#a"}`:                    `/$ref: there is nothing at "#a"`,
		`{"$ref":"https://x.test/a.json"}`: `/$ref: "https://x.test/a.json" is not part of the schema, and nothing is fetched; write the schema in one file`,
		`{"$ref":"a%zz#"}`:                 `/$ref: "a%zz#" is not a URI`,
		`{"$ref":1}`:                       `/$ref: must be a string, not a number`,
		`{"$ref":"#/a/0","a":[]}`:          `/$ref: there is nothing at "#/a/0"`,
		`{"$ref":"#/a","a":3}`:             `/a: a schema is an object, true or false, not a number`,
		`{"pattern":"(?=a)"}`:              "/pattern: \"(?=a)\" is not a regular expression that can be used here (there is no look-around and no back-reference): invalid or unsupported Perl syntax in \"(?=\"",
		`{"patternProperties":{"(":true}}`: "/patternProperties/(: \"(\" is not a regular expression that can be used here (there is no look-around and no back-reference): missing closing ) in \"(\"",
		`{"maxItems":1.5}`:                 `/maxItems: must be a whole number that is not negative, not 1.5`,
		`{"multipleOf":0}`:                 `/multipleOf: must be a number greater than 0, not 0`,
		`{"minimum":"1"}`:                  `/minimum: must be a number, not '1'`,
		`{"enum":1}`:                       `/enum: must be an array of values, not a number`,
		`{"allOf":[]}`:                     `/allOf: must be an array of at least one schema, not an array`,
		`{"anyOf":{"type":1}}`:             `/anyOf: must be an array of at least one schema, not an object`,
		`{"properties":[]}`:                `/properties: must be an object of schemas, not an array`,
		`{"properties":{"a/b~":null}}`:     `/properties/a~1b~0: a schema is an object, true or false, not null`,
		`{"items":[true]}`:                 `/items: a schema is an object, true or false, not an array`,
		`{"uniqueItems":"yes"}`:            `/uniqueItems: must be true or false, not a string`,
		`{"title":1,"examples":1}`:         `/title: must be a string, not a number; /examples: must be an array, not a number`,
		`{"dependentRequired":{"a":"b"}}`:  `/dependentRequired/a: must be an array of strings, not a string`,
		`{"dependencies":1}`:               `/dependencies: must be an object of arrays and schemas, not a number`,
		`{"$schema":"http://json-schema.org/draft-04/schema#"}`: `/$schema: "http://json-schema.org/draft-04/schema#" is none of the drafts 2020-12, 2019-09, 07 and 06`,
		`{"$schema":1}`:                                       `/$schema: must be a string, not a number`,
		`{"$id":"http://x.test/#a"}`:                          `/$id: "http://x.test/#a" has a fragment; use $anchor`,
		`{"$defs":{"a":{"$id":"x"},"b":{"$id":"x"}}}`:         `/$defs/b/$id: "x" is the $id of another schema too, at "/$defs/a"`,
		`{"$defs":{"a":{"$anchor":"x"},"b":{"$anchor":"x"}}}`: `/$defs/b/$anchor: "x" is the anchor of another schema too, at "/$defs/a"`,
		`{"$anchor":"1"}`:                                     `/$anchor: "1" is not a name: use letters, digits, - . and _, and a letter or _ first`,
		`{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveRef":"#a"}`: `/$recursiveRef: must be "#", not '#a'`,
		// Loops without a step into the value.
		`{"$ref":"#"}`: `/$ref: "#" leads back to itself without a step into the value`,
		`{"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"}]},"b":{"not":{"$ref":"#/$defs/a"}}}}`: `/$defs/b/not/$ref: "#/$defs/a" leads back to itself without a step into the value`,
		`{"$dynamicAnchor":"x","allOf":[{"$dynamicRef":"#x"},{"$dynamicRef":"#x"}]}`: `/allOf/0/$dynamicRef: "#x" leads back to itself without a step into the value; ` +
			`/allOf/1/$dynamicRef: "#x" leads back to itself without a step into the value`,
	} {
		_, err := Compile(parse(t, schema))
		bad, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%s was taken: %v", schema, err)
			continue
		}
		if diff := cmp.Diff(want, bad.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", schema, diff)
		}
	}
}

// TestFault: what is wrong is said with place, want and got.
func TestFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ schema, value, want string }{
		{`{"type":"array"}`, `"a"`, `: got string, want array`},
		{`{"type":["integer","null"]}`, `1.5`, `: got number, want null or integer`},
		{`{"properties":{"a":{"items":{"type":"string"}}}}`, `{"a":["x",1,null]}`, `a.1: got number, want string|a.2: got null, want string`},
		{`{"const":9007199254740992}`, `9007199254740993`, `: got 9007199254740993, want 9007199254740992`},
		{`{"enum":["a",{"b":1}]}`, `"it's"`, `: got 'it's', want one of 'a', {"b":1}`},
		{`{"minimum":1}`, `0.9`, `: got 0.9, want at least 1`},
		{`{"exclusiveMaximum":1}`, `1`, `: got 1, want less than 1`},
		{`{"exclusiveMinimum":1}`, `1`, `: got 1, want more than 1`},
		{`{"maximum":1e2}`, `101`, `: got 101, want at most 1e2`},
		{`{"multipleOf":0.01}`, `19.995`, `: got 19.995, want a multiple of 0.01`},
		{`{"minLength":3}`, `"aé"`, `: got 2, want at least 3 characters`},
		{`{"maxItems":1}`, `[1,2]`, `: got 2, want at most 1 items`},
		{`{"minProperties":1}`, `{}`, `: got 0, want at least 1 properties`},
		{`{"pattern":"^a"}`, `"b"`, `: 'b' does not match pattern '^a'`},
		{`{"uniqueItems":true}`, `[1,2,1.0]`, `: items 0 and 2 are equal`},
		{`{"required":["a","b","c"]}`, `{"b":1}`, `: missing properties 'a', 'c'`},
		{`{"required":["a"]}`, `{}`, `: missing property 'a'`},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, `: missing property 'b', which 'a' needs`},
		{`{"properties":{"a":true},"additionalProperties":false}`, `{"c":1,"b":1}`, `: additional properties 'b', 'c' not allowed`},
		{`{"properties":{"a":true},"unevaluatedProperties":false}`, `{"a":1,"b":1}`, `: additional property 'b' not allowed`},
		{`{"prefixItems":[true],"items":false}`, `[1,2,3]`, `: got 3, want at most 1 items`},
		{`{"prefixItems":[true],"unevaluatedItems":false}`, `[1,2,3]`, `: additional items at 1, 2 not allowed`},
		{`{"contains":{"type":"string"}}`, `[1]`, `: got 0, want at least 1 that fit contains`},
		{`{"contains":{"type":"number"},"maxContains":1}`, `[1,2]`, `: got 2, want at most 1 that fit contains`},
		{`{"propertyNames":{"maxLength":1}}`, `{"ab":1,"c":2}`, `: the name 'ab' is not allowed: got 2, want at most 1 characters`},
		{`{"not":{"type":"string"}}`, `"a"`, `: 'a' fits the schema of not, and must not`},
		{`{"properties":{"a":false}}`, `{"a":1}`, `a: nothing is allowed here`},
		{`{"anyOf":[{"type":"string"},{"type":"null"}]}`, `1`, `: got number, want string or null`},
		{
			`{"anyOf":[{"type":"string"},{"type":"object","required":["a"],"properties":{"b":{"type":"null"}}}]}`, `{"b":1}`,
			`: fits none of the 2 schemas of anyOf; by the nearest: missing property 'a'; b: got number, want null`,
		},
		{`{"oneOf":[{"minimum":1},{"minimum":2},{"minimum":3}]}`, `2`, `: fits the schemas 0 and 1 of oneOf, and must fit one alone`},
		{`{"if":{"type":"string"},"then":{"minLength":2},"else":{"minimum":2}}`, `1`, `: got 1, want at least 2`},
		{`{"allOf":[{"minimum":5},{"multipleOf":2}]}`, `3`, `: got 3, want at least 5|: got 3, want a multiple of 2`},
		{`{"$schema":"http://json-schema.org/draft-07/schema#","format":"date"}`, `"2026-02-30"`, `: '2026-02-30' is not a valid date`},
		{`{"type":"string"}`, `"` + strings.Repeat("a", 300) + `"`, ``},
		{`{"const":1}`, `"a\"<\n` + strings.Repeat("a", 300) + `"`, `: got 'a\"<\n` + strings.Repeat("a", 300) + `', want 1`},
	} {
		var got []string
		for _, f := range compile(t, c.schema).Validate(parse(t, c.value)) {
			got = append(got, strings.Join(f.Place, ".")+": "+f.String())
		}
		if diff := cmp.Diff(c.want, strings.Join(got, "|")); diff != "" {
			t.Errorf("%s of %s (-want +got):\n%s", c.value, c.schema, diff)
		}
	}
}

// TestFault_Schema: a fault names the keyword where it stands, in a schema that is referred to as well.
func TestFault_Schema(t *testing.T) {
	t.Parallel()
	faults := compile(t, `{"properties":{"a/b":{"$ref":"#/$defs/x"}},"$defs":{"x":{"maximum":1}}}`).Validate(parse(t, `{"a/b":2}`))
	want := []Fault{{Place: []string{"a/b"}, Keyword: "maximum", Schema: "/$defs/x/maximum", Got: json.Number("2"), Want: json.Number("1")}}
	if diff := cmp.Diff(want, faults); diff != "" {
		t.Error(diff)
	}
}

// TestFault_Closest: of several forms, the one that the value has decides what is wrong.
func TestFault_Closest(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"oneOf":[{"type":"string","minLength":1},{"type":"object","required":["a"]}]}`)
	for value, want := range map[string]string{`""`: "minLength", `{}`: "required", `1`: ""} {
		faults := s.Validate(parse(t, value))
		if len(faults) != 1 || faults[0].Keyword != "oneOf" {
			t.Fatalf("%s: %v", value, faults)
		}
		closest := faults[0].Closest()
		if got := len(closest) > 0; got != (want != "") || got && closest[0].Keyword != want {
			t.Errorf("%s: closest is %v, want %q", value, closest, want)
		}
		if types := faults[0].Types(); want == "" && !slices.Equal(types, []string{"string", "object"}) {
			t.Errorf("%s: types %v", value, types)
		}
	}
}

// TestValidate_go: values as Go programs make them, not only as package encoding/json does.
func TestValidate_go(t *testing.T) {
	t.Parallel()
	s, err := Compile(map[string]any{"type": "integer", "minimum": 1, "maximum": uint64(1) << 63, "multipleOf": 0.5})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{1, int64(2), uint64(1) << 63, 3.0, json.Number("4.0")} {
		if faults := s.Validate(v); len(faults) > 0 {
			t.Errorf("%v: %v", v, faults)
		}
	}
	for _, v := range []any{0, 1.25, json.Number("one"), struct{}{}, func() {}, float32(1)} {
		if faults := s.Validate(v); len(faults) == 0 || faults[0].String() == "" {
			t.Errorf("%v: %v", v, faults)
		}
	}
}

// TestValidate_dynamic: a reference that other schemas may extend, in 2019-09 and 2020-12.
func TestValidate_dynamic(t *testing.T) {
	t.Parallel()
	for draft, words := range map[string][2]string{
		"2020-12": {`"$dynamicAnchor":"node"`, `"$dynamicRef":"#node"`}, "2019-09": {`"$recursiveAnchor":true`, `"$recursiveRef":"#"`},
	} {
		s := compile(t, fmt.Sprintf(`{"$schema":"https://json-schema.org/draft/%s/schema","$id":"http://x.test/strict",%s,"$ref":"tree","unevaluatedProperties":false,
			"$defs":{"t":{"$id":"tree",%s,"type":"object","properties":{"kids":{"type":"array","items":{%s}},"data":true}}}}`, draft, words[0], words[0], words[1]))
		if faults := s.Validate(parse(t, `{"kids":[{"data":1,"kids":[]}]}`)); len(faults) > 0 {
			t.Errorf("%s: %v", draft, faults)
		}
		faults := s.Validate(parse(t, `{"kids":[{"daat":1}]}`))
		if len(faults) != 1 || strings.Join(faults[0].Place, ".") != "kids.0" || faults[0].Keyword != "unevaluatedProperties" {
			t.Errorf("%s: %v", draft, faults)
		}
	}
}

// TestValidate_bounds: what would take too long or nests too deep is refused, also below a not.
func TestValidate_bounds(t *testing.T) {
	t.Parallel()
	var defs strings.Builder
	for i := range 64 {
		_, _ = fmt.Fprintf(&defs, `"a%d":{"allOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]},`, i, i+1, i+1)
	}
	doubling := `"$defs":{` + defs.String() + `"a64":{"type":"string"}}`
	for _, schema := range []string{`{"$ref":"#/$defs/a0",` + doubling + `}`, `{"not":{"$ref":"#/$defs/a0"},` + doubling + `}`} {
		s := compile(t, schema)
		s.steps = 1 << 16
		if faults := s.Validate("a"); len(faults) != 1 || faults[0].Keyword != Limit || !strings.Contains(faults[0].String(), "too many steps") {
			t.Errorf("%v", faults)
		}
	}
	deep := strings.Repeat("[", 9000) + strings.Repeat("]", 9000)
	if faults := compile(t, `{"items":{"$ref":"#"}}`).Validate(parse(t, deep)); len(faults) != 1 || !strings.Contains(faults[0].String(), "too deep") {
		t.Errorf("%v", faults)
	}
	nested := strings.Repeat(`{"not":`, maxNesting+2) + "true" + strings.Repeat("}", maxNesting+2)
	if _, err := Compile(parse(t, nested)); err == nil || !strings.Contains(err.Error(), "nested more than") {
		t.Errorf("a schema in %d others: %v", maxNesting+2, err)
	}
}

// TestValidate_parallel: one schema serves many at once.
func TestValidate_parallel(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"contains":{"type":"string"},"maxContains":1,"unevaluatedItems":{"pattern":"^a"},"$ref":"#/$defs/a","$defs":{"a":{"uniqueItems":true}}}`)
	value := parse(t, `["a","b","c","b"]`)
	want := sentences(s.Validate(value))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if got := sentences(s.Validate(value)); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
	wg.Wait()
}

// TestIgnored: what would check nothing is named, and what is meant to check nothing is not.
func TestIgnored(t *testing.T) {
	t.Parallel()
	const draft7 = `"$schema":"http://json-schema.org/draft-07/schema#",`
	for _, c := range []struct{ schema, want string }{
		{`{"properties":{"a":{"reqired":["b"],"format":"uiid"}}}`, "/properties/a/format uiid is not a format that is known here; /properties/a/reqired reqired is not a keyword of draft 2020-12"},
		{`{"items":{"x-own":1,"a/b":2}}`, "/items/a~1b a/b is not a keyword of draft 2020-12; /items/x-own x-own is not a keyword of draft 2020-12"},
		{`{"additionalItems":false}`, "/additionalItems additionalItems is not a keyword of draft 2020-12"},
		{`{` + draft7 + `"unevaluatedProperties":false,"$defs":{},"deprecated":true}`, "/unevaluatedProperties unevaluatedProperties is not a keyword of draft 07"},
		{`{` + draft7 + `"definitions":{"a":{}},"allOf":[{"$ref":"#/definitions/a","required":["b"],"title":"t"}]}`, "/allOf/0/required required counts for nothing beside $ref in draft 07"},
		{`{"$ref":"#/components/schemas/a","components":{"schemas":{"a":{"type":"string","misspelt":1}}},"component":{}}`, "/component component is not a keyword of draft 2020-12; /components/schemas/a/misspelt misspelt is not a keyword of draft 2020-12"},
		{`{"$id":"http://a.test/","$anchor":"a","$dynamicAnchor":"b","$vocabulary":{},"default":{"nothing":1},"title":"t","$comment":"c","const":{"any":1},"$defs":{},"examples":[]}`, ""},
		{`{"format":"double"}`, ""},
		{`true`, ""},
	} {
		var got []string
		for _, i := range compile(t, c.schema).Ignored() {
			got = append(got, i.At+" "+i.Word+" "+i.Why)
			if len(i.Known) > 0 && (!slices.IsSorted(i.Known) || slices.Contains(i.Known, i.Word)) {
				t.Errorf("%s: known are %q", c.schema, i.Known)
			}
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.schema, strings.Join(got, "; "), c.want)
		}
	}
}
