package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// ruled is a table with one rule that answers 200 to what it applies to; the rest gets 404.
func ruled(version int64, conditions ...Condition) Table {
	t := table(version, nil)
	t.Listeners[0].Action.Fixed = &Fixed{Status: 404}
	t.Listeners[0].Rules = []Rule{
		{Name: "r", Priority: 10, Conditions: conditions, Action: Action{Fixed: &Fixed{Status: 200}}},
	}
	return t
}

// call is a request of a table of cases.
type call struct {
	method, target, host string
	fields               []string // name, value, name, value
}

func (c call) method1() string {
	if c.method == "" {
		return "GET"
	}
	return c.method
}

func (c call) target1() string {
	if c.target == "" {
		return "/"
	}
	return c.target
}

func (c call) host1() string {
	if c.host == "" {
		return "example.com"
	}
	return c.host
}

func (c call) http1(on *httpConn) answer {
	text := c.method1() + " " + c.target1() + " HTTP/1.1\r\nHost: " + c.host1() + "\r\n"
	for i := 0; i < len(c.fields); i += 2 {
		text += c.fields[i] + ": " + c.fields[i+1] + "\r\n"
	}
	on.send(text + "\r\n")
	a, _ := on.read(c.method1())
	return a
}

func (c call) http2(tb testing.TB, client *http.Client, addr string) answer {
	tb.Helper()
	req := &http.Request{Method: c.method1(), Host: c.host1(), Header: http.Header{}, URL: exactURL(c.target1())}
	req.URL.Host = addr
	for i := 0; i < len(c.fields); i += 2 {
		req.Header.Add(c.fields[i], c.fields[i+1])
	}
	resp, err := client.Transport.RoundTrip(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		tb.Fatal(err)
	}
	return answerOf(resp)
}

func targets(list ...string) []call {
	var calls []call
	for _, t := range list {
		calls = append(calls, call{target: t})
	}
	return calls
}

func hosts(list ...string) []call {
	var calls []call
	for _, h := range list {
		calls = append(calls, call{host: h})
	}
	return calls
}

func fields(list ...string) call { return call{fields: list} }

