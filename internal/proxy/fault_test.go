package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestRetryOnConnectFailure: a target that cannot be connected to costs no request, is avoided, and is named in
// the log once.
func TestRetryOnConnectFailure(t *testing.T) {
	for _, protocol := range []string{ProtocolHTTP1, ProtocolH2C} {
		t.Run(protocol, func(t *testing.T) {
			p := startPlane(t)
			alive := backend(t, echoInfo)
			if protocol == ProtocolH2C {
				alive = h2Backend(t, echoInfo)
			}
			g := groupOf("blue", deadAddress(t), alive)
			g.Protocol = protocol
			c := dialHTTP(t, p.apply(table(1, to("blue"), g)).Listeners[0].Bound)
			for i := range 20 {
				c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
				if resp, body := c.read("POST"); resp.StatusCode != 200 || !strings.HasPrefix(body, "POST ba7816bf") {
					t.Fatalf("request %d: %d %q", i, resp.StatusCode, body)
				}
			}
			r := p.row("blue")
			if r.Served != 20 || r.Retried < 1 || r.Retried > 10 {
				t.Fatalf("row %+v", r)
			}
			if !strings.Contains(p.logs.String(), "target=blue-0") {
				t.Fatalf("log does not name the target: %s", p.logs)
			}
			eventually(t, "suspect", func() bool {
				c.get("/")
				return p.blue().Targets[0].State == TargetSuspect
			})
		})
	}
}

func TestAllTargetsDead(t *testing.T) {
	p := startPlane(t)
	g := groupOf("blue", deadAddress(t), deadAddress(t), deadAddress(t), deadAddress(t))
	c := dialHTTP(t, p.apply(table(1, to("blue"), g)).Listeners[0].Bound)
	// The second one finds all suspect and must be tried all the same.
	for range 2 {
		if resp, body := c.get("/"); resp.StatusCode != 502 || !strings.Contains(body, "connected") {
			t.Fatalf("%d %q", resp.StatusCode, body)
		}
	}
	r := p.row("blue")
	if r.Failed5xx != 2 || r.Retried != 2*(maxAttempts-1) {
		t.Fatalf("row %+v", r)
	}
	if n := p.status().Errors["connect"]; n != 2 {
		t.Fatalf("connect errors %d", n)
	}
}

// TestNeverSentTwice: a target that closes after it has read a request got it once and only once.
func TestNeverSentTwice(t *testing.T) {
	p := startPlane(t)
	var seen atomic.Int64
	closer := func(c net.Conn) {
		r := bufio.NewReader(c)
		if req, err := http.ReadRequest(r); err == nil {
			_, _ = io.Copy(io.Discard, req.Body)
			seen.Add(1)
		}
	}
	c := dialHTTP(t, p.apply(table(1, to("blue"), groupOf("blue", rawBackend(t, closer), rawBackend(t, closer)))).Listeners[0].Bound)
	for i := range 6 {
		resp, body := c.do([]string{"GET", "PUT"}[i%2], "/", "")
		if resp.StatusCode != 502 || !strings.Contains(body, "closed the connection") {
			t.Fatalf("%d %q", resp.StatusCode, body)
		}
	}
	if r := p.row("blue"); seen.Load() != 6 || r.Failed5xx != 6 || r.Retried != 0 {
		t.Fatalf("seen %d, row %+v", seen.Load(), r)
	}
}

// TestDeadPooledConnection: a target that closes idle connections, or restarts, costs no request.
func TestDeadPooledConnection(t *testing.T) {
	p := startPlane(t)
	closed := make(chan struct{}, 64)
	once := func(c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := http.ReadRequest(r); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") // says nothing of closing
		}
		c.Close()
		closed <- struct{}{}
	}
	c := dialHTTP(t, p.apply(table(1, to("blue"), groupOf("blue", rawBackend(t, once)))).Listeners[0].Bound)
	for i := range 20 {
		c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		if resp, body := c.read("POST"); resp.StatusCode != 200 || body != "ok" {
			t.Fatalf("request %d: %d %q", i, resp.StatusCode, body)
		}
		<-closed
	}
}

