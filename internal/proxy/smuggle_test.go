package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestSmugglingVectors: what two parsers could read in two ways is refused, and nothing of it reaches a target.
func TestSmugglingVectors(t *testing.T) {
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	post := func(fields, rest string) string { return "POST / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" + rest }
	chunked := func(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }
	vectors := map[string]string{
		"length and coding":           post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled),
		"coding and length":           post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"+smuggled),
		"two lengths":                 post("Content-Length: 0\r\nContent-Length: 5\r\n", "abcde"),
		"same length twice":           post("Content-Length: 5\r\nContent-Length: 5\r\n", "abcde"),
		"length list":                 post("Content-Length: 5, 5\r\n", "abcde"),
		"signed length":               post("Content-Length: +5\r\n", "abcde"),
		"negative length":             post("Content-Length: -1\r\n", ""),
		"hexadecimal length":          post("Content-Length: 0x5\r\n", "abcde"),
		"empty length":                post("Content-Length: \r\n", ""),
		"length with a space":         post("Content-Length: 1 0\r\n", "a"),
		"overflowing length":          post("Content-Length: 18446744073709551621\r\n", "abcde"),
		"space before the colon":      post("Content-Length : 5\r\n", "abcde"),
		"tab before the colon":        post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"),
		"space in a name":             post("Content Length: 5\r\n", "abcde"),
		"empty name":                  post(": 5\r\n", ""),
		"no colon":                    post("nonsense\r\n", ""),
		"space before a name":         "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
		"folded line":                 post("X: a\r\n b\r\n", ""),
		"line folded with a tab":      post("X: a\r\n\tContent-Length: 5\r\n", "abcde"),
		"bare CR in a value":          post("X: a\rContent-Length: 5\r\n", "abcde"),
		"bare LF after a field":       post("X: a\nContent-Length: 5\r\n", "abcde"),
		"bare LF after the line":      "GET / HTTP/1.1\nHost: x\r\n\r\n",
		"bare LFs at the end":         "GET / HTTP/1.1\r\nHost: x\n\n",
		"NUL in a value":              post("X: a\x00b\r\n", ""),
		"unknown coding":              post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
		"coding list":                 post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
		"chunked twice":               post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
		"two codings":                 post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
		"identity coding":             post("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", "abcde"),
		"coding with vertical tab":    post("Transfer-Encoding: \vchunked\r\n", "0\r\n\r\n"),
		"quoted coding":               post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
		"empty coding":                post("Transfer-Encoding: \r\n", "0\r\n\r\n"),
		"coding in HTTP/1.0":          "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"no host":                     "GET / HTTP/1.1\r\n\r\n",
		"two hosts":                   "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
		"host with a path":            "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
		"host with a user":            "GET / HTTP/1.1\r\nHost: a@x\r\n\r\n",
		"target and host disagree":    "GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"two spaces":                  "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
		"space in the target":         "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
		"tab in the line":             "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"control in the target":       "GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n",
		"relative target":             "GET a HTTP/1.1\r\nHost: x\r\n\r\n",
		"no target":                   "GET HTTP/1.1\r\nHost: x\r\n\r\n",
		"no version":                  "GET /\r\nHost: x\r\n\r\n",
		"lower-case version":          "GET / http/1.1\r\nHost: x\r\n\r\n",
		"trailing space":              "GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
		"bracket in the method":       "G(T / HTTP/1.1\r\nHost: x\r\n\r\n",
		"chunk without a size":        chunked("\r\nabc\r\n0\r\n\r\n"),
		"chunk size with a letter":    chunked("3x\r\nabc\r\n0\r\n\r\n"),
		"chunk size with a sign":      chunked("+3\r\nabc\r\n0\r\n\r\n"),
		"chunk size 0x3":              chunked("0x3\r\nabc\r\n0\r\n\r\n"),
		"chunk size with a space":     chunked(" 3\r\nabc\r\n0\r\n\r\n"),
		"chunk size, trailing space":  chunked("3 \r\nabc\r\n0\r\n\r\n"),
		"overflowing chunk size":      chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"),
		"chunk ended by LF":           chunked("3\nabc\r\n0\r\n\r\n"),
		"chunk data ended by LF":      chunked("3\r\nabc\n0\r\n\r\n"),
		"chunk data too long":         chunked("3\r\nabcd\r\n0\r\n\r\n"),
		"CR in a chunk extension":     chunked("3;a\rb\r\nabc\r\n0\r\n\r\n"),
		"LF in a chunk extension":     chunked("3;a\nb\r\nabc\r\n0\r\n\r\n"),
		"last chunk ended by LF":      chunked("0\n\n"),
		"trailer with a length":       chunked("0\r\nContent-Length: 5\r\n\r\n"),
		"trailer with a host":         chunked("0\r\nHost: y\r\n\r\n"),
		"folded trailer":              chunked("0\r\nX: a\r\n b\r\n\r\n"),
		"space in a trailer name":     chunked("0\r\nX : a\r\n\r\n"),
		"two empty lines at the head": "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
	}
	var reached atomic.Int64
	p := startPlane(t)
	addr := p.apply(table(1, to("blue"), groupOf("blue", backend(t, func(http.ResponseWriter, *http.Request) {
		reached.Add(1)
	})))).Listeners[0].Bound
	for name, text := range vectors {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			if _, err := io.WriteString(c, text+smuggled); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(c)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusBadRequest || !resp.Close {
				t.Fatalf("answered %d, close %v", resp.StatusCode, resp.Close)
			}
			if b, err := io.ReadAll(r); err != nil || len(b) > 0 {
				t.Fatalf("after the refusal came %q, %v", b, err)
			}
		})
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d requests reached the target", n)
	}
}

