package proxy

import (
	"bytes"
)

// protocolError is a message that is refused, with the status and the text for who sent it.
type protocolError struct {
	status int
	kind   errorKind
	text   string
}

func (e *protocolError) Error() string { return e.text }

func badRequest(text string) error { return &protocolError{400, kindBadRequest, text} }

// request is the head of a request, whatever protocol it came by.
type request struct {
	method, target, host []byte
	fields               []field
	minor                int   // of HTTP/1
	length               int64 // of the body; lengthChunked when it is not known beforehand
	hasHost              bool
	hasLength            bool
	keepAlive            bool
	expect               bool // 100-continue
	upgrade              bool
	trailers             bool // the client accepts trailers
}

// lengthChunked is the length of a body that is framed by chunks.
const lengthChunked = -1

func (r *request) reset() { *r = request{fields: r.fields[:0]} }

// Classes of bytes.
const (
	tchar    = 1 << iota // in tokens: methods and field names (RFC 9110 5.6.2)
	hostChar             // in an authority without user information (RFC 3986 3.2)
)

// classes is a constant table; it is made once.
var classes = func() (table [256]uint8) {
	const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for _, c := range []byte(alphanumeric + "!#$%&'*+-.^_`|~") {
		table[c] |= tchar
	}
	for _, c := range []byte(alphanumeric + "-._~%!$&'()*+,;=:[]") {
		table[c] |= hostChar
	}
	return table
}()

func isToken(b []byte) bool {
	for _, c := range b {
		if classes[c]&tchar == 0 {
			return false
		}
	}
	return len(b) > 0
}

// cutLine takes a line off b. strict demands CRLF; else a bare LF ends it too. A CR elsewhere is left in the line,
// where no parser of ours accepts it.
func cutLine(b []byte, strict bool) (line, rest []byte, ok bool) {
	line, rest, ok = bytes.Cut(b, []byte{'\n'})
	if !ok {
		return nil, b, false
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1], rest, true
	}
	return line, rest, !strict
}

// parseRequest parses a whole head, with the empty line at its end, strictly. Errors are *protocolError.
func parseRequest(b []byte, r *request) error {
	r.reset()
	line, rest, ok := cutLine(b, true)
	if !ok {
		return badRequest("a line does not end in CR LF")
	}
	if err := r.parseLine(line); err != nil {
		return err
	}
	var err error
	if r.fields, err = parseFields(rest, r.fields, true); err != nil {
		return err
	}
	if err := r.interpret(); err != nil {
		return err
	}
	return r.settle()
}

func (r *request) parseLine(line []byte) error {
	method, rest, ok1 := bytes.Cut(line, []byte{' '})
	target, version, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok1 || !ok2 || !isToken(method) || !validTarget(target) {
		return badRequest("the request line is malformed")
	}
	switch string(version) {
	case "HTTP/1.1":
		r.minor = 1
	case "HTTP/1.0":
		r.minor = 0
	default:
		if bytes.HasPrefix(version, []byte("HTTP/")) && isToken(version[5:]) {
			return &protocolError{505, kindBadRequest, "the HTTP version is not supported here"}
		}
		return badRequest("the request line is malformed")
	}
	r.method, r.target = method, target
	r.keepAlive = r.minor == 1
	return nil
}

// validTarget refuses what would end a request line early; everything else passes as it is.
func validTarget(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0
}

// parseFields appends the field lines of b, up to and with the empty line.
func parseFields(b []byte, fields []field, strict bool) ([]field, error) {
	for {
		line, rest, ok := cutLine(b, strict)
		if !ok {
			return fields, badRequest("a line does not end in CR LF")
		}
		if len(line) == 0 {
			return fields, nil
		}
		f, err := parseField(line)
		if err != nil {
			return fields, err
		}
		fields = append(fields, f)
		b = rest
	}
}

func parseField(line []byte) (field, error) {
	if line[0] == ' ' || line[0] == '\t' {
		return field{}, badRequest("a header field is folded")
	}
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok || !isToken(name) {
		return field{}, badRequest("a header field name is malformed")
	}
	if !validFieldValue(value) {
		return field{}, badRequest("a header field value has a control character")
	}
	return field{name, bytes.Trim(value, " \t"), classify(name)}, nil
}