// TestTargetDiesWithinBody: the client sees a broken body, whatever its framing, and the ledger a cut.
func TestTargetDiesWithinBody(t *testing.T) {
	p := startPlane(t)
	heads := map[string]string{
		"/length":  "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome",
		"/chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
		"/bad":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\nnonsense\r\n",
	}
	addr := p.apply(table(1, to("blue"), groupOf("blue", rawBackend(t, func(c net.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, heads[req.URL.Path])
		}
	})))).Listeners[0].Bound
	for path := range heads {
		c := dialHTTP(t, addr)
		c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%s: read %q, %v", path, b, err)
		}
		resp.Body.Close()
	}
	// HTTP/1.0 knows no framing: only a reset can tell it.
	c := dialHTTP(t, addr)
	c.send("GET /chunked HTTP/1.0\r\n\r\n")
	if b, err := io.ReadAll(c.r); err == nil {
		t.Fatalf("HTTP/1.0 client saw a clean end: %q", b)
	}
	if r := p.row("blue"); r.Cut != 4 || r.Started != 4 {
		t.Fatalf("row %+v", r)
	}
}

func TestMalformedResponses(t *testing.T) {
	p := startPlane(t)
	bad := []string{
		"nonsense\r\n\r\n",
		"HTTP/1.1 20x OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
		"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
		"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxTargetHead) + "\r\n\r\n",
	}
	next := make(chan string, 1)
	c := dialHTTP(t, p.apply(table(1, to("blue"), groupOf("blue", rawBackend(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, <-next)
			_, _ = io.Copy(io.Discard, c)
		}
	})))).Listeners[0].Bound)
	for _, text := range bad {
		next <- text
		if resp, body := c.get("/"); resp.StatusCode != 502 || !strings.Contains(body, "malformed response") {
			t.Fatalf("%.60q gave %d %q", text, resp.StatusCode, body)
		}
	}
	if r := p.row("blue"); r.Failed5xx != uint64(len(bad)) {
		t.Fatalf("row %+v", r)
	}
}

// TestBareLineFeedsFromTarget: programs that print their own responses are served.
func TestBareLineFeedsFromTarget(t *testing.T) {
	p := startPlane(t)
	addr := p.apply(table(1, to("blue"), groupOf("blue", rawBackend(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.0 200 OK\nContent-Type: text/plain\n\nuntil close")
		}
	})))).Listeners[0].Bound
	if resp, body := dialHTTP(t, addr).get("/"); resp.StatusCode != 200 || body != "until close" {
		t.Fatalf("%d %q", resp.StatusCode, body)
	}
}

func TestResponseTimeout(t *testing.T) {
	for _, protocol := range []string{ProtocolHTTP1, ProtocolH2C} {
		t.Run(protocol, func(t *testing.T) {
			p := startPlane(t)
			start := backend
			if protocol == ProtocolH2C {
				start = h2Backend
			}
			g := groupOf("blue", start(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			}))
			g.Protocol, g.ResponseTimeout = protocol, 250*time.Millisecond
			c := dialHTTP(t, p.apply(table(1, to("blue"), g)).Listeners[0].Bound)
			if resp, body := c.get("/"); resp.StatusCode != 504 || !strings.Contains(body, "in time") {
				t.Fatalf("%d %q", resp.StatusCode, body)
			}
			// A body that arrives slowly does not count against the target.
			c = dialHTTP(t, p.apply(table(1, to("blue"), g)).Listeners[0].Bound)
			c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
			for range 4 {
				time.Sleep(150 * time.Millisecond)
				c.send("x")
			}
			if resp, _ := c.read("POST"); resp.StatusCode != 504 {
				t.Fatalf("after a slow body: %d", resp.StatusCode)
			}
			if r := p.row("blue"); r.Failed5xx != 2 {
				t.Fatalf("row %+v", r)
			}
			if n := p.status().Errors["response_timeout"]; n != 2 {
				t.Fatalf("counted %d", n)
			}
		})
	}
}