// TestBadChunkAfterSomeBody: the fault comes when the target has part of the request already; it must not get an end.
func TestBadChunkAfterSomeBody(t *testing.T) {
	p := startPlane(t)
	ended := make(chan error, 1)
	addr := p.apply(table(1, to("blue"), groupOf("blue", backend(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		ended <- err
	})))).Listeners[0].Bound
	c := dialHTTP(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	eventually(t, "request in flight", func() bool { return p.blue().Requests == 1 })
	c.send("nonsense\r\n")
	if resp, _ := c.read("POST"); resp.StatusCode != 400 {
		t.Fatalf("answered %d", resp.StatusCode)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Fatal("the target saw a whole body")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the target still waits")
	}
	if r := p.row("blue"); r.ClientAborted != 1 {
		t.Fatalf("row %+v", r)
	}
}

// TestPassesUnaltered: what is unusual and has one reading only goes through as it is.
func TestPassesUnaltered(t *testing.T) {
	p := startPlane(t)
	c := dialHTTP(t, p.apply(table(1, to("blue"), groupOf("blue", rawBackend(t, echoLine)))).Listeners[0].Bound)
	for _, target := range []string{
		"/a%2Fb", "//a//b", "/a;b=c", "/./a/../b", "/%00", "/?", "/?a=b?c=d", "/a%zz", "/%", "/\"<>|^`{}", "/\xff\xc3\xa9", "/a?x=%20+&&=", "/%2e%2e/",
		"//evil.com/x", "/#frag", "/a\\b", "/" + strings.Repeat("a/", 500),
	} {
		c.send("OPTIONS " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, _ := c.read("OPTIONS")
		if got := resp.Header.Get("X-Seen-Uri"); got != target {
			t.Errorf("%q arrived as %q (%d)", target, got, resp.StatusCode)
		}
	}
	for request, want := range map[string]string{
		"GET http://x/p?q HTTP/1.1\r\nHost: x\r\n\r\n":            "/p?q",
		"GET http://X:80 HTTP/1.1\r\nHost: x:80\r\n\r\n":          "/",
		"GET https://x?q HTTP/1.1\r\nHost: x\r\n\r\n":             "/?q",
		"\r\nGET /after-an-empty-line HTTP/1.1\r\nHost:x\r\n\r\n": "/after-an-empty-line",
	} {
		c.send(request)
		if resp, _ := c.read("GET"); resp.Header.Get("X-Seen-Uri") != want {
			t.Errorf("%q arrived as %q", request, resp.Header.Get("X-Seen-Uri"))
		}
	}
	c.send("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp, _ := c.read("OPTIONS"); resp.StatusCode != 200 {
		t.Errorf("OPTIONS *: %d", resp.StatusCode)
	}
	for request, want := range map[string]int{
		"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n": 405,
		"GET / HTTP/2.0\r\nHost: x\r\n\r\n":           505,
		"GET / HTTP/1.2\r\nHost: x\r\n\r\n":           505,
	} {
		if resp, _ := rawRequest(t, c.RemoteAddr().String(), request); resp.StatusCode != want {
			t.Errorf("%q gave %d, want %d", request, resp.StatusCode, want)
		}
	}
}

// echoLine answers with the target of the request line as it came.
func echoLine(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		for field := ""; field != "\r\n"; field, err = r.ReadString('\n') {
			if err != nil {
				return
			}
		}
		target := strings.TrimSuffix(line[strings.IndexByte(line, ' ')+1:], " HTTP/1.1\r\n")
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Seen-Uri: "+target+"\r\nContent-Length: 0\r\n\r\n")
	}
}

// TestResponseSmuggling: what a target sends behind its response is not taken for the next one.
func TestResponseSmuggling(t *testing.T) {
	p := startPlane(t)
	sent := make(chan struct{}, 1)
	addr := p.apply(table(1, to("blue"), groupOf("blue", rawBackend(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright")
			if req.URL.Path == "/two" {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
				sent <- struct{}{}
			}
		}
	})))).Listeners[0].Bound
	c := dialHTTP(t, addr)
	for range 10 {
		for _, path := range []string{"/two", "/one"} {
			if _, body := c.get(path); body != "right" {
				t.Fatalf("%s: %q", path, body)
			}
			if path == "/two" {
				<-sent
			}
		}
	}
}

