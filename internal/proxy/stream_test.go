package proxy

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// upgradeEcho answers 101 and then sends back each line.
func upgradeEcho(c net.Conn) {
	r := bufio.NewReader(c)
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	if req.Header.Get("Upgrade") != "echo" || !strings.EqualFold(req.Header.Get("Connection"), "upgrade") {
		_, _ = io.WriteString(c, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
		return
	}
	// The first bytes of the new protocol come together with the head.
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
	_, _ = io.Copy(c, r)
}

const upgradeRequest = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n"

// upgraded opens an upgraded connection and has one exchange over it. The first bytes go with the request.
func upgraded(t *testing.T, addr string) *httpConn {
	t.Helper()
	c := dialHTTP(t, addr)
	c.send(upgradeRequest + "early\n")
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "echo" {
		t.Fatalf("upgrade: %v, %v", resp, err)
	}
	defer resp.Body.Close()
	c.wantLine("hello\n")
	c.wantLine("early\n")
	return c
}

func (c *httpConn) wantLine(want string) {
	c.t.Helper()
	if line, err := c.r.ReadString('\n'); line != want {
		c.t.Fatalf("read %q, %v; want %q", line, err, want)
	}
}

// TestUpgradeOutlivesSwap: an upgraded connection stays on its target over a swap, never blocks it, and ends at the
// drain limit.
func TestUpgradeOutlivesSwap(t *testing.T) {
	p := startPlane(t)
	blue, green := groupOf("blue", rawBackend(t, upgradeEcho)), groupOf("green", backend(t, echoInfo))
	addr := p.apply(table(1, to("blue"), blue, green)).Listeners[0].Bound
	c := upgraded(t, addr)
	p.apply(table(2, to("green"), green))
	for i := range 3 {
		c.send(fmt.Sprintf("line %d\n", i))
		c.wantLine(fmt.Sprintf("line %d\n", i))
	}
	st, err := p.client.Drain(context.Background(), "blue", time.Hour)
	if err != nil || st.Streams != 1 || st.Requests != 0 || st.Done {
		t.Fatalf("drain %+v, %v", st, err)
	}
	c.send("still\n")
	c.wantLine("still\n")
	if _, err := p.client.Drain(context.Background(), "blue", 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if _, err := c.r.ReadByte(); err == nil {
		t.Fatal("the stream goes on after the drain limit")
	}
	if r := p.row("blue"); r.Started != 1 || r.Cut != 1 {
		t.Fatalf("row %+v", r)
	}
}

func TestUpgradeEnds(t *testing.T) {
	p := startPlane(t)
	addr := p.apply(table(1, to("blue"), groupOf("blue", rawBackend(t, upgradeEcho)))).Listeners[0].Bound
	c := upgraded(t, addr)
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Fatalf("end of the stream: %v", err)
	}
	if r := p.row("blue"); r.Served != 1 {
		t.Fatalf("a stream that the client ended: %+v", r)
	}
	// A refused upgrade is a response like any other.
	d := dialHTTP(t, addr)
	if resp, _ := d.do("GET", "/", "Connection: Upgrade\r\nUpgrade: other\r\n"); resp.StatusCode != 400 {
		t.Fatalf("refused upgrade: %d", resp.StatusCode)
	}
}

// TestEventStream: each event arrives before the next is sent, and the stream is counted as one.
func TestEventStream(t *testing.T) {
	p := startPlane(t)
	next, left := make(chan string), make(chan struct{})
	url := "http://" + p.apply(table(1, to("blue"), groupOf("blue", backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		for {
			select {
			case e := <-next:
				fmt.Fprintf(w, "data: %s\n\n", e)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				close(left)
				return
			}
		}
	})))).Listeners[0].Bound
	resp, err := newHTTPClient(t).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(resp.Body)
	for i := range 3 {
		next <- fmt.Sprint(i)
		if line, err := r.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("event %d: %q, %v", i, line, err)
		}
		_, _ = r.ReadString('\n')
	}
	time.Sleep(2 * slowAfter) // a pause that is longer than the first read deadline
	if g := p.blue(); g.Streams != 1 || g.Requests != 0 {
		t.Fatalf("in flight %+v", g)
	}
	next <- "late"
	if line, _ := r.ReadString('\n'); line != "data: late\n" {
		t.Fatalf("after a pause: %q", line)
	}
	resp.Body.Close()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Fatal("the target was not told that the client left")
	}
	if row := p.row("blue"); row.ClientAborted != 1 || row.Cut != 0 {
		t.Fatalf("row %+v", row)
	}
}

