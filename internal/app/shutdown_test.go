package app

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// The answer of a request that was under way when the controller was told to end, such as that of Down, gets out.
func TestController_shutdownAnswers(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	c := &Controller{opts: ControllerOptions{API: l}, api: &http.Server{
		ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-release
			_, _ = io.WriteString(w, "done")
		}),
	}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	returned := make(chan error, 1)
	go func() { returned <- c.runAPI(ctx) }()
	type answer struct {
		body string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		var a answer
		var res *http.Response
		if res, a.err = http.Get("http://" + l.Addr().String()); a.err == nil {
			body, err := io.ReadAll(res.Body)
			a.body, a.err = string(body), err
			_ = res.Body.Close()
		}
		answered <- a
	}()
	<-entered
	cancel()
	select {
	case err := <-returned:
		t.Fatalf("the API ended (%v) while a request was under way", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	if a := <-answered; a.err != nil || a.body != "done" {
		t.Errorf("the request under way got %q, %v", a.body, a.err)
	}
	if err := <-returned; err != nil {
		t.Error(err)
	}
}
