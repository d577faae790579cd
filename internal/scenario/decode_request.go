package scenario

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// request reads a request: its line, and the other keys of its step.
func (d *decoder) request(line, n *node, names env) *request {
	if line == nil || line.kind != kindText {
		return nil
	}
	r := &request{}
	method, target, ok := strings.Cut(strings.TrimSpace(line.text), " ")
	methods := []string{
		http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	}
	switch {
	case !ok || strings.TrimSpace(target) == "":
		d.fault(line.at, "request %q is not METHOD and a path, such as \"GET /version\"", line.text)
		return nil
	case !slices.Contains(methods, method):
		d.fault(line.at, "method %q is unknown%s; it is one of %s", method, didYouMean(method, methods), strings.Join(methods, ", "))
		return nil
	}
	r.method = method
	target = strings.TrimSpace(target)
	if !strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "http://") && !strings.HasPrefix(target, "https://") &&
		!strings.HasPrefix(target, exprOpen) {
		d.fault(line.at, "%q is neither a path that begins with / nor an http URL", target)
	}
	if !strings.Contains(target, exprOpen) {
		if _, err := url.Parse(target); err != nil || strings.ContainsAny(target, " \t") {
			d.fault(line.at, "%q is not a URL", target)
		}
	}
	own := *line
	own.text = target
	if own.inside > 0 {
		own.inside += strings.LastIndex(line.text, target)
	}
	r.target = d.template(&own, names.at(before))
	d.headersAndAuth(r, n, names)
	for _, e := range entries(n.child("query")) {
		values := []*node{e.value}
		if e.value.kind == kindList {
			values = e.value.items
		}
		for _, v := range values {
			r.query = append(r.query, field{e.key, d.template(v, names.at(before))})
		}
	}
	r.redirects = d.number(n.child("redirects"), 0)
	d.body(r, n, names)
	return r
}

func (d *decoder) headersAndAuth(r *request, n *node, names env) {
	for _, e := range entries(n.child("headers")) {
		if strings.ContainsAny(e.key, " \t\r\n:") || e.key == "" {
			d.fault(e.at, "%q is not the name of a header", e.key)
		}
		r.headers = append(r.headers, field{e.key, d.template(e.value, names.at(before))})
	}
	a := n.child("auth")
	if a == nil || a.kind != kindMapping {
		return
	}
	of := func(n *node, key string) *template { return d.template(n.child(key), names.at(before)) }
	basic, aws := a.child("basic"), a.child("aws-sigv4")
	r.auth = &auth{
		bearer: of(a, "bearer"), user: of(basic, "user"), password: of(basic, "password"),
		region: of(aws, "region"), service: of(aws, "service"), accessKey: of(aws, "access_key"), secretKey: of(aws, "secret_key"),
		sessionToken: of(aws, "session_token"),
	}
	for _, h := range r.headers {
		if strings.EqualFold(h.name, "authorization") {
			d.fault(a.at, "auth and a header Authorization are one thing said twice")
		}
	}
}

func (d *decoder) body(r *request, n *node, names env) {
	var bodies []string
	for _, key := range []string{"json", "form", "multipart", "body", "file"} {
		if n.child(key) != nil {
			bodies = append(bodies, key)
		}
	}
	if len(bodies) > 1 {
		d.fault(n.child(bodies[1]).at, "a request has one body, not %s", strings.Join(bodies, " and "))
		return
	}
	if len(bodies) == 1 && (r.method == http.MethodGet || r.method == http.MethodHead) {
		d.fault(n.child(bodies[0]).at, "a %s request has no body", r.method)
	}
	r.json = d.template(n.child("json"), names.at(before))
	for _, e := range entries(n.child("form")) {
		r.form = append(r.form, field{e.key, d.template(e.value, names.at(before))})
	}
	r.text = d.template(n.child("body"), names.at(before))
	if n.child("file") != nil {
		r.file, r.bodyName = d.beside(n.child("file"))
		r.mime = "application/octet-stream"
	}
	for _, e := range entries(n.child("multipart")) {
		p := part{name: e.key, mime: "application/octet-stream"}
		if e.value.kind == kindMapping {
			var name string
			p.content, name = d.beside(e.value.child("file"))
			p.filename = path.Base(name)
			if own := text(e.value.child("filename")); own != "" {
				p.filename = own
			}
			if own := text(e.value.child("type")); own != "" {
				p.mime = own
			}
		} else {
			p.value = d.template(e.value, names.at(before))
		}
		r.multipart = append(r.multipart, p)
	}
}

func (d *decoder) answerSchema(n *node) *answerSchema {
	var doc any
	name := "the schema"
	switch {
	case n == nil:
		return nil
	case n.kind == kindMapping:
		doc = n.plain()
	default:
		content, _ := d.beside(n)
		if content == nil {
			return nil
		}
		doc, name = content, n.text
	}
	s, problems := newAnswerSchema(name, n.at, doc)
	for _, p := range problems {
		d.fault(n.place(p.Path()...), "%s", p.What)
	}
	return s
}

func (d *decoder) command(n *node, names env) *command {
	c := &command{}
	list := n
	if n.kind == kindMapping {
		list = n.child("command")
		c.dir, c.junit = text(n.child("dir")), text(n.child("junit"))
		for _, e := range entries(n.child("env")) {
			if e.key == "" || strings.ContainsAny(e.key, "=\x00") {
				d.fault(e.at, "%q is not the name of a variable", e.key)
			}
			c.env = append(c.env, field{e.key, d.template(e.value, names.at(before))})
		}
	}
	for i, item := range children(list) {
		if i == 0 && item.text == "" {
			d.fault(item.at, "the program has no name")
		}
		c.words = append(c.words, d.template(item, names.at(before)))
	}
	return c
}

func (d *decoder) conversation(n *node, names env) *conversation {
	c := &conversation{url: d.template(n.child("url"), names.at(before)), receive: d.number(n.child("receive"), 1)}
	if u := n.child("url"); u != nil && !strings.HasPrefix(u.text, "/") && !strings.HasPrefix(u.text, "ws://") &&
		!strings.HasPrefix(u.text, "wss://") && !strings.HasPrefix(u.text, exprOpen) {
		d.fault(u.at, "%q is neither a path that begins with / nor a ws: or wss: URL", u.text)
	}
	for _, item := range children(n.child("protocols")) {
		c.protocols = append(c.protocols, item.text)
	}
	for _, item := range children(n.child("send")) {
		c.send = append(c.send, d.template(item, names.at(before)))
	}
	return c
}
