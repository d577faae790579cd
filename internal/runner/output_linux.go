package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pipeSize   = 256 << 10 // wanted capacity of a FIFO: what a program may print while no runner reads
	chunk      = 64 << 10  // read at once
	idleFlush  = 200 * time.Millisecond
	tailLines  = 5
	tailLength = 300
)

// output collects what a unit prints.
type output struct {
	log    *logFile
	logger *slog.Logger
	out    *stream
	err    *stream
	wg     sync.WaitGroup
}

// openOutput opens (or makes) the FIFOs of a unit and begins to read them into the log.
func openOutput(base string, log *logFile, logger *slog.Logger) (*output, error) {
	o := &output{log: log, logger: logger}
	paths := fifoPaths(base)
	var err error
	if o.out, err = o.openStream(paths[0], "stdout"); err != nil {
		return nil, err
	}
	if o.err, err = o.openStream(paths[1], "stderr"); err != nil {
		o.out.close()
		return nil, err
	}
	for _, s := range []*stream{o.out, o.err} {
		o.wg.Go(s.read)
	}
	return o, nil
}

// programEnds opens the FIFOs for the program: for reading and writing, so that it never meets SIGPIPE. The caller
// closes them.
func programEnds(base string) (ends [2]*os.File, err error) {
	for i, path := range fifoPaths(base) {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			if i == 1 {
				_ = ends[0].Close()
			}
			return ends, fmt.Errorf("open output pipe: %w", err)
		}
		ends[i] = os.NewFile(uintptr(fd), path)
	}
	return ends, nil
}

// drain returns when all that was printed so far is in the log, also an unfinished last line.
func (o *output) drain() {
	o.out.drain()
	o.err.drain()
}

// lastLines returns the last lines of stderr, or of stdout where there are none, since the last call of forget.
func (o *output) lastLines() string {
	if text := o.err.lastLines(); text != "" {
		return text
	}
	return o.out.lastLines()
}

// forget drops the remembered lines, at the start of a new process.
func (o *output) forget() {
	o.out.setTail(nil)
	o.err.setTail(nil)
}

// close stops reading; what is in the FIFOs stays there as long as a program holds them.
func (o *output) close() {
	o.out.close()
	o.err.close()
	o.wg.Wait()
	o.log.close()
}

// stream reads one FIFO. Bytes are first copied out of the FIFO (tee), written to the log, and only then taken out of
// it: a runner that is killed in between repeats lines, it loses none.
type stream struct {
	name   string
	fifo   *os.File
	copyR  int // a private pipe to copy into
	copyW  int
	log    *logFile
	logger *slog.Logger
	drains chan chan struct{}
	stop   chan struct{}
	once   sync.Once

	held int // bytes of an unfinished line that are left in the FIFO
	buf  []byte
	text []byte

	mu   sync.Mutex
	tail []string
}

func (o *output) openStream(path, name string) (*stream, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make output pipe: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0) //nolint:gosec // path made here
	if err != nil {
		return nil, fmt.Errorf("open output pipe: %w", err)
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	s := &stream{
		name: name, fifo: f, copyR: p[0], copyW: p[1], log: o.log, logger: o.logger,
		drains: make(chan chan struct{}), stop: make(chan struct{}), buf: make([]byte, chunk),
	}
	s.control(func(fd int) { _, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, pipeSize) })
	return s, nil
}

