package wire

import (
	"io"
	"net/http"
	"net/url"
)

// Request is what the codecs read.
type Request struct {
	Method string
	// Path is escaped, as it came.
	Path   string
	Query  url.Values
	Header http.Header
	// Body is the whole body, Stream is a body that is read while it arrives. Only one of them is there.
	Body   []byte
	Stream io.ReadCloser
	// Labels are the labels of the path, from Service.Match.
	Labels map[string]string
}

// Response is an answer. Stream, where there is one, follows Body and must be closed.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	Stream io.ReadCloser
}

// Fault is an error on its way to the wire.
type Fault struct {
	// Name is the name of its shape in the model, or one of the names that all services share (SharedFaults).
	Name, Message string
	// Status is 0 for what the model says.
	Status int
	// Field is a member of our own operations' errors, absent where it is empty.
	Field string
	// Resource is the path that S3 names in its errors.
	Resource  string
	RequestID string
}

// Codec is one protocol.
type Codec interface {
	// Decode reads the input of an operation. Errors of the client are ErrMalformed.
	Decode(op *Operation, r *Request, into any) error
	// Encode writes an output, nil for an operation that has none.
	Encode(op *Operation, out any, requestID string) (*Response, error)
	// EncodeFault writes an error. s is nil where the service is not known.
	EncodeFault(s *Service, f Fault) *Response
}

const (
	contentType   = "Content-Type"
	contentXML    = "text/xml; charset=utf-8"
	contentJSON   = "application/json"
	contentCBOR   = "application/cbor"
	contentBinary = "application/octet-stream"
)

func newResponse(op *Operation) *Response {
	r := &Response{Status: op.Status, Header: http.Header{}}
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	return r
}
