package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "google.golang.org/protobuf/types/known/anypb"       // imports that everybody has
	_ "google.golang.org/protobuf/types/known/durationpb"  // as above
	_ "google.golang.org/protobuf/types/known/emptypb"     // as above
	_ "google.golang.org/protobuf/types/known/fieldmaskpb" // as above
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)

// This file and grpc_reflection.go are the only ones that know the Protocol Buffers library.

// maxProtoFiles bounds how many files describe one service.
const maxProtoFiles = 2000

// descriptors are the services and messages of a set of .proto files, as protoc or a server describes them.
type descriptors struct {
	files *protoregistry.Files
	types *dynamicpb.Types
}

// parseDescriptors reads a FileDescriptorSet, as protoc --descriptor_set_out and buf build write it.
func parseDescriptors(content []byte) (*descriptors, error) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(content, &set); err != nil || len(set.GetFile()) == 0 {
		return nil, errors.New("is no descriptor set; write one with `protoc --include_imports -o FILE` or `buf build -o FILE`")
	}
	files := map[string]*descriptorpb.FileDescriptorProto{}
	for _, f := range set.GetFile() {
		files[f.GetName()] = f
	}
	if lacking := imports(files); len(lacking) > 0 {
		return nil, fmt.Errorf("lacks %s, which it imports; write it with `protoc --include_imports`", quoted(lacking))
	}
	return link(files)
}

// imports are the files that others import and that are not among them, sorted. Those that everybody has do not count.
func imports(files map[string]*descriptorpb.FileDescriptorProto) []string {
	lacking := map[string]bool{}
	for _, f := range files {
		for _, name := range f.GetDependency() {
			if _, err := protoregistry.GlobalFiles.FindFileByPath(name); files[name] == nil && err != nil {
				lacking[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(lacking))
}

// link makes descriptors of files whose imports are all there.
func link(files map[string]*descriptorpb.FileDescriptorProto) (*descriptors, error) {
	if len(files) > maxProtoFiles {
		return nil, fmt.Errorf("has %d files; %d is the limit", len(files), maxProtoFiles)
	}
	set := &descriptorpb.FileDescriptorSet{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		set.File = append(set.File, files[name])
	}
	for i := 0; i < len(set.GetFile()); i++ { // NewFiles looks nowhere else
		for _, name := range set.GetFile()[i].GetDependency() {
			if known, err := protoregistry.GlobalFiles.FindFileByPath(name); files[name] == nil && err == nil {
				files[name] = protodesc.ToFileDescriptorProto(known)
				set.File = append(set.File, files[name])
			}
		}
	}
	linked, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("does not fit together: %w", err)
	}
	return &descriptors{linked, dynamicpb.NewTypes(linked)}, nil
}

// method is one method of a service.
type method struct {
	in   *descriptors
	desc protoreflect.MethodDescriptor
}

// find finds a method of a service, both by their names; the service's is its full one.
func (d *descriptors) find(service, name string) (*method, error) {
	found, err := d.files.FindDescriptorByName(protoreflect.FullName(service))
	s, ok := found.(protoreflect.ServiceDescriptor)
	if err != nil || !ok {
		return nil, fmt.Errorf("there is no service %q%s", service, among(service, d.services()))
	}
	if m := s.Methods().ByName(protoreflect.Name(name)); m != nil {
		return &method{d, m}, nil
	}
	var known []string
	for i := range s.Methods().Len() {
		known = append(known, string(s.Methods().Get(i).Name()))
	}
	slices.Sort(known)
	return nil, fmt.Errorf("the service %s has no method %q%s", service, name, among(name, known))
}

// splitMethod takes SERVICE/METHOD apart and reports whether both are names.
func splitMethod(text string) (service, method string, ok bool) {
	service, method, _ = strings.Cut(text, "/")
	return service, method, protoreflect.FullName(service).IsValid() && protoreflect.Name(method).IsValid()
}

// answersStream reports whether the method answers with any number of messages.
func (m *method) answersStream() bool { return m.desc.IsStreamingServer() }

func (d *descriptors) services() []string {
	var names []string
	d.files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			names = append(names, string(f.Services().Get(i).FullName()))
		}
		return true
	})
	slices.Sort(names)
	return names
}

