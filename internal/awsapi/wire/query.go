package wire

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"greengate/internal/awsapi/shapes"
)

// MaxParameters is the largest number of parameters of a form.
const MaxParameters = 50_000

// Query is the AWS query protocol: a form in, XML out.
type Query struct{}

// ParseForm reads the body of a query request, or its query string. The errors are ErrMalformed.
func ParseForm(body string) (url.Values, error) {
	if strings.Count(body, "&") >= MaxParameters {
		return nil, malformed("the form has more than %d parameters", MaxParameters)
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, malformed("the body is not a well-formed form")
	}
	return form, nil
}

// Decode implements Codec. The form is r.Query, where the caller put it to find Action and Version.
func (Query) Decode(op *Operation, r *Request, into any) error {
	v, err := op.into(into)
	if err != nil {
		return err
	}
	root, err := formTree(r.Query)
	if err != nil {
		return err
	}
	return treeReader{formLayout{}}.structure("", root, op.in, v)
}

// formTree turns dotted names into a tree; names that come twice count once. It grows with the form alone: numbers in
// names are names.
func formTree(form url.Values) (*node, error) {
	root := &branch{}
	for name, values := range form {
		if !utf8.ValidString(name) || len(values) > 0 && !utf8.ValidString(values[0]) {
			return nil, malformed("a parameter is not UTF-8")
		}
		if strings.Count(name, ".") >= shapes.MaxDepth {
			return nil, malformed("a parameter is nested more than %d deep", shapes.MaxDepth)
		}
		at := root
		for part := range strings.SplitSeq(name, ".") {
			at = at.child(part)
		}
		if len(values) > 0 {
			at.text = values[0]
		}
	}
	return root.node(""), nil
}

// branch is a node while the tree grows.
type branch struct {
	text  string
	below map[string]*branch
}

func (b *branch) child(name string) *branch {
	if b.below == nil {
		b.below = map[string]*branch{}
	}
	c := b.below[name]
	if c == nil {
		c = &branch{}
		b.below[name] = c
	}
	return c
}

func (b *branch) node(name string) *node {
	n := &node{name: name, text: b.text}
	for name, below := range b.below {
		n.children = append(n.children, below.node(name))
	}
	slices.SortFunc(n.children, func(x, y *node) int { return strings.Compare(x.name, y.name) })
	return n
}

// formLayout: Foo.member.1, flat Foo.1; Foo.entry.1.key, flat Foo.1.key. "Foo=" is an empty list.
type formLayout struct{}

func (formLayout) list(parent *node, m *member) ([]*node, bool) {
	name := m.name
	if m.flat {
		name = m.flatName()
	}
	n := parent.first(name)
	if n == nil {
		return nil, false
	}
	if !m.flat {
		return numbered(n.first(m.itemName())), true
	}
	return numbered(n), true
}

func (formLayout) entries(parent *node, m *member) ([]*node, bool) {
	n := parent.first(m.name)
	if n == nil {
		return nil, false
	}
	if !m.flat {
		return numbered(n.first("entry")), true
	}
	return numbered(n), true
}

// numbered returns the children with a number for a name, in order. Gaps close.
func numbered(n *node) []*node {
	if n == nil {
		return nil
	}
	type item struct {
		number int
		node   *node
	}
	var items []item
	for _, c := range n.children {
		if i, err := strconv.Atoi(c.name); err == nil && i > 0 {
			items = append(items, item{i, c})
		}
	}
	slices.SortStableFunc(items, func(a, b item) int { return a.number - b.number })
	out := make([]*node, len(items))
	for i := range items {
		out[i] = items[i].node
	}
	return out
}

// Encode implements Codec.
func (Query) Encode(op *Operation, out any, requestID string) (*Response, error) {
	v, err := op.outOf(out)
	if err != nil {
		return nil, err
	}
	var w xmlWriter
	w.openRoot(op.Name+"Response", op.Service.Namespace)
	if v.IsValid() {
		w.open(op.Name + "Result")
		if err := w.structure(op.out, v); err != nil {
			return nil, err
		}
		w.close(op.Name + "Result")
	}
	w.open("ResponseMetadata")
	w.text("RequestId", requestID)
	w.close("ResponseMetadata")
	w.close(op.Name + "Response")
	r := newResponse(op)
	r.Header.Set(contentType, contentXML)
	r.Body = w.Bytes()
	return r, nil
}

// openRoot opens the element around a document. The namespace is a URL of the model.
func (w *xmlWriter) openRoot(name, namespace string) {
	if namespace != "" {
		name += ` xmlns="` + namespace + `"`
	}
	w.open(name)
}

// EncodeFault implements Codec.
func (Query) EncodeFault(s *Service, f Fault) *Response {
	e := resolve(s, f, dialectQuery)
	var w xmlWriter
	namespace := ""
	if s != nil {
		namespace = s.Namespace
	}
	w.openRoot("ErrorResponse", namespace)
	w.open("Error")
	w.text("Type", e.sender())
	w.text("Code", e.code)
	w.text("Message", e.message)
	w.close("Error")
	w.text("RequestId", f.RequestID)
	w.close("ErrorResponse")
	r := &Response{Status: e.status, Header: map[string][]string{contentType: {contentXML}}, Body: w.Bytes()}
	return r
}
