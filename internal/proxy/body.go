package proxy

import (
	"bytes"
	"errors"
	"io"
)

// Bounds of what a message may spend on framing.
const (
	maxChunkLine   = 4 << 10
	maxTrailerSize = 16 << 10
)

var errHeadTooLarge = errors.New("head is too large")

// reader buffers what was read of a connection. Slices that it hands out are valid until the next read.
type reader struct {
	src  io.Reader
	buf  []byte
	r, w int
}

func (b *reader) buffered() int { return b.w - b.r }

// fill reads once, growing the buffer to at most limit bytes. errHeadTooLarge when it is full.
func (b *reader) fill(limit int) error {
	if b.r == b.w {
		b.r, b.w = 0, 0
	}
	if b.w == len(b.buf) && b.r > 0 {
		b.w = copy(b.buf, b.buf[b.r:b.w])
		b.r = 0
	}
	if b.w == len(b.buf) {
		if len(b.buf) >= limit {
			return errHeadTooLarge
		}
		grown := make([]byte, min(2*len(b.buf), max(limit, len(b.buf)+1)))
		b.w = copy(grown, b.buf[:b.w])
		b.buf = grown
	}
	n, err := b.src.Read(b.buf[b.w:])
	b.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// Read takes from the buffer, or from the source when the buffer is empty.
func (b *reader) Read(p []byte) (int, error) {
	if b.r == b.w {
		return b.src.Read(p)
	}
	n := copy(p, b.buf[b.r:b.w])
	b.r += n
	return n, nil
}

// headScan looks for the end of a head, line by line, across reads.
type headScan struct {
	pos    int // already scanned, relative to the start
	strict bool
}

// end returns the length of the head in b, 0 if its end is not there yet. In strict mode a bare LF is an error at once: a
// client that sends one would wait for an answer for ever.
func (s *headScan) end(b []byte) (int, error) {
	for {
		i := bytes.IndexByte(b[s.pos:], '\n')
		if i < 0 {
			return 0, nil
		}
		line := b[s.pos : s.pos+i]
		s.pos += i + 1
		cr := len(line) > 0 && line[len(line)-1] == '\r'
		if s.strict && !cr {
			return 0, badRequest("a line does not end in CR LF")
		}
		if len(line) == 0 || (cr && len(line) == 1) {
			return s.pos, nil
		}
	}
}

// next takes a head of at most limit bytes off the connection.
func (b *reader) next(strict bool, limit int) ([]byte, error) {
	scan := headScan{strict: strict}
	for {
		n, err := scan.end(b.buf[b.r:b.w])
		if err != nil {
			return nil, err
		}
		if n > limit || (n == 0 && b.buffered() >= limit) {
			return nil, errHeadTooLarge
		}
		if n > 0 {
			head := b.buf[b.r : b.r+n]
			b.r += n
			return head, nil
		}
		if err := b.fill(limit); err != nil {
			return nil, err
		}
	}
}

// line takes a line that ends in CRLF. ok is false if it is not buffered yet and block is false.
func (b *reader) line(block bool) (line []byte, ok bool, err error) {
	for {
		buffered := b.buf[b.r:b.w]
		if i := bytes.IndexByte(buffered, '\n'); i >= 0 {
			line, _, ok = cutLine(buffered, true)
			if !ok || i > maxChunkLine {
				return nil, false, errChunk
			}
			b.r += i + 1
			return line, true, nil
		}
		if len(buffered) > maxChunkLine {
			return nil, false, errChunk
		}
		if !block {
			return nil, false, nil
		}
		if err := b.fill(2 * maxChunkLine); err != nil {
			return nil, false, err
		}
	}
}

var (
	errChunk   = badRequest("the chunked body is malformed")
	errTooLong = &protocolError{413, kindTooLarge, "the request body is too large"}
)

type bodyState uint8

const (
	bodyDone bodyState = iota
	bodyData           // left bytes of plain data
	bodyUntilClose
	bodyChunkSize
	bodyChunkEnd // CRLF after the data of a chunk
	bodyTrailer
)

// body reads the body of one message and stops at its end. It is not safe for concurrent use.
type body struct {
	from     *reader
	state    bodyState
	chunked  bool
	left     int64 // of the chunk, or of the whole
	total    int64
	limit    int64 // 0: none
	trailer  []byte
	trailers []field
	err      error // found behind data that was handed out first
}

// start begins a body of length bytes (or lengthChunked, lengthUntilClose).
func (b *body) start(from *reader, length, limit int64) {
	*b = body{from: from, limit: limit, left: length, trailer: b.trailer[:0], trailers: b.trailers[:0]}
	switch {
	case length == lengthChunked:
		b.chunked, b.state, b.left = true, bodyChunkSize, 0
	case length == lengthUntilClose:
		b.state = bodyUntilClose
	case length > 0:
		b.state = bodyData
	}
}

// Read fills p with what is there: it waits for the first byte only. io.EOF is the clean end, io.ErrUnexpectedEOF a
// broken one. The end is noticed together with the last bytes whenever it is there already.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n := 0
	for {
		switch b.state {
		case bodyDone:
			if n == 0 {
				return 0, io.EOF
			}
			return n, nil
		case bodyData, bodyUntilClose:
			if n == len(p) || (n > 0 && b.from.buffered() == 0) {
				return n, nil
			}
			k, err := b.data(p[n:])
			n += k
			if err != nil {
				return n, err
			}
		case bodyChunkSize, bodyChunkEnd, bodyTrailer:
			more, err := b.framing(n == 0)
			if err != nil || !more {
				return n, err
			}
		}
	}
}

