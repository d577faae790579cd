package runner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// Defaults of Spec.
const (
	defaultLogMax  = 10 << 20
	defaultLogKeep = 3
)

// logFile is a rotated log file. It is safe for concurrent use.
type logFile struct {
	path string
	max  int64
	keep int

	mu   sync.Mutex
	f    *os.File // nil when it could not be opened
	size int64
	lost int64 // bytes that could not be written
	err  error // the last fault, nil when the last write went well
}

// openLog opens the log for appending. A fault is not fatal: it is tried again with each write.
func openLog(path string, maxBytes int64, keep int) *logFile {
	l := &logFile{path: path, max: maxBytes, keep: keep}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = l.openLocked()
	return l
}

func (l *logFile) openLocked() error {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o750); err != nil {
		return fmt.Errorf("make log folder: %w", err)
	}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640) //nolint:gosec // the caller's log, readable by its group
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil && size > 0 {
		size, err = endLine(f, size)
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("open log: %w", err)
	}
	l.f, l.size = f, size
	return nil
}

// endLine ends a line that an earlier writer left torn.
func endLine(f *os.File, size int64) (int64, error) {
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil {
		return size, err
	}
	if last[0] == '\n' {
		return size, nil
	}
	n, err := f.Write([]byte{'\n'})
	return size + int64(n), err
}

// write appends whole lines in one write. What cannot be written is counted and dropped: output must never block a
// program for ever. It reports whether the text is in the file, and whether this changed since the last write.
func (l *logFile) write(text []byte) (ok, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.err
	l.err = l.writeLocked(text)
	if l.err != nil {
		l.lost += int64(len(text))
	}
	return l.err == nil, (before == nil) != (l.err == nil)
}

func (l *logFile) writeLocked(text []byte) error {
	if l.f != nil && l.size > 0 && l.size+int64(len(text)) > l.max {
		l.rotateLocked()
	}
	if l.f == nil {
		if err := l.openLocked(); err != nil {
			return err
		}
	}
	n, err := l.f.Write(text)
	l.size += int64(n)
	if err != nil && n > 0 {
		// Disk full in the middle of a line: take the torn part back, so that the file holds whole lines only.
		if l.f.Truncate(l.size-int64(n)) == nil {
			l.size -= int64(n)
		}
	}
	return err
}

// rotateLocked renames file to file.1, file.1 to file.2 and so on. A fault leaves the file growing, not lost.
func (l *logFile) rotateLocked() {
	_ = l.f.Close()
	l.f = nil
	if l.keep <= 0 {
		_ = os.Remove(l.path)
		return
	}
	for n := l.keep - 1; n >= 1; n-- {
		_ = os.Rename(rotated(l.path, n), rotated(l.path, n+1))
	}
	_ = os.Rename(l.path, rotated(l.path, 1))
}

// rotated is the path of the n-th youngest rotated file; 0 is the current one.
func rotated(path string, n int) string {
	if n == 0 {
		return path
	}
	return path + "." + strconv.Itoa(n)
}

// state returns the bytes lost and the present fault.
func (l *logFile) state() (lost int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost, l.err
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		_ = l.f.Close()
		l.f = nil
	}
}

// logFiles lists the existing files of a log, oldest first.
func logFiles(path string) ([]string, error) {
	var files []string
	for n := 0; ; n++ {
		_, err := os.Stat(rotated(path, n))
		if errors.Is(err, fs.ErrNotExist) {
			if n == 0 {
				continue // just rotated, the new one not yet made
			}
			break
		}
		if err != nil {
			return nil, fmt.Errorf("find log: %w", err)
		}
		files = append([]string{rotated(path, n)}, files...)
	}
	return files, nil
}