// TestConditions asks each condition over HTTP/1.1 and h2c.
func TestConditions(t *testing.T) {
	header := func(name string, values ...string) Condition {
		return Condition{HTTPHeader: &HeaderCondition{Name: name, Values: values}}
	}
	query := func(pairs ...string) Condition {
		var c Condition
		for i := 0; i < len(pairs); i += 2 {
			c.QueryString = append(c.QueryString, QueryPattern{Key: pairs[i], Value: pairs[i+1]})
		}
		return c
	}
	p := startPlane(t)
	addr := p.apply(ruled(1, Condition{PathPattern: []string{"/"}})).Listeners[0].Bound
	h1, h2 := dialHTTP(t, addr), newH2Client(t)
	for i, c := range []struct {
		name string
		conditions
		yes, no []call
	}{
		{
			"host",
			conditions{{HostHeader: []string{"shop.Example.com"}}},
			hosts("shop.example.com", "SHOP.EXAMPLE.COM", "shop.example.com:8080", "shop.example.com:"),
			hosts("example.com", "xshop.example.com", "shop.example.com.evil.org", "shop.example.comx"),
		},
		{
			"host wildcards",
			conditions{{HostHeader: []string{"*.example.com", "a?.test"}}},
			hosts("a.example.com", "a.b.example.com:1", ".example.com", "ab.test"),
			hosts("example.com", "a.test", "abc.test", "www.example.com.org"),
		},
		{"host is an address", conditions{{HostHeader: []string{"127.0.0.?", "[a*1]", "[*7]"}}}, hosts("127.0.0.1:80", "[a::1]:80", "[::7]"), hosts("127.0.0.10", "[::1]")},
		{
			"path",
			conditions{{PathPattern: []string{"/a", "/api/*"}}},
			targets("/a", "/a?b=c", "/a?", "/api/", "/api/x/y?z=/", "/api/%2F;x", "http://example.com/a"),
			targets("/", "/A", "/a/", "//a", "/api", "/x?/a", "/x?/api/", "/%61", "/./a"),
		},
		{"path wildcards", conditions{{PathPattern: []string{"/?/x*.png"}}}, targets("/a/x.png", "/a/x/y.png"), targets("/ab/x.png", "//x.png", "/a/x.png/", "/a/x.pngg")},
		{"path of the whole server", conditions{{PathPattern: []string{"/*"}}}, nil, []call{{method: "OPTIONS", target: "*"}}},
		{"path that is a star", conditions{{PathPattern: []string{"?"}}}, []call{{method: "OPTIONS", target: "*"}}, nil},
		{
			"header",
			conditions{header("X-Version", "v2", "*canary*")},
			[]call{
				fields("x-version", "v2"), fields("X-VERSION", "V2"), fields("X-Version", "the Canary, please"),
				fields("X-Version", "v1", "X-Version", "v2"),
			},
			[]call{{}, fields("X-Version", "v1"), fields("X-Version", ""), fields("X-Versions", "v2"), fields("X_Version", "v2"), fields("X-Version", "v22")},
		},
		{"header with blanks", conditions{header("User-Agent", "*Chrome/? *")}, []call{fields("User-Agent", "Mozilla Chrome/5 x")}, []call{fields("User-Agent", "Chrome/55 x")}},
		{
			"header that is not passed on",
			conditions{header("X-Forwarded-For", "10.1.*")},
			[]call{fields("X-Forwarded-For", "10.1.2.3"), fields("x-forwarded-for", "8.8.8.8", "x-forwarded-for", "10.1.2.3")},
			[]call{{}, fields("X-Forwarded-For", "10.2.2.3")},
		},
		{"method", conditions{{RequestMethod: []string{"GET", "PURGE_ALL"}}}, []call{{}, {method: "PURGE_ALL"}}, []call{{method: "HEAD"}, {method: "POST"}, {method: "Get"}, {method: "PURGE"}}},
		{
			"query",
			conditions{query("version", "v1")},
			targets("/?version=v1", "/x?a=b&VERSION=V1", "/?version=v2&version=v1", "/?&&version=v1&"),
			targets("/", "/?", "/version=v1", "/?version=v11", "/?xversion=v1", "/?version=", "/?version", "/?version=v1;a=b", "/?%76ersion=v1", "/?v=version=v1"),
		},
		{"query value of any key", conditions{query("", "*example*")}, targets("/?a=example", "/?a=b&c=an-Example-b", "/?=example"), targets("/?example=a", "/?example", "/example?a=b")},
		{
			"query wildcards",
			conditions{query("k?", "a*z")},
			targets("/?k1=az", "/?k1=abcz", "/?k1=a=z", "/?k1=a?z"), targets("/?k=az", "/?k1=a&k2=z", "/?k12=az"),
		},
		{"query escapes", conditions{query(`\*`, `what\?`)}, targets("/?*=what?"), targets("/?a=what?", "/?*=whatx")},
		{"query without a value", conditions{query("debug", "*")}, targets("/?debug", "/?debug=", "/?debug=1"), targets("/?debugger", "/?x=debug")},
		{"source", conditions{{SourceIP: []string{"10.0.0.0/8", "127.0.0.0/31"}}}, []call{{}}, nil},
		{"source is the peer", conditions{{SourceIP: []string{"10.0.0.0/8", "127.0.0.2/32", "::/0"}}}, nil, []call{{}, fields("X-Forwarded-For", "10.1.1.1")}},
		{
			"all of several",
			conditions{{PathPattern: []string{"/a*"}}, {RequestMethod: []string{"PUT", "GET"}}, header("A", "1"), header("A", "2"), query("q", "1")},
			[]call{{target: "/a?q=1", fields: []string{"A", "1", "A", "2"}}, {method: "PUT", target: "/ab?q=1", fields: []string{"A", "2", "A", "1"}}},
			[]call{
				{target: "/b?q=1", fields: []string{"A", "1", "A", "2"}},
				{target: "/a?q=2", fields: []string{"A", "1", "A", "2"}},
				{target: "/a?q=1", fields: []string{"A", "1"}},
				{method: "POST", target: "/a?q=1", fields: []string{"A", "1", "A", "2"}},
			},
		},
	} {
		p.apply(ruled(int64(i+2), c.conditions...))
		for want, calls := range map[int][]call{200: c.yes, 404: c.no} {
			for _, call := range calls {
				if got := call.http1(h1).StatusCode; got != want {
					t.Errorf("%s: HTTP/1.1 %+v: %d, want %d", c.name, call, got, want)
				}
				if strings.HasPrefix(call.target, "http:") {
					continue // h2 has no such form
				}
				if got := call.http2(t, h2, addr).StatusCode; got != want {
					t.Errorf("%s: h2c %+v: %d, want %d", c.name, call, got, want)
				}
			}
		}
	}
}

type conditions = []Condition

