package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// halfOpen is how long one direction of an upgraded connection may be silent after the other has ended.
const halfOpen = 30 * time.Second

// tunnel passes an upgraded connection on, both ways, until both have ended or it is cut.
func (x *exchange) tunnel(tc *targetConn) {
	defer x.drop(tc)
	c, ok := x.peer.(*clientConn)
	if !ok {
		x.fail(kindBadResponse) // an upgrade is only asked for over HTTP/1
		return
	}
	x.gotHead.Store(true)
	x.joinAux()
	x.headArrived(&tc.resp)
	x.headSent = true
	c.keep, c.untilClose = false, true
	if err := x.beginTunnel(c, tc); err != nil {
		x.clientLost()
		return
	}
	var ended atomic.Bool // one direction has
	var fromClient, fromTarget error
	var wg sync.WaitGroup
	wg.Go(func() {
		fromClient = x.oneWay(tc.conn, c.conn, &c.rd, &ended)
	})
	fromTarget = x.oneWay(c.conn, tc.conn, &tc.rd, &ended)
	wg.Wait()
	x.tunnelEnded(fromClient, fromTarget)
}

func (x *exchange) beginTunnel(c *clientConn, tc *targetConn) error {
	if err := c.head(x, &tc.resp); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return err
	}
	c.readBy, c.writeBy = time.Time{}, time.Time{}
	x.setDeadline(c.conn.SetDeadline, time.Time{})
	x.setDeadline(tc.conn.SetDeadline, time.Time{})
	return nil
}

// tunnelEnded books the end: closing is how such connections end, a reset is not.
func (x *exchange) tunnelEnded(fromClient, fromTarget error) {
	switch {
	case x.isCut():
		x.fail(kindDrained)
	case fromClient == nil && fromTarget == nil:
		x.finished(101)
	case fromTarget != nil:
		x.fail(kindClosed)
	default:
		x.fail(kindClientGone)
	}
}

// oneWay copies until src ends. It keeps no buffer while src is silent. An error of dst ends it without an error of its
// own: the other direction reports that.
func (x *exchange) oneWay(dst, src *net.TCPConn, rd *reader, ended *atomic.Bool) error {
	for {
		if err := x.pass(dst, src, rd, ended); err != nil {
			var failed writeError
			switch {
			case errors.Is(err, io.EOF):
				err = nil
			case errors.As(err, &failed):
				err = nil
				_ = src.SetReadDeadline(time.Unix(1, 0))
			}
			ended.Store(true)
			_ = dst.CloseWrite()
			x.setDeadline(dst.SetReadDeadline, time.Now().Add(halfOpen))
			return err
		}
	}
}

// writeError marks that a copy ended at its destination.
type writeError struct{ error }

// pass copies what is there, or waits for it.
func (x *exchange) pass(dst, src *net.TCPConn, rd *reader, ended *atomic.Bool) error {
	if rd.buffered() == 0 {
		if err := waitReadable(src); err != nil {
			if isTimeout(err) && !x.isCut() {
				return io.EOF // the half that was left was silent for too long
			}
			return err
		}
	}
	buf := x.srv.buffers.get()
	defer x.srv.buffers.put(buf)
	n, err := rd.rawRead(src, buf.b)
	if n > 0 {
		if _, err := dst.Write(buf.b[:n]); err != nil {
			return writeError{err}
		}
		if ended.Load() {
			x.setDeadline(src.SetReadDeadline, time.Now().Add(halfOpen))
		}
	}
	return err
}

// rawRead is Read from a connection without the deadlines of the reader's own source.
func (b *reader) rawRead(src *net.TCPConn, p []byte) (int, error) {
	if b.buffered() > 0 {
		return b.Read(p)
	}
	return src.Read(p)
}

// waitReadable waits without a buffer.
func waitReadable(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var b [1]byte
	return raw.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
}