// interpret reads the fields that say how the message is framed and what the connection is for.
func (r *request) interpret() error {
	var coding []byte
	for i := range r.fields {
		f := &r.fields[i]
		switch f.kind {
		case fieldHost:
			if r.hasHost || !validHost(f.value) {
				return badRequest("the Host field is repeated or malformed")
			}
			r.host, r.hasHost = f.value, true
		case fieldLength:
			n, ok := parseLength(f.value)
			if r.hasLength || !ok {
				return badRequest("the Content-Length field is repeated or malformed")
			}
			r.length, r.hasLength = n, true
		case fieldCoding:
			if coding != nil || len(f.value) == 0 {
				return badRequest("the Transfer-Encoding field is repeated or empty")
			}
			coding = f.value
		case fieldExpect:
			if !foldEqual(f.value, "100-continue") {
				return &protocolError{417, kindBadRequest, "only the expectation 100-continue is supported"}
			}
			r.expect = r.minor == 1
		case fieldTE:
			r.trailers = r.trailers || hasToken(f.value, "trailers")
		case fieldConnection, fieldUpgrade, fieldPlain, fieldHop, fieldForwarded, fieldTrailer:
		}
	}
	if err := r.applyCoding(coding); err != nil {
		return err
	}
	r.connection()
	return nil
}

func (r *request) applyCoding(coding []byte) error {
	if coding == nil {
		return nil
	}
	if !foldEqual(coding, "chunked") || r.hasLength || r.minor == 0 {
		return badRequest("Transfer-Encoding must be chunked, alone, without Content-Length, in HTTP/1.1")
	}
	r.length = lengthChunked
	return nil
}

// connection applies the Connection field: it names the fields of this connection only.
func (r *request) connection() {
	var upgrade bool
	keep := r.keepAlive
	for _, f := range r.fields {
		if f.kind != fieldConnection {
			continue
		}
		eachToken(f.value, func(token []byte) {
			switch {
			case foldEqual(token, "close"):
				keep = false
			case foldEqual(token, "keep-alive"):
				keep = keep || r.minor == 0
			case foldEqual(token, "upgrade"):
				upgrade = true
			default:
				dropNamed(r.fields, token)
			}
		})
	}
	r.keepAlive = keep && !r.closes()
	// An upgrade with a body or to h2c is answered as if it had not been asked for (RFC 9110 7.8 allows that): h2c over
	// a proxy hides requests from it.
	r.upgrade = upgrade && r.minor == 1 && r.length == 0 && r.upgradeAllowed()
}

func (r *request) closes() bool {
	for _, f := range r.fields {
		if f.kind == fieldConnection && hasToken(f.value, "close") {
			return true
		}
	}
	return false
}

func (r *request) upgradeAllowed() bool {
	var found bool
	for _, f := range r.fields {
		if f.kind == fieldUpgrade {
			if hasToken(f.value, "h2c") || len(f.value) == 0 {
				return false
			}
			found = true
		}
	}
	return found
}

// dropNamed marks the plain fields of a name as belonging to the connection. It cannot touch framing or Host.
func dropNamed(fields []field, name []byte) {
	for i := range fields {
		f := &fields[i]
		if (f.kind == fieldPlain || f.kind == fieldForwarded || f.kind == fieldTrailer) && bytes.EqualFold(f.name, name) {
			f.kind = fieldHop
		}
	}
}

// settle brings the target into origin form and checks that it agrees with Host.
func (r *request) settle() error {
	if r.minor == 1 && !r.hasHost {
		return badRequest("the Host field is missing")
	}
	if string(r.method) == "CONNECT" {
		return &protocolError{405, kindBadRequest, "CONNECT is not served here"}
	}
	if r.target[0] == '/' || (string(r.target) == "*" && string(r.method) == "OPTIONS") {
		return nil
	}
	rest, ok := cutScheme(r.target)
	if !ok {
		return badRequest("the request target is malformed")
	}
	end := bytes.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, path := rest[:end], rest[end:]
	if len(authority) == 0 || !validHost(authority) || (r.hasHost && !bytes.EqualFold(authority, r.host)) {
		return badRequest("the request target and the Host field disagree")
	}
	r.host, r.hasHost = authority, true
	if len(path) == 0 || path[0] != '/' {
		path = append([]byte{'/'}, path...)
	}
	r.target = path
	return nil
}

func cutScheme(b []byte) ([]byte, bool) {
	for _, scheme := range []string{"http://", "https://"} {
		if len(b) > len(scheme) && foldEqual(b[:len(scheme)], scheme) {
			return b[len(scheme):], true
		}
	}
	return nil, false
}

func validHost(b []byte) bool {
	for _, c := range b {
		if classes[c]&hostChar == 0 {
			return false
		}
	}
	return true
}

// parseLength takes digits only.
func parseLength(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// foldEqual compares ASCII without regard to case; s is lower case.
func foldEqual(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// eachToken calls f with the members of a comma-separated list, empty ones left out.
func eachToken(list []byte, f func(token []byte)) {
	for len(list) > 0 {
		token, rest, _ := bytes.Cut(list, []byte{','})
		if token = bytes.Trim(token, " \t"); len(token) > 0 {
			f(token)
		}
		list = rest
	}
}

func hasToken(list []byte, token string) bool {
	var found bool
	eachToken(list, func(t []byte) { found = found || foldEqual(t, token) })
	return found
}
