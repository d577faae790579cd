package proxy

import (
	"net"
	"strings"
	"testing"
)

// TestRedirect fills in what requests asked for, over HTTP/1.1 and h2c.
func TestRedirect(t *testing.T) {
	p := startPlane(t)
	addr := p.apply(table(1, nil)).Listeners[0].Bound
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	h1, h2 := dialHTTP(t, addr), newH2Client(t)
	for i, c := range []struct {
		redirect Redirect
		host     string
		target   string
		want     string // PORT is that of the listener
	}{
		{Redirect{Protocol: "HTTPS", Port: "443"}, "example.com", "/a/b?c=d&e", "https://example.com:443/a/b?c=d&e"},
		{Redirect{Protocol: "HTTPS", Port: "443"}, "Example.com:8080", "/", "https://Example.com:443/"},
		{Redirect{Protocol: "HTTPS"}, "example.com:99", "/?", "https://example.com:PORT/"},
		{Redirect{Host: "www.#{host}"}, "example.com", "/a", "http://www.example.com:PORT/a"},
		{Redirect{Host: "x.org", Protocol: keyProtocol, Port: keyPort, Path: "/#{path}", Query: new(keyQuery)}, "a.b", "/p?q", "http://x.org:PORT/p?q"},
		{Redirect{Path: "/new/#{path}"}, "a.b", "/old/x%2Fy;z", "http://a.b:PORT/new/old/x%2Fy;z"},
		{Redirect{Path: "/#{host}/#{port}/#{path}"}, "a.b:1", "/", "http://a.b:PORT/a.b/PORT/"},
		{Redirect{Path: "/all"}, "a.b", "/x?y=z", "http://a.b:PORT/all?y=z"},
		{Redirect{Path: "/all", Query: new("")}, "a.b", "/x?y=z", "http://a.b:PORT/all"},
		{Redirect{Path: "/all", Query: new("#{query}&value=xyz")}, "a.b", "/x?y=z", "http://a.b:PORT/all?y=z&value=xyz"},
		{Redirect{Path: "/all", Query: new("p=#{protocol}&h=#{host}&o=#{port}&a=#{path}")}, "a.b", "/x/y?z", "http://a.b:PORT/all?p=http&h=a.b&o=PORT&a=x/y"},
		// What a request says is filled in once: it cannot use keywords, nor end the field, nor choose the host.
		{Redirect{Path: "/go/#{path}"}, "a.b", "/#%7Bhost}/x?q", "http://a.b:PORT/go/"},
		{Redirect{Path: "/go"}, "a.b", "/x?q=%0d%0aSet-Cookie:x", "http://a.b:PORT/go?q=%0d%0aSet-Cookie:x"},
		{Redirect{Protocol: "HTTPS", Port: "443"}, "a.b", "//evil.org/x", "https://a.b:443//evil.org/x"},
		{Redirect{Protocol: "HTTPS", Port: "443"}, "[::1]:80", "/x", "https://[::1]:443/x"},
	} {
		status := 301 + i%2
		c.redirect.StatusCode = status
		tab := table(int64(i+2), nil)
		tab.Listeners[0].Action.Redirect = &c.redirect
		p.apply(tab)
		want := strings.ReplaceAll(c.want, "PORT", port)
		req := call{host: c.host, target: c.target}
		answers := []answer{req.http1(h1)}
		if !strings.Contains(c.target, "#") { // the client of net/http does not send it
			answers = append(answers, req.http2(t, h2, addr))
		}
		for _, a := range answers {
			if got := a.Header["Location"]; a.StatusCode != status || len(got) != 1 || got[0] != want {
				t.Errorf("%+v of %s%s: %d to %q, want %q", c.redirect, c.host, c.target, a.StatusCode, got, want)
			}
			if a.Header.Get("Date") == "" || a.ContentLength <= 0 || a.Close {
				t.Errorf("%+v: %+v", c.redirect, a)
			}
		}
	}
}