// TestClientLeaves: a client that goes away while its target works cancels the work.
func TestClientLeaves(t *testing.T) {
	p := startPlane(t)
	arrived, left := make(chan struct{}, 1), make(chan struct{}, 1)
	addr := p.apply(table(1, to("blue"), groupOf("blue", backend(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	})))).Listeners[0].Bound
	for i, request := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
	} {
		c := dialHTTP(t, addr)
		c.send(request)
		<-arrived
		c.Close()
		select {
		case <-left:
		case <-time.After(10 * time.Second):
			t.Fatalf("request %d: the target was not told", i)
		}
	}
	// And one that leaves within its body.
	c := dialHTTP(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
	eventually(t, "request in flight", func() bool { return p.blue().Requests == 1 })
	c.Close()
	if row := p.row("blue"); row.ClientAborted != 3 || row.Started != 3 {
		t.Fatalf("row %+v", row)
	}
}

// TestFullDuplex: request and response bodies flow at the same time.
func TestFullDuplex(t *testing.T) {
	p := startPlane(t)
	addr := p.apply(table(1, to("blue"), groupOf("blue", rawBackend(t, func(c net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		r := bufio.NewReader(req.Body)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				break
			}
			fmt.Fprintf(c, "%x\r\n%s\r\n", len(line), line)
		}
		_, _ = io.WriteString(c, "0\r\n\r\n")
	})))).Listeners[0].Bound
	c := dialHTTP(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	for i := range 3 {
		c.send(fmt.Sprintf("2\r\n%d\n\r\n", i))
		if i == 0 {
			c.wantLine("HTTP/1.1 200 OK\r\n")
			for line := ""; line != "\r\n"; line, _ = c.r.ReadString('\n') {
			}
		}
		c.wantLine("2\r\n")
		c.wantLine(fmt.Sprintf("%d\n", i))
		c.wantLine("\r\n")
	}
	c.send("0\r\n\r\n")
	c.wantLine("0\r\n")
	c.wantLine("\r\n")
	if row := p.row("blue"); row.Served != 1 {
		t.Fatalf("row %+v", row)
	}
}

func TestTrailersAndInterim(t *testing.T) {
	p := startPlane(t)
	addr := p.apply(table(1, to("blue"), groupOf("blue", backend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-End")
		_, _ = io.WriteString(w, "body")
		w.(http.Flusher).Flush()
		w.Header().Set("X-End", "got "+r.Trailer.Get("X-Sum"))
	})))).Listeners[0].Bound
	c := dialHTTP(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: x\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"3;ext=1\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n")
	c.wantLine("HTTP/1.1 103 Early Hints\r\n")
	c.wantLine("Link: </a.css>\r\n")
	c.wantLine("\r\n")
	resp, body := c.read("POST")
	if body != "body" || resp.Trailer.Get("X-End") != "got 42" {
		t.Fatalf("body %q, trailers %v", body, resp.Trailer)
	}
}

func TestExpectContinue(t *testing.T) {
	p := startPlane(t)
	addr := p.apply(table(1, to("blue"), groupOf("blue", backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		echoInfo(w, r)
	})))).Listeners[0].Bound
	c := dialHTTP(t, addr)
	const head = "POST %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
	c.send(fmt.Sprintf(head, "/yes"))
	c.wantLine("HTTP/1.1 100 Continue\r\n")
	c.wantLine("\r\n")
	c.send("data")
	if _, body := c.read("POST"); body != fmt.Sprintf("POST %x", sha256.Sum256([]byte("data"))) {
		t.Fatalf("got %q", body)
	}
	c.send(fmt.Sprintf(head, "/no"))
	if resp, _ := c.read("POST"); resp.StatusCode != 403 || !resp.Close {
		t.Fatalf("refused expectation: %d, close %v", resp.StatusCode, resp.Close)
	}
	if row := p.row("blue"); row.Served != 2 {
		t.Fatalf("row %+v", row)
	}
}

// TestExpectContinueH2: the data plane itself asks for the body, since net/http does not pass the question on.
func TestExpectContinueH2(t *testing.T) {
	p := startPlane(t)
	g := groupOf("blue", h2Backend(t, echoInfo))
	g.Protocol = ProtocolH2C
	c := dialHTTP(t, p.apply(table(1, to("blue"), g)).Listeners[0].Bound)
	for range 2 {
		c.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
		c.wantLine("HTTP/1.1 100 Continue\r\n")
		c.wantLine("\r\n")
		c.send("data")
		if _, body := c.read("POST"); body != fmt.Sprintf("POST %x", sha256.Sum256([]byte("data"))) {
			t.Fatalf("got %q", body)
		}
	}
}

