package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shadowing is a plane whose production requests are copied from blue to green.
type shadowing struct {
	*plane
	t    *testing.T
	url  string
	spec ShadowSpec
	got  []ShadowPair
	last ShadowBatch
}

func startShadow(t *testing.T, blue, green string, percent int) *shadowing {
	t.Helper()
	p := startPlane(t)
	ack := p.apply(table(1, to("blue"), groupOf("blue", blue), groupOf("green", green)))
	s := &shadowing{plane: p, t: t, url: "http://" + ack.Listeners[0].Bound, spec: ShadowSpec{
		From: "blue", To: "green", Percent: percent, Headers: []string{"content-type", "X-Set"}, Lease: time.Minute,
	}}
	s.take()
	return s
}

func (s *shadowing) take() {
	s.t.Helper()
	b, err := s.client.Shadow(s.t.Context(), "d-1/7", s.spec)
	if err != nil {
		s.t.Fatal(err)
	}
	s.last = b
	s.got = append(s.got, b.Pairs...)
}

// pairs waits until a copy has been answered, or not.
func (s *shadowing) pairs() []ShadowPair {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); len(s.got) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("no pair after a minute: %+v", s.last)
		}
		s.take()
	}
	return s.got
}

// versionOf answers with its name, and notes the headers of what it is asked.
func versionOf(name string, seen func(*http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if seen != nil {
			seen(r)
		}
		w.Header().Set("X-Set", name)
		_, _ = io.WriteString(w, name+" "+r.URL.RequestURI())
	}
}

// A copy is the same request with a mark; its client sees blue alone, and no ledger, meter or drain sees the copy.
func TestShadow_copies(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var copies []*http.Request
	green := backend(t, versionOf("green", func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		copies = append(copies, r.Clone(t.Context()))
	}))
	var marked atomic.Int64
	blue := backend(t, versionOf("blue", func(r *http.Request) {
		if r.Header.Get(HeaderShadow) != "" {
			marked.Add(1)
		}
	}))
	s := startShadow(t, blue, green, 100)
	c := newHTTPClient(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/a%2Fb?q=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer secret-token")
	req.Header.Set("Cookie", "session=s3cr3t-cookie")
	req.Header.Set(HeaderShadow, "1")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(body) != "blue /a%2Fb?q=1" || resp.Header.Get("X-Set") != "blue" {
		t.Errorf("the client got %q", body)
	}
	p := s.pairs()[0]
	if p.Method != "GET" || p.Target != "/a%2Fb?q=1" || p.Fault != "" || string(p.From.Body) != "blue /a%2Fb?q=1" ||
		string(p.To.Body) != "green /a%2Fb?q=1" || p.From.Status != 200 || p.To.Status != 200 || p.From.Took <= 0 || p.To.Took <= 0 {
		t.Errorf("pair %+v", p)
	}
	if p.From.Header.Get("X-Set") != "blue" || p.To.Header.Get("X-Set") != "green" || p.To.Header.Get("Date") != "" {
		t.Errorf("headers %v and %v: only those that were asked for are kept", p.From.Header, p.To.Header)
	}
	if all := strings.Join(p.Secrets, " "); !strings.Contains(all, "secret-token") || !strings.Contains(all, "s3cr3t-cookie") {
		t.Errorf("secrets %q", p.Secrets)
	}
	mu.Lock()
	got := copies[0]
	mu.Unlock()
	if got.Header.Get(HeaderShadow) != "1" || got.Header.Get("Authorization") != "Bearer secret-token" ||
		got.Header.Get("X-Forwarded-For") != "127.0.0.1" || got.Host != req.URL.Host {
		t.Errorf("the copy has the host %s and %v", got.Host, got.Header)
	}
	if marked.Load() != 0 {
		t.Error("a client's own mark was passed on")
	}
	if green := s.row("green"); green.Started != 0 {
		t.Errorf("the ledger counts copies: %+v", green)
	}
	if row := s.row("blue"); row.Started != 1 || row.Served != 1 {
		t.Errorf("the ledger of blue: %+v", row)
	}
}

// What writes, what has a body, a range or a condition, and streams are never copied.
func TestShadow_leavesOut(t *testing.T) {
	t.Parallel()
	var copied atomic.Int64
	green := backend(t, versionOf("green", func(*http.Request) { copied.Add(1) }))
	blue := backend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		_, _ = io.WriteString(w, "blue")
	})
	s := startShadow(t, blue, green, 100)
	addr := strings.TrimPrefix(s.url, "http://")
	for _, text := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na",
		"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"a\"\r\n\r\n",
		"GET /events HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		if a, _ := rawRequest(t, addr, text); a.StatusCode != 200 {
			t.Errorf("%q: %d", text, a.StatusCode)
		}
	}
	rawRequest(t, addr, "GET /last HTTP/1.1\r\nHost: x\r\n\r\n")
	if p := s.pairs(); len(p) != 1 || p[0].Target != "/last" {
		t.Errorf("pairs %+v", p)
	}
	if s.last.Eligible != 2 || s.last.Copied != 1 || copied.Load() != 1 { // the stream shows itself in its answer
		t.Errorf("%+v, and green saw %d", s.last, copied.Load())
	}
}