func (b *body) data(p []byte) (int, error) {
	if b.state == bodyUntilClose {
		n, err := b.from.Read(p)
		if n == 0 && errors.Is(err, io.EOF) {
			b.state = bodyDone
			err = nil
		}
		if n > 0 {
			err = nil
		}
		return n, err
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.from.Read(p)
	if n > 0 {
		b.took(n)
		return n, nil
	}
	return 0, unexpected(err)
}

// framing takes one line of the chunked coding. more is false if it is not there and block is false.
func (b *body) framing(block bool) (more bool, err error) {
	line, ok, err := b.from.line(block)
	if err != nil || !ok {
		return false, unexpected(err)
	}
	switch b.state {
	case bodyChunkEnd:
		if len(line) != 0 {
			return false, errChunk
		}
		b.state = bodyChunkSize
	case bodyChunkSize:
		return true, b.chunk(line)
	case bodyTrailer:
		return true, b.trailerLine(line)
	case bodyDone, bodyData, bodyUntilClose:
	}
	return true, nil
}

func (b *body) chunk(line []byte) error {
	size, ok := parseChunkSize(line)
	if !ok {
		return errChunk
	}
	if b.limit > 0 && size > b.limit-b.total {
		return errTooLong
	}
	b.total += size
	b.left, b.state = size, bodyData
	if size == 0 {
		b.state = bodyTrailer
	}
	return nil
}

// trailerLine keeps the lines of the trailer section until the empty one, then parses them.
func (b *body) trailerLine(line []byte) error {
	if len(b.trailer)+len(line) > maxTrailerSize {
		return errChunk
	}
	b.trailer = append(append(b.trailer, line...), '\r', '\n')
	if len(line) > 0 {
		return nil
	}
	b.state = bodyDone
	var err error
	if b.trailers, err = parseFields(b.trailer, b.trailers, true); err != nil {
		return err
	}
	for _, f := range b.trailers {
		switch f.kind {
		case fieldLength, fieldCoding, fieldHost, fieldConnection, fieldUpgrade, fieldTE, fieldExpect, fieldTrailer:
			return badRequest("the trailer section has a field that it must not have")
		case fieldPlain, fieldHop, fieldForwarded:
		}
	}
	return nil
}

// unexpected makes an end of the connection within a message an error.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// buffered takes what can be had without reading from the connection, and notices the end if it is there too. The
// bytes are valid until the next read.
func (b *body) buffered() ([]byte, error) {
	for b.err == nil {
		switch b.state {
		case bodyDone:
			return nil, nil
		case bodyData, bodyUntilClose:
			if b.from.buffered() == 0 {
				return nil, nil
			}
			p := b.take()
			b.err = b.settled()
			return p, nil
		case bodyChunkSize, bodyChunkEnd, bodyTrailer:
			if more, err := b.framing(false); err != nil || !more {
				return nil, err
			}
		}
	}
	return nil, b.err
}

// take hands out buffered data of the body.
func (b *body) take() []byte {
	n := b.from.buffered()
	if b.state == bodyData && int64(n) > b.left {
		n = int(b.left)
	}
	p := b.from.buf[b.from.r : b.from.r+n]
	b.from.r += n
	if b.state == bodyData {
		b.took(n)
	}
	return p
}

// took notes that n bytes of plain data were read.
func (b *body) took(n int) {
	if b.left -= int64(n); b.left > 0 {
		return
	}
	b.state = bodyDone
	if b.chunked {
		b.state = bodyChunkEnd
	}
}

// settled takes framing that is there already, so that finished tells the end as soon as it can be known.
func (b *body) settled() error {
	for b.state == bodyChunkSize || b.state == bodyChunkEnd || b.state == bodyTrailer {
		if more, err := b.framing(false); err != nil || !more {
			return err
		}
	}
	return nil
}

func (b *body) finished() bool         { return b.state == bodyDone }
func (b *body) trailerFields() []field { return b.trailers }