// TestSourceOfConnection: the address that a client has, not one that it says.
func TestSourceOfConnection(t *testing.T) {
	p := startPlane(t)
	addr := p.apply(ruled(1, Condition{SourceIP: []string{"127.0.0.2/32"}})).Listeners[0].Bound
	for local, want := range map[string]int{"127.0.0.1": 404, "127.0.0.2": 200, "127.0.0.3": 404} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}, Timeout: 5 * time.Second}
		conn, err := d.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		tr := newH2Transport(time.Second)
		tr.DialContext = d.DialContext
		if got := (call{}).http2(t, &http.Client{Transport: tr}, addr).StatusCode; got != want {
			t.Errorf("h2c from %s: %d, want %d", local, got, want)
		}
		tr.CloseIdleConnections()
		if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\nX-Forwarded-For: 127.0.0.2\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(conn, line); err != nil || string(line) != fmt.Sprintf("HTTP/1.1 %d", want) {
			t.Errorf("HTTP/1.0 from %s: %q, %v, want %d", local, line, err, want)
		}
		conn.Close()
	}
	six := condition{sources: []netip.Prefix{netip.MustParsePrefix("2001:db8::5/32")}}
	for source, want := range map[string]bool{"2001:db8:1::1": true, "2001:db9::1": false, "32.1.13.184": false} {
		if got := six.matchSource(netip.MustParseAddr(source)); got != want {
			t.Errorf("%s: %v", source, got)
		}
	}
	if six.matchSource(netip.Addr{}) {
		t.Error("an unknown source is taken for a known one")
	}
}

// TestPriority: rules are tried by priority, not as they are listed, and the first that applies decides even if it
// cannot serve.
func TestPriority(t *testing.T) {
	p := startPlane(t)
	groups := []Group{groupOf("none"), groupOf("zero", backend(t, echoInfo))}
	for _, name := range []string{"blue", "green", "beta"} {
		groups = append(groups, groupOf(name, backend(t, echoInfo)))
	}
	path := func(patterns ...string) []Condition { return []Condition{{PathPattern: patterns}} }
	tab := table(1, to("blue"), groups...)
	tab.Listeners[0].Rules = []Rule{
		{Name: "wide", Priority: 300, Conditions: path("/api/*", "/none/*"), Action: Action{Forward: to("green")}},
		{Name: "narrow", Priority: 20, Conditions: path("/api/beta/*"), Action: Action{Forward: []Weight{{"beta", 7}, {"zero", 0}}}},
		{Name: "never", Priority: 301, Conditions: path("/api/*"), Action: Action{Fixed: &Fixed{Status: 500}}},
		{Name: "down", Priority: 4, Conditions: path("/none/*"), Action: Action{Forward: to("none")}},
		{Name: "weightless", Priority: 5, Conditions: path("/zero/*"), Action: Action{Forward: []Weight{{"zero", 0}}}},
		{Name: "gone", Priority: MaxPriority, Conditions: path("/gone"), Action: Action{Fixed: &Fixed{Status: 410, Body: "gone"}}},
		{Name: "moved", Priority: 1, Conditions: path("/old"), Action: Action{Redirect: &Redirect{StatusCode: 302, Path: "/new"}}},
	}
	addr := p.apply(tab).Listeners[0].Bound
	h1, h2 := dialHTTP(t, addr), newH2Client(t)
	for _, c := range []struct {
		target string
		status int
		group  string
	}{
		{"/", 200, "blue"},
		{"/api/x", 200, "green"},
		{"/api/beta/x", 200, "beta"},
		{"/none/x", 503, ""},
		{"/zero/x", 503, ""},
		{"/gone", 410, ""},
		{"/old", 302, ""},
		{"/gone/x", 200, "blue"},
	} {
		for _, a := range []answer{(call{target: c.target}).http1(h1), (call{target: c.target}).http2(t, h2, addr)} {
			if a.StatusCode != c.status || a.Header.Get(HeaderTaskSet) != c.group {
				t.Errorf("%s: %d by %q, want %d by %q", c.target, a.StatusCode, a.Header.Get(HeaderTaskSet), c.status, c.group)
			}
		}
	}
	for group, want := range map[string][3]uint64{
		"blue": {4, 4, 0}, "green": {2, 2, 0}, "beta": {2, 2, 0}, "none": {2, 0, 2},
		"": {6, 4, 2}, // fixed, redirected, and without weight
	} {
		if r := p.row(group); [3]uint64{r.Started, r.Served, r.Unrouted} != want {
			t.Errorf("row %q: %+v, want started, served, unrouted %v", group, r, want)
		}
	}
	var held *routing
	for _, l := range p.srv.listeners {
		held = &l.routing
	}
	if slices.ContainsFunc(held.current.Load().rules, func(r rule) bool { return len(r.action.choices) > 1 }) {
		t.Error("a group without weight can be chosen")
	}
}

