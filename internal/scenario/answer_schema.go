package scenario

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"greengate/internal/jsonschema"
)

// answerSchema is a JSON Schema that a body must keep.
type answerSchema struct {
	name     string
	at       position
	compiled *jsonschema.Schema
}

// newAnswerSchema compiles a schema: JSON text, or a value of the scenario file. What is wrong with it comes with its places in
// the schema, as JSON pointers.
func newAnswerSchema(name string, at position, doc any) (*answerSchema, []jsonschema.Problem) {
	if text, ok := doc.([]byte); ok {
		var err error
		if doc, err = exactJSON(text); err != nil {
			return nil, []jsonschema.Problem{{What: name + " is not JSON: " + err.Error()}}
		}
	}
	if object, ok := doc.(map[string]any); doc == true || ok && len(object) == 0 {
		return nil, []jsonschema.Problem{{What: name + " is empty; it would check nothing"}}
	}
	compiled, err := jsonschema.Compile(doc)
	if bad, ok := errors.AsType[*jsonschema.Error](err); ok {
		var all []jsonschema.Problem
		for _, p := range bad.Problems {
			all = append(all, jsonschema.Problem{At: p.At, What: name + " is not a JSON Schema: " + p.String()})
		}
		return nil, all
	}
	if idle := idleWords(name, compiled); len(idle) > 0 {
		return nil, idle
	}
	return &answerSchema{name, at, compiled}, nil
}

// exactJSON is decodeJSON for a text that somebody reads about where it is empty.
func exactJSON(text []byte) (any, error) {
	v, err := decodeJSON(text)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("there is nothing")
	}
	return v, err
}

// idleWords are those of a schema that check nothing, by a slip of the hand or because they are of another draft. JSON Schema
// passes over them, and a scenario must not. Words of one's own begin with x-, as in OpenAPI, whose annotations are known.
func idleWords(name string, s *jsonschema.Schema) []jsonschema.Problem {
	var idle []jsonschema.Problem
	for _, i := range s.Ignored() {
		switch i.Word {
		case "example", "xml", "externalDocs", "discriminator", "nullable": // a nullable that is ignored refuses more, not less
			continue
		}
		if !strings.HasPrefix(i.Word, "x-") {
			what := fmt.Sprintf("%s: %s: %q %s%s; it would check nothing", name, i.At, i.Word, i.Why, didYouMean(i.Word, i.Known))
			idle = append(idle, jsonschema.Problem{At: i.At, What: what})
		}
	}
	return idle
}

// check returns what keeps a body from fitting the schema: where in it, and what is wrong there.
func (s *answerSchema) check(raw []byte) []string {
	// What a person reads. A fault is whole or left out, so that no part of a secret stays at a cut.
	const mostFaults, mostText = 100, maxBody
	body, err := exactJSON(raw)
	if err != nil {
		return []string{"the body is not JSON: " + err.Error()}
	}
	var all []string
	length := 0
	faults := s.compiled.Validate(body)
	for i, f := range faults {
		if i == mostFaults || length > mostText {
			return append(all, fmt.Sprintf("and %d more", len(faults)-i))
		}
		all = append(all, strings.Join(append([]string{"body"}, f.Place...), ".")+": "+f.String())
		length += len(all[i])
	}
	return all
}
