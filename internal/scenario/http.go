package scenario

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// maxAnswer bounds how much of an answer is read, in bytes. A longer one could not be judged.
	maxAnswer = 16 << 20
	// minCookie is the length from which on a cookie's value is a secret; shorter ones would mask ordinary words.
	minCookie = 8
)

// ask sends the step's request and returns what came back.
func (x *execution) ask(ctx context.Context, st *step, sc *scope) (observation, error) {
	req, sent, err := x.build(st.request, x.values(sc, nil), x.o.BaseURL)
	if err != nil {
		return observation{}, err
	}
	// A redirect changes the request's headers in its copies alone, and the jar adds its cookies to them.
	var cookies []*http.Cookie
	if x.client.Jar != nil {
		cookies = x.client.Jar.Cookies(req.URL)
	}
	o := observation{keep: func(a *Attempt) { a.Request = x.recordRequest(req, sent, len(cookies) > 0) }}
	clock := &stopwatch{begin: time.Now()}
	ctx = httptrace.WithClientTrace(following(ctx, st.request.redirects), clock.trace())
	res, raw, err := receive(x.client, req.WithContext(ctx)) //nolint:bodyclose // it is closed
	latency := time.Since(clock.begin)
	timings := clock.timings(latency)
	if keep := o.keep; res != nil {
		o.keep = func(a *Attempt) {
			keep(a)
			a.Response, a.Timings = x.recordResponse(res, raw), timings
		}
	}
	if err != nil {
		return o, err
	}
	o.seen = x.answer(res, raw, latency)
	o.answered = &exchange{req: req, cookies: cookies, res: res, raw: raw, body: o.seen["body"]}
	o.checks, o.problems = x.proofs(st, res, raw)
	return o, x.stranger(res)
}

// receive sends a request and reads its answer to the end. With an error it may have a part of the answer.
func receive(client *http.Client, req *http.Request) (*http.Response, []byte, error) {
	res, err := client.Do(req)
	if err != nil {
		return nil, nil, transportError(req.Context(), err)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	_ = res.Body.Close() // everything that is needed was read
	switch {
	case err != nil:
		return res, raw, transportError(req.Context(), fmt.Errorf("read answer: %w", err))
	case len(raw) > maxAnswer:
		return res, raw, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return res, raw, nil
}

// transportError says why there was no answer, without the method and URL that the record has.
func transportError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("no answer: %w", err)
}

// answer are the names that assertions and captures see.
func (x *execution) answer(res *http.Response, raw []byte, latency time.Duration) map[string]any {
	headers := headerMap{}
	for name, values := range res.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	cookies := map[string]any{}
	for _, c := range res.Cookies() {
		cookies[c.Name] = c.Value
		if len(c.Value) >= minCookie {
			x.mask.add(c.Value)
		}
	}
	return map[string]any{
		"status": res.StatusCode, "headers": headers, "raw": string(raw), "latency": latency, "url": res.Request.URL.String(),
		"body": decodeBody(res.Header.Get("Content-Type"), raw), "cookies": cookies, "certificate": certificateOf(res.TLS),
	}
}

func (x *execution) recordRequest(req *http.Request, body []byte, cookies bool) *Request {
	r := &Request{Method: req.Method, URL: x.mask.text(req.URL.String()), Headers: x.mask.headers(req.Header), Body: x.mask.body(body)}
	if cookies {
		r.Headers = append(r.Headers, Header{"Cookie", masked})
	}
	return r
}

func (x *execution) recordResponse(res *http.Response, raw []byte) *Response {
	return &Response{Status: res.StatusCode, Protocol: res.Proto, Headers: x.mask.headers(res.Header), Body: x.mask.body(raw)}
}

// stopwatch measures the phases of a request; of several (redirects) it keeps the last. A connection is made beside the
// request and may outlive it, hence the lock.
type stopwatch struct {
	begin time.Time

	mu            sync.Mutex
	started, took [phases]time.Duration // since begin
	first         time.Duration
}

// The phases of making a connection.
const (
	phaseDNS = iota
	phaseConnect
	phaseTLS
	phases
)

func (s *stopwatch) start(phase int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started[phase] = time.Since(s.begin)
}

func (s *stopwatch) stop(phase int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took[phase] = time.Since(s.begin) - s.started[phase]
}

func (s *stopwatch) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { s.start(phaseDNS) },
		DNSDone:           func(httptrace.DNSDoneInfo) { s.stop(phaseDNS) },
		ConnectStart:      func(string, string) { s.start(phaseConnect) },
		ConnectDone:       func(string, string, error) { s.stop(phaseConnect) },
		TLSHandshakeStart: func() { s.start(phaseTLS) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { s.stop(phaseTLS) },
		GotFirstResponseByte: func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.first = time.Since(s.begin)
		},
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (s *stopwatch) timings(total time.Duration) *Timings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Timings{
		DNS: milliseconds(s.took[phaseDNS]), Connect: milliseconds(s.took[phaseConnect]), TLS: milliseconds(s.took[phaseTLS]),
		FirstByte: milliseconds(s.first), Total: milliseconds(total),
	}
}