// FuzzRequest: what our parser takes, net/http must read in the same way.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /a?b HTTP/1.1\r\nHost: x:80\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
		"GET http://a/b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, x-a\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		scan := headScan{strict: true}
		n, err := scan.end(b)
		if err != nil || n == 0 {
			return
		}
		var r request
		if err := parseRequest(b[:n], &r); err != nil {
			var pe *protocolError
			if !errors.As(err, &pe) || pe.status < 400 {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		wire := append(appendRequest(nil, &r, &origin{ip: "1.2.3.4", host: "h"}), '\r', '\n')
		want, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(wire))))
		if err != nil {
			if hasOddTarget(r.target) {
				return // net/http wants well-formed escapes; a proxy passes the bytes
			}
			t.Fatalf("net/http refuses what we sent for %q: %q: %v", b[:n], wire, err)
		}
		if want.Method != string(r.method) || want.RequestURI != string(r.target) || (r.hasHost && want.Host != string(r.host)) {
			t.Fatalf("read %q as %s %s %s", b[:n], want.Method, want.RequestURI, want.Host)
		}
		length := r.length
		if want.ContentLength != length {
			t.Fatalf("length %d, net/http says %d, of %q", length, want.ContentLength, wire)
		}
		// Passing on what was passed on changes nothing in the framing.
		var again request
		if err := parseRequest(wire, &again); err != nil || again.length != r.length || again.upgrade != r.upgrade {
			t.Fatalf("second pass: %v, length %d, of %q", err, again.length, wire)
		}
	})
}

func hasOddTarget(target []byte) bool {
	for _, c := range target {
		if c == '%' || c >= 0x80 || strings.IndexByte("\"<>\\^`{}|[]#", c) >= 0 {
			return true
		}
	}
	return false
}

func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.0 304\n\n", "HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\nConnection: close, a\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		scan := headScan{}
		n, err := scan.end(b)
		if err != nil || n == 0 {
			return
		}
		var r response
		if parseResponse(b[:n], &r) != nil {
			return
		}
		if r.status < 100 || r.status > 999 || (r.length < 0 && r.length != lengthChunked && r.length != lengthUntilClose) {
			t.Fatalf("parsed %+v", r)
		}
		for _, fl := range r.fields {
			if !isToken(fl.name) || !validFieldValue(fl.value) {
				t.Fatalf("field %q: %q would split the response", fl.name, fl.value)
			}
		}
		if !validFieldValue(r.reason) {
			t.Fatalf("reason %q", r.reason)
		}
	})
}

// FuzzBody: a chunked body is read alike in one piece, byte by byte, and by what is buffered; and what is sent on for
// it reads as the same body.
func FuzzBody(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\nnext"))
	f.Add([]byte("a;x=y\r\n0123456789\r\n1\r\na\r\n0\r\nX: y\r\n\r\n"))
	f.Add([]byte("0\r\n\r\n"))
	f.Add([]byte("FFFFFFFFFFFFFFF\r\nabc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, rest, errWhole := readChunked(b, len(b)+1, false)
		bytewise, rest2, errBytes := readChunked(b, 1, false)
		mixed, rest3, errMixed := readChunked(b, 7, true)
		if (errWhole == nil) != (errBytes == nil) || (errWhole == nil) != (errMixed == nil) {
			t.Fatalf("errors differ: %v, %v, %v", errWhole, errBytes, errMixed)
		}
		if errWhole != nil {
			return
		}
		if whole != bytewise || whole != mixed || rest != rest2 || rest != rest3 {
			t.Fatalf("read %q, %q, %q; rest %q, %q, %q", whole, bytewise, mixed, rest, rest2, rest3)
		}
		var again []byte
		if len(whole) > 0 {
			again = appendChunk(nil, []byte(whole))
		}
		if back, _, err := readChunked(appendLastChunk(again, nil), 5, false); err != nil || back != whole {
			t.Fatalf("sent on as %q, %v", back, err)
		}
	})
}

// readChunked reads a chunked body that arrives in pieces, and tells what is behind it.
func readChunked(b []byte, piece int, buffered bool) (data, rest string, err error) {
	src := &pieces{b: b, n: piece}
	rd := reader{src: src, buf: make([]byte, 16)}
	var body body
	body.start(&rd, lengthChunked, 0)
	var sb strings.Builder
	p := make([]byte, 5)
	for {
		if buffered {
			q, err := body.buffered()
			if err != nil {
				return sb.String(), "", err
			}
			sb.Write(q)
		}
		n, err := body.Read(p)
		sb.Write(p[:n])
		if errors.Is(err, io.EOF) {
			return sb.String(), string(rd.buf[rd.r:rd.w]) + string(src.b), nil
		}
		if err != nil {
			return sb.String(), "", err
		}
	}
}

type pieces struct {
	b []byte
	n int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.n)], p.b)
	p.b = p.b[n:]
	return n, nil
}
