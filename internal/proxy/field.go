package proxy

import "strings"

// fieldKind says what a proxy has to do with a field.
type fieldKind uint8

const (
	fieldPlain     fieldKind = iota
	fieldHop                 // belongs to one connection; never passed on
	fieldForwarded           // says where a request came from; believed only of trusted peers
	fieldTrailer             // announces trailers; goes with a chunked body
	fieldConnection
	fieldHost
	fieldLength
	fieldCoding
	fieldExpect
	fieldUpgrade
	fieldTE
)

// field is one line of a head or of a trailer section. The bytes belong to the buffer that was parsed.
type field struct {
	name, value []byte
	kind        fieldKind
}

const longestKnownField = 32

// classify looks a field name up, without regard to case. Names that an application server would fold into one
// of the forwarded ones (CGI knows no difference between - and _) are treated as those.
func classify(name []byte) fieldKind {
	var lower [longestKnownField]byte
	n := copy(lower[:], name)
	for i, c := range lower[:n] {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	kind := fieldPlain
	if len(name) <= longestKnownField {
		kind = classifyLower(string(lower[:n]))
	}
	if kind != fieldPlain {
		return kind
	}
	for i, c := range lower[:n] {
		if c == '_' {
			lower[i] = '-'
		}
	}
	s := string(lower[:n])
	if s == "greengate-shadow" {
		return fieldHop
	}
	if strings.HasPrefix(s, "x-forwarded-") || s == "forwarded" || s == "x-real-ip" {
		return fieldForwarded
	}
	return fieldPlain
}

func classifyLower(s string) fieldKind {
	switch s {
	case "connection":
		return fieldConnection
	case "host":
		return fieldHost
	case "content-length":
		return fieldLength
	case "transfer-encoding":
		return fieldCoding
	case "expect":
		return fieldExpect
	case "upgrade":
		return fieldUpgrade
	case "te":
		return fieldTE
	case "trailer":
		return fieldTrailer
	case "keep-alive", "proxy-connection", "http2-settings", "proxy-authenticate", "proxy-authorization", "proxy":
		return fieldHop // "proxy" becomes the variable HTTP_PROXY in CGI programs
	case "greengate-shadow":
		return fieldHop // the data plane alone says what is a copy
	}
	return fieldPlain
}
