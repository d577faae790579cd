package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"greengate/internal/awsapi/shapes"
)

// JSON is AWS JSON 1.0 or 1.1: POST /, the operation in X-Amz-Target.
type JSON struct{ Version string }

// ContentType is the type of bodies, "application/x-amz-json-1.1".
func (c JSON) ContentType() string { return "application/x-amz-json-" + c.Version }

// Decode implements Codec.
func (JSON) Decode(op *Operation, r *Request, into any) error {
	if _, err := op.into(into); err != nil {
		return err
	}
	return decodeJSON(r.Body, into)
}

func decodeJSON(body []byte, into any) error {
	if err := shapes.Decode(body, into); err != nil {
		return malformed("%s", err.Error())
	}
	return nil
}

// Encode implements Codec.
func (c JSON) Encode(op *Operation, out any, _ string) (*Response, error) {
	v, err := op.outOf(out)
	if err != nil {
		return nil, err
	}
	r := newResponse(op)
	r.Header.Set(contentType, c.ContentType())
	r.Body = []byte("{}")
	if v.IsValid() {
		if r.Body, err = MarshalJSON(v.Interface()); err != nil {
			return nil, fmt.Errorf("encode %s: %w", op.Name, err)
		}
	}
	return r, nil
}

// MarshalJSON leaves <, > and & as they are: messages are read by people, and no answer is read as HTML.
func MarshalJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// EncodeFault implements Codec.
func (c JSON) EncodeFault(s *Service, f Fault) *Response {
	e := resolve(s, f, dialectJSON)
	members := [][2]string{{"__type", e.name}, {e.member, e.message}}
	if f.Field != "" {
		members = append(members, [2]string{"field", f.Field})
	}
	r := &Response{Status: e.status, Header: http.Header{contentType: {c.ContentType()}}, Body: object(members)}
	queryError(s, e, r)
	return r
}

// queryError tells clients of a service that once spoke the query protocol the code that they match on (Smithy,
// "AWS query compatible error responses").
func queryError(s *Service, e resolved, r *Response) {
	if s != nil && s.QueryErrors {
		r.Header.Set("X-Amzn-Query-Error", e.code+";"+e.sender())
	}
}

// object writes strings under their names, in order.
func object(members [][2]string) []byte {
	var b bytes.Buffer
	for i, m := range members {
		b.WriteByte(map[bool]byte{true: '{', false: ','}[i == 0])
		for j, text := range m {
			quoted, _ := MarshalJSON(text) // a string always encodes
			b.Write(quoted)
			if j == 0 {
				b.WriteByte(':')
			}
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}

// RESTJSON is the protocol of Lambda.
type RESTJSON struct{}

// Decode implements Codec.
func (RESTJSON) Decode(op *Operation, r *Request, into any) error {
	v, err := op.into(into)
	if err != nil {
		return err
	}
	if err := readBindings(op, r, v); err != nil {
		return err
	}
	p := op.in.payload
	if p == nil {
		return decodeJSON(r.Body, into)
	}
	if done, err := readRawPayload(p, r, v); done || err != nil {
		return err
	}
	return decodeJSON(r.Body, p.make(v).Addr().Interface())
}

// Encode implements Codec.
func (RESTJSON) Encode(op *Operation, out any, _ string) (*Response, error) {
	v, err := op.outOf(out)
	if err != nil {
		return nil, err
	}
	r := newResponse(op)
	r.Header.Set(contentType, contentJSON)
	if !v.IsValid() {
		return r, nil
	}
	if err := writeBindings(op, v, r); err != nil {
		return nil, err
	}
	if p := op.out.payload; p != nil && p.shape.kind != kindStructure {
		return r, writeRawPayload(p, r, v)
	}
	if r.Status == http.StatusNoContent {
		return r, nil
	}
	r.Body, err = bodyJSON(op.out, v)
	return r, err
}

// bodyJSON writes the members of the body, or the one that is the body.
func bodyJSON(s *shape, v reflect.Value) ([]byte, error) {
	if p := s.payload; p != nil {
		return MarshalJSON(v.Field(p.index).Interface())
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range s.members {
		m := &s.members[i]
		f, ok := m.field(v)
		if !ok || m.place != inBody {
			continue
		}
		value, err := MarshalJSON(f.Interface())
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", m.label, err)
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", m.label, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// EncodeFault implements Codec.
func (RESTJSON) EncodeFault(s *Service, f Fault) *Response {
	e := resolve(s, f, dialectREST)
	var members [][2]string
	if e.typed {
		members = append(members, [2]string{"Type", map[bool]string{true: "Service", false: "User"}[e.server]})
	}
	members = append(members, [2]string{e.member, e.message})
	return &Response{
		Status: e.status, Body: object(members),
		Header: http.Header{contentType: {contentJSON}, "X-Amzn-Errortype": {e.code}},
	}
}
