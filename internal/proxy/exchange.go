package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxAttempts bounds how many targets one request is tried on.
	maxAttempts = 3
	// slowAfter is when an exchange counts as slow and begins to watch whether its client leaves. Fast ones spare it.
	slowAfter = 100 * time.Millisecond
	// streamAfter is when a response of unknown length counts as a stream.
	streamAfter = 5 * time.Second
)

// downstream writes a response to a client in its protocol.
type downstream interface {
	// interim passes a 1xx response on.
	interim(r *response) error
	// head begins the response. It may be held back until flush.
	head(x *exchange, r *response) error
	write(p []byte) error
	flush() error
	// finish ends the body and flushes.
	finish(trailers []field) error
}

// peer is the connection, or h2 stream, of a client.
type peer interface {
	// watch returns when the client has left (true) or stopReading was called.
	watch() bool
	// stopReading makes every read that is under way, and later ones, fail.
	stopReading()
	// interrupt makes reads and writes fail.
	interrupt()
}

// requestBody is the body of a request as it arrives.
type requestBody interface {
	io.Reader
	// buffered takes what is there without waiting.
	buffered() ([]byte, error)
	finished() bool
	trailerFields() []field
}

// exchange is one request and its response. It is used again for the next request of a connection.
type exchange struct {
	srv  *Server
	down downstream
	peer peer
	from *origin
	req  *request
	body requestBody

	// Set by claim.
	route                           *route
	action                          *action
	row                             *row
	meter                           *meter
	group                           *group
	target                          *target
	prev, next                      *exchange // the group's list, under its lock
	connectTimeout, responseTimeout time.Duration

	tried    [maxAttempts]*target
	attempts int
	started  time.Time
	sentAt   time.Time
	wire     []byte // the request as it goes to a target

	why      atomic.Uint32 // errorKind: why it was cut
	mu       sync.Mutex
	conn     *net.TCPConn       // to the target, while it may be interrupted
	cancel   context.CancelFunc // the same for h2c
	aux      sync.WaitGroup     // pump or watcher
	hasAux   bool
	bodyRead atomic.Bool // the client's body was read to its end
	sent     atomic.Bool // and sent

	gotHead   atomic.Bool
	streaming atomic.Bool  // is a stream by its kind
	openSince atomic.Int64 // of unknown length since then, unix nanoseconds
	isHead    bool
	copying   *sample // its copy for a shadow, or nil
	headSent  bool
	answering bool // the data plane answers by itself
	broken    bool // the response must not seem complete
	outcome   int  // word of the ledger
}

// reset prepares for the next request. What belongs to the connection stays.
func (x *exchange) reset(req *request, body requestBody) {
	x.req, x.body = req, body
	x.isHead = string(req.method) == "HEAD" // the bytes of the head are overwritten while the body is read
	x.route, x.action, x.row, x.meter, x.group, x.target = nil, nil, nil, nil, nil, nil
	x.tried, x.attempts = [maxAttempts]*target{}, 0
	x.wire = x.wire[:0]
	x.why.Store(0)
	x.conn, x.cancel, x.hasAux = nil, nil, false
	x.bodyRead.Store(req.length == 0)
	x.sent.Store(false)
	x.gotHead.Store(false)
	x.streaming.Store(false)
	x.openSince.Store(0)
	x.headSent, x.answering, x.broken, x.outcome = false, false, false, 0
	x.copying = nil
}

func (x *exchange) hasTried(t *target) bool {
	return slices.Contains(x.tried[:x.attempts], t)
}

func (x *exchange) isStream(now time.Time) bool {
	since := x.openSince.Load()
	return x.streaming.Load() || (since != 0 && now.UnixNano()-since > int64(streamAfter))
}

// cut ends the exchange from outside: everything that it may wait for is interrupted. The first reason stays.
func (x *exchange) cut(why errorKind) {
	if !x.why.CompareAndSwap(0, uint32(why)) {
		return
	}
	x.mu.Lock()
	if x.conn != nil {
		_ = x.conn.SetDeadline(time.Unix(1, 0))
	}
	if x.cancel != nil {
		x.cancel()
	}
	x.mu.Unlock()
	x.peer.interrupt()
}

func (x *exchange) isCut() bool { return x.why.Load() != 0 }

// reason tells why the exchange failed: why it was cut, else k.
func (x *exchange) reason(k errorKind) errorKind {
	if why := x.why.Load(); why != 0 {
		return errorKind(why) //nolint:gosec // was one
	}
	return k
}

var errCut = errors.New("exchange was cut")

// attach makes a connection interruptible, detach ends that. Between them cut sets its deadlines, so whoever
// sets one must look for a cut afterwards (setDeadline).
func (x *exchange) attach(conn *net.TCPConn, cancel context.CancelFunc) error {
	x.mu.Lock()
	x.conn, x.cancel = conn, cancel
	x.mu.Unlock()
	if x.isCut() {
		return errCut
	}
	return nil
}

func (x *exchange) detach() {
	x.mu.Lock()
	x.conn, x.cancel = nil, nil
	x.mu.Unlock()
}

// setDeadline sets a deadline that a concurrent cut wins over: either the cut comes later and sets its own, or it is
// seen here.
func (x *exchange) setDeadline(set func(time.Time) error, t time.Time) {
	_ = set(t)
	if x.isCut() {
		_ = set(time.Unix(1, 0))
	}
}