// Whatever green does, users get blue's answer, and none of their requests waits for it.
func TestShadow_usersUnaffected(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hang := func(http.ResponseWriter, *http.Request) { <-release }
	big := strings.Repeat("x", MaxShadowBody+1)
	cases := map[string]struct {
		green string
		pair  func(p ShadowPair) bool // nil: there is none while green hangs
	}{
		"hangs":  {backend(t, hang), nil},
		"silent": {rawBackend(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }), nil},
		"closes": {rawBackend(t, func(net.Conn) {}), func(p ShadowPair) bool { return p.Fault != "" && p.To.Status == 0 }},
		"breaks off": {rawBackend(t, func(conn net.Conn) {
			_, _ = bufio.NewReader(conn).ReadString('\n')
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
		}), func(p ShadowPair) bool { return p.Fault != "" && p.To.Status == 0 }},
		"is gone": {deadAddress(t), func(p ShadowPair) bool { return strings.Contains(p.Fault, "refused") }},
		"fails":   {backend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }), func(p ShadowPair) bool { return p.To.Status == 500 && p.Fault == "" }},
		"is no HTTP": {rawBackend(t, func(conn net.Conn) {
			_, _ = bufio.NewReader(conn).ReadString('\n')
			_, _ = io.WriteString(conn, "SSH-2.0\r\n\r\n")
		}), func(p ShadowPair) bool { return p.Fault != "" }},
		"sends a lot": {backend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, big) }), func(p ShadowPair) bool { return p.To.Partial && p.To.Body == nil }},
	}
	t.Cleanup(func() { close(release) }) // before the servers are closed, which wait for it
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startShadow(t, backend(t, versionOf("blue", nil)), c.green, 100)
			client := newHTTPClient(t)
			const requests = 3*shadowSamples + 5 // more than can be on their way
			for i := range requests {
				if a, body := get(t, client, fmt.Sprintf("%s/%d", s.url, i)); a.StatusCode != 200 || body != fmt.Sprintf("blue /%d", i) {
					t.Fatalf("request %d: %d %q", i, a.StatusCode, body)
				}
			}
			if row := s.row("blue"); row.Served != requests {
				t.Errorf("ledger %+v", row)
			}
			if c.pair == nil {
				s.take()
				if s.last.InFlight > shadowCopies || s.last.Dropped < requests-shadowCopies || len(s.got) != 0 {
					t.Errorf("with copies that hang: %+v", s.last)
				}
				return
			}
			if p := s.pairs()[0]; !c.pair(p) {
				t.Errorf("pair %+v", p)
			}
		})
	}
}

// A body that passes the bound is not kept, and its client gets it whole.
func TestShadow_largeBodies(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("0123456789abcdef", MaxShadowBody/8)
	h := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, big) }
	s := startShadow(t, backend(t, h), backend(t, h), 100)
	if _, body := get(t, newHTTPClient(t), s.url+"/"); body != big {
		t.Errorf("%d bytes, want %d", len(body), len(big))
	}
	if p := s.pairs()[0]; !p.From.Partial || !p.To.Partial || p.From.Body != nil || p.To.Body != nil {
		t.Errorf("pair %+v", p)
	}
}

// Both sides may speak h2c.
func TestShadow_h2(t *testing.T) {
	t.Parallel()
	p := startPlane(t)
	tab := table(1, to("blue"), groupOf("blue", h2Backend(t, versionOf("blue", nil))), groupOf("green", h2Backend(t, versionOf("green", nil))))
	tab.Groups[0].Protocol, tab.Groups[1].Protocol = ProtocolH2C, ProtocolH2C
	ack := p.apply(tab)
	s := &shadowing{plane: p, t: t, spec: ShadowSpec{From: "blue", To: "green", Percent: 100, Lease: time.Minute}}
	s.take()
	if _, body := get(t, newH2Client(t), "http://"+ack.Listeners[0].Bound+"/x"); body != "blue /x" {
		t.Errorf("the client got %q", body)
	}
	if pair := s.pairs()[0]; string(pair.From.Body) != "blue /x" || string(pair.To.Body) != "green /x" {
		t.Errorf("pair %+v", pair)
	}
}

// A share is a share, and a shadow that nobody asks for any more ends by itself.
func TestShadow_shareAndLease(t *testing.T) {
	t.Parallel()
	s := startShadow(t, backend(t, versionOf("blue", nil)), backend(t, versionOf("green", nil)), 20)
	client := newHTTPClient(t)
	const requests = 400
	for range requests {
		get(t, client, s.url+"/")
		s.take()
	}
	eventually(t, "copies have ended", func() bool { s.take(); return s.last.InFlight == 0 })
	// 80 are expected; less than 30 or more than 160 have a chance of less than one in a million.
	if n := s.last.Copied + s.last.Dropped; s.last.Eligible != requests || n < 30 || n > 160 {
		t.Errorf("%+v", s.last)
	}
	s.spec.Lease = time.Nanosecond
	s.take()
	eventually(t, "the shadow has ended", func() bool {
		list, err := s.client.Shadows(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(list) == 0
	})
	if s.srv.router.find("blue").shadow.Load() != nil {
		t.Error("requests are still copied")
	}
}

func TestShadow_refuses(t *testing.T) {
	t.Parallel()
	s := startShadow(t, backend(t, versionOf("blue", nil)), backend(t, versionOf("green", nil)), 100)
	for name, edit := range map[string]func(*ShadowSpec){
		"itself": func(s *ShadowSpec) { s.To = s.From }, "less than nothing": func(s *ShadowSpec) { s.Percent = -1 },
		"more than all": func(s *ShadowSpec) { s.Percent = 101 }, "no lease": func(s *ShadowSpec) { s.Lease = 0 },
		"a lease for ever": func(s *ShadowSpec) { s.Lease = time.Hour },
	} {
		spec := s.spec
		edit(&spec)
		if _, err := s.client.Shadow(t.Context(), "other", spec); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
	spec := s.spec
	spec.From = "nobody"
	if _, err := s.client.Shadow(t.Context(), "other", spec); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown group: %v", err)
	}
	for range 2 {
		if err := s.client.EndShadow(t.Context(), "d-1/7"); err != nil {
			t.Error(err)
		}
	}
	if list, err := s.client.Shadows(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
