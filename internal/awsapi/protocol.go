package awsapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/deploy"
)

// protocol is one of the AWS wire protocols. A new one implements this and joins newProtocols.
type protocol interface {
	// match reports whether the request speaks the protocol, and which target it names.
	match(r *http.Request) (target, bool)
	// decode reads the input of an operation; its errors are wire errors.
	decode(body []byte, into any) error
	// encode writes the output of an operation; nil is an operation without output.
	encode(out any) (body []byte, contentType string, err error)
	// encodeError writes an error.
	encodeError(e *Error) (body []byte, contentType string)
}

// target is a service, by its name in signatures, logs and actions, and an operation of it.
type target struct {
	service   string
	operation string
}

const (
	serviceCodeDeploy = "codedeploy"
	serviceGreengate  = "greengate"
)

// newProtocols lists the protocols in the order in which they are asked. The first one also words the errors of
// requests that nobody recognises.
func newProtocols() []protocol { return []protocol{json11{}} }

// json11 is AWS JSON 1.1: POST /, the operation in X-Amz-Target.
type json11 struct{}

const contentTypeJSON11 = "application/x-amz-json-1.1"

func (json11) match(r *http.Request) (target, bool) {
	name := r.Header.Get("X-Amz-Target")
	if operation, ok := strings.CutPrefix(name, codedeploy.TargetPrefix+"."); ok {
		return target{serviceCodeDeploy, operation}, true
	}
	if operation, ok := strings.CutPrefix(name, deploy.TargetPrefix); ok {
		return target{serviceGreengate, operation}, true
	}
	return target{}, false
}

func (json11) decode(body []byte, into any) error {
	if raw, ok := into.(*json.RawMessage); ok {
		return decodeRaw(body, raw)
	}
	if err := shapes.Decode(body, into); err != nil {
		return serializationError(err.Error())
	}
	return nil
}

// decodeRaw is for operations of our own, which decode themselves; an absent body is an empty object.
func decodeRaw(body []byte, raw *json.RawMessage) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		body = []byte("{}")
	}
	if !json.Valid(body) || body[0] != '{' {
		return serializationError("the body is not a JSON object")
	}
	*raw = body
	return nil
}

func (json11) encode(out any) ([]byte, string, error) {
	if out == nil {
		return []byte("{}"), contentTypeJSON11, nil
	}
	body, err := marshal(out)
	if err != nil {
		return nil, "", fmt.Errorf("encode %T: %w", out, err)
	}
	return body, contentTypeJSON11, nil
}

func (json11) encodeError(e *Error) ([]byte, string) {
	body, err := marshal(struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Field   string `json:"field,omitempty"`
	}{e.Name, e.Message, e.Field})
	if err != nil { // three strings always encode
		return []byte(`{"__type":"InternalFailure"}`), contentTypeJSON11
	}
	return body, contentTypeJSON11
}

// marshal leaves <, > and & as they are: messages are read by people, and no answer is read as HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
