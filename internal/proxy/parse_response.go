package proxy

import (
	"bytes"
	"errors"
	"math"
)

// response is the head of a response.
type response struct {
	status    int
	reason    []byte
	fields    []field
	minor     int
	length    int64 // lengthChunked or lengthUntilClose where it is not known
	hasLength bool
	hasCoding bool
	keepAlive bool
	upgrade   bool
}

// lengthUntilClose is the length of a body that ends with its connection.
const lengthUntilClose = -2

var errBadResponse = errors.New("the response of the target is malformed")

// parseResponse parses a whole head of an HTTP/1 response. A bare LF is taken for a line end (RFC 9112 2.2 allows
// it), since what is passed on is written anew.
func parseResponse(b []byte, r *response) error {
	*r = response{fields: r.fields[:0]}
	line, rest, _ := cutLine(b, false)
	// "HTTP/1.x NNN[ reason]"
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' || !validFieldValue(line) {
		return errBadResponse
	}
	switch line[7] {
	case '0', '1':
		r.minor = int(line[7] - '0')
	default:
		return errBadResponse
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return errBadResponse
		}
		r.status = r.status*10 + int(c-'0')
	}
	if r.status < 100 || len(line) > 12 && line[12] != ' ' {
		return errBadResponse
	}
	r.reason = bytes.TrimLeft(line[12:], " ")
	var err error
	if r.fields, err = parseFields(rest, r.fields, false); err != nil {
		return errBadResponse
	}
	return r.interpret()
}

func (r *response) interpret() error {
	r.keepAlive = r.minor == 1
	var chunked bool
	for _, f := range r.fields {
		switch f.kind {
		case fieldLength:
			n, ok := parseLength(f.value)
			if !ok || (r.hasLength && n != r.length) {
				return errBadResponse
			}
			r.length, r.hasLength = n, true
		case fieldCoding:
			if r.hasCoding || !foldEqual(f.value, "chunked") {
				return errBadResponse
			}
			r.hasCoding, chunked = true, true
		case fieldUpgrade:
			r.upgrade = true
		case fieldConnection:
			r.connection(f.value)
		case fieldPlain, fieldHop, fieldForwarded, fieldTrailer, fieldHost, fieldExpect, fieldTE:
		}
	}
	switch {
	case chunked:
		// The coding wins over a length (RFC 9112 6.3), and the connection is not used again: two readings are possible.
		r.keepAlive = r.keepAlive && !r.hasLength
		r.length, r.hasLength = lengthChunked, false
	case !r.hasLength:
		r.length = lengthUntilClose
	}
	return nil
}

func (r *response) connection(value []byte) {
	eachToken(value, func(token []byte) {
		switch {
		case foldEqual(token, "close"):
			r.keepAlive = false
		case foldEqual(token, "keep-alive"):
			r.keepAlive = r.keepAlive || r.minor == 0
		default:
			dropNamed(r.fields, token)
		}
	})
}

// bodyless tells the responses that end with their head (RFC 9112 6.3).
func (r *response) bodyless(head bool) bool {
	return head || r.status < 200 || r.status == 204 || r.status == 304
}

// parseChunkSize reads a chunk-size line: hexadecimal digits, then nothing or an extension, which is dropped.
func parseChunkSize(line []byte) (int64, bool) {
	var n int64
	i := 0
	for ; i < len(line); i++ {
		d, ok := hexDigit(line[i])
		if !ok {
			break
		}
		if n > math.MaxInt64>>8 {
			return 0, false
		}
		n = n<<4 | int64(d)
	}
	rest := bytes.TrimLeft(line[i:], " \t")
	if i == 0 || !validFieldValue(rest) || len(rest) > 0 && rest[0] != ';' {
		return 0, false
	}
	// White space before an extension is allowed to be read (RFC 9112 7.1.1), white space before nothing is not.
	return n, len(rest) > 0 || i == len(line)
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
