package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"greengate/internal/durable"
)

// row is a mapped row of a ledger (see the layout in ledger_read.go). A nil row counts nothing.
type row [rowWords]uint64

// count adds one to a word. The outcome of a request is the last thing that is written of it: after that the
// mapping may go away.
func (r *row) count(word int) {
	if r != nil {
		atomic.AddUint64(&r[word], 1)
	}
}

func (r *row) latency(d time.Duration) {
	if r != nil {
		atomic.AddUint64(&r[wordLatency+bucketOf(d)], 1)
	}
}

func (r *row) load(word int) uint64 { return atomic.LoadUint64(&r[word]) }

// inFlight is what has no outcome yet.
func (r *row) inFlight() uint64 {
	done := r.load(wordServed) + r.load(wordFailed) + r.load(wordCut) + r.load(wordAborted) + r.load(wordUnrout)
	return r.load(wordStarted) - done
}

// ledger is a mapped ledger file. Its rows are handed out as pointers, so segments never move and stay
// mapped while a request that was counted in one of them has no outcome.
type ledger struct {
	name string
	file *os.File

	mu       sync.Mutex
	segments [][]byte
	rows     []*row
	byGroup  map[string]*row
}

// createLedger makes an empty ledger file. All blocks of a segment are written: a hole would end the process with
// SIGBUS when the disk is full and a counter falls into it.
func createLedger(path, name string) error {
	return durable.Write(path, 0o600, func(f *os.File) error {
		if _, err := f.Write(headerBytes(name)); err != nil {
			return err
		}
		_, err := f.WriteAt(make([]byte, segmentSize), ledgerHeader)
		return err
	})
}

// openLedger maps an existing file after it has checked all of it, and books as cut what an earlier process left in
// flight. The number of those is returned.
func openLedger(path, name string) (*ledger, uint64, error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDWR, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("open ledger: %w", err)
	}
	l := &ledger{name: name, file: f, byGroup: map[string]*row{}}
	if err := l.load(); err != nil {
		l.close()
		return nil, 0, fmt.Errorf("open ledger %s: %w", path, err)
	}
	var cut uint64
	for _, r := range l.byGroup {
		n := r.inFlight()
		atomic.AddUint64(&r[wordCut], n)
		cut += n
	}
	return l, cut, nil
}

func (l *ledger) load() error {
	b, err := io.ReadAll(io.LimitReader(l.file, ledgerHeader+maxSegments*segmentSize+1))
	if err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	parsed, err := parseLedger(b)
	if err != nil {
		return err
	}
	if parsed.Name != l.name {
		return ledgerFault("the file is the ledger of %q", parsed.Name)
	}
	for i := range (len(b) - ledgerHeader) / segmentSize {
		if err := l.mapSegment(i); err != nil {
			return err
		}
	}
	for _, r := range l.rows {
		if state := r.load(0); state != 0 {
			l.byGroup[rowName(r.load, int(state>>32))] = r
		}
	}
	return nil
}

func (l *ledger) mapSegment(i int) error {
	offset := int64(ledgerHeader) + int64(i)*segmentSize
	mem, err := unix.Mmap(int(l.file.Fd()), offset, segmentSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map ledger: %w", err)
	}
	l.segments = append(l.segments, mem)
	for j := range segmentRows {
		l.rows = append(l.rows, (*row)(unsafe.Pointer(&mem[j*rowSize]))) //nolint:gosec // the mapping is page-aligned and rows are whole words
	}
	return nil
}

// row returns the row of a group and makes one if there is none, growing the file when it is full.
func (l *ledger) row(group string) (*row, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.byGroup[group]; r != nil {
		return r, nil
	}
	if len(l.byGroup) == len(l.rows) {
		if err := l.grow(); err != nil {
			return nil, err
		}
	}
	var r *row
	for _, r = range l.rows {
		if r.load(0) == 0 {
			break
		}
	}
	var word [8]byte
	for i := 0; i < len(group); i += 8 {
		clear(word[:])
		copy(word[:], group[i:])
		atomic.StoreUint64(&r[wordName+i/8], binary.NativeEndian.Uint64(word[:]))
	}
	atomic.StoreUint64(&r[0], rowUsed|uint64(len(group))<<32)
	l.byGroup[group] = r
	return r, nil
}

