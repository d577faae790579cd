package proxy

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// connQueue is a net.Listener of connections that turned out to speak h2.
type connQueue struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	open  atomic.Int64
}

func (q *connQueue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

func (q *connQueue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

func (q *connQueue) Addr() net.Addr { return q.addr }

func (q *connQueue) count() int { return int(q.open.Load()) }

// replayConn gives back first what was read of the connection to find out its protocol.
type replayConn struct {
	net.Conn
	rd     reader
	closed func()
	once   sync.Once
}

func (c *replayConn) Read(p []byte) (int, error) {
	if c.rd.buffered() > 0 {
		return c.rd.Read(p)
	}
	return c.Conn.Read(p)
}

func (c *replayConn) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}

// toH2 hands a connection that began with the h2 preface to a server of net/http.
func (l *listener) toH2(ctx context.Context, c *clientConn) {
	_ = c.conn.SetDeadline(time.Time{})
	q := l.h2Queue(ctx, c.limits)
	if q == nil {
		_ = c.conn.Close()
		return
	}
	q.open.Add(1)
	rc := &replayConn{Conn: c.conn, rd: c.rd, closed: func() { q.open.Add(-1) }}
	select {
	case q.conns <- rc:
	case <-q.done:
		_ = rc.Close()
	}
}

// h2Queue returns nil when the listener is closing.
func (l *listener) h2Queue(ctx context.Context, limits Limits) *connQueue {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	if l.h2conns != nil {
		return l.h2conns
	}
	q := &connQueue{addr: l.tcp.Addr(), conns: make(chan net.Conn), done: make(chan struct{})}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Handler: http.HandlerFunc(l.serveH2), Protocols: protocols,
		DisableGeneralOptionsHandler: true, // OPTIONS * is for the target, as over HTTP/1
		ReadHeaderTimeout:            limits.HeaderTimeout, IdleTimeout: limits.IdleTimeout, MaxHeaderBytes: limits.MaxHeaderBytes,
		ErrorLog:    slog.NewLogLogger(l.srv.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	l.h2, l.h2conns = srv, q
	l.wg.Go(func() { _ = srv.Serve(q) })
	return q
}

// h2Stream is one request that came by h2.
type h2Stream struct {
	w    http.ResponseWriter
	r    *http.Request
	rc   *http.ResponseController
	x    exchange
	from origin
	req  request
	body h2Body
	sent atomic.Bool
	kill bool // bodyless response
	// begun says that something of the response went out. A response without a body must not begin before it ends: one that
	// is trailers alone, as gRPC has it, is a single frame of the head (PROTOCOL-HTTP2, "Trailers-Only").
	begun bool
}

func (l *listener) serveH2(w http.ResponseWriter, r *http.Request) {
	st := &h2Stream{w: w, r: r, rc: http.NewResponseController(w)}
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		st.from.host = addr.String()
	}
	st.from = l.srv.originOf(addrConn{remote: r.RemoteAddr, local: st.from.host})
	limits := l.current.Load().limits
	if !st.parse() {
		l.srv.faults.count(kindBadRequest)
		http.Error(w, "400 the request is malformed", http.StatusBadRequest)
		return
	}
	if limits.MaxBodyBytes > 0 && st.req.length > limits.MaxBodyBytes {
		l.srv.faults.count(kindTooLarge)
		http.Error(w, "413 the request body is too large", http.StatusRequestEntityTooLarge)
		return
	}
	st.body = h2Body{st: st, limits: limits, done: st.req.length == 0}
	if limits.RequestTimeout > 0 {
		st.body.by = time.Now().Add(limits.RequestTimeout)
	}
	st.x = exchange{srv: l.srv, down: st, peer: st, from: &st.from}
	st.x.reset(&st.req, &st.body)
	stop := context.AfterFunc(r.Context(), func() { st.x.cut(kindClientGone) })
	l.srv.serve(context.WithoutCancel(r.Context()), &l.routing, &st.x)
	stop()
	if st.x.broken {
		panic(http.ErrAbortHandler) // net/http resets the stream, so that the client sees a broken response
	}
}

// addrConn carries addresses to originOf.
type addrConn struct {
	net.Conn
	remote, local string
}

type textAddr string

func (a textAddr) Network() string { return "tcp" }
func (a textAddr) String() string  { return string(a) }

func (c addrConn) RemoteAddr() net.Addr { return textAddr(c.remote) }
func (c addrConn) LocalAddr() net.Addr  { return textAddr(c.local) }

// parse brings the request into the form that HTTP/1 requests have. net/http has checked names and values.
func (st *h2Stream) parse() bool {
	r, q := st.r, &st.req
	q.method, q.target, q.host = []byte(r.Method), []byte(r.RequestURI), []byte(r.Host)
	if r.Method == http.MethodConnect || !isToken(q.method) || !validTarget(q.target) || !validHost(q.host) {
		return false
	}
	if q.target[0] != '/' && (r.RequestURI != "*" || r.Method != http.MethodOptions) {
		return false
	}
	q.minor, q.keepAlive, q.hasHost = 1, true, r.Host != ""
	for name, values := range r.Header {
		kind := classify([]byte(name))
		for _, v := range values {
			q.fields = append(q.fields, field{[]byte(name), []byte(v), kind})
			q.trailers = q.trailers || (kind == fieldTE && hasToken([]byte(v), "trailers"))
			q.hasLength = q.hasLength || kind == fieldLength
		}
	}
	for name := range r.Trailer {
		q.fields = append(q.fields, field{[]byte("Trailer"), []byte(name), fieldTrailer})
	}
	q.length = r.ContentLength // -1 is lengthChunked
	return true
}

// h2Body is the body of an h2 request.
type h2Body struct {
	st     *h2Stream
	limits Limits
	by     time.Time
	total  int64
	done   bool
}

func (b *h2Body) buffered() ([]byte, error) { return nil, nil }
func (b *h2Body) finished() bool            { return b.done }

func (b *h2Body) Read(p []byte) (int, error) {
	by := time.Now().Add(b.limits.IdleTimeout)
	if !b.by.IsZero() && by.After(b.by) {
		by = b.by
	}
	b.st.x.setDeadline(b.st.rc.SetReadDeadline, by)
	n, err := b.st.r.Body.Read(p)
	b.total += int64(n)
	b.done = err == io.EOF
	switch {
	case b.limits.MaxBodyBytes > 0 && b.total > b.limits.MaxBodyBytes:
		return 0, errTooLong
	case isTimeout(err) && !b.st.x.isCut() && !time.Now().Before(by):
		return n, &protocolError{408, kindBodyTimeout, "the request body did not arrive in time"}
	case isTimeout(err):
		return n, os.ErrDeadlineExceeded
	}
	return n, err
}

func (b *h2Body) trailerFields() []field {
	var fields []field
	for name, values := range b.st.r.Trailer {
		for _, v := range values {
			fields = append(fields, field{[]byte(name), []byte(v), classify([]byte(name))})
		}
	}
	return fields
}

// The peer of the exchange. net/http ends the request's context when the client leaves, so there is nothing to watch.

func (st *h2Stream) watch() bool { return false }

func (st *h2Stream) stopReading() { _ = st.rc.SetReadDeadline(time.Unix(1, 0)) }

func (st *h2Stream) interrupt() {
	st.stopReading()
	if st.sent.Load() { // before that nothing waits in a write, and an error may still be sent
		_ = st.rc.SetWriteDeadline(time.Unix(1, 0))
	}
}

// The downstream of the exchange.

func (st *h2Stream) interim(r *response) error {
	if r.status == 100 {
		return nil // net/http sends it when the body is read
	}
	h := st.w.Header()
	for _, f := range r.fields {
		if responsePasses(&f, false, false) {
			h.Add(string(f.name), string(f.value))
		}
	}
	st.w.WriteHeader(r.status)
	clear(h)
	return nil
}

func (st *h2Stream) head(x *exchange, r *response) error {
	h := st.w.Header()
	for _, f := range r.fields {
		if f.kind != fieldTrailer && responsePasses(&f, false, x.route.nameTarget) {
			h.Add(string(f.name), string(f.value))
		}
	}
	if x.route.nameTarget && x.group != nil {
		h.Set(HeaderTaskSet, x.group.name)
	}
	for _, name := range []string{"Content-Type", "Date"} {
		if _, ok := h[name]; !ok {
			h[name] = nil // keeps net/http from adding its own
		}
	}
	if r.hasLength && r.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.FormatInt(r.length, 10))
	}
	st.kill = r.bodyless(x.isHead)
	st.sent.Store(true)
	if x.isCut() && !x.answering {
		return errCut
	}
	st.w.WriteHeader(r.status)
	return nil
}

func (st *h2Stream) write(p []byte) error {
	if st.kill || len(p) == 0 {
		return nil
	}
	if err := st.armWrite(); err != nil {
		return err
	}
	st.begun = true
	_, err := st.w.Write(p)
	return err
}

func (st *h2Stream) armWrite() error {
	if st.x.answering {
		return nil
	}
	st.x.setDeadline(st.rc.SetWriteDeadline, time.Now().Add(st.body.limits.IdleTimeout))
	if st.x.isCut() {
		return errCut
	}
	return nil
}

func (st *h2Stream) flush() error {
	if err := st.armWrite(); err != nil {
		return err
	}
	st.begun = true
	return st.rc.Flush()
}

func (st *h2Stream) finish(trailers []field) error {
	for _, f := range trailers {
		if f.kind == fieldPlain {
			st.w.Header().Add(http.TrailerPrefix+string(f.name), string(f.value))
		}
	}
	if len(trailers) > 0 || st.kill || !st.begun {
		return nil
	}
	return st.flush()
}
