package wire

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"greengate/internal/awsapi/shapes"
)

// kind is what a shape is on the wire.
type kind string

const (
	kindText      kind = "string"
	kindBoolean   kind = "boolean"
	kindInteger   kind = "integer"
	kindFloat     kind = "number"
	kindTimestamp kind = "timestamp"
	kindBlob      kind = "blob"
	kindStream    kind = "stream"
	kindDocument  kind = "document"
	kindStructure kind = "structure"
	kindList      kind = "list"
	kindMap       kind = "map"
)

// shape is a Go type with what the wire needs to know of it.
type shape struct {
	kind    kind
	typ     reflect.Type
	members []member // of a structure
	elem    *shape   // of a list or a map
	payload *member  // of a structure, the member that is the whole body
}

// place is where a member is.
type place string

const (
	inBody    place = ""
	inURI     place = "uri"
	inQuery   place = "query"
	inHeader  place = "header"
	inHeaders place = "headers"
	inStatus  place = "status"
)

// member is a field of a structure.
type member struct {
	index    int
	shape    *shape
	required bool
	empty    bool   // text that is told although it is empty, as the value of a tag
	label    string // the model's name: what errors say, and JSON and CBOR
	name     string // in XML and forms; outside the body the name there
	place    place
	payload  bool
	flat     bool
	item     string // empty where the model says nothing
	key      string
	value    string
	time     string
}

// compiler remembers the structures that it has met: shapes may hold themselves.
type compiler struct {
	known map[reflect.Type]*shape
}

func (c *compiler) compile(t reflect.Type) (*shape, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s := c.known[t]; s != nil {
		return s, nil
	}
	s := &shape{typ: t}
	switch {
	case t == reflect.TypeFor[shapes.Timestamp]():
		s.kind = kindTimestamp
	case t == reflect.TypeFor[[]byte]():
		s.kind = kindBlob
	case t == reflect.TypeFor[io.ReadCloser]():
		s.kind = kindStream
	case t == reflect.TypeFor[any]():
		s.kind = kindDocument
	case t.Kind() == reflect.Struct:
		s.kind = kindStructure
		c.known[t] = s
		return s, c.structure(s)
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Map:
		return s, c.collection(s)
	default:
		k, ok := map[reflect.Kind]kind{
			reflect.String: kindText, reflect.Bool: kindBoolean, reflect.Int32: kindInteger, reflect.Int64: kindInteger, reflect.Float64: kindFloat,
		}[t.Kind()]
		if !ok {
			return nil, fmt.Errorf("no codec for %s", t)
		}
		s.kind = k
	}
	return s, nil
}

func (c *compiler) collection(s *shape) (err error) {
	s.kind = kindList
	if s.typ.Kind() == reflect.Map {
		s.kind = kindMap
		if s.typ.Key().Kind() != reflect.String {
			return fmt.Errorf("no codec for the keys of %s", s.typ)
		}
	}
	s.elem, err = c.compile(s.typ.Elem())
	return err
}

func (c *compiler) structure(s *shape) error {
	for i := range s.typ.NumField() {
		field := s.typ.Field(i)
		below, err := c.compile(field.Type)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", s.typ, field.Name, err)
		}
		m := member{index: i, shape: below, key: "key", value: "value"}
		m.label, _, _ = strings.Cut(field.Tag.Get("json"), ",")
		m.name = m.label
		rules := strings.Split(field.Tag.Get("aws"), ",")
		m.required = rules[0] == "required"
		m.empty = m.required && field.Type.Kind() == reflect.String && slices.Contains(rules, "min=0")
		if err := m.tag(field.Tag.Get("wire")); err != nil {
			return fmt.Errorf("%s.%s: %w", s.typ, field.Name, err)
		}
		s.members = append(s.members, m)
	}
	for i := range s.members {
		if s.members[i].payload {
			s.payload = &s.members[i]
		}
	}
	return nil
}

