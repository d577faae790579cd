package scenario

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// gRPC over HTTP/2 as its own document has it (grpc/doc/PROTOCOL-HTTP2.md). A client of it is a request of net/http with
// framed messages and trailers: so a call has the connections, TLS and evidence of every other request, and no second
// stack of names, balancers and retries stands between a scenario and what answers.

// GRPCStatus is how a call ended.
type GRPCStatus struct {
	Code    int    `json:"code"`
	Name    string `json:"name"`
	Message string `json:"message,omitempty"`
}

// The codes that a client gives by itself.
const (
	codeOK               = 0
	codeUnknown          = 2
	codePermissionDenied = 7
	codeUnimplemented    = 12
	codeInternal         = 13
	codeUnavailable      = 14
	codeUnauthenticated  = 16
)

// codeNames are the names of the codes, in their order.
func codeNames() []string {
	return []string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
		"UNAUTHENTICATED",
	}
}

func newGRPCStatus(code int, message string) GRPCStatus {
	s := GRPCStatus{Code: code, Name: "CODE_" + strconv.Itoa(code), Message: message}
	if names := codeNames(); code >= 0 && code < len(names) {
		s.Name = names[code]
	}
	return s
}

const grpcType = "application/grpc"

// isGRPC reports whether a content type is that of gRPC, with or without a sub-format.
func isGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(contentType), grpcType)
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// statusOf is how a call ended whose answer was read to its end.
func statusOf(res *http.Response, raw []byte) GRPCStatus {
	text := res.Trailer.Get("Grpc-Status")
	message := res.Trailer.Get("Grpc-Message")
	if text == "" { // an answer that is trailers alone has them as its head
		text, message = res.Header.Get("Grpc-Status"), res.Header.Get("Grpc-Message")
	}
	code, err := strconv.ParseUint(text, 10, 31)
	switch {
	case !isGRPC(res.Header.Get("Content-Type")) || (text == "" && res.StatusCode != http.StatusOK):
		answered := "HTTP " + res.Status
		if said := strings.TrimSpace(printable(strings.ToValidUTF8(string(raw[:min(len(raw), 200)]), "�"))); said != "" {
			answered += ": " + said
		}
		return newGRPCStatus(ofHTTP(res.StatusCode), "the answer is not gRPC: "+answered)
	case text == "":
		return newGRPCStatus(codeUnknown, "the answer has no grpc-status")
	case err != nil:
		return newGRPCStatus(codeUnknown, fmt.Sprintf("the answer has the grpc-status %q", clip(text, 40)))
	}
	if plain, err := url.PathUnescape(message); err == nil {
		message = plain
	}
	return newGRPCStatus(int(code), message)
}

// ofHTTP is the code for an answer of something that speaks no gRPC (grpc/doc/http-grpc-status-mapping.md).
func ofHTTP(status int) int {
	switch status {
	case http.StatusBadRequest:
		return codeInternal
	case http.StatusUnauthorized:
		return codeUnauthenticated
	case http.StatusForbidden:
		return codePermissionDenied
	case http.StatusNotFound:
		return codeUnimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return codeUnavailable
	}
	return codeUnknown
}

const frameHead = 5 // whether it is compressed, and four bytes of length

// framed are messages as they are sent.
func framed(messages ...[]byte) []byte {
	var out []byte
	for _, m := range messages {
		out = append(out, 0)
		out = binary.BigEndian.AppendUint32(out, uint32(len(m))) //nolint:gosec // made of a scenario file, which is far smaller
		out = append(out, m...)
	}
	return out
}

// unframed are the messages of an answer.
func unframed(raw []byte) ([][]byte, error) {
	var messages [][]byte
	for len(raw) > 0 {
		if len(raw) < frameHead {
			return messages, errors.New("the answer ends within a message")
		}
		length := int64(binary.BigEndian.Uint32(raw[1:frameHead]))
		switch {
		case raw[0] != 0:
			return messages, errors.New("the answer is compressed, which was not asked for")
		case length > int64(len(raw)-frameHead):
			return messages, errors.New("the answer ends within a message")
		}
		messages = append(messages, raw[frameHead:frameHead+length])
		raw = raw[frameHead+length:]
	}
	return messages, nil
}
