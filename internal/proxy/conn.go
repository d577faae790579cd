package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	clientBuffer = 4 << 10
	// coalesce is up to how much of a body is copied behind what is waiting to be written, to save a system call.
	coalesce = 8 << 10
	// answerTimeout bounds the writing of an error to a client that may be gone.
	answerTimeout = 5 * time.Second
	lingerTimeout = time.Second
	lingerBytes   = 1 << 20
	// In a shutdown an idle connection is not closed at once: a request may be on its way. One that has not been used
	// yet was most likely opened for a request.
	idleGrace  = 100 * time.Millisecond
	freshGrace = time.Second

	h2PrefaceHead = "PRI * HTTP/2.0\r\n\r\n"
)

// readMode says what a client connection is being read for, which decides the deadlines.
type readMode uint8

const (
	readIdle readMode = iota
	readHead
	readBody
)

// clientConn serves one HTTP/1 connection of a client. Everything but the atomics belongs to its goroutine, save
// that the request body is read by the pump of the exchange.
type clientConn struct {
	srv  *Server
	l    *listener
	conn *net.TCPConn
	raw  syscall.RawConn
	rd   reader
	x    exchange
	from origin
	req  request
	body body

	mode         readMode
	limits       Limits
	readBy       time.Time // the read deadline that is set; zero when unknown
	headBy       time.Time
	bodyBy       time.Time
	writeBy      time.Time
	served       atomic.Bool
	idle         atomic.Bool
	closing      atomic.Bool
	stopped      atomic.Bool // stopReading was called
	out          []byte
	vec, vecWork net.Buffers
	crlf         [2]byte
	chunked      bool
	bodyless     bool
	untilClose   bool
	keep         bool
}

