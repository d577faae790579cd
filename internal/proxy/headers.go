package proxy

import (
	"bytes"
	"net/netip"
	"strconv"
)

// origin is what the data plane knows of a client.
type origin struct {
	ip      string
	addr    netip.Addr // the same; zero when unknown
	host    string     // what the client connected to, for requests without Host
	trusted bool       // its X-Forwarded fields are believed
}

// appendRequest writes the head of a request as it goes to an HTTP/1 target, without the empty line.
func appendRequest(b []byte, r *request, from *origin) []byte {
	b = append(b, r.method...)
	b = append(b, ' ')
	b = append(b, r.target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(append(b, hostOf(r, from)...), '\r', '\n')
	for i := range r.fields {
		if f := &r.fields[i]; passes(f, r, from.trusted) {
			b = appendField(b, f.name, f.value)
		}
	}
	b = appendForwarded(b, r, from)
	switch {
	case r.length == lengthChunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.length > 0 || r.hasLength:
		b = appendLength(b, r.length)
	}
	if r.expect && r.length != 0 {
		b = append(b, "Expect: 100-continue\r\n"...)
	}
	return appendConnection(b, r)
}

func hostOf(r *request, from *origin) []byte {
	if r.hasHost {
		return r.host
	}
	return []byte(from.host)
}

func appendConnection(b []byte, r *request) []byte {
	switch {
	case r.upgrade:
		b = append(b, "Connection: Upgrade\r\n"...)
		for _, f := range r.fields {
			if f.kind == fieldUpgrade {
				b = appendField(b, f.name, f.value)
			}
		}
	case r.trailers:
		b = append(b, "TE: trailers\r\nConnection: TE\r\n"...)
	}
	return b
}

// passes tells whether a request field is passed on as it is.
func passes(f *field, r *request, trusted bool) bool {
	switch f.kind {
	case fieldPlain:
		return true
	case fieldTrailer:
		return r.length == lengthChunked
	case fieldForwarded:
		return trusted && !foldEqual(f.name, "x-forwarded-for") && bytes.IndexByte(f.name, '_') < 0
	case fieldHop, fieldConnection, fieldHost, fieldLength, fieldCoding, fieldExpect, fieldUpgrade, fieldTE:
	}
	return false
}

// appendForwarded says whom the request came from. The chain that a request brings is kept only if its peer is trusted.
func appendForwarded(b []byte, r *request, from *origin) []byte {
	b = append(append(append(b, "X-Forwarded-For: "...), forwardedFor(r, from)...), '\r', '\n')
	proto, host := false, false
	for i := range r.fields {
		f := &r.fields[i]
		if from.trusted && f.kind == fieldForwarded {
			proto = proto || foldEqual(f.name, "x-forwarded-proto")
			host = host || foldEqual(f.name, "x-forwarded-host")
		}
	}
	if !proto {
		b = append(b, "X-Forwarded-Proto: http\r\n"...)
	}
	if !host {
		b = append(b, "X-Forwarded-Host: "...)
		b = append(append(b, hostOf(r, from)...), '\r', '\n')
	}
	return b
}

func forwardedFor(r *request, from *origin) string {
	if !from.trusted {
		return from.ip
	}
	var chain []byte
	for _, f := range r.fields {
		if f.kind == fieldForwarded && foldEqual(f.name, "x-forwarded-for") && len(f.value) > 0 {
			chain = append(append(chain, f.value...), ", "...)
		}
	}
	return string(append(chain, from.ip...))
}

func appendLength(b []byte, n int64) []byte {
	b = append(b, "Content-Length: "...)
	return append(strconv.AppendInt(b, n, 10), '\r', '\n')
}

func appendField(b, name, value []byte) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, '\r', '\n')
}

// responsePasses tells whether a field of a response is passed on as it is.
func responsePasses(f *field, chunked, named bool) bool {
	switch f.kind {
	case fieldPlain, fieldForwarded, fieldHost, fieldExpect:
		return !named || !bytes.EqualFold(f.name, []byte(HeaderTaskSet))
	case fieldTrailer:
		return chunked
	case fieldHop, fieldConnection, fieldLength, fieldCoding, fieldUpgrade, fieldTE:
	}
	return false
}

// appendChunk frames p; appendLastChunk ends a chunked body.
func appendChunk(b, p []byte) []byte {
	b = append(appendChunkSize(b, len(p)), p...)
	return append(b, '\r', '\n')
}

func appendChunkSize(b []byte, n int) []byte {
	return append(strconv.AppendInt(b, int64(n), 16), '\r', '\n')
}

func appendLastChunk(b []byte, trailers []field) []byte {
	b = append(b, "0\r\n"...)
	for _, f := range trailers {
		if f.kind == fieldPlain {
			b = appendField(b, f.name, f.value)
		}
	}
	return append(b, '\r', '\n')
}
