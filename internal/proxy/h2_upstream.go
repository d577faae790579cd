package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// connectError marks that nothing of a request was sent.
type connectError struct{ error }

func (e connectError) Unwrap() error { return e.error }

func newH2Transport(connect time.Duration) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			conn, err := dialTarget(ctx, address, connect)
			if err != nil {
				return nil, connectError{err}
			}
			return conn, nil
		},
		DisableCompression: true,
		IdleConnTimeout:    30 * time.Second,
	}
}

// sendBody gives a request body to net/http, which may go on reading it in the background when the response has ended.
type sendBody struct {
	x      *exchange
	onSent func()

	mu    sync.Mutex // held while reading
	ended bool
	asked bool

	say  sync.Mutex // a 100 is not written beside the response
	over bool       // there is a response, or there will be none
}

func (b *sendBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return 0, errCut
	}
	if b.x.body.finished() {
		return 0, io.EOF
	}
	if err := b.ask(); err != nil {
		return 0, err
	}
	n, err := b.x.body.Read(p)
	if b.x.body.finished() {
		b.x.bodyRead.Store(true)
		b.x.sent.Store(true)
		b.onSent()
	}
	if err != nil && !errors.Is(err, io.EOF) && !isTimeout(err) {
		b.x.clientFailed(err)
	}
	return n, err
}

// ask tells a client that waits with its body (Expect: 100-continue) to send it.
func (b *sendBody) ask() error {
	b.say.Lock()
	defer b.say.Unlock()
	if b.asked || !b.x.req.expect || b.over {
		return nil
	}
	b.asked = true
	if err := b.x.down.interim(&response{status: http.StatusContinue, minor: 1}); err != nil {
		b.x.cut(kindClientGone)
		return err
	}
	return nil
}

// answered is called before the response is written.
func (b *sendBody) answered() {
	b.say.Lock()
	defer b.say.Unlock()
	b.over = true
}

// late is called when the response should be there. A timer can fire when its exchange has ended and its memory serves the
// next one, so it asks over, which belongs to this one alone.
func (b *sendBody) late() {
	b.say.Lock()
	defer b.say.Unlock()
	if !b.over {
		b.x.cut(kindResponseTimeout)
	}
}

// Close is called by net/http when it wants no more; that may be before an attempt on another target.
func (b *sendBody) Close() error { return nil }

// end returns when nothing reads the body any more.
func (b *sendBody) end() {
	if !b.x.sent.Load() {
		b.x.peer.stopReading()
	}
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
}

// viaH2 serves the exchange from an h2c target.
func (x *exchange) viaH2(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer x.detach()
	if x.attach(nil, cancel) != nil {
		x.fail(kindShutdown)
		return
	}
	sending := &sendBody{x: x}
	timer := time.AfterFunc(x.responseTimeout, sending.late)
	defer timer.Stop()
	sending.onSent = func() { timer.Reset(x.responseTimeout); x.watchClient() }
	req := x.h2Request(ctx, sending)
	if x.req.length == 0 {
		x.watchClient()
	} else {
		timer.Stop() // until the body is sent
		defer sending.end()
	}
	resp, kind := x.roundTrip(req)
	sending.answered()
	if kind != kindNone {
		x.fail(kind)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	x.relayH2(resp)
}

// roundTrip tries targets until one can be connected to.
func (x *exchange) roundTrip(req *http.Request) (*http.Response, errorKind) {
	for {
		req.URL.Host = x.target.address
		resp, err := x.target.h2.RoundTrip(req)
		if err == nil {
			if x.target.ill.Load() {
				x.group.connected(x.target)
			}
			return resp, kindNone
		}
		if _, unsent := errors.AsType[connectError](err); !unsent {
			return nil, kindClosed
		}
		if x.isCut() || !x.another(err) {
			return nil, kindConnect
		}
	}
}

func (x *exchange) h2Request(ctx context.Context, sending *sendBody) *http.Request {
	r := x.req
	h := http.Header{}
	for i := range r.fields {
		f := &r.fields[i]
		if f.kind != fieldTrailer && passes(f, r, x.from.trusted) {
			h.Add(string(f.name), string(f.value))
		}
	}
	h.Set("X-Forwarded-For", forwardedFor(r, x.from))
	host := string(hostOf(r, x.from))
	for name, value := range map[string]string{"X-Forwarded-Proto": "http", "X-Forwarded-Host": host} {
		if h.Get(name) == "" {
			h.Set(name, value)
		}
	}
	if r.trailers {
		h.Set("Te", "trailers")
	}
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "") // keeps net/http from adding its own
	}
	req := &http.Request{
		Method: string(r.method), Host: host, Header: h, Proto: "HTTP/2.0", ProtoMajor: 2, URL: exactURL(string(r.target)),
	}
	if r.length != 0 {
		req.Body, req.ContentLength = sending, r.length
		for _, f := range r.fields {
			if f.kind == fieldTrailer {
				eachToken(f.value, func(name []byte) { announce(req, string(name)) })
			}
		}
	}
	return req.WithContext(ctx)
}

