package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// benchTarget answers each request with a fixed response at little cost, so that what is measured is the proxy.
func benchTarget(b *testing.B, size int) string {
	b.Helper()
	response := []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size)))
	return rawBackend(b, func(c net.Conn) {
		buf := make([]byte, 16<<10)
		n := 0
		for {
			k, err := c.Read(buf[n:])
			if err != nil {
				return
			}
			n += k
			for {
				i := bytes.Index(buf[:n], []byte("\r\n\r\n"))
				if i < 0 {
					break
				}
				n = copy(buf, buf[i+4:n])
				if _, err := c.Write(response); err != nil {
					return
				}
			}
		}
	})
}

// requests sends b.N requests over a few keep-alive connections that cost little themselves.
func requests(b *testing.B, addr string, size int) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(8)
	request := []byte("GET /some/path?q=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		r := bufio.NewReaderSize(c, 64<<10)
		for pb.Next() {
			if _, err := c.Write(request); err != nil {
				b.Error(err)
				return
			}
			if err := skipResponse(r, size); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func skipResponse(r *bufio.Reader, size int) error {
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("answered %q", line)
		}
		if len(line) == 2 {
			_, err := r.Discard(size)
			return err
		}
	}
}

func BenchmarkProxied(b *testing.B) {
	for _, size := range []int{200, 64 << 10} {
		b.Run(fmt.Sprintf("greengate/%d", size), func(b *testing.B) {
			p := startPlane(b)
			requests(b, p.apply(table(1, to("blue"), groupOf("blue", benchTarget(b, size)))).Listeners[0].Bound, size)
		})
		b.Run(fmt.Sprintf("ReverseProxy/%d", size), func(b *testing.B) {
			u := &url.URL{Scheme: "http", Host: benchTarget(b, size)}
			rp := httputil.NewSingleHostReverseProxy(u)
			tr := &http.Transport{MaxIdleConnsPerHost: 1024}
			defer tr.CloseIdleConnections()
			rp.Transport = tr
			srv := &http.Server{Handler: rp}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			go func() { _ = srv.Serve(l) }()
			defer srv.Close()
			requests(b, l.Addr().String(), size)
		})
		b.Run(fmt.Sprintf("direct/%d", size), func(b *testing.B) {
			requests(b, benchTarget(b, size), size)
		})
	}
}

// BenchmarkSwap is the swap alone, under load: what a request can be held up by.
func BenchmarkSwap(b *testing.B) {
	p := startPlane(b)
	target := benchTarget(b, 200)
	addr := p.apply(table(1, to("blue"), groupOf("blue", target), groupOf("green", target))).Listeners[0].Bound
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := dialHTTP(b, addr)
		for !stop.Load() {
			c.get("/")
		}
	}()
	var routes [2]map[*routing]*route
	tabs := [2]Table{
		table(1, to("blue"), groupOf("blue", target), groupOf("green", target)),
		table(2, to("green"), groupOf("blue", target), groupOf("green", target)),
	}
	for i, t := range tabs {
		var err error
		if routes[i], err = p.srv.routes(t); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.srv.router.swap(tabs[i%2], routes[i%2])
	}
	b.StopTimer()
	stop.Store(true)
	<-done
}

// BenchmarkApply is the whole of it: control socket, two fsyncs, swap.
func BenchmarkApply(b *testing.B) {
	p := startPlane(b)
	target := benchTarget(b, 200)
	groups := []Group{groupOf("blue", target), groupOf("green", target)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := p.client.Apply(context.Background(), table(int64(i+1), to([]string{"blue", "green"}[i%2]), groups...)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseRequest(b *testing.B) {
	head := []byte("GET /some/path?q=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\nCookie: a=b\r\nConnection: keep-alive\r\n\r\n")
	var r request
	var out []byte
	from := &origin{ip: "127.0.0.1"}
	b.ReportAllocs()
	for b.Loop() {
		if err := parseRequest(head, &r); err != nil {
			b.Fatal(err)
		}
		out = appendRequest(out[:0], &r, from)
	}
	_, _ = io.Discard.Write(out)
}

// BenchmarkClaim is what routing one request costs, without sockets.
func BenchmarkClaim(b *testing.B) {
	p := startPlane(b)
	p.apply(table(1, to("blue"), groupOf("blue", deadAddress(b))))
	var at *routing
	for _, l := range p.srv.listeners {
		at = &l.routing
	}
	var r request
	head := []byte("GET /some/path?q=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\nCookie: a=b\r\n\r\n")
	if err := parseRequest(head, &r); err != nil {
		b.Fatal(err)
	}
	x := &exchange{srv: p.srv, from: &origin{ip: "127.0.0.1", host: "127.0.0.1:80"}}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		x.reset(&r, nil)
		if !p.srv.router.claim(at, x, now) {
			b.Fatal("not routed")
		}
		x.row.count(wordServed)
		x.group.release(x)
	}
}

// BenchmarkMatch is what rules cost a request: that of the last of them, and that of none.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		r := manyRules(n)
		for _, path := range []string{fmt.Sprintf("/api/%d/x", n-1), "/other"} {
			b.Run(fmt.Sprintf("%d%s", n, path), func(b *testing.B) {
				head := "GET " + path + "?a=b&version=v1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: bench\r\nX-Version: v2\r\n\r\n"
				var req request
				if err := parseRequest([]byte(head), &req); err != nil {
					b.Fatal(err)
				}
				from := &origin{addr: netip.MustParseAddr("127.0.0.1")}
				b.ReportAllocs()
				for b.Loop() {
					if a := r.match(&req, from); (a == &r.otherwise) != (path == "/other") {
						b.Fatal("wrong rule")
					}
				}
			})
		}
	}
}
