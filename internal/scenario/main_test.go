package scenario

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/net/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is what the scenarios of the tests look at.
type service struct {
	*httptest.Server
	asked    atomic.Int64 // requests to /pending
	mu       sync.Mutex
	requests []string // method, path, body and a header of each
}

const thing = `{"name":"bob","n":3,"big":9007199254740993,"huge":123456789012345678901234567890,"f":1.5,"ok":true,"nothing":null,
	"list":[1,2,3],"empty":[],"items":[{"id":"a","qty":1},{"id":"b","qty":2}],"o":{"a":1}}`

func newService(tb testing.TB) *service {
	tb.Helper()
	s := &service{}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, code int, kind, body string) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("X-Release", "v2")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
	mux.HandleFunc("/thing", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "application/json; charset=utf-8", thing) })
	mux.HandleFunc("/text", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "text/plain", "hello") })
	mux.HandleFunc("/liar", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "application/json", "<html>") })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { answer(w, 500, "text/plain", "oops") })
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, "text/plain", strings.Repeat("x", maxBody+10))
	})
	mux.HandleFunc("/from", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/thing", http.StatusFound) })
	mux.HandleFunc("/pending", func(w http.ResponseWriter, _ *http.Request) {
		state := "pending"
		if s.asked.Add(1) >= 3 {
			state = "ready"
		}
		answer(w, 200, "application/json", `{"state":"`+state+`"}`)
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "cookie-value-1", Path: "/"})
		answer(w, 200, "application/json", `{"token":"token-value-1"}`)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		out, _ := json.Marshal(map[string]any{
			"method": r.Method, "body": string(body), "type": r.Header.Get("Content-Type"), "query": r.URL.RawQuery,
			"authorization": r.Header.Get("Authorization"), "cookie": r.Header.Get("Cookie"), "trace": r.Header.Get("Traceparent"),
			"host": r.Host, "x": r.Header.Get("X-Own"),
		})
		answer(w, 200, "application/json", string(out))
	})
	mux.Handle("/socket", websocket.Server{Handler: func(c *websocket.Conn) {
		for {
			var m string
			if websocket.Message.Receive(c, &m) != nil {
				return
			}
			_ = websocket.Message.Send(c, `{"echo":`+fmt.Sprintf("%q", m)+`}`)
		}
	}, Handshake: func(c *websocket.Config, _ *http.Request) error {
		c.Header = http.Header{"X-Release": {"v2"}}
		return nil
	}})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	tb.Cleanup(s.Close)
	return s
}

func (s *service) seen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.requests, ", ")
}

// load makes a scenario of its text; part.yaml and friends lie beside it.
func load(tb testing.TB, content string) *Scenario {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "check.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	s, err := Load(path)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func environment(name string) string {
	return map[string]string{"PASSWORD": "hunter2-and more", "PATH": "/usr/local/bin:/usr/bin:/bin"}[name]
}

func (s *service) run(tb testing.TB, content string) Result {
	tb.Helper()
	return load(tb, content).Run(tb.Context(), Options{BaseURL: s.URL, Getenv: environment, Release: Release{Version: "v2"}})
}

// want fails the test where a result is not what it must be, and shows it.
func want(t *testing.T, r Result, v Verdict, message string) {
	t.Helper()
	if r.Verdict != v || !strings.Contains(r.Message, message) {
		text, _ := json.MarshalIndent(r, "", " ")
		t.Errorf("verdict %s: %q, want %s: %q\n%s", r.Verdict, r.Message, v, message, text)
	}
}
