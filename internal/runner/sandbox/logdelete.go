package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"

	"greengate/internal/durable"
)

// Logged lists the functions that have a log, whether or not they are still known.
func Logged(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "logs", "aws", "lambda"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	out := []string{}
	for _, e := range entries {
		streams, err := Streams(dir, e.Name())
		if err == nil && len(streams) > 0 {
			out = append(out, e.Name())
		}
	}
	sort.Strings(out)
	return out, nil
}

// DeleteLog removes what a function has printed so far: a stream, or all of them where stream is empty. With a time, only
// streams to which nothing was added since then. A sandbox that still runs goes on in the same stream; what is not there
// is none.
func (m *Manager) DeleteLog(function, stream string, before time.Time) error {
	if !functionPattern.MatchString(function) || (stream != "" && !streamPattern.MatchString(stream)) {
		return invalid("log stream %q of function %q", stream, function)
	}
	list := []string{stream}
	if stream == "" {
		var err error
		if list, err = Streams(m.cfg.Dir, function); err != nil {
			return err
		}
	}
	var errs []error
	for _, name := range list {
		path := streamPath(m.cfg.Dir, function, name)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !before.IsZero() && !info.ModTime().Before(before) {
			continue
		}
		if err == nil && m.writes(function, name) {
			err = emptyStream(path)
		} else if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("delete log stream %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// writes reports whether a sandbox that has not ended writes to a stream.
func (m *Manager) writes(function, stream string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.boxes {
		if b.rec.Function == function && b.rec.Stream == stream {
			return true
		}
	}
	return false
}

// emptyStream replaces a stream by one that holds nothing but how far the sandbox's output has been taken over: a new
// manager must not take it over again.
func emptyStream(path string) error {
	text, err := os.ReadFile(path) //nolint:gosec // names were checked
	if err != nil {
		return fmt.Errorf("read log stream: %w", err)
	}
	mark := loggedEvent{}
	for line := range bytes.Lines(text) {
		e := loggedEvent{}
		if json.Unmarshal(line, &e) == nil && e.Pos != nil {
			mark.Pos, mark.Timestamp = e.Pos, e.Timestamp
		}
	}
	line, err := json.Marshal(mark)
	if err != nil {
		return fmt.Errorf("encode mark: %w", err)
	}
	return durable.WriteFile(path, append(line, '\n'), 0o600)
}

// emptied reports whether a stream holds no event: its log was deleted while its sandbox ran on.
func emptied(path string) bool {
	f, err := os.Open(path) //nolint:gosec // found by listing our own folder
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReader(f)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return false // nothing was written yet: a sandbox that has just begun
	}
	e := loggedEvent{}
	if json.Unmarshal(line, &e) != nil || e.Message != "" {
		return false
	}
	_, err = r.ReadByte()
	return err != nil
}

// streamFile is the file of a stream as its writer sees it: where DeleteLog has replaced it, the next write goes to what
// is there now.
type streamFile struct {
	path string
	file *os.File
}

// Write implements io.Writer.
func (s *streamFile) Write(p []byte) (int, error) {
	if err := s.follow(); err != nil {
		return 0, err
	}
	n, err := s.file.Write(p)
	if err != nil {
		return n, fmt.Errorf("write log stream: %w", err)
	}
	return n, nil
}

func (s *streamFile) follow() error {
	now, err := os.Stat(s.path)
	have, haveErr := s.file.Stat()
	if err == nil && haveErr == nil && os.SameFile(now, have) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("make log folder: %w", err)
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open log stream: %w", err)
	}
	_ = s.file.Close()
	s.file = f
	return nil
}
