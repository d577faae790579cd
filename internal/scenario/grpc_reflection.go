package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// The service by which a server describes itself (grpc/reflection/v1/reflection.proto). v1alpha has the same messages.
// They are so small that they are written and read by hand: their generated code would bring a whole gRPC library.

// reflectionMethods are the paths of that service, the newest first.
func reflectionMethods() []string {
	return []string{
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
	}
}

// Numbers of the fields of ServerReflectionRequest, ServerReflectionResponse and what is in it.
const (
	askFileByName       = 3
	askFileBySymbol     = 4
	askServices         = 7
	answerFiles         = 4
	answerServices      = 6
	answerError         = 7
	inFilesFile         = 1
	inServicesService   = 1
	inServiceName       = 1
	inErrorCode         = 1
	inErrorMessage      = 2
	statusNotFound      = 5
	maxReflectionRounds = 64
)

// reflectionRequest asks one thing.
func reflectionRequest(field protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, field, protowire.BytesType), value)
}

// reflectionAnswer is what a server said.
type reflectionAnswer struct {
	files    [][]byte
	services []string
	code     uint64 // of an error; 0 for none
	message  string
}

// wireField is one field of a message: the content of one with bytes, the value of one with a number.
type wireField struct {
	number  protowire.Number
	content []byte
	value   uint64
}

// fieldsOf are the fields of a message in their order.
func fieldsOf(message []byte) ([]wireField, error) {
	var fields []wireField
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		message = message[n:]
		f := wireField{number: number}
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return nil, protowire.ParseError(n)
		}
		if kind == protowire.BytesType {
			f.content, _ = protowire.ConsumeBytes(message)
		}
		if kind == protowire.VarintType {
			f.value, _ = protowire.ConsumeVarint(message)
		}
		message = message[n:]
		fields = append(fields, f)
	}
	return fields, nil
}

// along are the fields that are reached in a message by these numbers, one within the other.
func along(message []byte, number protowire.Number, path ...protowire.Number) ([]wireField, error) {
	fields, err := fieldsOf(message)
	if err != nil {
		return nil, fmt.Errorf("read reflection: %w", err)
	}
	var found []wireField
	for _, f := range fields {
		if f.number != number {
			continue
		}
		if len(path) == 0 {
			found = append(found, f)
			continue
		}
		inner, err := along(f.content, path[0], path[1:]...)
		if err != nil {
			return nil, err
		}
		found = append(found, inner...)
	}
	return found, nil
}

// add reads one ServerReflectionResponse into the answer.
func (a *reflectionAnswer) add(message []byte) error {
	files, err := along(message, answerFiles, inFilesFile)
	services, err2 := along(message, answerServices, inServicesService, inServiceName)
	codes, err3 := along(message, answerError, inErrorCode)
	messages, err4 := along(message, answerError, inErrorMessage)
	for _, f := range files {
		a.files = append(a.files, f.content)
	}
	for _, s := range services {
		a.services = append(a.services, string(s.content))
	}
	for _, c := range codes {
		a.code = c.value
	}
	for _, m := range messages {
		a.message = string(m.content)
	}
	return errors.Join(err, err2, err3, err4)
}

// reflectService asks a server for everything that describes a service. ask sends requests and returns the answer to all.
func reflectService(service string, ask func(requests ...[]byte) (*reflectionAnswer, error)) (*descriptors, error) {
	files := map[string]*descriptorpb.FileDescriptorProto{}
	requests := [][]byte{reflectionRequest(askFileBySymbol, service)}
	for range maxReflectionRounds { // a server may tell a file at a time
		answer, err := ask(requests...)
		switch {
		case err != nil:
			return nil, err
		case answer.code == statusNotFound && len(files) == 0:
			return nil, unknownService(service, ask)
		case answer.code != 0:
			return nil, fmt.Errorf("the server's reflection: %s", answer.message)
		}
		before := len(files)
		if err := answer.collect(files); err != nil {
			return nil, err
		}
		lacking := imports(files)
		if len(lacking) == 0 {
			d, err := link(files)
			if err != nil {
				return nil, fmt.Errorf("the server's reflection %w", err)
			}
			return d, nil
		}
		if len(files) == before || len(files) > maxProtoFiles {
			return nil, fmt.Errorf("the server's reflection lacks %s, which others import", quoted(lacking))
		}
		requests = nil
		for _, name := range lacking {
			requests = append(requests, reflectionRequest(askFileByName, name))
		}
	}
	return nil, errors.New("the server's reflection does not come to an end")
}

// collect adds the files of the answer.
func (a *reflectionAnswer) collect(files map[string]*descriptorpb.FileDescriptorProto) error {
	for _, content := range a.files {
		f := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(content, f); err != nil {
			return fmt.Errorf("the server's reflection holds no descriptor: %s", plainProto(err))
		}
		files[f.GetName()] = f
	}
	return nil
}

// unknownService says which services there are instead.
func unknownService(service string, ask func(requests ...[]byte) (*reflectionAnswer, error)) error {
	suffix := ""
	if all, err := ask(reflectionRequest(askServices, "*")); err == nil {
		known := slices.DeleteFunc(all.services, func(name string) bool { return strings.HasPrefix(name, "grpc.reflection.") })
		slices.Sort(known)
		suffix = among(service, known)
	}
	return fmt.Errorf("the server's reflection knows no service %q%s", service, suffix)
}
