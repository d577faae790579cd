package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
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
		if doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(text)); err != nil {
			return nil, fmt.Errorf("%s is not JSON: %w", name, err)
		}
	}
	compiled, err := compileSchema(doc)
	if err != nil {
		return nil, fmt.Errorf("%s is not a JSON Schema: %w", name, innermost(err))
	}
	return &answerSchema{name, at, compiled}, nil
}

// innermost is the first cause of an error: what the library wraps around it names its own URLs.
func innermost(err error) error {
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		err = invalid.Err
	}
	if e, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return errors.New(strings.Join(schemaFaults(e), "; "))
	}
	return err
}

// check returns what keeps a body from fitting the schema.
func (s *answerSchema) check(body any) []string {
	var invalid *jsonschema.ValidationError
	err := s.compiled.Validate(body)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return schemaFaults(invalid)
	}
	return []string{err.Error()}
}

// schemaFaults are the leaves of an error: where in the value, and what is wrong there.
func schemaFaults(e *jsonschema.ValidationError) []string {
	if len(e.Causes) == 0 {
		at := strings.Join(append([]string{"body"}, e.InstanceLocation...), ".")
		return []string{at + ": " + e.ErrorKind.LocalizedString(message.NewPrinter(language.English))}
	}
	var all []string
	for _, c := range e.Causes {
		all = append(all, schemaFaults(c)...)
	}
	return all
}

// checkRaw checks a body as it came: numbers stay exact.
func (s *answerSchema) checkRaw(raw []byte) []string {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return []string{"the body is not JSON: " + err.Error()}
	}
	return s.check(v)
}
