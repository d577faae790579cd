package scenario

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/websocket"
)

// TestIdentity: a listener that names another task set than the one under test leaves every kind of step untold.
func TestIdentity(t *testing.T) {
	t.Parallel()
	s, calls := newService(t), newShop(t, shopOptions{}) // both say X-Release: v2
	for _, c := range []struct {
		base, steps, header, value string
		verdict                    Verdict
		message                    string
	}{
		{s.URL, "{request: GET /thing}", "X-Release", "v2", Pass, ""},
		{s.URL, "{request: GET /thing}", "X-Release", "v1", Error, `another task set answered: the listener says X-Release: "v2", and "v1" is under test`},
		{s.URL, "{request: GET /broken, assert: [status == 500]}", "X-Release", "v1", Error, "another task set answered"},
		{s.URL, "{request: GET /thing, retry: {attempts: 2, interval: 1ms}}", "X-Release", "v1", Error, "after 2 attempts"},
		{s.URL, "{request: GET /thing}", "X-Nothing", "v2", Error, "no answer had the header X-Nothing"},
		{s.URL, "{request: GET /from}, {request: GET /thing}", "X-Release", "v2", Pass, ""}, // the first names nobody
		{s.URL, "{request: GET /broken}", "X-Nothing", "v2", Fail, "status < 400"},
		{s.URL, "{run: ['true']}", "X-Release", "v1", Pass, ""},
		{s.URL, "{websocket: {url: /socket, send: [a]}}", "X-Release", "v2", Pass, ""},
		{s.URL, "{websocket: {url: /socket, send: [a]}}", "X-Release", "v1", Error, "another task set answered"},
		{calls.url, "{grpc: shop.v1.Catalogue/GetBook}", "X-Release", "v2", Pass, ""},
		{calls.url, "{grpc: shop.v1.Catalogue/GetBook}", "X-Release", "v1", Error, "another task set answered"},
		{calls.url, "{request: GET " + s.URL + "/thing}", "X-Release", "v1", Pass, ""}, // not below the base URL
	} {
		r := load(t, "version: 1\nsteps: ["+c.steps+"]\n").Run(t.Context(), Options{
			BaseURL: c.base, Getenv: environment, Identity: &Identity{c.header, c.value},
		})
		want(t, r, c.verdict, c.message)
	}
}

// TestRelease_away: an answer from elsewhere does not stand for the release under test, however the way to it began.
func TestRelease_away(t *testing.T) {
	t.Parallel()
	away := newService(t)
	base := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if said := r.URL.Query().Get("said"); said != "" {
			w.Header().Set("X-Release", said)
		}
		http.Redirect(w, r, away.URL+"/thing", http.StatusFound)
	}))
	t.Cleanup(base.Close)
	header := &Identity{"X-Release", "v2"}
	for _, c := range []struct {
		file     string
		identity *Identity
		verdict  Verdict
		message  string
	}{
		{"steps: [{request: GET /, redirects: 1}]", header, Error, "no answer had the header X-Release"},
		{"steps: [{request: GET /?said=v1, redirects: 1}]", header, Error, "another task set answered"},
		{"steps: [{request: GET /?said=v2, redirects: 1}]", header, Pass, ""},
		{"expect_release: {header: X-Release}\nsteps: [{request: GET /, redirects: 1}]", nil, Fail, "another release answered"},
		{"expect_release: {header: X-Release}\nsteps: [{request: GET /?said=v2, redirects: 1}]", nil, Pass, ""},
		{"expect_release: {header: X-Release}\nsteps: [{run: ['true']}]", nil, Error, "expect_release proved nothing"},
		{"expect_release: {header: X-Release}\nsteps: [{request: GET " + away.URL + "/thing}]", nil, Error, "expect_release proved nothing"},
	} {
		r := load(t, "version: 1\n"+c.file+"\n").Run(t.Context(), Options{
			BaseURL: base.URL, Getenv: environment, Identity: c.identity, Release: Release{Version: "v2"},
		})
		want(t, r, c.verdict, c.message)
	}
}