// TestRedirectKeepsConnections: also with a body that has arrived, and with none of its own.
func TestRedirectKeepsConnections(t *testing.T) {
	p := startPlane(t)
	tab := table(1, nil)
	tab.Listeners[0].Action.Redirect = &Redirect{StatusCode: 302, Host: "x.org", Port: "80"}
	c := dialHTTP(t, p.apply(tab).Listeners[0].Bound)
	for range 3 {
		c.send("POST /a?b HTTP/1.1\r\nHost: y\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
		if a, body := c.read("POST"); a.StatusCode != 302 || a.Close || body != "302 Found\n" || a.Header.Get("Location") != "http://x.org:80/a?b" {
			t.Fatalf("%+v %q", a, body)
		}
		if a, body := c.do("HEAD", "/", ""); a.StatusCode != 302 || body != "" || a.ContentLength != 10 {
			t.Fatalf("HEAD: %+v %q", a, body)
		}
		if a, _ := c.do("OPTIONS", "*", ""); a.Header.Get("Location") != "http://x.org:80/" {
			t.Fatalf("OPTIONS *: %+v", a)
		}
		if a, _ := c.do("GET", "/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\n"); a.StatusCode != 302 || a.Close {
			t.Fatalf("upgrade: %+v", a)
		}
	}
	// The body is not waited for, so the connection ends.
	if a, _ := c.do("POST", "/", "Content-Length: 5\r\nExpect: 100-continue\r\n"); a.StatusCode != 302 || !a.Close {
		t.Fatalf("body that is not sent: %+v", a)
	}
	if r := p.row(""); r.Started != 13 || r.Served != 13 || r.Latency.Total() != 13 {
		t.Fatalf("row %+v", r)
	}
	// A body may overwrite the head that it came with: what was asked for is still answered.
	long := strings.Repeat("p", 3000)
	c = dialHTTP(t, p.status().Listeners[0].Bound)
	c.send("POST /" + long + " HTTP/1.1\r\nHost: y\r\nContent-Length: 4000\r\n\r\n" + strings.Repeat("#", 4000))
	if a, _ := c.read("POST"); a.Header.Get("Location") != "http://x.org:80/"+long {
		t.Fatalf("%+v", a)
	}
}

// TestRedirectWithoutHost: HTTP/1.0 may leave the host out; then it is the address that was connected to.
func TestRedirectWithoutHost(t *testing.T) {
	p := startPlane(t)
	tab := table(1, nil)
	tab.Listeners[0].Action.Redirect = &Redirect{StatusCode: 301, Path: "/x"}
	addr := p.apply(tab).Listeners[0].Bound
	if a, _ := rawRequest(t, addr, "GET / HTTP/1.0\r\n\r\n"); a.Header.Get("Location") != "http://"+addr+"/x" {
		t.Fatalf("%+v", a)
	}
}

// FuzzRoutedRequest: what rules and redirects make of any request that is accepted.
func FuzzRoutedRequest(f *testing.F) {
	for _, head := range []string{
		"GET /a/b?c=d&e HTTP/1.1\r\nHost: www.example.com:80\r\nX-Version: v2\r\n\r\n",
		"GET http://[::1]:8/?%0d%0a#x HTTP/1.1\r\nHost: [::1]:8\r\n\r\n",
		"OPTIONS * HTTP/1.0\r\n\r\n",
		"GET //#{host}?#{query} HTTP/1.1\r\nHost: :\r\n\r\n",
		"GET /?&&=&=== HTTP/1.1\r\nHost: ][\r\n\r\n",
	} {
		f.Add([]byte(head))
	}
	r := manyRules(3)
	any1 := compileConditions([]Condition{{QueryString: []QueryPattern{{Value: "*"}}}})[0]
	to := Redirect{StatusCode: 301, Path: "/#{host}/#{path}", Query: new("#{query}&#{path}")}.withDefaults()
	from := &origin{host: "127.0.0.1:8080"}
	f.Fuzz(func(t *testing.T, head []byte) {
		var req request
		if parseRequest(head, &req) != nil {
			return
		}
		r.match(&req, from)
		path, query := req.splitTarget()
		s := subjectOf(&req, from)
		if strings.ContainsAny(string(path), "?#") || !strings.HasPrefix(string(req.target), string(path)) {
			t.Fatalf("path %q of %q", path, req.target)
		}
		if !strings.Contains(string(req.target), "?"+string(query)) && len(query) > 0 {
			t.Fatalf("query %q of %q", query, req.target)
		}
		if got, want := any1.matchQuery(query), strings.Trim(string(query), "&") != ""; got != want {
			t.Fatalf("query %q has a parameter: %v", query, got)
		}
		if host := string(s.host); !strings.HasPrefix(string(req.host), host) || (strings.Contains(host, ":") && host[0] != '[' && host != string(req.host)) {
			t.Fatalf("host %q of %q", host, req.host)
		}
		location := to.location(&req, from)
		if !validTarget(location) || !strings.HasPrefix(string(location), "http://") || !strings.Contains(string(location), ":8080/") {
			t.Fatalf("%q redirected to %q", head, location)
		}
	})
}