// encode makes what is sent: framed messages, and the JSON of them. A method that takes a stream takes a list.
func (m *method) encode(json *template, values map[string]any) (wire, sent []byte, err error) {
	var v any = map[string]any{}
	if json != nil {
		if bad := m.misfits(json); len(bad) > 0 {
			return nil, nil, fmt.Errorf("json: %s", bad[0].message)
		}
		if v, err = json.resolve(values); err != nil {
			return nil, nil, fmt.Errorf("json: %w", err)
		}
	}
	if sent, err = encodeJSON(v); err != nil {
		return nil, nil, err
	}
	list, isList := v.([]any)
	switch {
	case json != nil && isList != m.desc.IsStreamingClient():
		return nil, nil, fmt.Errorf("json: %s", m.form())
	case !m.desc.IsStreamingClient():
		list = []any{v}
	}
	messages := make([][]byte, len(list))
	for i, item := range list {
		content, err := encodeJSON(item)
		if err != nil {
			return nil, nil, err
		}
		if messages[i], err = m.message(content); err != nil {
			return nil, nil, fmt.Errorf("json is no %s: %s", m.desc.Input().FullName(), plainProto(err))
		}
	}
	return framed(messages...), sent, nil
}

// form says what the method takes.
func (m *method) form() string {
	if m.desc.IsStreamingClient() {
		return string(m.desc.Name()) + " takes a stream: give it a list of messages"
	}
	return string(m.desc.Name()) + " takes one message, not a list"
}

// takes refuses a json that is written out in the form that the method does not take.
func (m *method) takes(json *template) error {
	if json.kind == kindText || (json.kind == kindList) == m.desc.IsStreamingClient() {
		return nil
	}
	return errors.New(m.form())
}

func (m *method) message(content []byte) ([]byte, error) {
	message := dynamicpb.NewMessage(m.desc.Input())
	if err := (protojson.UnmarshalOptions{Resolver: m.in.types}).Unmarshal(content, message); err != nil {
		return nil, err
	}
	return proto.Marshal(message)
}

// decode makes JSON of a message: names in lowerCamelCase, and fields that have no presence also where they are zero.
func (m *method) decode(wire []byte) ([]byte, error) {
	message := dynamicpb.NewMessage(m.desc.Output())
	if err := (proto.UnmarshalOptions{Resolver: m.in.types}).Unmarshal(wire, message); err != nil {
		return nil, fmt.Errorf("the answer is no %s: %s", m.desc.Output().FullName(), plainProto(err))
	}
	content, err := protojson.MarshalOptions{EmitDefaultValues: true, Resolver: m.in.types}.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("the answer has no JSON: %s", plainProto(err))
	}
	var b bytes.Buffer
	if err := json.Compact(&b, content); err != nil { // the library sets blanks at random
		return nil, fmt.Errorf("the answer has no JSON: %w", err)
	}
	return b.Bytes(), nil
}

// plainProto is what the library says of a fault, always in the same way: it varies a blank on purpose.
func plainProto(err error) string {
	return strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
}

// misfit is what a message cannot have, and where in the scenario it stands.
type misfit struct {
	at      position
	message string
}

// misfits are the keys of a step's json that its messages do not have.
func (m *method) misfits(json *template) []misfit {
	if !m.desc.IsStreamingClient() {
		return misfits(json, m.desc.Input())
	}
	var all []misfit
	for _, item := range json.list {
		all = append(all, misfits(item, m.desc.Input())...)
	}
	return all
}

func misfits(t *template, m protoreflect.MessageDescriptor) []misfit {
	if t == nil || t.kind != kindMapping || strings.HasPrefix(string(m.FullName()), "google.protobuf.") {
		return nil // such as Struct and Any have forms of their own
	}
	var all []misfit
	for _, key := range slices.Sorted(maps.Keys(t.fields)) {
		value := t.fields[key]
		field := m.Fields().ByJSONName(key)
		if field == nil {
			field = m.Fields().ByTextName(key)
		}
		switch {
		case field == nil && strings.HasPrefix(key, "["): // an extension
		case field == nil:
			all = append(all, misfit{value.at, fmt.Sprintf("%s has no field %q%s", m.FullName(), key, among(key, fieldNames(m)))})
		case field.Message() == nil || field.IsMap():
		case field.IsList():
			for _, item := range value.list {
				all = append(all, misfits(item, field.Message())...)
			}
		default:
			all = append(all, misfits(value, field.Message())...)
		}
	}
	return all
}

func fieldNames(m protoreflect.MessageDescriptor) []string {
	var names []string
	for i := range m.Fields().Len() {
		names = append(names, m.Fields().Get(i).JSONName())
	}
	slices.Sort(names)
	return names
}
