package scenario

import (
	"fmt"
	"strings"

	"greengate/internal/jsonschema"
)

// answerSchema is a JSON Schema that a body must keep.
type answerSchema struct {
	name     string
	at       position
	compiled *jsonschema.Schema
}

// newAnswerSchema compiles a schema: JSON text, or a value of the scenario file.
func newAnswerSchema(name string, at position, doc any) (*answerSchema, error) {
	if text, ok := doc.([]byte); ok {
		var err error
		if doc, err = exactJSON(text); err != nil {
			return nil, fmt.Errorf("%s is not JSON: %w", name, err)
		}
	}
	compiled, err := jsonschema.Compile(doc)
	if err != nil {
		return nil, fmt.Errorf("%s is not a JSON Schema: %w", name, err)
	}
	return &answerSchema{name, at, compiled}, nil
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