// tag reads the wire tag.
func (m *member) tag(tag string) error {
	for part := range strings.SplitSeq(tag, ",") {
		what, name, _ := strings.Cut(part, "=")
		switch what {
		case "":
		case "uri", "query", "header", "headers", "status":
			m.place, m.name = place(what), name
		case "payload":
			m.payload = true
		case "name":
			m.name = name
		case "flat":
			m.flat = true
		case "item":
			m.item = name
		case "key":
			m.key = name
		case "value":
			m.value = name
		case "time":
			m.time = name
		default:
			return fmt.Errorf("the wire tag says %q", part)
		}
	}
	if m.place == inHeaders && m.shape.kind != kindMap {
		return errors.New("only a map can be a family of headers")
	}
	return nil
}

// Service is a service made ready for the codecs. It is never altered.
type Service struct {
	shapes.Service
	operations map[string]*Operation
	routes     []*Operation // those with a path, the most specific first
}

// Operation is one operation of a Service.
type Operation struct {
	shapes.Operation
	Service *Service
	in, out *shape
	route   route
}

// Compile makes a service ready. It fails where a shape has something that no codec can carry.
func Compile(s shapes.Service) (*Service, error) {
	out := &Service{Service: s, operations: make(map[string]*Operation, len(s.Operations))}
	c := &compiler{known: map[reflect.Type]*shape{}}
	for _, o := range s.Operations {
		op := &Operation{Operation: o, Service: out}
		for _, side := range []struct {
			typ  reflect.Type
			into **shape
		}{{o.Input, &op.in}, {o.Output, &op.out}} {
			if side.typ == nil {
				continue
			}
			compiled, err := c.compile(side.typ)
			if err != nil {
				return nil, fmt.Errorf("compile %s of %s: %w", o.Name, s.ID, err)
			}
			*side.into = compiled
		}
		op.route = newRoute(o, op.in)
		out.operations[o.Name] = op
		if o.URI != "" {
			out.routes = append(out.routes, op)
		}
	}
	sortRoutes(out.routes)
	return out, nil
}

// Find returns an operation by its name, nil where the service has none.
func (s *Service) Find(name string) *Operation { return s.operations[name] }

// Streams reports whether the input of the operation has a body that is read while it arrives.
func (o *Operation) Streams() bool {
	return o.in != nil && o.in.payload != nil && o.in.payload.shape.kind == kindStream
}

// into returns the structure that into points to, after checking that it is the operation's input.
func (o *Operation) into(into any) (reflect.Value, error) {
	v := reflect.ValueOf(into)
	if o.in == nil || v.Kind() != reflect.Pointer || v.Elem().Type() != o.in.typ {
		return reflect.Value{}, fmt.Errorf("decode %s: %T is not its input", o.Name, into)
	}
	return v.Elem(), nil
}

// outOf returns the structure of an output, invalid where the operation has none.
func (o *Operation) outOf(out any) (reflect.Value, error) {
	v := reflect.ValueOf(out)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if o.out == nil {
		return reflect.Value{}, nil
	}
	if !v.IsValid() || v.Type() != o.out.typ {
		return reflect.Value{}, fmt.Errorf("encode %s: %T is not its output", o.Name, out)
	}
	return v, nil
}

// field returns the value of a member without its pointer; ok is false where it is absent.
func (m *member) field(v reflect.Value) (f reflect.Value, ok bool) {
	f = v.Field(m.index)
	if f.IsZero() {
		return f, m.empty
	}
	if f.Kind() == reflect.Pointer {
		f = f.Elem()
	}
	return f, true
}

// make returns the value of a member to be set, behind a new pointer where it has one.
func (m *member) make(v reflect.Value) reflect.Value {
	f := v.Field(m.index)
	if f.Kind() == reflect.Pointer {
		f.Set(reflect.New(f.Type().Elem()))
		f = f.Elem()
	}
	return f
}

// itemName is what the items of a list are called inside it; flat lists have no inside.
func (m *member) itemName() string { return cmp.Or(m.item, "member") }

// flatName is what a flat list is called: as its items, where they have a name of their own (as botocore has it).
func (m *member) flatName() string { return cmp.Or(m.item, m.name) }
