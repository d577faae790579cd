package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"greengate/internal/durable"
)

const (
	tailBytes = 4 << 10
	tailLines = 20
)

// openLog opens the log of a role for its next process, moved aside first when it is larger than limit. start is where
// that process begins to write.
func openLog(path string, limit int64) (f *os.File, start int64, err error) {
	if st, err := os.Stat(path); err == nil && st.Size() > limit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, 0, fmt.Errorf("rotate log: %w", err)
		}
	}
	f, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600) //nolint:gosec // a path of ours
	if err != nil {
		return nil, 0, fmt.Errorf("open log: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("look at log: %w", err), f.Close())
	}
	return f, st.Size(), nil
}

// tail gives the last lines that were written to the log since start.
func tail(path string, start int64) string {
	f, err := os.Open(path) //nolint:gosec // a path of ours
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	start = max(start, st.Size()-tailBytes)
	b, err := io.ReadAll(io.NewSectionReader(f, start, st.Size()-start))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// writeRecord replaces roles/<role>.json whole.
func writeRecord(dir string, st Status) error {
	b, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	return durable.WriteFile(filepath.Join(dir, st.Role+".json"), append(b, '\n'), 0o600)
}

// markLocked has the record written soon, by writeRecords: the disk must not slow a restart down. Nothing is lost by
// that, since who runs is known from the role's lock, which is taken before the fork.
func (s *Supervisor) markLocked(r *role) {
	r.changed = true
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

func (s *Supervisor) writeRecords(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.dirty:
			s.flushRecords()
		}
	}
}

func (s *Supervisor) flushRecords() {
	for _, name := range s.order {
		s.mu.Lock()
		r := s.roles[name]
		changed, st := r.changed, s.statusOfLocked(r)
		r.changed = false
		s.mu.Unlock()
		if !changed {
			continue
		}
		if err := writeRecord(s.path("roles"), st); err != nil {
			s.log.Warn("record of a role is out of date", "role", name, "err", err)
		}
	}
}
