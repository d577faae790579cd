package scenario

import (
	"net/url"
	"slices"
	"strings"
)

// call reads a gRPC call, and the other keys of its step.
func (d *decoder) call(n, stepNode *node, names env) (*rpc, *request) {
	r, req := &rpc{described: d.described}, &request{}
	name := n
	if n.kind == kindMapping {
		name = n.child("method")
		if own := n.child("descriptors"); own != nil {
			r.described = d.descriptors(own)
		}
		r.url = d.server(n.child("url"), names)
	}
	d.headersAndAuth(req, stepNode, names)
	for _, e := range entries(stepNode.child("headers")) {
		if slices.Contains([]string{"content-type", "te", "grpc-encoding"}, strings.ToLower(e.key)) {
			d.fault(e.at, "the header %s is set by gRPC itself", strings.ToLower(e.key))
		}
	}
	message := stepNode.child("json")
	if message != nil && message.kind != kindMapping && message.kind != kindList && !strings.Contains(message.text, exprOpen) {
		d.fault(message.at, "json of a gRPC call is a message, which is a mapping, not %s", message.kind)
	}
	req.json = d.template(message, names.at(before))
	var ok bool
	if r.service, r.method, ok = splitMethod(strings.TrimSpace(text(name))); !ok {
		if text(name) != "" {
			d.fault(name.at, "grpc %q is not SERVICE/METHOD, such as \"shop.v1.Catalogue/GetBook\"", name.text)
		}
		return r, req
	}
	d.fits(r, req, name)
	return r, req
}

// fits checks a call against its descriptors, where they are known already.
func (d *decoder) fits(r *rpc, req *request, name *node) {
	if r.described == nil {
		return
	}
	m, err := r.described.find(r.service, r.method)
	if err != nil {
		d.fault(name.at, "%s", err)
		return
	}
	if req.json == nil {
		return
	}
	if err := m.takes(req.json); err != nil {
		d.fault(req.json.at, "%s", err)
		return
	}
	for _, bad := range m.misfits(req.json) {
		d.fault(bad.at, "%s", bad.message)
	}
}

// server reads the address of another server than that of the base URL.
func (d *decoder) server(n *node, names env) *template {
	if n == nil {
		return nil
	}
	if !strings.Contains(n.text, exprOpen) {
		u, err := url.Parse(n.text)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			d.fault(n.at, "%q is not an http or https URL without a path", n.text)
		}
	}
	return d.template(n, names.at(before))
}

// descriptors reads a file with descriptors; nil where there is none, or after a fault.
func (d *decoder) descriptors(n *node) *descriptors {
	content, _ := d.beside(n)
	if content == nil {
		return nil
	}
	parsed, err := parseDescriptors(content)
	if err != nil {
		d.fault(n.at, "the file %s %s", n.text, err)
		return nil
	}
	return parsed
}