func (l *ledger) grow() error {
	n := len(l.segments)
	if n == maxSegments {
		return fmt.Errorf("grow ledger %q: it has %d groups already; count in a new ledger", l.name, len(l.rows))
	}
	if _, err := l.file.WriteAt(make([]byte, segmentSize), int64(ledgerHeader)+int64(n)*segmentSize); err != nil {
		return fmt.Errorf("grow ledger %q: %w", l.name, err)
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("sync ledger %q: %w", l.name, err)
	}
	return l.mapSegment(n)
}

func (l *ledger) snapshot() Ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Ledger{Name: l.name}
	for _, r := range l.rows {
		if lr, used, err := parseRow(r.load); used && err == nil {
			s.Rows = append(s.Rows, lr)
		}
	}
	return s
}

func (l *ledger) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.byGroup {
		if r.inFlight() != 0 {
			return false
		}
	}
	return true
}

// close unmaps the file. Nobody may hold a row.
func (l *ledger) close() {
	for _, mem := range l.segments {
		_ = unix.Msync(mem, unix.MS_ASYNC)
		_ = unix.Munmap(mem)
	}
	l.segments, l.rows, l.byGroup = nil, nil, nil
	_ = l.file.Close()
}

// ledgers are the open ledgers of a data folder.
type ledgers struct {
	dir string
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	open map[string]*ledger
}

func (s *ledgers) path(name string) string { return filepath.Join(s.dir, name+ledgerSuffix) }

// get opens a ledger, or makes it. A file that cannot be used is set aside, and a new one begun.
func (s *ledgers) get(name string) (*ledger, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.getLocked(name)
}

func (s *ledgers) getLocked(name string) (*ledger, error) {
	if l := s.open[name]; l != nil {
		return l, nil
	}
	l, cut, err := openLedger(s.path(name), name)
	if errors.Is(err, ErrLedger) {
		if err := s.setAside(name, err); err != nil {
			return nil, err
		}
	}
	if errors.Is(err, ErrLedger) || errors.Is(err, fs.ErrNotExist) {
		if err := createLedger(s.path(name), name); err != nil {
			return nil, err
		}
		l, cut, err = openLedger(s.path(name), name)
	}
	if err != nil {
		return nil, err
	}
	if cut > 0 {
		s.log.Warn("requests were in flight when the data plane ended", "ledger", name, "cut", cut)
	}
	s.open[name] = l
	return l, nil
}

func (s *ledgers) setAside(name string, why error) error {
	aside := fmt.Sprintf("%s.bad-%d", s.path(name), s.now().UnixNano())
	if err := os.Rename(s.path(name), aside); err != nil {
		return fmt.Errorf("set ledger aside: %w", err)
	}
	s.log.Error("ledger cannot be used and was set aside; its counters start again at zero",
		"ledger", name, "error", why, "kept_as", aside)
	return nil
}

// read returns a ledger from memory or, when no listener counts in it, from its file.
func (s *ledgers) read(name string) (Ledger, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.open[name]; l != nil {
		return l.snapshot(), nil
	}
	l, err := ReadLedger(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return l, fmt.Errorf("ledger %q: %w; name it in a listener first", name, ErrNotFound)
	}
	return l, err
}

// recover books what an earlier process left in flight in ledgers that no listener names any more.
func (s *ledgers) recover() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("list ledgers: %w", err)
	}
	var errs []error
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ledgerSuffix)
		if ok && validLedgerName(name) {
			errs = append(errs, s.recoverOne(name))
		}
	}
	return errors.Join(errs...)
}

func (s *ledgers) recoverOne(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[name] != nil {
		return nil
	}
	l, err := s.getLocked(name)
	if err != nil {
		return err
	}
	delete(s.open, name)
	l.close()
	return nil
}

// release closes ledgers that are not in use once all their requests have an outcome.
func (s *ledgers) release(inUse func(name string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, l := range s.open {
		if !inUse(name) && l.idle() {
			delete(s.open, name)
			l.close()
		}
	}
}
