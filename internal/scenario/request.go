package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// hideUser makes secrets of the password in an address and of what is sent of it.
func (x *execution) hideUser(u *url.URL) {
	if password, ok := u.User.Password(); ok {
		x.mask.add(password)
		x.mask.add(u.User.Username() + ":" + password)
	}
}

// build makes the request with every template resolved; paths are below base. An error is unready: nothing was sent.
func (x *execution) build(r *request, values map[string]any, base string) (*http.Request, []byte, error) {
	target, err := r.target.string(values)
	if err != nil {
		return nil, nil, unready{err}
	}
	u, err := address(target, base)
	if err != nil {
		return nil, nil, unready{err}
	}
	x.hideUser(u)
	if err := addQuery(u, r.query, values); err != nil {
		return nil, nil, unready{err}
	}
	body, contentType, err := r.body(values)
	if err != nil {
		return nil, nil, unready{err}
	}
	req := &http.Request{
		Method: r.method, URL: u, Host: u.Host, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if body != nil {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("User-Agent", "greengate-verify")
	if err := x.headers(req, r, values); err != nil {
		return nil, nil, unready{err}
	}
	if err := r.auth.apply(req, body, values, x.mask); err != nil {
		return nil, nil, unready{err}
	}
	return req, body, nil
}

func (x *execution) headers(req *http.Request, r *request, values map[string]any) error {
	req.Header.Set("Traceparent", "00-"+x.trace+"-"+randomHex(8)+"-01")
	for _, list := range [][]field{x.s.headers, r.headers} {
		for _, h := range list {
			v, err := h.value.string(values)
			if err != nil {
				return fmt.Errorf("header %s: %w", h.name, err)
			}
			if strings.ContainsAny(v, "\r\n\x00") {
				return fmt.Errorf("header %s: the value holds a line break", h.name)
			}
			req.Header.Set(h.name, v)
			if strings.EqualFold(h.name, "host") {
				req.Host = v
			}
		}
	}
	return nil
}

// address is where a path below base, or a URL, leads.
func address(target, base string) (*url.URL, error) {
	for scheme, other := range map[string]string{"ws://": "http://", "wss://": "https://"} {
		if rest, ok := strings.CutPrefix(target, scheme); ok {
			target = other + rest
		}
	}
	if !strings.HasPrefix(target, "/") {
		u, err := url.Parse(target)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("%q is neither a path that begins with / nor an http URL", target)
		}
		return u, nil
	}
	if base == "" {
		return nil, fmt.Errorf("%s is below the base URL, and none was given", target)
	}
	u, err := url.Parse(strings.TrimSuffix(base, "/") + target)
	if err != nil {
		return nil, fmt.Errorf("%q is not a path", target)
	}
	return u, nil
}

func addQuery(u *url.URL, query []field, values map[string]any) error {
	if len(query) == 0 {
		return nil
	}
	q := u.Query()
	for _, f := range query {
		v, err := f.value.string(values)
		if err != nil {
			return fmt.Errorf("query %s: %w", f.name, err)
		}
		q.Add(f.name, v)
	}
	u.RawQuery = q.Encode()
	return nil
}

// body is what is sent, and its content type.
func (r *request) body(values map[string]any) ([]byte, string, error) {
	switch {
	case r.json != nil:
		v, err := r.json.resolve(values)
		if err != nil {
			return nil, "", fmt.Errorf("json: %w", err)
		}
		body, err := encodeJSON(v)
		return body, "application/json", err
	case r.form != nil:
		form := url.Values{}
		for _, f := range r.form {
			v, err := f.value.string(values)
			if err != nil {
				return nil, "", fmt.Errorf("form %s: %w", f.name, err)
			}
			form.Add(f.name, v)
		}
		return []byte(form.Encode()), "application/x-www-form-urlencoded", nil
	case r.multipart != nil:
		return r.parts(values)
	case r.text != nil:
		text, err := r.text.string(values)
		if err != nil {
			return nil, "", fmt.Errorf("body: %w", err)
		}
		return []byte(text), "text/plain; charset=utf-8", nil
	case r.bodyName != "":
		return r.file, r.mime, nil
	}
	return nil, "", nil
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode json: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (r *request) parts(values map[string]any) ([]byte, string, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range r.multipart {
		if p.value != nil {
			text, err := p.value.string(values)
			if err != nil {
				return nil, "", fmt.Errorf("multipart %s: %w", p.name, err)
			}
			if err := w.WriteField(p.name, text); err != nil {
				return nil, "", fmt.Errorf("write part: %w", err)
			}
			continue
		}
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", multipart.FileContentDisposition(p.name, p.filename))
		h.Set("Content-Type", p.mime)
		to, err := w.CreatePart(h)
		if err == nil {
			_, err = to.Write(p.content)
		}
		if err != nil {
			return nil, "", fmt.Errorf("write part: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", fmt.Errorf("write parts: %w", err)
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

// decodeBody is a body as expressions see it: JSON where the answer says that it is JSON, otherwise text. JSON without a
// content type is taken for what it is.
func decodeBody(contentType string, raw []byte) any {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	media = strings.TrimSpace(media)
	isJSON := media == "application/json" || strings.HasSuffix(media, "+json") || media == "text/json"
	if !isJSON && media != "" {
		return string(raw)
	}
	v, err := parseJSON(raw)
	switch {
	case err == nil:
		return v
	case isJSON:
		return unreadable{fmt.Errorf("body: the content type is %s, but it is not JSON: %w", media, err)}
	}
	return string(raw)
}

func parseJSON(raw []byte) (any, error) {
	v, err := decodeJSON(raw)
	return exact(v), err
}

// decodeJSON decodes one value. Its numbers stay as they were written.
func decodeJSON(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind the value")
	}
	return v, nil
}

// exact gives numbers the types of the expression language: integers stay exact, and one beyond 64 bits is a text.
func exact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, item := range v {
			v[name] = exact(item)
		}
	case []any:
		for i, item := range v {
			v[i] = exact(item)
		}
	case json.Number:
		text := v.String()
		if i, err := strconv.Atoi(text); err == nil {
			return i
		}
		if strings.Trim(text, "-0123456789") == "" {
			return text
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return text
	}
	return v
}