// TestProtocolChange: a table may change the protocol of a group whose targets stay.
func TestProtocolChange(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	defer srv.Close()
	p := startPlane(t)
	g := groupOf("blue", strings.TrimPrefix(srv.URL, "http://"))
	for i, want := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/1.1"} {
		g.Protocol = []string{"", ProtocolH2C, ProtocolHTTP1}[i]
		if _, body := dialHTTP(t, p.apply(table(int64(i+1), to("blue"), g)).Listeners[0].Bound).get("/"); body != want {
			t.Fatalf("table %d spoke %q", i, body)
		}
	}
}

func TestBodylessResponses(t *testing.T) {
	p := startPlane(t)
	addr := p.apply(table(1, to("blue"), groupOf("blue", backend(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.Header().Set("Etag", `"a"`)
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("Content-Length", "1000")
			if r.Method != http.MethodHead {
				_, _ = w.Write(make([]byte, 1000))
			}
		}
	})))).Listeners[0].Bound
	c := dialHTTP(t, addr)
	for _, path := range []string{"/204", "/304", "/"} {
		resp, body := c.do("HEAD", path, "")
		if body != "" || (path == "/" && resp.ContentLength != 1000) {
			t.Fatalf("HEAD %s: %q %d", path, body, resp.ContentLength)
		}
		resp, body = c.get(path)
		if want := map[string]int{"/": 1000}[path]; len(body) != want || resp.Header.Get("Connection") == "close" {
			t.Fatalf("GET %s: %d bytes, %v", path, len(body), resp.Header)
		}
	}
}

// TestHTTP10: clients that know neither chunks nor persistence.
func TestHTTP10(t *testing.T) {
	p := startPlane(t)
	addr := p.apply(table(1, to("blue"), groupOf("blue", backend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "part")
		if r.URL.Path == "/chunked" {
			w.(http.Flusher).Flush()
		}
	})))).Listeners[0].Bound
	for _, path := range []string{"/", "/chunked"} {
		c := dialHTTP(t, addr)
		c.send("GET " + path + " HTTP/1.0\r\n\r\n")
		b, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(string(b), "\r\n\r\npart") || strings.Contains(string(b), "chunked\r\n") {
			t.Fatalf("%s: %q, %v", path, b, err)
		}
	}
	c := dialHTTP(t, addr)
	for range 2 {
		c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		if resp, body := c.read("GET"); body != "part" || resp.Header.Get("Connection") != "keep-alive" {
			t.Fatalf("%v %q", resp.Header, body)
		}
	}
}

func TestPipelining(t *testing.T) {
	p := startPlane(t)
	addr := p.apply(table(1, to("blue"), groupOf("blue", backend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	})))).Listeners[0].Bound
	c := dialHTTP(t, addr)
	var sb strings.Builder
	for i := range 20 {
		fmt.Fprintf(&sb, "POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", i)
	}
	c.send(sb.String())
	for i := range 20 {
		if _, body := c.read("POST"); body != fmt.Sprintf("/%d", i) {
			t.Fatalf("response %d: %q", i, body)
		}
	}
}

// TestHugeBodies: 96 MiB both ways at once, the memory of the process stays where it is.
func TestHugeBodies(t *testing.T) {
	const size = 96 << 20
	p := startPlane(t)
	sum := make(chan string, 1)
	url := "http://" + p.apply(table(1, to("blue"), groupOf("blue", backend(t, func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(io.MultiWriter(w, h), r.Body)
		sum <- fmt.Sprintf("%x", h.Sum(nil))
	})))).Listeners[0].Bound
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	sent, got := sha256.New(), sha256.New()
	req, err := http.NewRequest(http.MethodPost, url, &byteRamp{left: size, sum: sent})
	if err != nil {
		t.Fatal(err)
	}
	c := newHTTPClient(t)
	c.Timeout = time.Minute
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(got, resp.Body)
	if err != nil || n != size {
		t.Fatalf("%d bytes came back, %v", n, err)
	}
	want := fmt.Sprintf("%x", sent.Sum(nil))
	if target := <-sum; target != want || fmt.Sprintf("%x", got.Sum(nil)) != want {
		t.Fatal("the body was changed on its way")
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 24<<20 {
		t.Fatalf("the heap grew by %d MiB", grown>>20)
	}
}

// byteRamp yields bytes that differ from block to block.
type byteRamp struct {
	left int
	n    byte
	sum  hash.Hash
}

func (p *byteRamp) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(len(b), p.left)]
	p.n++
	for i := range b {
		b[i] = p.n + byte(i>>8)
	}
	p.left -= len(b)
	_, _ = p.sum.Write(b)
	return len(b), nil
}

