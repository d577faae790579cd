package wire

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"reflect"
	"slices"
)

// xmlWriter writes XML as the query protocol and rest-xml have it.
type xmlWriter struct{ bytes.Buffer }

func (w *xmlWriter) write(s string)    { _, _ = w.WriteString(s) } // a bytes.Buffer takes everything
func (w *xmlWriter) open(name string)  { w.write("<" + name + ">") }
func (w *xmlWriter) close(name string) { w.write("</" + name + ">") }

func (w *xmlWriter) text(name, text string) {
	w.open(name)
	w.chars(text)
	w.close(name)
}

// chars writes text. What XML cannot hold becomes U+FFFD.
func (w *xmlWriter) chars(text string) {
	_ = xml.EscapeText(&w.Buffer, []byte(text)) // a bytes.Buffer takes everything
}

// structure writes the members that stand in the body.
func (w *xmlWriter) structure(s *shape, v reflect.Value) error {
	for i := range s.members {
		m := &s.members[i]
		if m.place != inBody {
			continue
		}
		f, ok := m.field(v)
		if !ok {
			continue
		}
		if err := w.member(m, f); err != nil {
			return fmt.Errorf("%s: %w", m.label, err)
		}
	}
	return nil
}

func (w *xmlWriter) member(m *member, f reflect.Value) error {
	switch m.shape.kind { //nolint:exhaustive // the others are one element
	case kindList:
		return w.list(m, f)
	case kindMap:
		return w.mapping(m, f)
	}
	return w.value(m.name, m.shape, f, m.time)
}

func (w *xmlWriter) value(name string, s *shape, v reflect.Value, form string) error {
	if s.kind == kindStructure {
		w.open(name)
		if err := w.structure(s, v); err != nil {
			return err
		}
		w.close(name)
		return nil
	}
	text, err := textOf(s, v, form)
	if err != nil {
		return err
	}
	w.text(name, text)
	return nil
}

func (w *xmlWriter) list(m *member, v reflect.Value) error {
	item := m.itemName()
	if m.flat {
		item = m.flatName()
	} else {
		w.open(m.name)
		defer w.close(m.name)
	}
	for i := range v.Len() {
		if err := w.value(item, m.shape.elem, v.Index(i), m.time); err != nil {
			return err
		}
	}
	return nil
}

// mapping writes a map sorted by key, so that equal answers are equal bytes.
func (w *xmlWriter) mapping(m *member, v reflect.Value) error {
	entry := "entry"
	if m.flat {
		entry = m.name
	} else {
		w.open(m.name)
		defer w.close(m.name)
	}
	for _, key := range sortedKeys(v) {
		w.open(entry)
		w.text(m.key, key.String())
		if err := w.value(m.value, m.shape.elem, v.MapIndex(key), m.time); err != nil {
			return err
		}
		w.close(entry)
	}
	return nil
}

func sortedKeys(v reflect.Value) []reflect.Value {
	return slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int {
		return bytes.Compare([]byte(a.String()), []byte(b.String()))
	})
}
