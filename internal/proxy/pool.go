package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// poolIdle is how long a connection to a target may wait for its next request. It is shorter than what common
	// servers grant (gunicorn 2 s, Node and uvicorn 5 s), so that theirs seldom ends while a request is on its way.
	poolIdle      = 1500 * time.Millisecond
	poolMost      = 512
	targetBuffer  = 4 << 10
	maxTargetHead = 256 << 10
)

// targetConn is a connection to a target.
type targetConn struct {
	conn  *net.TCPConn
	raw   syscall.RawConn
	rd    reader
	body  body
	resp  response
	since time.Time // idle since
	// spoiled connections have lost their place in the protocol.
	spoiled bool

	polls  [1]unix.PollFd
	poll   func(fd uintptr)
	silent bool
}

func newTargetConn(conn *net.TCPConn) (*targetConn, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("access socket: %w", err)
	}
	c := &targetConn{conn: conn, raw: raw}
	c.rd = reader{src: conn, buf: make([]byte, targetBuffer)}
	c.poll = func(fd uintptr) {
		c.polls[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} //nolint:gosec // a descriptor fits
		n, err := unix.Poll(c.polls[:], 0)
		c.silent = n == 0 && (err == nil || errors.Is(err, unix.EINTR))
	}
	return c, nil
}

// alive asks the kernel whether the target has closed an idle connection, or sent what nobody asked for.
func (c *targetConn) alive() bool {
	c.silent = false
	return c.raw.Control(c.poll) == nil && c.silent
}

func (c *targetConn) close() { _ = c.conn.Close() }

// pool keeps the idle connections of one target, the last used on top.
type pool struct {
	mu     sync.Mutex
	idle   []*targetConn
	closed bool
}

// get returns an idle connection that is alive, or nil.
func (p *pool) get(now time.Time) *targetConn {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if now.Sub(c.since) < poolIdle && c.alive() {
			return c
		}
		c.close()
	}
}

func (p *pool) put(c *targetConn, now time.Time) {
	c.since = now
	p.mu.Lock()
	keep := !p.closed && len(p.idle) < poolMost
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		c.close()
	}
}

// sweep closes what has been idle for too long: the oldest are at the bottom.
func (p *pool) sweep(now time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].since) >= poolIdle {
		p.idle[n].close()
		n++
	}
	kept := copy(p.idle, p.idle[n:])
	clear(p.idle[kept:])
	p.idle = p.idle[:kept]
	p.mu.Unlock()
}

func (p *pool) reopen() {
	p.mu.Lock()
	p.closed = false
	p.mu.Unlock()
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	for _, c := range p.idle {
		c.close()
	}
	p.idle = nil
	p.mu.Unlock()
}

// dialTarget connects within the limit.
func dialTarget(ctx context.Context, address string, limit time.Duration) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: limit}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect target: %w", err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("connect target %s: not a TCP connection", address)
	}
	return tcp, nil
}
