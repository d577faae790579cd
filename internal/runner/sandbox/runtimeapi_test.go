package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// fakeOwner plays the sandbox's goroutine: it has handed out one invocation.
func fakeOwner(tb testing.TB, id string) (b *box, answered *int) {
	tb.Helper()
	m := &Manager{log: discardLogger(), closing: make(chan struct{})}
	b = newBox(m, boxRecord{ID: newID(), Function: "f", Address: "127.0.0.1:1"})
	answered = new(int)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case p := <-b.posts:
				ok := p.kind == postAnswer && p.id == id
				if ok {
					*answered++
				}
				p.reply <- ok
			case n := <-b.nexts:
				n.refuse()
			case <-stop:
				return
			}
		}
	}()
	tb.Cleanup(func() { close(stop); <-done })
	return b, answered
}

// Whatever is asked: only the right path with the right id counts, and every answer is one of the documented statuses.
func FuzzRuntimeAPI(f *testing.F) {
	for _, s := range []string{
		"POST invocation/the-id/response", "POST invocation/the-id/error", "GET invocation/next", "POST init/error", "GET ../../", "PUT invocation/x",
		"POST invocation/the-id%2Fresponse/response", "POST invocation//response", "GET invocation/next/", "POST invocation/the-id/response/../error",
	} {
		method, path, _ := strings.Cut(s, " ")
		f.Add(method, path, []byte(`{"errorType":"x"}`))
	}
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:1"+runtimePrefix+strings.TrimPrefix(path, "/"), strings.NewReader(string(body)))
		if err != nil {
			t.Skip("no request")
		}
		b, answered := fakeOwner(t, "the-id")
		rec := httptest.NewRecorder()
		b.runtimeAPI().ServeHTTP(rec, req)
		switch rec.Code {
		case http.StatusAccepted:
			if *answered != 1 || method != http.MethodPost {
				t.Errorf("%s %q was accepted", method, path)
			}
		case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusMovedPermanently,
			http.StatusTemporaryRedirect, http.StatusPermanentRedirect, http.StatusRequestEntityTooLarge:
			if *answered != 0 && rec.Code != http.StatusRequestEntityTooLarge {
				t.Errorf("%s %q: %d, and it counted", method, path, rec.Code)
			}
		default:
			t.Errorf("%s %q: %d", method, path, rec.Code)
		}
	})
}

// While the manager closes a runtime gets no answer: what looks like one would end it, or lose its result.
func TestRuntimeAPI_noAnswerWhileClosing(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"GET invocation/next", "POST invocation/a/response", "POST invocation/a/error", "POST init/error"} {
		method, target, _ := strings.Cut(path, " ")
		m := &Manager{log: discardLogger(), closing: make(chan struct{})}
		b := newBox(m, boxRecord{ID: newID()})
		server := httptest.NewServer(b.runtimeAPI())
		b.rec.Address = strings.TrimPrefix(server.URL, "http://")
		failed := make(chan error, 1)
		go func() {
			req, err := http.NewRequestWithContext(t.Context(), method, server.URL+runtimePrefix+target, strings.NewReader("{}"))
			if err != nil {
				failed <- err
				return
			}
			resp, err := http.DefaultClient.Do(req)
			if err == nil {
				_ = resp.Body.Close()
				t.Errorf("%s was answered: %s", path, resp.Status)
			}
			failed <- err
		}()
		time.Sleep(20 * time.Millisecond) // usually it waits by then; before is as good
		close(m.closing)
		close(b.gone)
		<-failed
		server.Close()
	}
}
