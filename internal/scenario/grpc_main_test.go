package scenario

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// shopProto is the service of the tests, as descriptors say it.
const shopProto = `
name: "shop/v1/shop.proto" package: "shop.v1" syntax: "proto3" dependency: "google/protobuf/timestamp.proto"
enum_type { name: "Format" value { name: "FORMAT_UNKNOWN" number: 0 } value { name: "HARDBACK" number: 1 } }
message_type { name: "GetBookRequest"
  field { name: "id" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL json_name: "id" }
  field { name: "format" number: 2 type: TYPE_ENUM type_name: ".shop.v1.Format" label: LABEL_OPTIONAL json_name: "format" }
  field { name: "like" number: 3 type: TYPE_MESSAGE type_name: ".shop.v1.Book" label: LABEL_OPTIONAL json_name: "like" } }
message_type { name: "Book"
  field { name: "id" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL json_name: "id" }
  field { name: "title" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "title" }
  field { name: "in_stock" number: 3 type: TYPE_INT32 label: LABEL_OPTIONAL json_name: "inStock" }
  field { name: "published" number: 4 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" label: LABEL_OPTIONAL json_name: "published" }
  field { name: "format" number: 5 type: TYPE_ENUM type_name: ".shop.v1.Format" label: LABEL_OPTIONAL json_name: "format" }
  field { name: "sequels" number: 6 type: TYPE_MESSAGE type_name: ".shop.v1.Book" label: LABEL_REPEATED json_name: "sequels" } }
service { name: "Catalogue"
  method { name: "GetBook" input_type: ".shop.v1.GetBookRequest" output_type: ".shop.v1.Book" }
  method { name: "ListBooks" input_type: ".shop.v1.GetBookRequest" output_type: ".shop.v1.Book" server_streaming: true }
  method { name: "AddBooks" input_type: ".shop.v1.Book" output_type: ".shop.v1.Book" client_streaming: true }
  method { name: "Chat" input_type: ".shop.v1.Book" output_type: ".shop.v1.Book" client_streaming: true server_streaming: true } }`

// shopFile is what protoc would write of it.
const shopFile = "testdata/shop.binpb"

// shopDescriptors are those of shopProto; with -update they are written anew.
func shopDescriptors(tb testing.TB) *descriptors {
	tb.Helper()
	file := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(shopProto), file); err != nil {
		tb.Fatal(err)
	}
	stamp := protodesc.ToFileDescriptorProto(timestamppb.File_google_protobuf_timestamp_proto)
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{stamp, file}})
	if err != nil {
		tb.Fatal(err)
	}
	if *update {
		lacking, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
			Name: new("a.proto"), Dependency: []string{"google/type/money.proto", "google/protobuf/empty.proto"},
		}}})
		if err := errors.Join(err, os.WriteFile(shopFile, content, 0o644), os.WriteFile("testdata/lacking.binpb", lacking, 0o644)); err != nil {
			tb.Fatal(err)
		}
	}
	d, err := parseDescriptors(content)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// shop is a server of it, by the gRPC library that most servers use.
type shop struct {
	url string
	mu  sync.Mutex
	// calls are the ids that were asked for, seen the metadata of the last call.
	calls []int
	seen  metadata.MD
}

type shopOptions struct {
	reflection string // v1alpha, none, or by default v1
	tls        *tls.Config
	title      string // of every book; "Emma" by default
}

func newShop(tb testing.TB, o shopOptions) *shop {
	tb.Helper()
	s := &shop{}
	var options []grpc.ServerOption
	scheme := "http://"
	if o.tls != nil {
		options, scheme = append(options, grpc.Creds(credentials.NewTLS(o.tls))), "https://"
	}
	server := s.server(tb, o, options...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) })
	tb.Cleanup(func() { server.Stop(); wg.Wait() })
	s.url = scheme + l.Addr().String()
	return s
}

func (s *shop) server(tb testing.TB, o shopOptions, options ...grpc.ServerOption) *grpc.Server {
	tb.Helper()
	if o.title == "" {
		o.title = "Emma"
	}
	d := shopDescriptors(tb)
	server := grpc.NewServer(options...)
	server.RegisterService(s.service(tb, d, o.title), nil)
	config := reflection.ServerOptions{Services: server, DescriptorResolver: d.files}
	switch o.reflection {
	case "":
		reflectionv1.RegisterServerReflectionServer(server, reflection.NewServerV1(config))
	case "v1alpha":
		reflectionv1alpha.RegisterServerReflectionServer(server, reflection.NewServer(config))
	}
	return server
}

