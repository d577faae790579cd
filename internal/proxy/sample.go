package proxy

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// shadowPatience is how long a copy may take beyond three times what the request itself took.
const shadowPatience = 10 * time.Second

// sample is a request that is to be copied once its client has been served. A nil sample is none.
type sample struct {
	sh   *shadow
	req  *http.Request
	keep []string
	pair ShadowPair
	gone bool // sent on its way, or given up
}

func newShadowTransport() *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return dialTarget(ctx, address, DefaultConnectTimeout)
		},
		DisableCompression: true, MaxIdleConnsPerHost: shadowCopies, IdleConnTimeout: poolIdle, MaxResponseHeaderBytes: maxTargetHead,
	}
}

// sample chooses whether x is copied. The request is taken down here, since the bytes of its head do not outlive it.
func (x *exchange) sample(ctx context.Context) {
	sh := x.group.shadow.Load()
	if sh == nil || !copyable(x.req) {
		return
	}
	sh.eligible.Add(1)
	if rand.Int64N(100) >= sh.percent.Load() { //nolint:gosec // a share of traffic needs no secret
		return
	}
	keep, ok := sh.reserve()
	if !ok {
		sh.dropped.Add(1)
		return
	}
	req := x.h2Request(context.WithoutCancel(ctx), nil)
	req.Header.Set(HeaderShadow, "1")
	x.copying = &sample{sh: sh, req: req, keep: keep, pair: ShadowPair{
		Method: req.Method, Host: req.Host, Target: string(x.req.target), Secrets: credentials(req.Header),
	}}
}

// copyable tells the requests that change nothing and whose whole answer stands for itself.
func copyable(r *request) bool {
	method := string(r.method)
	if (method != http.MethodGet && method != http.MethodHead) || r.length != 0 || r.upgrade || r.expect {
		return false
	}
	for i := range r.fields {
		name := r.fields[i].name
		if foldEqual(name, "range") || len(name) > 3 && foldEqual(name[:3], "if-") {
			return false
		}
	}
	return true
}

// credentials are the secrets that a request carries.
func credentials(h http.Header) []string {
	var out []string
	for _, v := range h.Values("Authorization") {
		_, token, _ := strings.Cut(v, " ")
		out = append(out, v, token)
	}
	for _, line := range h.Values("Cookie") {
		for pair := range strings.SplitSeq(line, ";") {
			_, v, _ := strings.Cut(strings.TrimSpace(pair), "=")
			out = append(out, v)
		}
	}
	const shortest = 6 // what is shorter would mask ordinary words
	return slices.DeleteFunc(out, func(s string) bool { return len(s) < shortest })
}

// reserve takes one of the places of samples, and tells which headers to keep.
func (sh *shadow) reserve() ([]string, bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.over || sh.samples == shadowSamples || len(sh.pairs) >= shadowPairs || sh.held >= shadowHeld {
		return nil, false
	}
	sh.samples++
	return sh.spec.Headers, true
}

// head takes down the head of the answer that the client gets. One of the data plane itself, and a stream, is no answer to
// compare with.
func (sm *sample) head(x *exchange, r *response, took time.Duration) {
	if sm == nil || sm.gone {
		return
	}
	if x.answering || x.streaming.Load() {
		sm.drop()
		return
	}
	sm.pair.From = ShadowAnswer{Status: r.status, Took: took, Header: http.Header{}}
	for i := range r.fields {
		f := &r.fields[i]
		if kept(sm.keep, f.name) {
			sm.pair.From.Header.Add(string(f.name), string(f.value))
		}
	}
}

func kept(names []string, name []byte) bool {
	return slices.ContainsFunc(names, func(n string) bool { return foldEqual(name, n) })
}

// body takes down a piece of the answer's body. With what does not fit the rest is of no use, and the copy need not wait.
func (sm *sample) body(p []byte) {
	if sm == nil || sm.gone {
		return
	}
	if len(sm.pair.From.Body)+len(p) > MaxShadowBody {
		sm.pair.From.Body, sm.pair.From.Partial = nil, true
		sm.launch()
		return
	}
	sm.pair.From.Body = append(sm.pair.From.Body, p...)
}

// launch sends the copy on its way.
func (sm *sample) launch() {
	if sm == nil || sm.gone {
		return
	}
	sh := sm.sh
	select {
	case sh.slots <- struct{}{}:
	default:
		sh.dropped.Add(1)
		sm.drop()
		return
	}
	sm.gone = true
	sh.mu.Lock()
	sh.samples--
	sh.mu.Unlock()
	sh.queue <- sm // who has a slot has a place
}

// work makes copies until the shadow ends.
func (sh *shadow) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case sm := <-sh.queue:
			sh.send(ctx, sm)
			<-sh.slots
		}
	}
}

// drop gives a sample up.
func (sm *sample) drop() {
	if sm == nil || sm.gone {
		return
	}
	sm.gone = true
	sm.sh.mu.Lock()
	sm.sh.samples--
	sm.sh.mu.Unlock()
}

// send makes the copy and keeps the pair.
func (sh *shadow) send(ctx context.Context, sm *sample) {
	limited, cancel := context.WithTimeout(ctx, shadowPatience+3*sm.pair.From.Took)
	defer cancel()
	sh.mu.Lock()
	to := sh.spec.To
	sh.mu.Unlock()
	address, h2, ok := sh.router.find(to).spare(time.Now())
	if !ok {
		sh.dropped.Add(1)
		return
	}
	by := sh.http1
	if h2 {
		by = sh.h2
	}
	sm.req.URL.Host = address
	begin := time.Now()
	resp, err := by.RoundTrip(sm.req.WithContext(limited)) //nolint:bodyclose // answered closes it
	sm.pair.To.Took = time.Since(begin)
	if err == nil {
		err = sm.answered(resp)
	}
	if ctx.Err() != nil {
		return // it did not fail: it was called off
	}
	if err != nil {
		sm.pair.To = ShadowAnswer{Took: sm.pair.To.Took}
		sm.pair.Fault = faultText(err, time.Since(begin))
	}
	sh.copied.Add(1)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.pairs = append(sh.pairs, sm.pair)
	sh.held += sm.pair.size()
}

func faultText(err error, took time.Duration) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no whole answer within " + took.Round(time.Second).String()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the answer was whole"
	}
	return err.Error()
}

// answered takes down the answer of the copy.
func (sm *sample) answered(resp *http.Response) error {
	defer func() { _ = resp.Body.Close() }()
	a := &sm.pair.To
	a.Status, a.Header = resp.StatusCode, http.Header{}
	for name, values := range resp.Header {
		if kept(sm.keep, []byte(name)) {
			a.Header[name] = values
		}
	}
	if sm.pair.From.Partial {
		a.Partial = true
		return nil
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, MaxShadowBody+1))
	if len(content) > MaxShadowBody {
		a.Partial = true
		return nil
	}
	a.Body = content
	return err
}

// spare is the address of a target for what is not the group's own traffic; it is not counted in flight.
func (g *group) spare(now time.Time) (address string, h2, ok bool) {
	if g == nil {
		return "", false, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.choose(&exchange{}, now)
	if t == nil {
		return "", false, false
	}
	return t.address, t.key.h2, true
}