// TestRedirects_endless: where redirects are followed, one that is left over is not where they lead.
func TestRedirects_endless(t *testing.T) {
	t.Parallel()
	base := httptest.NewServer(http.RedirectHandler("/", http.StatusFound))
	t.Cleanup(base.Close)
	for step, verdict := range map[string]Verdict{
		"{request: GET /, redirects: 3}":                          Fail,
		"{request: GET /, redirects: 3, assert: [status == 302]}": Pass,
		"{request: GET /}":                                        Pass,
	} {
		r := load(t, "version: 1\nsteps: ["+step+"]\n").Run(t.Context(), Options{BaseURL: base.URL})
		if r.Verdict != verdict {
			t.Errorf("%s: the verdict is %s, want %s", step, r.Verdict, verdict)
		}
	}
}

// TestBaseURL: an address that no path can be below is refused, and a password in it is in no result.
func TestBaseURL(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, base := range []string{s.URL + "?a=b", s.URL + "/#top", s.URL + "?"} {
		want(t, load(t, "version: 1\nsteps: [{request: GET /nothing}]\n").Run(t.Context(), Options{BaseURL: base}), Error, "cannot be below")
	}
	r := load(t, "version: 1\nsecrets: [NOT_THERE]\nsteps: [{request: GET /}]\n").Run(t.Context(), Options{BaseURL: "http://u:hunter22@shop.invalid"})
	want(t, r, Error, "NOT_THERE has no value")
	if strings.Contains(r.BaseURL, "hunter22") {
		t.Errorf("the base URL is shown as %s", r.BaseURL)
	}
}

// TestCompare_itself: an address is the same with its port and without, and in any case.
func TestCompare_itself(t *testing.T) {
	t.Parallel()
	s := load(t, "version: 1\ncompare: blue\nsteps: [{request: GET /}]\n")
	for _, other := range []string{"http://Shop.invalid", "http://shop.invalid:80/"} {
		want(t, s.Run(t.Context(), Options{BaseURL: "http://shop.invalid", CompareURL: other}), Error, "compared with itself")
	}
}

// TestAddress_user: the password in the address of a step is in no result, as the name of the step neither.
func TestAddress_user(t *testing.T) {
	t.Parallel()
	s := newService(t)
	address := strings.Replace(s.URL, "http://", "ws://u:hunter22@", 1) + "/socket"
	plain := strings.Replace(s.URL, "://", "://u:hunter22@", 1)
	r := s.run(t, "version: 1\nsteps: [{websocket: {url: '"+address+"', send: [a]}}, {request: 'GET "+plain+"/thing?a=b@c'}]\n")
	want(t, r, Pass, "")
	if kept, err := json.Marshal(r); err != nil || strings.Contains(string(kept), "hunter22") {
		t.Errorf("%v: the password is in %s", err, kept)
	}
	if name := r.Steps[1].Name; name != "GET "+s.URL+"/thing?a=b@c" {
		t.Errorf("the request is called %q", name)
	}
}

// TestGRPC_redirected: a call that is redirected is asked for nowhere else.
func TestGRPC_redirected(t *testing.T) {
	t.Parallel()
	asked := false
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = asked || r.URL.Path == "/elsewhere"
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	r := load(t, "version: 1\nsteps: [{grpc: a.B/C}]\n").Run(t.Context(), Options{BaseURL: server.URL})
	want(t, r, Error, "307")
	if asked {
		t.Error("the redirect was followed")
	}
}

// TestWebSocket_tls: a conversation keeps what a scenario says of TLS.
func TestWebSocket_tls(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(websocket.Handler(func(c *websocket.Conn) { _ = websocket.Message.Send(c, "hello") }))
	server.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){} // HTTP/1 alone
	server.StartTLS()
	t.Cleanup(server.Close)
	for _, c := range []struct {
		tls     string
		verdict Verdict
		message string
	}{{"{insecure: true}", Pass, ""}, {"{}", Error, "certificate"}, {"{insecure: true, server_name: example.com}", Pass, ""}} {
		s := load(t, "version: 1\ntls: "+c.tls+"\nsteps: [{websocket: {url: /}, assert: ['messages[0] == \"hello\"']}]\n")
		want(t, s.Run(t.Context(), Options{BaseURL: server.URL}), c.verdict, c.message)
	}
}
