package proxy

import (
	"cmp"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// Keywords of a Redirect.
const (
	keyProtocol = "#{protocol}"
	keyHost     = "#{host}"
	keyPort     = "#{port}"
	keyPath     = "#{path}"
	keyQuery    = "#{query}"
)

// withDefaults says what is left out.
func (r Redirect) withDefaults() Redirect {
	r.Protocol, r.Host = cmp.Or(r.Protocol, keyProtocol), cmp.Or(r.Host, keyHost)
	r.Port, r.Path = cmp.Or(r.Port, keyPort), cmp.Or(r.Path, "/"+keyPath)
	if r.Query == nil {
		r.Query = new(keyQuery)
	}
	return r
}

// location is the URL that a request is sent to. It expects a redirect with defaults. The result shares nothing with
// the request.
func (r *Redirect) location(req *request, from *origin) []byte {
	path, query := req.splitTarget()
	_, port, _ := net.SplitHostPort(from.host) // the local address of a connection has a port
	rooted := strings.TrimPrefix(string(path), "/")
	if string(path) == "*" { // OPTIONS * asks about the whole server
		rooted = ""
	}
	fill := strings.NewReplacer(keyProtocol, "http", keyHost, string(hostName(hostOf(req, from))), keyPort, port,
		keyPath, rooted, keyQuery, string(query))
	protocol := strings.ToLower(fill.Replace(r.Protocol))
	url := protocol + "://" + fill.Replace(r.Host) + ":" + fill.Replace(r.Port) + fill.Replace(r.Path)
	if q := fill.Replace(*r.Query); q != "" {
		url += "?" + q
	}
	return []byte(url)
}

func (x *exchange) answerRedirect() {
	r := x.action.redirect
	to := field{[]byte("Location"), r.location(x.req, x.from), fieldPlain} // now: the body may be read over the head
	text := strconv.Itoa(r.StatusCode) + " " + http.StatusText(r.StatusCode) + "\n"
	if err := x.answer(r.StatusCode, plainText, text, to); err != nil {
		x.clientLost()
		return
	}
	x.finished(r.StatusCode)
}