// TestDrainOfRuledGroup: a group is routed while any rule gives it weight.
func TestDrainOfRuledGroup(t *testing.T) {
	ctx := context.Background()
	p := startPlane(t)
	blue, green := groupOf("blue", backend(t, echoInfo)), groupOf("green", backend(t, echoInfo))
	with := func(version int64, weight int) Table {
		tab := table(version, to("blue"), blue, green)
		tab.Listeners[0].Rules = []Rule{{
			Name: "canary", Priority: 1, Conditions: []Condition{{PathPattern: []string{"/x"}}},
			Action: Action{Forward: []Weight{{"green", weight}, {"blue", 1}}},
		}}
		return tab
	}
	p.apply(with(1, 1))
	_, err := p.client.Drain(ctx, "green", time.Minute)
	if !errors.Is(err, ErrGroupRouted) || !strings.Contains(err.Error(), `rule "canary" of listener "production"`) {
		t.Fatalf("drain of a group that a rule forwards to: %v", err)
	}
	p.apply(with(2, 0))
	if _, err := p.client.Drain(ctx, "green", time.Minute); err != nil {
		t.Fatal(err)
	}
	p.apply(with(3, 1)) // ends the drain, as weight of the listener does
	for _, g := range p.status().Groups {
		if g.Draining {
			t.Fatalf("%q still drains", g.Name)
		}
	}
}

// TestClaimSeesSwap: a request whose rules were tried before a swap is routed by the table after it, so that a drain which
// follows the swap misses nothing.
func TestClaimSeesSwap(t *testing.T) {
	p := startPlane(t)
	p.apply(table(1, to("blue"), groupOf("blue", deadAddress(t)), groupOf("green", deadAddress(t))))
	var at *routing
	for _, l := range p.srv.listeners {
		at = &l.routing
	}
	routes, err := p.srv.routes(func() Table {
		tab := table(2, to("blue"), groupOf("blue"), groupOf("green"))
		tab.Listeners[0].Rules = []Rule{
			{Name: "r", Priority: 1, Conditions: []Condition{{PathPattern: []string{"/"}}}, Action: Action{Forward: to("green")}},
		}
		return tab
	}())
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange{srv: p.srv, from: &origin{}}
	x.reset(&request{method: []byte("GET"), target: []byte("/")}, nil)
	claimed := make(chan bool)
	p.srv.router.mu.Lock()
	go func() { claimed <- p.srv.router.claim(at, x, time.Now()) }()
	eventually(t, "claim at the lock", func() bool {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		return slices.ContainsFunc(strings.Split(string(stacks), "\n\n"), func(s string) bool {
			return strings.Contains(s, "(*router).claim") && strings.Contains(s, "SemacquireRWMutexR")
		})
	})
	at.current.Store(routes[at]) // as swap does, under the lock
	p.srv.router.mu.Unlock()
	if !<-claimed || x.group.name != "green" {
		t.Fatalf("routed to %+v", x.group)
	}
	x.row.count(wordServed)
	x.group.release(x)
}

// TestMatchAllocatesNothing: for requests that are what they should be, and for those that are not.
func TestMatchAllocatesNothing(t *testing.T) {
	r := manyRules(100)
	for _, head := range []string{
		"GET /api/99/x?a=b&version=v1 HTTP/1.1\r\nHost: www.example.com:80\r\nX-Version: v2\r\n\r\n",
		"GET /\xff\xfe HTTP/1.0\r\n\r\n",
	} {
		var req request
		if err := parseRequest([]byte(head), &req); err != nil {
			t.Fatal(err)
		}
		from := origin{addr: netip.MustParseAddr("127.0.0.1")}
		if n := testing.AllocsPerRun(100, func() { r.match(&req, &from) }); n != 0 {
			t.Errorf("%q: %v allocations", head, n)
		}
	}
}

// manyRules is a route with n rules of which the last one takes /api/(n-1)/….
func manyRules(n int) *route {
	r := &route{}
	for i := range n {
		r.rules = append(r.rules, rule{conditions: compileConditions([]Condition{
			{PathPattern: []string{fmt.Sprintf("/api/%d/*", i)}},
			{HostHeader: []string{"*.example.com"}},
			{HTTPHeader: &HeaderCondition{Name: "x-version", Values: []string{"v2"}}},
			{RequestMethod: []string{"GET"}},
			{QueryString: []QueryPattern{{Key: "version", Value: "v?"}}},
			{SourceIP: []string{"127.0.0.0/8"}},
		})})
	}
	return r
}
