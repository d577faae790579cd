package logstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newStream(t *testing.T) *Store {
	t.Helper()
	s := New(filepath.Join(t.TempDir(), "logs"))
	if err := s.Create("g", Stream{Name: "s", Created: time.UnixMilli(7)}); err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Store, messages ...string) int64 {
	t.Helper()
	var events []Event
	for i, m := range messages {
		events = append(events, Event{Timestamp: int64(i + 1), Ingested: 9, Message: m})
	}
	end, err := s.Append("g", "s", events)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// all reads a stream from a position to its end.
func all(t *testing.T, s *Store, since int64) (messages []string, end int64) {
	t.Helper()
	for {
		events, next, err := s.Read("g", "s", since)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			messages = append(messages, e.Message)
		}
		if next == since {
			return messages, next
		}
		since = next
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	if err := s.Create("g", Stream{Name: "s"}); !errors.Is(err, ErrExists) {
		t.Errorf("made twice: %v", err)
	}
	for _, f := range []func() error{
		func() error { _, err := s.Append("g", "x", nil); return err },
		func() error { _, _, err := s.Read("x", "s", 0); return err },
	} {
		if err := f(); !errors.Is(err, ErrNotFound) {
			t.Errorf("what is not there: %v", err)
		}
	}
	middle := put(t, s, "a", "b\nc <&>")
	end := put(t, s, "d")
	if got, at := all(t, s, 0); strings.Join(got, "|") != "a|b\nc <&>|d" || at != end {
		t.Errorf("read %q up to %d of %d", got, at, end)
	}
	if got, _ := all(t, s, middle); strings.Join(got, "|") != "d" {
		t.Errorf("read from %d: %q", middle, got)
	}
	list, err := s.Streams("g")
	if err != nil || len(list) != 1 || list[0].Name != "s" || list[0].Bytes != end || list[0].First.Message != "a" || list[0].Last.Message != "d" {
		t.Errorf("streams: %+v, %v", list, err)
	}
	if err := s.Remove("g", "s"); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Streams("g"); err != nil || len(list) != 0 {
		t.Errorf("left behind: %+v, %v", list, err)
	}
	if err := s.Remove("nothing", ""); err != nil {
		t.Error(err)
	}
}

// What a killed writer left unfinished is never read, and the next writer cuts it off.
func TestStore_tornLine(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	whole := put(t, s, "a")
	path := segment(s.stream("g", "s"), 0)
	for _, rest := range []string{`{"t":2,"i":9,"m":"b`, strings.Repeat("x", 200<<10)} {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(rest); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if got, at := all(t, s, 0); strings.Join(got, "|") != "a" || at != whole {
			t.Errorf("read %q up to %d", got, at)
		}
		put(t, s)
		if info, err := os.Stat(path); err != nil || info.Size() != whole {
			t.Errorf("not cut off: %v, %v", info, err)
		}
	}
	put(t, s, "c")
	if got, _ := all(t, New(s.dir), 0); strings.Join(got, "|") != "a|c" {
		t.Errorf("read %q", got)
	}
}

// A stream is bounded: the oldest segments go, positions stay.
func TestStore_bounded(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	big := strings.Repeat("x", 1<<20)
	var last int64
	for i := range 80 {
		last = put(t, s, fmt.Sprint(i, " ", big))
	}
	list, err := s.Streams("g")
	if err != nil || list[0].Bytes > streamSize+2*segmentSize || list[0].Bytes < streamSize-2*segmentSize {
		t.Fatalf("it has %d bytes, %v", list[0].Bytes, err)
	}
	got, at := all(t, s, 0)
	if at != last || !strings.HasPrefix(got[len(got)-1], "79 ") || strings.HasPrefix(got[0], "0 ") {
		t.Errorf("%d events up to %d of %d, the first %.5q", len(got), at, last, got[0])
	}
	put(t, s, "end")
	if got, _ := all(t, s, last); strings.Join(got, "") != "end" {
		t.Errorf("read %q after the position %d", got, last)
	}
}

// Segments to which nothing was added for long go; the stream goes on where it was.
func TestStore_expire(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	end := put(t, s, "old")
	if err := s.Expire("g", time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, _ := all(t, s, 0); len(got) != 1 {
		t.Errorf("gone too early: %q", got)
	}
	for range 2 {
		if err := s.Expire("g", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if got, at := all(t, s, 0); len(got) != 0 || at != end {
		t.Errorf("left %q up to %d of %d", got, at, end)
	}
	if next := put(t, s, "new"); next <= end {
		t.Errorf("the stream begins again at %d", next)
	}
	if got, _ := all(t, s, end); strings.Join(got, "") != "new" {
		t.Errorf("read %q", got)
	}
}

// Names never lead out of the folder.
func TestStore_names(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := New(filepath.Join(dir, "logs"))
	for _, name := range []string{"../../x", "/etc/passwd", "a/b", "\x00", strings.Repeat("a", 512)} {
		if err := s.Create(name, Stream{Name: name}); err != nil {
			t.Errorf("%.20q: %v", name, err)
		}
		if list, err := s.Streams(name); err != nil || len(list) != 1 || list[0].Name != name {
			t.Errorf("%.20q: %+v, %v", name, list, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("beside the folder: %v, %v", entries, err)
	}
}
