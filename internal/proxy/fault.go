package proxy

import "sync/atomic"

// errorKind says why the data plane answered by itself, or could not go on.
type errorKind uint8

const (
	kindNone errorKind = iota
	kindBadRequest
	kindHeaderTooLarge
	kindHeaderTimeout
	kindBodyTimeout
	kindTooLarge
	kindNoTarget
	kindConnect
	kindResponseTimeout
	kindBadResponse
	kindClosed
	kindDrained
	kindShutdown
	kindClientGone
	errorKinds
)

// fault is how an errorKind is answered and counted.
type fault struct {
	name   string
	status int
	text   string
}

// faultOf lists the answers. They name no addresses and no groups: they go to the public.
func faultOf(k errorKind) fault {
	return [errorKinds]fault{
		kindNone:            {"none", 500, "the proxy failed"},
		kindBadRequest:      {"bad_request", 400, "the request is malformed"},
		kindHeaderTooLarge:  {"header_too_large", 431, "the request head is too large"},
		kindHeaderTimeout:   {"header_timeout", 408, "the request head did not arrive in time"},
		kindBodyTimeout:     {"body_timeout", 408, "the request body did not arrive in time"},
		kindTooLarge:        {"body_too_large", 413, "the request body is too large"},
		kindNoTarget:        {"no_target", 503, "no target is ready to serve this"},
		kindConnect:         {"connect", 502, "no target could be connected to"},
		kindResponseTimeout: {"response_timeout", 504, "the target did not answer in time"},
		kindBadResponse:     {"bad_response", 502, "the target sent a malformed response"},
		kindClosed:          {"closed", 502, "the target closed the connection before it answered"},
		kindDrained:         {"drained", 503, "the target was drained before it answered"},
		kindShutdown:        {"shutdown", 503, "the proxy is shutting down"},
		kindClientGone:      {"client_gone", 400, "the client left"},
	}[k]
}

// faultCounters count by kind since the start of the process.
type faultCounters [errorKinds]atomic.Uint64

func (c *faultCounters) count(k errorKind) { c[k].Add(1) }

func (c *faultCounters) snapshot() map[string]uint64 {
	m := make(map[string]uint64, errorKinds)
	for k := kindBadRequest; k < errorKinds; k++ {
		m[faultOf(k).name] = c[k].Load()
	}
	return m
}