// exactURL makes net/http send the bytes of a target as they are. (Only a target that begins with // and has characters
// that need escaping is escaped.)
func exactURL(target string) *url.URL {
	u, err := url.ParseRequestURI(target)
	if err != nil || (u.RequestURI() != target && !strings.HasPrefix(target, "//")) {
		u = &url.URL{Opaque: target}
	}
	u.Scheme = "http"
	return u
}

// announce prepares a trailer: net/http sends those that are known before the body.
func announce(req *http.Request, name string) {
	if req.Trailer == nil {
		req.Trailer = http.Header{}
	}
	req.Trailer[http.CanonicalHeaderKey(name)] = nil
}

func (x *exchange) relayH2(resp *http.Response) {
	r := &response{status: resp.StatusCode, minor: 1, length: resp.ContentLength, hasLength: resp.ContentLength >= 0}
	for name, values := range resp.Header {
		kind := classify([]byte(name))
		for _, v := range values {
			r.fields = append(r.fields, field{[]byte(name), []byte(v), kind})
		}
	}
	for name := range resp.Trailer {
		r.fields = append(r.fields, field{[]byte("Trailer"), []byte(name), fieldTrailer})
	}
	x.headArrived(r)
	x.headSent = true
	err := x.down.head(x, r)
	if err == nil && !r.bodyless(x.isHead) {
		err = x.copyH2(resp)
	}
	_, fromTarget := errors.AsType[targetError](err)
	switch {
	case fromTarget:
		x.fail(kindClosed)
		return
	case err != nil:
		x.clientLost()
		return
	}
	var trailers []field
	for name, values := range resp.Trailer {
		for _, v := range values {
			trailers = append(trailers, field{[]byte(name), []byte(v), classify([]byte(name))})
		}
	}
	if err := x.down.finish(trailers); err != nil {
		x.clientLost()
		return
	}
	x.finished(outcomeStatus(resp))
}

// outcomeStatus is how the ledger takes an answer: gRPC says in a trailer what HTTP says in the status, so a version whose
// calls all fail would seem to be well. The codes are those that googleapis' code.proto maps to 5xx.
func outcomeStatus(resp *http.Response) int {
	if !isStreamType([]byte(resp.Header.Get("Content-Type"))) {
		return resp.StatusCode
	}
	code := resp.Trailer.Get("Grpc-Status")
	if code == "" {
		code = resp.Header.Get("Grpc-Status") // trailers alone
	}
	switch code {
	case "2", "4", "12", "13", "14", "15": // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS
		return http.StatusInternalServerError
	}
	return resp.StatusCode
}

func (x *exchange) copyH2(resp *http.Response) error {
	buf := x.srv.buffers.get()
	defer x.srv.buffers.put(buf)
	for {
		n, err := resp.Body.Read(buf.b)
		if n > 0 {
			if err := x.down.write(buf.b[:n]); err != nil {
				return err
			}
			x.copying.body(buf.b[:n])
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return targetError{fmt.Errorf("read response: %w", err)}
		}
		if err := x.down.flush(); err != nil {
			return err
		}
	}
}
