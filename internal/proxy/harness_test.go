package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// eventually polls until cond holds.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			tb.Fatalf("not seen within 10 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// plane is a data plane under test.
type plane struct {
	t      testing.TB
	client *Client
	dir    string
	srv    *Server
	stop   func()
	logs   *syncBuffer
}

type syncBuffer struct {
	ch chan struct{}
	b  bytes.Buffer
}

func newSyncBuffer() *syncBuffer { return &syncBuffer{ch: make(chan struct{}, 1)} }

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.ch <- struct{}{}
	defer func() { <-s.ch }()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.ch <- struct{}{}
	defer func() { <-s.ch }()
	return s.b.String()
}

func shortDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "gg") //nolint:usetesting // the path of a unix socket must be short
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func controlSocket(tb testing.TB, dir string) (net.Listener, string) {
	tb.Helper()
	path := filepath.Join(dir, "c.sock")
	_ = os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		tb.Fatal(err)
	}
	return l, path
}

func startPlane(tb testing.TB, edit ...func(*Config)) *plane {
	tb.Helper()
	dir := shortDir(tb)
	control, path := controlSocket(tb, dir)
	logs := newSyncBuffer()
	cfg := Config{
		Dir: filepath.Join(dir, "data"), Control: control, Grace: 2 * time.Second,
		Logger: slog.New(slog.NewTextHandler(logs, nil)),
	}
	for _, e := range edit {
		e(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	p := &plane{t: tb, client: NewClient(path), dir: cfg.Dir, srv: s, logs: logs}
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("Run: %v", err)
		}
		p.client.Close()
	})
	tb.Cleanup(p.stop)
	return p
}

func (p *plane) apply(tab Table) Ack {
	p.t.Helper()
	ack, err := p.client.Apply(context.Background(), tab)
	if err != nil {
		p.t.Fatalf("apply version %d: %v", tab.Version, err)
	}
	return ack
}

func (p *plane) ledger(name string) Ledger {
	p.t.Helper()
	l, err := p.client.Ledger(context.Background(), name)
	if err != nil {
		p.t.Fatal(err)
	}
	return l
}

func (p *plane) status() Status {
	p.t.Helper()
	s, err := p.client.Status(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func (p *plane) blue() GroupStatus {
	p.t.Helper()
	for _, g := range p.status().Groups {
		if g.Name == "blue" {
			return g
		}
	}
	return GroupStatus{}
}

// row waits until the row of a group in ledger l is at rest and returns it.
func (p *plane) row(group string) LedgerRow {
	p.t.Helper()
	var r LedgerRow
	eventually(p.t, "ledger at rest", func() bool {
		r = p.ledger("l").Row(group)
		return r.InFlight() == 0
	})
	return r
}

// table builds a table with one listener on a free port of 127.0.0.1.
func table(version int64, forward []Weight, groups ...Group) Table {
	return Table{
		Version: version,
		Listeners: []Listener{{
			Name: "production", Address: "127.0.0.1:0", Ledger: "l", NameTarget: true, Action: Action{Forward: forward},
		}},
		Groups: groups,
	}
}

func to(group string) []Weight { return []Weight{{Group: group, Weight: 100}} }

func groupOf(name string, addresses ...string) Group {
	g := Group{Name: name}
	for i, a := range addresses {
		g.Targets = append(g.Targets, Target{ID: fmt.Sprintf("%s-%d", name, i), Address: a})
	}
	return g
}

// backend starts an HTTP/1 server.
func backend(tb testing.TB, h http.HandlerFunc) string {
	tb.Helper()
	srv := httptest.NewServer(h)
	tb.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// rawBackend gives each connection to f.
func rawBackend(tb testing.TB, f func(net.Conn)) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	tb.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				f(c)
			}()
		}
	}()
	return l.Addr().String()
}

// deadAddress is one that nobody listens on.
func deadAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func newHTTPClient(tb testing.TB) *http.Client {
	tb.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	tb.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

func get(tb testing.TB, c *http.Client, url string) (answer, string) {
	tb.Helper()
	resp, err := c.Get(url)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answerOf(resp), string(b)
}

// dial opens a raw connection with a deadline, so that no test hangs.
func dial(tb testing.TB, addr string) net.Conn {
	tb.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	return c
}

// answer is what tests look at of a response that was read to its end.
type answer struct {
	StatusCode      int
	Header, Trailer http.Header
	ContentLength   int64
	Close           bool
}

func answerOf(r *http.Response) answer {
	return answer{r.StatusCode, r.Header, r.Trailer, r.ContentLength, r.Close}
}

// rawRequest sends bytes and reads one response.
func rawRequest(tb testing.TB, addr, text string) (answer, string) {
	tb.Helper()
	c := dial(tb, addr)
	if _, err := io.WriteString(c, text); err != nil {
		tb.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		tb.Fatalf("read response to %q: %v", text, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answerOf(resp), string(b)
}

// httpConn is one client connection that is used for several requests.
type httpConn struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dialHTTP(tb testing.TB, addr string) *httpConn {
	tb.Helper()
	c := dial(tb, addr)
	return &httpConn{t: tb, Conn: c, r: bufio.NewReader(c)}
}

func (c *httpConn) get(target string) (answer, string) {
	c.t.Helper()
	return c.do("GET", target, "")
}

// do sends a request; fields are whole lines with CRLF.
func (c *httpConn) do(method, target, fields string) (answer, string) {
	c.t.Helper()
	c.send(method + " " + target + " HTTP/1.1\r\nHost: example.com\r\n" + fields + "\r\n")
	return c.read(method)
}

func (c *httpConn) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *httpConn) read(method string) (answer, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answerOf(resp), string(b)
}