func TestSlowClients(t *testing.T) {
	p := startPlane(t)
	tab := table(1, to("blue"), groupOf("blue", backend(t, echoInfo)))
	tab.Listeners[0].Limits = Limits{HeaderTimeout: 200 * time.Millisecond, IdleTimeout: 400 * time.Millisecond, RequestTimeout: time.Second}
	addr := p.apply(tab).Listeners[0].Bound

	slow := dialHTTP(t, addr)
	began := time.Now()
	for i := range 100 { // a byte at a time must not put the end off
		if _, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHost: x\r\nX-Y: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"[i%60:i%60+1]); err != nil {
			break
		}
		if time.Since(began) > 400*time.Millisecond {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if resp, _ := slow.read("GET"); resp.StatusCode != 408 {
		t.Fatalf("slow head: %d", resp.StatusCode)
	}

	idle := dialHTTP(t, addr)
	if _, err := idle.r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Fatalf("idle connection: %v", err)
	}

	stuck := dialHTTP(t, addr)
	stuck.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
	if resp, body := stuck.read("POST"); resp.StatusCode != 408 || !strings.Contains(body, "body") {
		t.Fatalf("stuck body: %d %q", resp.StatusCode, body)
	}

	drip := dialHTTP(t, addr)
	drip.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
	go func() {
		for range 30 {
			if _, err := io.WriteString(drip, "x"); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	if resp, _ := drip.read("POST"); resp.StatusCode != 408 {
		t.Fatalf("dripping body: %d", resp.StatusCode)
	}
	if r := p.row("blue"); r.ClientAborted != 2 || r.Started != 2 {
		t.Fatalf("row %+v", r)
	}
	if e := p.status().Errors; e["header_timeout"] != 1 || e["body_timeout"] != 2 {
		t.Fatalf("errors %v", e)
	}
}

// TestClientThatDoesNotRead is given up, and its target is free again.
func TestClientThatDoesNotRead(t *testing.T) {
	p := startPlane(t)
	ended := make(chan struct{})
	tab := table(1, to("blue"), groupOf("blue", backend(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})))
	tab.Listeners[0].Limits.IdleTimeout = 300 * time.Millisecond
	c := dialHTTP(t, p.apply(tab).Listeners[0].Bound)
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the target is still busy")
	}
	if r := p.row("blue"); r.ClientAborted != 1 {
		t.Fatalf("row %+v", r)
	}
}

func TestLimits(t *testing.T) {
	p := startPlane(t)
	tab := table(1, to("blue"), groupOf("blue", backend(t, echoInfo)))
	tab.Listeners[0].Limits = Limits{MaxHeaderBytes: 1000, MaxBodyBytes: 10}
	addr := p.apply(tab).Listeners[0].Bound
	const post = "POST / HTTP/1.1\r\nHost: x\r\n"
	for text, want := range map[string]int{
		post + "Content-Length: 10\r\n\r\n0123456789":                                            200,
		post + "Content-Length: 11\r\n\r\n0123456789x":                                           413,
		post + "Content-Length: 99999999999\r\n\r\n":                                             413,
		post + "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n":         200,
		post + "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n56789x\r\n0\r\n\r\n":        413,
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 900) + "\r\n\r\n":               200,
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1000) + "\r\n\r\n":              431,
		"GET /" + strings.Repeat("x", 5000) + " HTTP/1.1\r\nHost: x\r\n\r\n":                     431,
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 100) + "\r\nExpect: it\r\n\r\n": 417,
	} {
		if resp, _ := rawRequest(t, addr, text); resp.StatusCode != want {
			t.Errorf("%.80q gave %d, want %d", text, resp.StatusCode, want)
		}
	}
	// The default lets heads pass that do not fit the first buffer.
	tab.Version, tab.Listeners[0].Limits = 2, Limits{}
	addr = p.apply(tab).Listeners[0].Bound
	long := "/" + strings.Repeat("y", 50_000)
	c := dialHTTP(t, addr)
	for range 2 {
		if resp, _ := c.get(long); resp.StatusCode != 200 || resp.Header.Get("X-Seen-Uri") != long {
			t.Fatalf("long target: %d", resp.StatusCode)
		}
	}
}

// TestEarlyResponse: a target that refuses before it has read the body.
func TestEarlyResponse(t *testing.T) {
	p := startPlane(t)
	addr := p.apply(table(1, to("blue"), groupOf("blue", rawBackend(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")
			time.Sleep(50 * time.Millisecond)
		}
	})))).Listeners[0].Bound
	c := dialHTTP(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("x", 1000))
	if resp, body := c.read("POST"); resp.StatusCode != 413 || body != "no" || !resp.Close {
		t.Fatalf("%d %q", resp.StatusCode, body)
	}
	if r := p.row("blue"); r.Served != 1 {
		t.Fatalf("row %+v", r)
	}
}