func newClientConn(s *Server, l *listener, conn *net.TCPConn) (*clientConn, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &clientConn{srv: s, l: l, conn: conn, raw: raw, from: s.originOf(conn), crlf: [2]byte{'\r', '\n'}}
	c.rd = reader{src: readFunc(c.read), buf: make([]byte, clientBuffer)}
	c.x = exchange{srv: s, down: c, peer: c, from: &c.from}
	return c, nil
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// serve answers requests until the connection ends. handed is true when the connection went to the h2 server.
func (c *clientConn) serve(ctx context.Context) (handed bool) {
	for c.awaitRequest() {
		head, err := c.readHead()
		if err != nil {
			c.refuse(err)
			return false
		}
		if string(head) == h2PrefaceHead && !c.served.Load() {
			c.rd.r -= len(head)
			return true
		}
		if !c.one(ctx, head) {
			return false
		}
		c.served.Store(true)
	}
	return false
}

// awaitRequest waits for the first byte of a request.
func (c *clientConn) awaitRequest() bool {
	c.mode = readIdle
	c.limits = c.l.current.Load().limits
	if c.rd.buffered() > 0 {
		return true
	}
	now := time.Now()
	c.setRead(now, c.limits.IdleTimeout)
	c.idle.Store(true)
	defer c.idle.Store(false)
	if c.closing.Load() {
		// The last response, if there was one, did not say yet that the connection ends.
		c.endSoon()
	}
	return c.rd.fill(c.limits.MaxHeaderBytes) == nil
}

// setRead sets a read deadline, but not anew for each request if the present one is almost right.
func (c *clientConn) setRead(now time.Time, timeout time.Duration) {
	want := now.Add(timeout)
	if d := want.Sub(c.readBy); d >= 0 && d < timeout/8 {
		return
	}
	c.readBy = want
	_ = c.conn.SetReadDeadline(want)
}

// read is the source of the buffered reader.
func (c *clientConn) read(p []byte) (int, error) {
	switch c.mode {
	case readIdle:
	case readHead:
		if !c.readBy.Equal(c.headBy) {
			c.readBy = c.headBy
			_ = c.conn.SetReadDeadline(c.headBy)
		}
	case readBody:
		return c.readBody(p)
	}
	n, err := c.conn.Read(p)
	if err != nil && n == 0 && c.mode == readHead && isTimeout(err) && time.Now().Before(c.headBy) {
		// A shutdown took the connection for idle just when its request began: go on with that.
		_ = c.conn.SetReadDeadline(c.headBy)
		return c.conn.Read(p)
	}
	return n, err
}

func (c *clientConn) readBody(p []byte) (int, error) {
	by := time.Now().Add(c.limits.IdleTimeout)
	if !c.bodyBy.IsZero() && by.After(c.bodyBy) {
		by = c.bodyBy
	}
	c.readBy = time.Time{}
	for {
		c.x.setDeadline(c.conn.SetReadDeadline, by)
		if c.stopped.Load() {
			_ = c.conn.SetReadDeadline(time.Unix(1, 0))
		}
		n, err := c.conn.Read(p)
		if err == nil || n > 0 || !isTimeout(err) || c.stopped.Load() || c.x.isCut() {
			return n, err
		}
		if !time.Now().Before(by) {
			return 0, &protocolError{408, kindBodyTimeout, "the request body did not arrive in time"}
		}
	}
}

// readHead takes the head of a request off the connection. One empty line before it is skipped (RFC 9112 2.2).
func (c *clientConn) readHead() ([]byte, error) {
	c.mode = readHead
	c.headBy = time.Now().Add(c.limits.HeaderTimeout)
	head, err := c.rd.next(true, c.limits.MaxHeaderBytes)
	if err == nil && len(head) == 2 {
		head, err = c.rd.next(true, c.limits.MaxHeaderBytes)
	}
	return head, err
}

// refuse answers a request that could not be read, and says nothing to a client that went away.
func (c *clientConn) refuse(err error) {
	f := faultOf(kindBadRequest)
	pe, refused := errors.AsType[*protocolError](err)
	switch {
	case refused:
		f.status, f.text = pe.status, pe.text
		c.srv.faults.count(pe.kind)
	case errors.Is(err, errHeadTooLarge):
		f = faultOf(kindHeaderTooLarge)
		c.srv.faults.count(kindHeaderTooLarge)
	case isTimeout(err) && c.rd.buffered() > 0:
		f = faultOf(kindHeaderTimeout)
		c.srv.faults.count(kindHeaderTimeout)
	default:
		return
	}
	text := strconv.Itoa(f.status) + " " + f.text + "\n"
	b := appendStatus(nil, 1, f.status, nil)
	b = append(b, "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\nDate: "...)
	b = append(append(b, httpDate(time.Now())...), '\r', '\n')
	b = append(append(appendLength(b, int64(len(text))), '\r', '\n'), text...)
	_ = c.conn.SetWriteDeadline(time.Now().Add(answerTimeout))
	if _, err := c.conn.Write(b); err == nil {
		c.linger()
	}
}

// one serves one request; false ends the connection.
func (c *clientConn) one(ctx context.Context, head []byte) bool {
	if err := parseRequest(head, &c.req); err != nil {
		c.refuse(err)
		return false
	}
	if limit := c.limits.MaxBodyBytes; limit > 0 && c.req.length > limit {
		c.refuse(errTooLong)
		return false
	}
	c.body.start(&c.rd, c.req.length, c.limits.MaxBodyBytes)
	c.mode, c.bodyBy = readBody, time.Time{}
	if c.limits.RequestTimeout > 0 {
		c.bodyBy = time.Now().Add(c.limits.RequestTimeout)
	}
	c.keep = c.req.keepAlive
	c.stopped.Store(false)
	c.x.reset(&c.req, &c.body)
	c.srv.serve(ctx, &c.l.routing, &c.x)
	c.releaseOut()
	if c.x.isCut() || c.stopped.Load() {
		c.readBy, c.writeBy = time.Time{}, time.Time{}
	}
	switch {
	case c.x.broken:
		c.abort()
		return false
	case c.keep && c.x.bodyRead.Load():
		return true
	case !c.x.bodyRead.Load():
		c.linger()
	}
	return false
}

// releaseOut gives big buffers back; a connection keeps small ones.
func (c *clientConn) releaseOut() {
	const keepBytes = 2 * clientBuffer
	if cap(c.out) > keepBytes {
		c.out = nil
	}
	if cap(c.x.wire) > keepBytes {
		c.x.wire = nil
	}
	if c.rd.buffered() == 0 && len(c.rd.buf) > keepBytes {
		c.rd.buf = make([]byte, clientBuffer)
		c.rd.r, c.rd.w = 0, 0
	}
	clear(c.vec)
}

// abort makes sure that the client does not take a broken response for a whole one: without framing only a reset
// tells it.
func (c *clientConn) abort() {
	if c.untilClose {
		_ = c.conn.SetLinger(0)
	}
}

// linger closes so that the client can read the response: closing with unread data would send a reset, which
// takes the response with it.
func (c *clientConn) linger() {
	_ = c.conn.CloseWrite()
	_ = c.conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	_, _ = io.Copy(io.Discard, io.LimitReader(c.conn, lingerBytes))
}

// closeWhenIdle ends the connection after the request that it is busy with.
func (c *clientConn) closeWhenIdle() {
	c.closing.Store(true)
	if !c.idle.Load() {
		return
	}
	c.endSoon()
}

// endSoon gives a request that may be on its way a moment to arrive.
func (c *clientConn) endSoon() {
	grace := freshGrace
	if c.served.Load() {
		grace = idleGrace
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(grace))
}

// The peer of the exchange.

func (c *clientConn) stopReading() {
	c.stopped.Store(true)
	_ = c.conn.SetReadDeadline(time.Unix(1, 0))
}

func (c *clientConn) interrupt() { _ = c.conn.SetDeadline(time.Unix(1, 0)) }

// watch waits until the client closes, without taking anything off the connection. A client that has sent its
// next request already is not watched further.
func (c *clientConn) watch() bool {
	c.x.setDeadline(c.conn.SetReadDeadline, time.Time{})
	if c.stopped.Load() || c.x.isCut() {
		return false
	}
	var gone bool
	var b [1]byte
	err := c.raw.Read(func(fd uintptr) bool {
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			return false
		}
		gone = err != nil || n == 0
		return true
	})
	return gone || (err != nil && !isTimeout(err))
}
