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

// eachField tells the fields of a message in their order: of bytes their content, of numbers their value.
func eachField(message []byte, tell func(protowire.Number, []byte, uint64)) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var content []byte
		var value uint64
		switch kind {
		case protowire.BytesType:
			content, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		tell(number, content, value)
	}
	return nil
}

// add reads one ServerReflectionResponse into the answer.
func (a *reflectionAnswer) add(message []byte) error {
	var faults []error
	within := func(content []byte, tell func(protowire.Number, []byte, uint64)) {
		faults = append(faults, eachField(content, tell))
	}
	faults = append(faults, eachField(message, func(field protowire.Number, content []byte, _ uint64) {
		switch field {
		case answerFiles:
			within(content, func(field protowire.Number, file []byte, _ uint64) {
				if field == inFilesFile {
					a.files = append(a.files, file)
				}
			})
		case answerServices:
			within(content, func(field protowire.Number, service []byte, _ uint64) {
				if field == inServicesService {
					within(service, func(field protowire.Number, name []byte, _ uint64) {
						if field == inServiceName {
							a.services = append(a.services, string(name))
						}
					})
				}
			})
		case answerError:
			within(content, func(field protowire.Number, text []byte, code uint64) {
				switch field {
				case inErrorCode:
					a.code = code
				case inErrorMessage:
					a.message = string(text)
				}
			})
		}
	}))
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("read reflection: %w", err)
	}
	return nil
}

// reflect asks a server for everything that describes a service. ask sends requests and returns the answer to all.
func reflectService(service string, ask func(requests ...[]byte) (*reflectionAnswer, error)) (*descriptors, error) {
	files := map[string]*descriptorpb.FileDescriptorProto{}
	answer, err := ask(reflectionRequest(askFileBySymbol, service))
	if err != nil {
		return nil, err
	}
	if answer.code == statusNotFound {
		return nil, unknownService(service, ask)
	}
	for range maxReflectionRounds { // a server may tell a file at a time
		if answer.code != 0 {
			return nil, fmt.Errorf("the server's reflection: %s", answer.message)
		}
		before := len(files)
		for _, content := range answer.files {
			f := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(content, f); err != nil {
				return nil, fmt.Errorf("the server's reflection holds no descriptor: %s", plainProto(err))
			}
			files[f.GetName()] = f
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
		requests := make([][]byte, len(lacking))
		for i, name := range lacking {
			requests[i] = reflectionRequest(askFileByName, name)
		}
		if answer, err = ask(requests...); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the server's reflection does not come to an end")
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
