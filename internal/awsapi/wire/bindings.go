package wire

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// readBindings sets the members that the request carries outside its body.
func readBindings(op *Operation, r *Request, v reflect.Value) error {
	for i := range op.in.members {
		m := &op.in.members[i]
		var err error
		switch m.place {
		case inURI:
			err = setText(m.label, m.shape, m.make(v), r.Labels[m.name])
		case inQuery:
			err = readQuery(m, r.Query[m.name], v)
		case inHeader:
			err = readHeader(m, r.Header, v)
		case inHeaders:
			readHeaders(m, r.Header, v)
		case inBody, inStatus:
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readQuery(m *member, values []string, v reflect.Value) error {
	if len(values) == 0 {
		return nil
	}
	if m.shape.kind == kindList {
		return readTexts(m, values, v)
	}
	return setText(m.label, m.shape, m.make(v), values[0])
}

func readTexts(m *member, values []string, v reflect.Value) error {
	list := reflect.MakeSlice(m.shape.typ, len(values), len(values))
	for i, text := range values {
		if err := setText(m.label, m.shape.elem, list.Index(i), text); err != nil {
			return err
		}
	}
	m.make(v).Set(list)
	return nil
}

func readHeader(m *member, h http.Header, v reflect.Value) error {
	values := h.Values(m.name)
	if len(values) == 0 {
		return nil
	}
	if m.shape.kind != kindList {
		return setText(m.label, m.shape, m.make(v), values[0])
	}
	var parts []string
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			parts = append(parts, strings.TrimSpace(part))
		}
	}
	return readTexts(m, parts, v)
}

// readHeaders collects a family of headers. Names come in lower case: case is lost on the way anyway.
func readHeaders(m *member, h http.Header, v reflect.Value) {
	found := reflect.MakeMap(m.shape.typ)
	for name, values := range h {
		if rest, ok := cutPrefixFold(name, m.name); ok && rest != "" && len(values) > 0 {
			found.SetMapIndex(reflect.ValueOf(strings.ToLower(rest)), reflect.ValueOf(strings.Join(values, ",")))
		}
	}
	if found.Len() > 0 {
		m.make(v).Set(found)
	}
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// writeBindings writes the members of an output that are headers or the status.
func writeBindings(op *Operation, v reflect.Value, r *Response) error {
	for i := range op.out.members {
		m := &op.out.members[i]
		f, ok := m.field(v)
		if !ok {
			continue
		}
		switch m.place {
		case inHeader:
			if err := writeHeader(m, f, r.Header); err != nil {
				return fmt.Errorf("encode %s.%s: %w", op.Name, m.label, err)
			}
		case inHeaders:
			for k, value := range f.Seq2() {
				// Not in Go's canonical case: clients show the rest of the name as it comes, and S3 sends lower case.
				r.Header[strings.ToLower(m.name+k.String())] = []string{headerText(value.String())}
			}
		case inStatus:
			r.Status = int(f.Int())
		case inBody, inURI, inQuery:
		}
	}
	return nil
}

func writeHeader(m *member, f reflect.Value, h http.Header) error {
	form := m.time
	if form == "" {
		form = timeHTTP
	}
	elem, values := m.shape, []reflect.Value{f}
	if m.shape.kind == kindList {
		elem = m.shape.elem
		values = slices.Collect(func(yield func(reflect.Value) bool) {
			for i := range f.Len() {
				if !yield(f.Index(i)) {
					return
				}
			}
		})
	}
	texts := make([]string, len(values))
	for i, value := range values {
		text, err := textOf(elem, value, form)
		if err != nil {
			return err
		}
		texts[i] = headerText(text)
	}
	h.Set(m.name, strings.Join(texts, ","))
	return nil
}

// headerText keeps a value on its line.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
