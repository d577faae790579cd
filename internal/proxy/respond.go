package proxy

import (
	"net/http"
	"strconv"
	"time"
)

// How a clientConn is the downstream of its exchange.

func (c *clientConn) interim(r *response) error {
	if c.req.minor == 0 || (r.status == 100 && !c.req.expect) {
		return nil
	}
	c.out = appendStatus(c.out, 1, r.status, r.reason)
	for i := range r.fields {
		if f := &r.fields[i]; responsePasses(f, false, false) {
			c.out = appendField(c.out, f.name, f.value)
		}
	}
	c.out = append(c.out, '\r', '\n')
	return c.flush()
}

func appendStatus(b []byte, minor, status int, reason []byte) []byte {
	b = append(b, "HTTP/1."...)
	b = append(strconv.AppendInt(b, int64(minor), 10), ' ')
	b = append(strconv.AppendInt(b, int64(status), 10), ' ')
	if len(reason) == 0 {
		b = append(b, http.StatusText(status)...)
	}
	return append(append(b, reason...), '\r', '\n')
}

func (c *clientConn) head(x *exchange, r *response) error {
	c.bodyless = r.bodyless(x.isHead)
	c.chunked = !c.bodyless && r.length < 0 && c.req.minor == 1
	c.untilClose = !c.bodyless && r.length < 0 && c.req.minor == 0
	if c.untilClose || !x.bodyRead.Load() || c.closing.Load() || x.isCut() {
		c.keep = false
	}
	b := appendStatus(c.out, 1, r.status, r.reason)
	named := x.route.nameTarget && x.group != nil
	for i := range r.fields {
		if f := &r.fields[i]; responsePasses(f, c.chunked, x.route.nameTarget) {
			b = appendField(b, f.name, f.value)
		}
	}
	if named {
		b = append(append(b, HeaderTaskSet+": "...), x.group.name...)
		b = append(b, '\r', '\n')
	}
	c.out = c.appendFraming(b, r)
	return nil
}

func (c *clientConn) appendFraming(b []byte, r *response) []byte {
	switch {
	case r.status == 101:
		b = append(b, "Connection: Upgrade\r\n"...)
		for _, f := range r.fields {
			if f.kind == fieldUpgrade {
				b = appendField(b, f.name, f.value)
			}
		}
		return append(b, '\r', '\n')
	case c.chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.hasLength && r.status != 204:
		b = appendLength(b, r.length)
	}
	switch {
	case !c.keep:
		b = append(b, "Connection: close\r\n"...)
	case c.req.minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return append(b, '\r', '\n')
}

func (c *clientConn) write(p []byte) error {
	if c.bodyless || len(p) == 0 {
		return nil
	}
	if c.chunked {
		c.out = appendChunkSize(c.out, len(p))
	}
	if len(p) <= coalesce && len(c.out) <= coalesce {
		c.out = append(c.out, p...)
		if c.chunked {
			c.out = append(c.out, '\r', '\n')
		}
		return nil
	}
	return c.writeVec(p)
}

// writeVec writes what is waiting and p without copying p.
func (c *clientConn) writeVec(p []byte) error {
	if err := c.armWrite(); err != nil {
		return err
	}
	c.vec = append(c.vec[:0], c.out, p)
	if c.chunked {
		c.vec = append(c.vec, c.crlf[:])
	}
	c.vecWork = c.vec
	_, err := c.vecWork.WriteTo(c.conn)
	c.out = c.out[:0]
	return err
}

func (c *clientConn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	if err := c.armWrite(); err != nil {
		return err
	}
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// armWrite gives a write its deadline: a client that takes nothing for as long as it may idle is given up.
func (c *clientConn) armWrite() error {
	now := time.Now()
	if c.x.answering && c.x.isCut() {
		c.writeBy = time.Time{}
		return c.conn.SetWriteDeadline(now.Add(answerTimeout))
	}
	if c.writeBy.Sub(now) < c.limits.IdleTimeout*7/8 {
		c.writeBy = now.Add(c.limits.IdleTimeout)
		_ = c.conn.SetWriteDeadline(c.writeBy)
	}
	if c.x.isCut() {
		return errCut
	}
	return nil
}

func (c *clientConn) finish(trailers []field) error {
	if c.chunked {
		c.out = appendLastChunk(c.out, trailers)
	}
	return c.flush()
}
