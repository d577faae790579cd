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
	if idle := idleWords(compiled); len(idle) > 0 {
		return nil, fmt.Errorf("%s has what would check nothing: %s", name, strings.Join(idle, "; "))
	}
	return &answerSchema{name, at, compiled}, nil
}

// idleWords are those of a schema that check nothing, by a slip of the hand or because they are of another draft. JSON Schema
// passes over them, and a scenario must not. Words of one's own begin with x-, as in OpenAPI, whose annotations are known.
func idleWords(s *jsonschema.Schema) []string {
	var idle []string
	for _, i := range s.Ignored() {
		switch i.Word {
		case "example", "xml", "externalDocs", "discriminator", "nullable": // a nullable that is ignored refuses more, not less
			continue
		}
		if !strings.HasPrefix(i.Word, "x-") {
			idle = append(idle, fmt.Sprintf("%s: %q %s%s", i.At, i.Word, i.Why, didYouMean(i.Word, i.Known)))
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