func (s *stream) control(f func(fd int)) {
	if rc, err := s.fifo.SyscallConn(); err == nil {
		_ = rc.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// read is the goroutine of the stream.
func (s *stream) read() {
	defer func() {
		_ = s.fifo.Close()
		_ = unix.Close(s.copyR)
		_ = unix.Close(s.copyW)
	}()
	for {
		n, err := s.peek(true)
		switch {
		case err == nil:
			s.take(n, false)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			s.logger.Warn("output pipe failed", "stream", s.name, "err", err)
			return
		case s.held > 0:
			s.flush()
		}
		select {
		case <-s.stop:
			return
		case done := <-s.drains:
			s.flush()
			close(done)
		default:
		}
	}
}

// peek copies the beginning of what is in the FIFO into buf without taking it. With wait it waits for more than the
// held bytes, or for the deadline.
func (s *stream) peek(wait bool) (n int, err error) {
	if s.held > 0 {
		_ = s.fifo.SetReadDeadline(time.Now().Add(idleFlush))
	}
	select {
	case <-s.stop:
		return 0, os.ErrDeadlineExceeded
	default:
	}
	rc, err := s.fifo.SyscallConn()
	if err != nil {
		return 0, err
	}
	var got int64
	var teeErr error
	err = rc.Read(func(fd uintptr) bool {
		got, teeErr = unix.Tee(int(fd), s.copyW, chunk, unix.SPLICE_F_NONBLOCK)
		if teeErr == nil && got > 0 {
			n, teeErr = s.readCopy(int(got))
		}
		again := errors.Is(teeErr, unix.EAGAIN) || errors.Is(teeErr, unix.EINTR)
		if again {
			teeErr = nil
		}
		return !wait || (teeErr == nil && n > s.held) || teeErr != nil
	})
	return n, errors.Join(err, teeErr)
}

// readCopy empties the private pipe, which holds n bytes, into buf.
func (s *stream) readCopy(n int) (int, error) {
	for done := 0; done < n; {
		m, err := unix.Read(s.copyR, s.buf[done:n])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("read output: %w", err)
		}
		done += m
	}
	return n, nil
}

// take logs the first n bytes of buf and takes what was logged out of the FIFO.
func (s *stream) take(n int, flush bool) {
	var used int
	s.text, used = appendLines(s.text[:0], s.buf[:n], s.name, time.Now(), flush)
	if used > 0 {
		_, changed := s.log.write(s.text)
		if changed {
			lost, err := s.log.state()
			s.logger.Warn("log file state changed", "stream", s.name, "lost_bytes", lost, "err", err)
		}
		s.remember(s.text)
		s.discard(used)
	}
	s.held = n - used
	if s.held == 0 {
		_ = s.fifo.SetReadDeadline(time.Time{})
	}
}

// discard takes n bytes out of the FIFO; they are there.
func (s *stream) discard(n int) {
	s.control(func(fd int) {
		for n > 0 {
			m, err := unix.Read(fd, s.buf[:min(n, len(s.buf))])
			if err != nil && !errors.Is(err, unix.EINTR) {
				return
			}
			n -= max(m, 0)
		}
	})
}

// flush logs all that is in the FIFO now. It is bounded: a program that never stops printing does not hold it.
func (s *stream) flush() {
	_ = s.fifo.SetReadDeadline(time.Time{})
	for range 2 * pipeSize / chunk {
		s.held = 0
		n, err := s.peek(false)
		if err != nil || n == 0 {
			break
		}
		s.take(n, n < chunk)
	}
	_ = s.fifo.SetReadDeadline(time.Time{})
}

func (s *stream) drain() {
	done := make(chan struct{})
	for {
		_ = s.fifo.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
		t := time.NewTimer(20 * time.Millisecond)
		select {
		case s.drains <- done:
			t.Stop()
			<-done
			return
		case <-s.stop:
			t.Stop()
			return
		case <-t.C: // the reader may have set a deadline of its own just after ours
		}
	}
}

func (s *stream) close() {
	s.once.Do(func() { close(s.stop) })
	_ = s.fifo.SetReadDeadline(time.Unix(1, 0))
}

// remember keeps the last lines for Reason.
func (s *stream) remember(text []byte) {
	lines := strings.Split(strings.TrimRight(string(text[max(0, len(text)-tailLines*2*tailLength):]), "\n"), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range lines {
		// time, stream, tag, text
		f := strings.SplitN(line, " ", 4)
		if len(f) == 4 && strings.TrimSpace(f[3]) != "" {
			s.tail = append(s.tail, strings.TrimSpace(f[3][:min(len(f[3]), tailLength)]))
		}
	}
	s.tail = s.tail[max(0, len(s.tail)-tailLines):]
}

func (s *stream) setTail(tail []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail = tail
}

// lastLines joins the last two remembered lines.
func (s *stream) lastLines() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.tail[max(0, len(s.tail)-2):], " | ")
}
