package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// talker is a gRPC service whose answers hold headers, messages, trailers and errors.
type talker struct {
	testpb.UnimplementedTestServiceServer
	left chan struct{} // told when a stream's client has left
}

func (s *talker) note(ctx context.Context) {
	in, _ := metadata.FromIncomingContext(ctx)
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-own", strings.Join(in.Get("x-own"), ","), HeaderTaskSet, "liar"))
	_ = grpc.SetTrailer(ctx, metadata.Pairs("x-cost", "7", "x-bytes-bin", "\x00\xff"))
}

func (s *talker) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	s.note(ctx)
	if in.GetResponseSize() < 0 {
		return nil, status.Error(codes.NotFound, "no such “thing” %")
	}
	return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: append(in.GetPayload().GetBody(), make([]byte, in.GetResponseSize())...)}}, nil
}

func (s *talker) StreamingOutputCall(in *testpb.StreamingOutputCallRequest, st grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	s.note(st.Context())
	for _, p := range in.GetResponseParameters() {
		if err := st.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
			return err
		}
	}
	return status.Error(codes.ResourceExhausted, "that was all")
}

func (s *talker) FullDuplexCall(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	s.note(st.Context())
	for {
		in, err := st.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			close(s.left)
			return err
		}
		if err := st.Send(&testpb.StreamingOutputCallResponse{Payload: in.GetPayload()}); err != nil {
			return err
		}
	}
}

// TestGRPC: a client and a server of the common library with the data plane between them.
func TestGRPC(t *testing.T) {
	p := startPlane(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, service := grpc.NewServer(), &talker{left: make(chan struct{})}
	testpb.RegisterTestServiceServer(server, service)
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Stop(); wg.Wait() })
	g := groupOf("blue", l.Addr().String())
	g.Protocol = ProtocolH2C
	conn, err := grpc.NewClient("passthrough:///"+p.apply(table(1, to("blue"), g)).Listeners[0].Bound, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client := testpb.NewTestServiceClient(conn)
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "x-own", "7"), 60*time.Second)
	defer cancel()
	var header, trailer metadata.MD
	told := func(what string) {
		t.Helper()
		h := fmt.Sprint(header.Get("x-own"), header.Get(HeaderTaskSet), trailer.Get("x-cost"), trailer.Get("x-bytes-bin"))
		if h != "[7] [blue] [7] [\x00\xff]" {
			t.Errorf("%s: %q of %v and %v", what, h, header, trailer)
		}
	}
	for _, size := range []int{0, 3, 1 << 20} {
		out, err := client.UnaryCall(ctx, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, size)}, ResponseSize: 5}, grpc.Header(&header), grpc.Trailer(&trailer))
		if err != nil || len(out.GetPayload().GetBody()) != size+5 {
			t.Fatalf("size %d: %v", size, err)
		}
		told("unary")
	}
	_, err = client.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: -1}, grpc.Trailer(&trailer))
	if s := status.Convert(err); s.Code() != codes.NotFound || s.Message() != "no such “thing” %" || trailer.Get("x-cost")[0] != "7" {
		t.Errorf("error %v with %v", err, trailer)
	}
	if _, err = client.EmptyCall(ctx, &testpb.Empty{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("an answer that is trailers alone: %v", err)
	}
	stream, err := client.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 1}, {Size: 100_000}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = stream.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the end of a stream: %v", err)
	}
	header, _ = stream.Header()
	trailer = stream.Trailer()
	told("stream")
	talk, err := client.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 { // each answer comes before the next message is sent
		payload := &testpb.Payload{Body: make([]byte, i)}
		if err := talk.Send(&testpb.StreamingOutputCallRequest{Payload: payload}); err != nil {
			t.Fatal(err)
		}
		if out, err := talk.Recv(); err != nil || len(out.GetPayload().GetBody()) != i {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	if err := talk.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := talk.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the end of a talk: %v", err)
	}
	header, _ = talk.Header()
	trailer = talk.Trailer()
	told("talk")
	if r := p.row("blue"); r.Started != 7 || r.Served != 6 || r.Failed5xx != 1 { // UNIMPLEMENTED is the server's fault
		t.Errorf("row %+v", r)
	}
	leaving, leave := context.WithCancel(ctx)
	if talk, err = client.FullDuplexCall(leaving); err == nil {
		err = talk.Send(&testpb.StreamingOutputCallRequest{})
	}
	if _, recvErr := talk.Recv(); err != nil || recvErr != nil {
		t.Fatal(err, recvErr)
	}
	leave()
	select {
	case <-service.left:
	case <-ctx.Done():
		t.Error("the server was not told that the client left")
	}
	if r := p.row("blue"); r.ClientAborted != 1 {
		t.Errorf("row %+v", r)
	}
}