func (s *shop) service(tb testing.TB, d *descriptors, title string) *grpc.ServiceDesc {
	tb.Helper()
	desc := func(name string) func() *dynamicpb.Message {
		found, err := d.files.FindDescriptorByName(protoreflect.FullName("shop.v1." + name))
		m, ok := found.(protoreflect.MessageDescriptor)
		if err != nil || !ok {
			tb.Fatalf("no message %s: %v", name, err)
		}
		return func() *dynamicpb.Message { return dynamicpb.NewMessage(m) }
	}
	request, book := desc("GetBookRequest"), desc("Book")
	idOf := func(m *dynamicpb.Message) int { return int(m.Get(m.Descriptor().Fields().ByName("id")).Int()) }
	made := func(id int, title string) *dynamicpb.Message {
		b := book()
		b.Set(b.Descriptor().Fields().ByName("id"), protoreflect.ValueOfInt64(int64(id)))
		b.Set(b.Descriptor().Fields().ByName("title"), protoreflect.ValueOfString(title))
		return b
	}
	stream := func(name string, client, server bool, handle func(grpc.ServerStream) error) grpc.StreamDesc {
		return grpc.StreamDesc{
			StreamName: name, ClientStreams: client, ServerStreams: server, Handler: func(_ any, st grpc.ServerStream) error { return handle(st) },
		}
	}
	return &grpc.ServiceDesc{
		ServiceName: "shop.v1.Catalogue",
		Methods: []grpc.MethodDesc{{MethodName: "GetBook", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := request()
			if err := decode(in); err != nil {
				return nil, err
			}
			if err := s.note(ctx, idOf(in)); err != nil {
				return nil, err
			}
			return made(idOf(in), title), nil
		}}},
		Streams: []grpc.StreamDesc{
			stream("ListBooks", false, true, func(st grpc.ServerStream) error {
				in := request()
				if err := st.RecvMsg(in); err != nil {
					return err
				}
				for id := range idOf(in) {
					if err := st.SendMsg(made(id+1, title)); err != nil {
						return err
					}
				}
				return s.note(st.Context(), idOf(in))
			}),
			stream("AddBooks", true, false, func(st grpc.ServerStream) error {
				last, n := book(), 0
				for {
					err := st.RecvMsg(last)
					if errors.Is(err, io.EOF) {
						return st.SendMsg(made(n, title))
					}
					if err != nil {
						return err
					}
					n++
				}
			}),
			stream("Chat", true, true, func(st grpc.ServerStream) error {
				for {
					in := book()
					err := st.RecvMsg(in)
					if errors.Is(err, io.EOF) {
						return nil
					}
					if err == nil {
						err = st.SendMsg(made(idOf(in)+100, title))
					}
					if err != nil {
						return err
					}
				}
			}),
		},
	}
}

// note remembers a call and answers as its id wants it.
func (s *shop) note(ctx context.Context, id int) error {
	s.mu.Lock()
	s.calls = append(s.calls, id)
	s.seen, _ = metadata.FromIncomingContext(ctx)
	n, seen := len(s.calls), s.seen
	s.mu.Unlock()
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-release", "v2", "x-own", strings.Join(seen.Get("x-own"), ",")))
	_ = grpc.SetTrailer(ctx, metadata.Pairs("x-cost", "7", "x-token", strings.Join(seen.Get("authorization"), ",")))
	switch {
	case id == 404:
		return status.Error(codes.NotFound, "no such book: “404” % done")
	case id == 5 && n < 3:
		return status.Error(codes.Unavailable, "not yet")
	case id == 99:
		<-ctx.Done()
	case id == 16 && !slices.Contains(seen.Get("authorization"), "Bearer t-7"):
		return status.Error(codes.Unauthenticated, "who are you")
	case id == 55:
		return status.Error(codes.Code(55), "odd")
	}
	return nil
}

func (s *shop) run(tb testing.TB, content string) Result {
	tb.Helper()
	return load(tb, content).Run(tb.Context(), Options{BaseURL: s.url, Getenv: environment, Release: Release{Version: "v2"}})
}
