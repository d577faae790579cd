package scenario

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestRun_schemaSecret: what keeps a body from its schema is said without the secrets in it, however long they are and whatever
// is to be escaped in them.
func TestRun_schemaSecret(t *testing.T) {
	s := newService(t)
	secret := `begin"<'\n` + strings.Repeat("of a long secret ", 40) + "end"
	for keyword, words := range map[string]string{
		"const": `const: 1`, "pattern": `pattern: "^x"`, "enum": `enum: [a]`, "not": `not: {type: string}`, "anyOf": `anyOf: [{maxLength: 1}, {const: 2}]`,
	} {
		sc := load(t, `version: 1
secrets: [LONG]
steps:
  - request: POST /echo
    body: "${{ secrets.LONG }}"
    schema: {properties: {body: {`+words+`}}}
`)
		r := sc.Run(t.Context(), Options{BaseURL: s.URL, Getenv: func(string) string { return secret }})
		want(t, r, Fail, "body.body: ")
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"begin", "long secret"} {
			if strings.Contains(string(text), part) {
				t.Errorf("%s: a part of the secret is in the result: %s", keyword, text)
			}
		}
	}
}

// TestAnswerSchema_many: of a body that is wrong everywhere so much is said as a person reads.
func TestAnswerSchema_many(t *testing.T) {
	schema, bad := newAnswerSchema("the schema", position{1, 1}, map[string]any{"items": map[string]any{"type": "string"}})
	if bad != nil {
		t.Fatal(bad)
	}
	got := schema.check([]byte("[" + strings.Repeat("1,", 999) + "1]"))
	if len(got) != 101 || got[99] != "body.99: got number, want string" || got[100] != "and 900 more" {
		t.Errorf("%d messages, the last %q", len(got), got[len(got)-1])
	}
	wrong := make([]any, 10)
	for i := range wrong {
		wrong[i] = map[string]any{"const": i}
	}
	if schema, bad = newAnswerSchema("the schema", position{1, 1}, map[string]any{"allOf": wrong}); bad != nil {
		t.Fatal(bad)
	}
	got = schema.check(fmt.Appendf(nil, "%q", strings.Repeat("a", maxBody/2)))
	if len(got) != 3 || got[2] != "and 8 more" {
		t.Errorf("%d messages, the last %q", len(got), got[len(got)-1])
	}
}

// TestAnswerSchema_draft07: the schema says which draft it is, and formats are asserted by that one.
func TestAnswerSchema_draft07(t *testing.T) {
	schema, bad := newAnswerSchema("a.json", position{1, 1}, []byte(`{"$schema":"http://json-schema.org/draft-07/schema#",
		"properties":{"at":{"format":"date-time"},"pair":{"items":[{"type":"string"}],"additionalItems":false}}}`))
	if bad != nil {
		t.Fatal(bad)
	}
	if got := schema.check([]byte(`{"at":"2026-11-28T07:00:00Z","pair":["a"]}`)); len(got) > 0 {
		t.Error(got)
	}
	want := "body.at: 'now' is not a valid date-time; body.pair: got 2, want at most 1 items"
	if got := strings.Join(schema.check([]byte(`{"at":"now","pair":["a",1]}`)), "; "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for text, want := range map[string]string{
		"{":     "a.json is not JSON: unexpected EOF",
		"":      "a.json is not JSON: there is nothing",
		"{}":    "a.json is empty; it would check nothing",
		"true":  "a.json is empty; it would check nothing",
		"{} {}": "a.json is not JSON: something stands behind the value",
		"[]":    "a.json is not a JSON Schema: the schema itself: a schema is an object, true or false, not an array",
	} {
		if _, bad := newAnswerSchema("a.json", position{1, 1}, []byte(text)); len(bad) != 1 || bad[0].What != want {
			t.Errorf("%q: %v, want %s", text, bad, want)
		}
	}
}
