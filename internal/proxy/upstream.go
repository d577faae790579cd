package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// viaHTTP1 serves the exchange from an HTTP/1 target.
func (x *exchange) viaHTTP1(ctx context.Context) {
	if err := x.compose(); err != nil {
		x.clientFailed(err)
		x.fail(kindBadRequest)
		return
	}
	tc, kind := x.sendFirst(ctx)
	if tc == nil {
		x.fail(kind)
		return
	}
	if x.body.finished() {
		x.sent.Store(true)
	} else {
		x.hasAux = true
		x.aux.Go(func() { x.pump(tc) })
	}
	if kind := x.await(tc); kind != kindNone {
		x.drop(tc)
		x.fail(kind)
		return
	}
	if tc.resp.status == 101 {
		x.tunnel(tc)
		return
	}
	x.relay(tc)
}

// compose writes the head, and what has arrived of the body, as they go to the target. The same bytes serve all
// attempts.
func (x *exchange) compose() error {
	x.wire = append(appendRequest(x.wire[:0], x.req, x.from), '\r', '\n')
	if x.req.length == 0 {
		return nil
	}
	for {
		p, err := x.body.buffered()
		if err != nil {
			return err
		}
		end := x.body.finished()
		if end || len(p) > 0 {
			x.wire = x.appendBody(x.wire, p)
		}
		if end || len(p) == 0 {
			return nil
		}
	}
}

// appendBody frames a piece of the request body, and its end if it was the last.
func (x *exchange) appendBody(b, p []byte) []byte {
	chunked := x.req.length == lengthChunked
	switch {
	case !chunked:
		b = append(b, p...)
	case len(p) > 0:
		b = appendChunk(b, p)
	}
	if x.body.finished() {
		if chunked {
			b = appendLastChunk(b, x.body.trailerFields())
		}
		x.bodyRead.Store(true) // before the target can see the end and answer
	}
	return b
}

// sendFirst sends the composed request and returns the connection, attached. As long as nothing was sent it is
// tried again; nil and a reason if that was in vain.
func (x *exchange) sendFirst(ctx context.Context) (*targetConn, errorKind) {
	for dead := 0; ; dead++ {
		tc, kind := x.connect(ctx)
		if tc == nil {
			return nil, kind
		}
		if x.attach(tc.conn, nil) != nil {
			x.drop(tc)
			return nil, kindShutdown // the reason of the cut takes its place
		}
		x.setDeadline(tc.conn.SetWriteDeadline, time.Now().Add(x.responseTimeout))
		n, err := tc.conn.Write(x.wire)
		if err == nil || (n > 0 && !isTimeout(err)) {
			tc.spoiled = err != nil
			return tc, kindNone // a target may answer before it has read everything
		}
		x.drop(tc)
		switch {
		case isTimeout(err):
			return nil, kindResponseTimeout
		case dead == maxAttempts:
			return nil, kindClosed
		}
		x.row.count(wordRetried)
	}
}

// connect returns a connection to the target of x, or to another one of its group when that cannot be connected to.
func (x *exchange) connect(ctx context.Context) (*targetConn, errorKind) {
	for {
		if tc := x.target.pool.get(time.Now()); tc != nil {
			return tc, kindNone
		}
		tc, err := x.dial(ctx)
		if err == nil {
			return tc, kindNone
		}
		if x.isCut() || !x.another(err) {
			return nil, kindConnect
		}
	}
}

func (x *exchange) dial(ctx context.Context) (*targetConn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := x.attach(nil, cancel); err != nil {
		return nil, err
	}
	defer x.detach()
	conn, err := dialTarget(ctx, x.target.address, x.connectTimeout)
	if err != nil {
		return nil, err
	}
	if x.target.ill.Load() {
		x.group.connected(x.target)
	}
	return newTargetConn(conn)
}

// another moves x to a target of its group that it has not tried yet.
func (x *exchange) another(why error) bool {
	now := time.Now()
	x.group.connectFailed(x.target, now, why)
	if x.attempts == maxAttempts-1 {
		return false
	}
	x.tried[x.attempts] = x.target
	x.attempts++
	if !x.group.admit(x, now) {
		return false
	}
	x.row.count(wordRetried)
	return true
}

// drop closes a connection that cannot be used again.
func (x *exchange) drop(tc *targetConn) {
	x.detach()
	tc.close()
}

// pump sends the rest of the request body, then watches the client.
func (x *exchange) pump(tc *targetConn) {
	buf := x.srv.buffers.get()
	defer x.srv.buffers.put(buf)
	out := make([]byte, 0, len(buf.b)+64)
	for !x.body.finished() {
		n, err := x.body.Read(buf.b)
		if err != nil && !errors.Is(err, io.EOF) {
			if !isTimeout(err) { // else the exchange is over; a client that is too slow is a protocolError
				x.clientFailed(err)
			}
			return
		}
		out = x.appendBody(out[:0], buf.b[:n])
		x.setDeadline(tc.conn.SetWriteDeadline, time.Now().Add(x.responseTimeout))
		if _, err := tc.conn.Write(out); err != nil {
			if isTimeout(err) {
				x.cut(kindResponseTimeout)
			}
			return // the target closed; whether it answered before is seen by who reads
		}
	}
	x.sent.Store(true)
	if !x.gotHead.Load() {
		x.setDeadline(tc.conn.SetReadDeadline, time.Now().Add(x.responseTimeout))
	}
	x.watch()
}

