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
	"testing"
	"time"
)

// eventually polls until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not seen within 10 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// plane is a data plane under test.
type plane struct {
	t      testing.TB
	client *Client
	dir    string
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

func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func controlSocket(t testing.TB, dir string) (net.Listener, string) {
	t.Helper()
	path := filepath.Join(dir, "c.sock")
	_ = os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	return l, path
}

func startPlane(t testing.TB, edit ...func(*Config)) *plane {
	t.Helper()
	dir := shortDir(t)
	control, path := controlSocket(t, dir)
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
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	p := &plane{t: t, client: NewClient(path), dir: cfg.Dir, logs: logs}
	stopped := false
	p.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		p.client.Close()
	}
	t.Cleanup(p.stop)
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

func (p *plane) group(name string) GroupStatus {
	p.t.Helper()
	for _, g := range p.status().Groups {
		if g.Name == name {
			return g
		}
	}
	return GroupStatus{}
}

// row waits until the row of a group is at rest and returns it.
func (p *plane) row(ledger, group string) LedgerRow {
	p.t.Helper()
	var r LedgerRow
	eventually(p.t, "ledger at rest", func() bool {
		r = p.ledger(ledger).Row(group)
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
func backend(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// rawBackend gives each connection to f.
func rawBackend(t testing.TB, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
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
func deadAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func newHTTPClient(t testing.TB) *http.Client {
	t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

func get(t testing.TB, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// dial opens a raw connection with a deadline, so that no test hangs.
func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// rawRequest sends bytes and reads one response.
func rawRequest(t testing.TB, addr, text string) (*http.Response, string) {
	t.Helper()
	c := dial(t, addr)
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("read response to %q: %v", text, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// httpConn is one client connection that is used for several requests.
type httpConn struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dialHTTP(t testing.TB, addr string) *httpConn {
	t.Helper()
	c := dial(t, addr)
	return &httpConn{t: t, Conn: c, r: bufio.NewReader(c)}
}

func (c *httpConn) get(target string) (*http.Response, string) {
	c.t.Helper()
	return c.do("GET", target, "")
}

// do sends a request; fields are whole lines with CRLF.
func (c *httpConn) do(method, target, fields string) (*http.Response, string) {
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

func (c *httpConn) read(method string) (*http.Response, string) {
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
	return resp, string(b)
}