// h2Backend starts a server that speaks h2c only.
func h2Backend(tb testing.TB, h http.HandlerFunc) string {
	tb.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	tb.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func newH2Client(tb testing.TB) *http.Client {
	tb.Helper()
	tr := newH2Transport(time.Second)
	tb.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// TestProtocols: each protocol of a client with each protocol of a target.
func TestProtocols(t *testing.T) {
	serve := func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Proto", r.Proto)
		w.Header().Set("X-Uri", r.RequestURI)
		w.Header().Set("X-For", r.Header.Get("X-Forwarded-For"))
		w.Header().Set("X-Host", r.Host)
		w.Header().Set("Trailer", "X-End")
		if r.URL.Path == "/teapot" {
			w.WriteHeader(http.StatusTeapot)
		}
		fmt.Fprintf(w, "%s %d", r.Method, len(b))
		w.(http.Flusher).Flush()
		w.Header().Set("X-End", "end")
	}
	backends := map[string]string{ProtocolHTTP1: backend(t, serve), ProtocolH2C: h2Backend(t, serve)}
	clients := map[string]*http.Client{ProtocolHTTP1: newHTTPClient(t), ProtocolH2C: newH2Client(t)}
	for target, address := range backends {
		for client, c := range clients {
			t.Run(client+" to "+target, func(t *testing.T) {
				p := startPlane(t)
				g := groupOf("blue", address)
				g.Protocol = target
				url := "http://" + p.apply(table(1, to("blue"), g)).Listeners[0].Bound
				for i, body := range []string{"", "abc", strings.Repeat("x", 300_000)} {
					req, _ := http.NewRequest(http.MethodPost, url+"/teapot/../a%2Fb//c;d?e=%20f", io.MultiReader(strings.NewReader(body)))
					req.Header.Set("X-Forwarded-For", "6.6.6.6")
					resp, err := c.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					b, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || string(b) != fmt.Sprintf("POST %d", len(body)) {
						t.Fatalf("body %d: %q, %v", i, b, err)
					}
					wantProto := map[string]string{ProtocolHTTP1: "HTTP/1.1", ProtocolH2C: "HTTP/2.0"}
					h := resp.Header
					if resp.Proto != wantProto[client] || h.Get("X-Proto") != wantProto[target] {
						t.Fatalf("spoke %s, target spoke %s", resp.Proto, h.Get("X-Proto"))
					}
					if h.Get("X-Uri") != "/teapot/../a%2Fb//c;d?e=%20f" || h.Get("X-For") != "127.0.0.1" ||
						"http://"+h.Get("X-Host") != url || h.Get(HeaderTaskSet) != "blue" {
						t.Fatalf("headers %v", h)
					}
					if resp.Trailer.Get("X-End") != "end" {
						t.Fatalf("trailers %v", resp.Trailer)
					}
				}
				resp, body := get(t, c, url+"/teapot")
				if resp.StatusCode != 418 || body != "GET 0" {
					t.Fatalf("%d %q", resp.StatusCode, body)
				}
				if r := p.row("blue"); r.Served != 4 {
					t.Fatalf("row %+v", r)
				}
			})
		}
	}
}

// TestH2Cut: client abort, a target that dies within a response, and the drain limit over h2.
func TestH2Cut(t *testing.T) {
	p := startPlane(t)
	var aborted atomic.Int64
	arrived := make(chan struct{}, 8)
	g := groupOf("blue", h2Backend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begin")
		w.(http.Flusher).Flush()
		arrived <- struct{}{}
		if r.URL.Path == "/die" {
			panic(http.ErrAbortHandler)
		}
		<-r.Context().Done()
		aborted.Add(1)
	}))
	g.Protocol = ProtocolH2C
	green := groupOf("green", backend(t, echoInfo))
	url := "http://" + p.apply(table(1, to("blue"), g, green)).Listeners[0].Bound
	c := newH2Client(t)
	open := func(path string) *http.Response {
		resp, err := c.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		<-arrived
		return resp
	}
	resp := open("/die")
	if b, err := io.ReadAll(resp.Body); err == nil || string(b) != "begin" {
		t.Fatalf("a broken response ended cleanly: %q", b)
	}
	resp.Body.Close()
	open("/leave").Body.Close()
	eventually(t, "abort at the target", func() bool { return aborted.Load() == 1 })
	resp = open("/drain")
	p.apply(table(2, to("green"), g, green))
	if _, err := p.client.Drain(context.Background(), "blue", 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Fatal("a drained response ended cleanly")
	}
	resp.Body.Close()
	if r := p.row("blue"); r.Started != 3 || r.Cut != 2 || r.ClientAborted != 1 {
		t.Fatalf("row %+v", r)
	}
}