// serve carries out one exchange. Afterwards nothing of it is in flight.
func (s *Server) serve(ctx context.Context, at *routing, x *exchange) {
	x.started = time.Now()
	routed := s.router.claim(at, x, x.started)
	if x.group != nil {
		x.sample(ctx)
	}
	switch {
	case x.action.fixed != nil:
		x.answerFixed()
	case x.action.redirect != nil:
		x.answerRedirect()
	case !routed:
		x.fail(kindNoTarget)
	case x.target.h2 != nil:
		x.viaH2(ctx)
	default:
		x.viaHTTP1(ctx)
	}
	x.joinAux()
	x.copying.drop()
	x.row.count(x.outcome)
	if x.group != nil {
		x.group.release(x)
	}
}

// watchClient lets a goroutine of its own notice that the client leaves.
func (x *exchange) watchClient() {
	if x.hasAux {
		return
	}
	x.hasAux = true
	x.aux.Go(x.watch)
}

func (x *exchange) watch() {
	if x.peer.watch() {
		x.cut(kindClientGone)
	}
}

func (x *exchange) joinAux() {
	if x.hasAux {
		x.peer.stopReading()
		x.aux.Wait()
		x.hasAux = false
	}
}

// clientFailed cuts the exchange because reading its request failed.
func (x *exchange) clientFailed(err error) {
	kind := kindClientGone
	if pe, ok := errors.AsType[*protocolError](err); ok {
		kind = pe.kind
	}
	x.cut(kind)
}

// headArrived notes that a target (or the data plane) has answered.
func (x *exchange) headArrived(r *response) {
	now := time.Now()
	took := now.Sub(x.started)
	x.row.latency(took)
	if !x.action.needsNoTarget() {
		x.meter.responded(r.status, x.answering, took)
	}
	if r.status == 101 {
		x.streaming.Store(true)
		return
	}
	if r.length < 0 {
		x.openSince.Store(now.UnixNano())
	}
	for _, f := range r.fields {
		if foldEqual(f.name, "content-type") && isStreamType(f.value) {
			x.streaming.Store(true)
		}
	}
	x.copying.head(x, r, took)
}

func isStreamType(v []byte) bool {
	for _, t := range []string{"text/event-stream", "application/grpc"} {
		if len(v) >= len(t) && foldEqual(v[:len(t)], t) {
			return true
		}
	}
	return false
}

// finished books a response that was passed on whole.
func (x *exchange) finished(status int) {
	x.outcome = wordServed
	if status >= 500 {
		x.outcome = wordFailed
	}
	x.copying.launch()
}

// clientLost books that the client could not be written to.
func (x *exchange) clientLost() {
	x.broken = true
	x.outcome = x.brokenBy(x.reason(kindClientGone))
	x.srv.faults.count(x.reason(kindClientGone))
}

// brokenBy tells the outcome of a response that was broken off, or never begun.
func (x *exchange) brokenBy(k errorKind) int {
	switch k {
	case kindClientGone, kindBadRequest, kindBodyTimeout, kindTooLarge:
		return wordAborted
	case kindNone, kindHeaderTooLarge, kindHeaderTimeout, kindNoTarget, kindConnect, kindResponseTimeout,
		kindBadResponse, kindClosed, kindDrained, kindShutdown, errorKinds:
	}
	return wordCut
}

// fail ends the exchange with an error of the data plane, or breaks the response off when it has begun.
func (x *exchange) fail(k errorKind) {
	k = x.reason(k)
	x.srv.faults.count(k)
	if x.headSent || k == kindClientGone {
		x.broken = true
		x.outcome = x.brokenBy(k)
		return
	}
	f := faultOf(k)
	x.outcome = wordFailed
	switch {
	case k == kindNoTarget:
		x.outcome = wordUnrout
	case x.brokenBy(k) == wordAborted:
		x.outcome = wordAborted
	}
	if err := x.answer(f.status, plainText, strconv.Itoa(f.status)+" "+f.text+"\n"); err != nil {
		x.broken = true
		x.outcome = wordAborted
	}
}

func (x *exchange) answerFixed() {
	f := x.action.fixed
	if err := x.answer(f.Status, f.ContentType, f.Body); err != nil {
		x.clientLost()
		return
	}
	x.finished(f.Status)
}

// discard takes a body that has arrived already, so that the connection can be used again.
func (x *exchange) discard() {
	for !x.hasAux && !x.bodyRead.Load() {
		p, err := x.body.buffered()
		switch {
		case err != nil:
			return
		case x.body.finished():
			x.bodyRead.Store(true)
		case len(p) == 0:
			return
		}
	}
}

// plainText is the content type of answers that the data plane words itself.
const plainText = "text/plain; charset=utf-8"

// answer sends a response of the data plane itself, with more fields if need be.
func (x *exchange) answer(status int, contentType, text string, more ...field) error {
	x.answering = true
	x.discard()
	r := &response{status: status, minor: 1, length: int64(len(text)), hasLength: true}
	if contentType != "" {
		r.fields = append(r.fields, field{[]byte("Content-Type"), []byte(contentType), fieldPlain})
	}
	r.fields = append(r.fields, field{[]byte("Date"), []byte(httpDate(time.Now())), fieldPlain})
	r.fields = append(r.fields, more...)
	x.headArrived(r)
	x.headSent = true
	if err := x.down.head(x, r); err != nil {
		return err
	}
	if !r.bodyless(x.isHead) {
		if err := x.down.write([]byte(text)); err != nil {
			return err
		}
	}
	return x.down.finish(nil)
}