// await reads the head of the final response, passing interim ones on.
func (x *exchange) await(tc *targetConn) errorKind {
	x.sentAt = time.Now()
	if x.hasAux {
		x.setDeadline(tc.conn.SetReadDeadline, time.Time{}) // pump sets one when it has sent the body
	}
	switch {
	case !x.hasAux:
		x.setDeadline(tc.conn.SetReadDeadline, x.sentAt.Add(min(slowAfter, x.responseTimeout)))
	case x.sent.Load(): // its deadline may have been overwritten
		x.setDeadline(tc.conn.SetReadDeadline, x.sentAt.Add(x.responseTimeout))
	}
	for {
		head, err := tc.rd.next(false, maxTargetHead)
		switch {
		case err == nil:
			if parseResponse(head, &tc.resp) != nil {
				return kindBadResponse
			}
		case isTimeout(err) && x.waitOn(tc):
			continue
		case isTimeout(err):
			return kindResponseTimeout
		case errors.Is(err, errHeadTooLarge):
			return kindBadResponse
		default:
			return kindClosed
		}
		r := &tc.resp
		if r.status >= 200 || (r.status == 101 && x.req.upgrade && r.upgrade) {
			return kindNone
		}
		if r.status == 101 {
			return kindBadResponse
		}
		if err := x.down.interim(r); err != nil {
			x.cut(kindClientGone)
			return kindClientGone
		}
	}
}

// waitOn is called when a read deadline has passed before the response. The first time it only means that the
// exchange is slow, so that it pays to watch the client.
func (x *exchange) waitOn(tc *targetConn) bool {
	if x.isCut() {
		return false
	}
	if !x.hasAux {
		x.watchClient()
		x.setDeadline(tc.conn.SetReadDeadline, x.sentAt.Add(x.responseTimeout))
		return x.responseTimeout > slowAfter
	}
	return false
}

// relay passes the response on as it comes.
func (x *exchange) relay(tc *targetConn) {
	r := &tc.resp
	x.gotHead.Store(true)
	if x.hasAux {
		x.setDeadline(tc.conn.SetReadDeadline, time.Time{})
	}
	length := r.length
	if r.bodyless(x.isHead) {
		length = 0
	}
	if length == lengthUntilClose {
		r.keepAlive = false
	}
	tc.body.start(&tc.rd, length, 0)
	x.headArrived(r)
	x.headSent = true
	status := r.status
	err := x.down.head(x, r)
	if err == nil {
		err = x.copyBody(tc)
	}
	var fromTarget bool
	if err != nil {
		_, fromTarget = errors.AsType[targetError](err)
	}
	switch {
	case fromTarget:
		_ = x.down.flush() // what came is passed on; the response breaks off there
		x.drop(tc)
		x.fail(kindClosed)
		return
	case err != nil:
		x.drop(tc)
		x.clientLost()
		return
	}
	trailers := tc.body.trailerFields()
	if err := x.down.finish(trailers); err != nil {
		x.drop(tc)
		x.clientLost()
		return
	}
	x.recycle(tc)
	x.finished(status)
}

// targetError marks that the target, and not the client, broke a response.
type targetError struct{ error }

func (x *exchange) copyBody(tc *targetConn) error {
	var scratch *buffer
	defer func() {
		if scratch != nil {
			x.srv.buffers.put(scratch)
		}
	}()
	for {
		p, err := tc.body.buffered()
		if err != nil {
			return targetError{err}
		}
		if len(p) == 0 {
			if tc.body.finished() {
				return nil
			}
			if scratch == nil {
				scratch = x.srv.buffers.get()
			}
			if p, err = x.moreBody(tc, scratch.b); err != nil {
				return err
			}
		}
		if err := x.down.write(p); err != nil {
			return err
		}
		x.copying.body(p)
	}
}

// moreBody waits for more of the response. What there was is sent on before: a pause must not hold it back.
func (x *exchange) moreBody(tc *targetConn, p []byte) ([]byte, error) {
	if err := x.down.flush(); err != nil {
		return nil, err
	}
	n, err := tc.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !x.onlySlow(tc, err) {
		return nil, targetError{err}
	}
	return p[:n], nil
}

// onlySlow lifts a deadline that was meant for the head: a body may pause.
func (x *exchange) onlySlow(tc *targetConn, err error) bool {
	if !isTimeout(err) || x.isCut() {
		return false
	}
	x.watchClient()
	x.setDeadline(tc.conn.SetReadDeadline, time.Time{})
	return true
}

// recycle gives the connection back if both sides are in step.
func (x *exchange) recycle(tc *targetConn) {
	if x.hasAux && !x.sent.Load() {
		// The response was complete before the request was: pump may be stuck in a write, and nobody reads it.
		_ = tc.conn.SetWriteDeadline(time.Unix(1, 0))
	}
	x.joinAux()
	x.detach()
	if x.isCut() || !x.sent.Load() || !tc.resp.keepAlive || tc.spoiled || tc.rd.buffered() > 0 {
		tc.close()
		return
	}
	x.target.pool.put(tc, time.Now())
}
