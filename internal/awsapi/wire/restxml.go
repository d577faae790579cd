package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"

	"greengate/internal/awsapi/shapes"
)

// MaxElements is the largest number of elements of an XML body.
const MaxElements = 50_000

// RESTXML is the protocol of S3.
type RESTXML struct{}

// Decode implements Codec.
func (RESTXML) Decode(op *Operation, r *Request, into any) error {
	v, err := op.into(into)
	if err != nil {
		return err
	}
	if err := readBindings(op, r, v); err != nil {
		return err
	}
	p := op.in.payload
	if p == nil {
		return nil // no operation of S3 spreads its members over a body
	}
	if done, err := readRawPayload(p, r, v); done || err != nil {
		return err
	}
	if len(bytes.TrimSpace(r.Body)) == 0 {
		return nil
	}
	root, err := parseXML(r.Body)
	if err != nil {
		return err
	}
	return treeReader{xmlLayout{}}.structure(p.label, root, p.shape, p.make(v))
}

// readRawPayload reads a body that is no document.
func readRawPayload(p *member, r *Request, v reflect.Value) (done bool, err error) {
	switch p.shape.kind { //nolint:exhaustive // the others are documents
	case kindStream:
		body := r.Stream
		if body == nil {
			body = io.NopCloser(bytes.NewReader(r.Body))
		}
		v.Field(p.index).Set(reflect.ValueOf(&body).Elem())
		return true, nil
	case kindBlob:
		if len(r.Body) > 0 {
			v.Field(p.index).SetBytes(r.Body)
		}
		return true, nil
	case kindText:
		v.Field(p.index).SetString(string(r.Body))
		return true, nil
	case kindStructure:
		return false, nil
	}
	return true, fmt.Errorf("decode a body of type %s", p.shape.kind)
}

// element is a node that is still open.
type element struct {
	node *node
	text []byte
}

// parseXML reads a document into a tree, without looking at namespaces.
func parseXML(body []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	top := &node{}
	stack := []*element{{node: top}}
	for count := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, malformed("the body is not well-formed XML")
		}
		at := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			count++
			if count > MaxElements || len(stack) > shapes.MaxDepth {
				return nil, malformed("the body has too many elements, or is nested too deep")
			}
			n := &node{name: token.Name.Local}
			at.node.children = append(at.node.children, n)
			stack = append(stack, &element{node: n})
		case xml.EndElement:
			at.node.text = string(at.text)
			stack = stack[:len(stack)-1]
		case xml.CharData:
			at.text = append(at.text, token...)
		case xml.Directive:
			return nil, malformed("the body holds a document type")
		}
	}
	if len(top.children) != 1 {
		return nil, malformed("the body is not one XML document")
	}
	return top.children[0], nil
}

// xmlLayout: <Foo><member/></Foo>, flat <Foo/><Foo/>; <Foo><entry><key/><value/></entry></Foo>, flat <Foo><key/>…</Foo>.
type xmlLayout struct{}

func (xmlLayout) list(parent *node, m *member) ([]*node, bool) {
	if m.flat {
		items := parent.all(m.flatName())
		return items, len(items) > 0
	}
	n := parent.first(m.name)
	if n == nil {
		return nil, false
	}
	return n.all(m.itemName()), true
}

func (xmlLayout) entries(parent *node, m *member) ([]*node, bool) {
	if m.flat {
		entries := parent.all(m.name)
		return entries, len(entries) > 0
	}
	n := parent.first(m.name)
	if n == nil {
		return nil, false
	}
	return n.all("entry"), true
}

// Encode implements Codec.
func (RESTXML) Encode(op *Operation, out any, _ string) (*Response, error) {
	v, err := op.outOf(out)
	if err != nil {
		return nil, err
	}
	r := newResponse(op)
	if !v.IsValid() {
		return r, nil
	}
	if err := writeBindings(op, v, r); err != nil {
		return nil, err
	}
	if r.Header.Get("Content-Range") != "" {
		r.Status = http.StatusPartialContent // which no model says
	}
	p := op.out.payload
	switch {
	case p == nil && hasBody(op.out):
		return r, writeXML(op, r, v)
	case p == nil:
		return r, nil
	case p.shape.kind == kindStructure:
		return r, writeXMLPayload(op, r, v)
	}
	return r, writeRawPayload(p, r, v)
}

// hasBody reports whether any member of a structure stands in the body.
func hasBody(s *shape) bool {
	for i := range s.members {
		if s.members[i].place == inBody {
			return true
		}
	}
	return false
}

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

func writeXML(op *Operation, r *Response, v reflect.Value) error {
	var w xmlWriter
	w.write(xmlHeader)
	root := xmlRoot(op.Name)
	w.openRoot(root, op.Service.Namespace)
	if root == locationRoot {
		m := &op.out.members[0]
		w.chars(v.Field(m.index).String())
	} else if err := w.structure(op.out, v); err != nil {
		return err
	}
	w.close(root)
	r.setXML(w.Bytes())
	return nil
}

func (r *Response) setXML(body []byte) {
	r.Header.Set(contentType, "application/xml")
	r.Body = body
}

func writeXMLPayload(op *Operation, r *Response, v reflect.Value) error {
	p := op.out.payload
	f, ok := p.field(v)
	if !ok {
		return nil
	}
	var w xmlWriter
	w.write(xmlHeader)
	w.openRoot(p.name, op.Service.Namespace)
	if err := w.structure(p.shape, f); err != nil {
		return err
	}
	w.close(p.name)
	r.setXML(w.Bytes())
	return nil
}

// writeRawPayload writes a body that is no document.
func writeRawPayload(p *member, r *Response, v reflect.Value) error {
	if r.Header.Get(contentType) == "" {
		r.Header.Set(contentType, contentBinary)
	}
	f := v.Field(p.index)
	switch p.shape.kind { //nolint:exhaustive // the others are documents
	case kindStream:
		if !f.IsNil() {
			r.Stream, _ = reflect.TypeAssert[io.ReadCloser](f)
		}
		return nil
	case kindBlob:
		r.Body = f.Bytes()
		return nil
	case kindText:
		r.Body = []byte(f.String())
		return nil
	}
	return fmt.Errorf("encode a body of type %s", p.shape.kind)
}

// EncodeFault implements Codec. An answer to HEAD has no body: the caller leaves it out.
func (RESTXML) EncodeFault(s *Service, f Fault) *Response {
	e := resolve(s, f, dialectS3)
	var w xmlWriter
	w.write(xmlHeader)
	w.open("Error")
	w.text("Code", e.code)
	w.text("Message", e.message)
	if f.Resource != "" {
		w.text("Resource", f.Resource)
	}
	w.text("RequestId", f.RequestID)
	w.text("HostId", f.RequestID)
	w.close("Error")
	r := &Response{Status: e.status, Header: map[string][]string{}}
	r.setXML(w.Bytes())
	return r
}