func TestForwardedFields(t *testing.T) {
	type seen struct {
		host string
		h    http.Header
	}
	got := make(chan seen, 1)
	b := backend(t, func(_ http.ResponseWriter, r *http.Request) { got <- seen{r.Host, r.Header} })
	const fields = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n" +
		"X-Forwarded-Port: 1\r\nForwarded: for=9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\nX_Forwarded_For: 9.9.9.9\r\n" +
		"Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers, gzip\r\n" +
		"Proxy-Authorization: x\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nProxy: evil\r\nX-Plain: 1\r\nCookie: a\r\nCookie: b\r\n"
	for _, trusted := range []bool{false, true} {
		p := startPlane(t, func(c *Config) {
			if trusted {
				c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
		})
		dialHTTP(t, p.apply(table(1, to("blue"), groupOf("blue", b))).Listeners[0].Bound).do("GET", "/", fields)
		s := <-got
		want := map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "example.com", "X-Forwarded-Port": "",
			"Forwarded": "", "X-Real-Ip": "", "X_forwarded_for": "", "X-Secret": "", "Keep-Alive": "", "Proxy-Connection": "",
			"Te": "trailers", "Proxy-Authorization": "", "Upgrade": "", "Http2-Settings": "", "Proxy": "", "X-Plain": "1", "Cookie": "a|b",
		}
		if trusted {
			want["X-Forwarded-For"], want["X-Forwarded-Proto"] = "9.9.9.9, 8.8.8.8, 127.0.0.1", "https"
			want["X-Forwarded-Host"], want["X-Forwarded-Port"] = "evil", "1"
			want["Forwarded"], want["X-Real-Ip"] = "for=9.9.9.9", "9.9.9.9"
		}
		for name, value := range want {
			if v := strings.Join(s.h.Values(name), "|"); v != value {
				t.Errorf("trusted %v: %s = %q, want %q", trusted, name, v, value)
			}
		}
		if s.host != "example.com" {
			t.Errorf("host %q", s.host)
		}
	}
}

// TestShutdown: what is in flight ends, new requests on open connections are still answered, and Run returns.
func TestShutdown(t *testing.T) {
	p := startPlane(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	addr := p.apply(table(1, to("blue"), groupOf("blue", backend(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "done")
	})))).Listeners[0].Bound
	c := dialHTTP(t, addr)
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-arrived
	ended := make(chan struct{})
	go func() { p.stop(); close(ended) }()
	eventually(t, "closed socket", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(release)
	if resp, body := c.read("GET"); body != "done" || !resp.Close {
		t.Fatalf("%q, close %v", body, resp.Close)
	}
	<-ended
}

// TestShutdownCuts: what does not end is cut at the end of the grace, and counted.
func TestShutdownCuts(t *testing.T) {
	p := startPlane(t, func(c *Config) { c.Grace = 100 * time.Millisecond })
	blue := groupOf("blue", rawBackend(t, upgradeEcho))
	addr := p.apply(table(1, to("blue"), blue)).Listeners[0].Bound
	c := upgraded(t, addr)
	p.stop()
	if _, err := c.r.ReadByte(); err == nil {
		t.Fatal("the stream goes on")
	}
	l, err := ReadLedger(p.dir + "/ledger/l.ledger")
	if err != nil || l.Row("blue").Cut != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
}

func TestControlRefuses(t *testing.T) {
	ctx := context.Background()
	p := startPlane(t)
	if _, err := p.client.Ledger(ctx, "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown ledger: %v", err)
	}
	if _, err := p.client.Ledger(ctx, "../x"); err == nil {
		t.Error("a path was taken for a ledger name")
	}
	if st, err := p.client.Drain(ctx, "none", time.Second); err != nil || st.Known || !st.Done {
		t.Errorf("unknown group: %+v, %v", st, err)
	}
	if _, err := p.client.Drain(ctx, "none", -1); err == nil {
		t.Error("a negative limit was taken")
	}
	var out Ack
	err := p.client.call(ctx, http.MethodPut, "/v1/table", map[string]any{"version": 1, "listenrs": 1}, &out)
	if err == nil || !strings.Contains(err.Error(), "listenrs") {
		t.Errorf("unknown key: %v", err)
	}
}
