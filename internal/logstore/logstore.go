// Package logstore keeps the log events of groups that clients write to as files. It knows nobody.
//
// A group is a folder, a stream a folder in it; names never become file names: folders bear digests of them. The events
// of a stream are lines of JSON in segments, each named by where in the stream it begins, so a position stays the same
// when the oldest segments are removed. What Append has returned for is on the disk; a line that a killed writer left
// unfinished is cut off by the next one and never read.
package logstore

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"greengate/internal/durable"
)

// Errors of a Store.
var (
	ErrNotFound = errors.New("no such log stream")
	ErrExists   = errors.New("the log stream exists already")
	// ErrFull: a group has too many streams.
	ErrFull = errors.New("too many log streams")
)

const (
	// segmentSize is when a new segment is begun, in bytes.
	segmentSize = 4 << 20
	// streamSize bounds a stream, in bytes: the oldest segments make room.
	streamSize = 64 << 20
	// maxStreams bounds a group.
	maxStreams = 10_000
	// pageBytes bounds what one Read returns.
	pageBytes = 4 << 20
)

// Event is one event of a stream. Times are milliseconds since 1970.
type Event struct {
	// Pos is where in its stream it begins; Append ignores it.
	Pos       int64  `json:"-"`
	Timestamp int64  `json:"t"`
	Ingested  int64  `json:"i"`
	Message   string `json:"m"`
}

// Stream describes a stream.
type Stream struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	// Bytes is its size on the disk; First and Last are its oldest and its newest event, nil where it has none.
	Bytes int64  `json:"-"`
	First *Event `json:"-"`
	Last  *Event `json:"-"`
}

// Store keeps streams below a folder. It is safe for concurrent use by one process.
type Store struct {
	dir string
	mu  sync.RWMutex
}

// New returns a store below dir, which is made when it is needed.
func New(dir string) *Store { return &Store{dir: dir} }

func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

func (s *Store) group(group string) string { return filepath.Join(s.dir, digest(group)) }

func (s *Store) stream(group, stream string) string {
	return filepath.Join(s.group(group), digest(stream))
}

const describedBy = "stream.json"

// Create makes a stream (ErrExists, ErrFull).
func (s *Store) Create(group string, v Stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := s.stream(group, v.Name)
	if _, err := os.Stat(filepath.Join(dir, describedBy)); err == nil {
		return ErrExists
	}
	if entries, err := os.ReadDir(s.group(group)); err == nil && len(entries) >= maxStreams {
		return ErrFull
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder of log stream: %w", err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode log stream: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(dir, describedBy), text, 0o600); err != nil {
		return err
	}
	return errors.Join(durable.SyncDir(s.group(group)), durable.SyncDir(s.dir))
}

// Streams lists the streams of a group, sorted by name. A group without streams has none.
func (s *Store) Streams(group string) ([]Stream, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	entries, err := os.ReadDir(s.group(group))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list log streams: %w", err)
	}
	var list []Stream
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(s.group(group), e.Name(), describedBy))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was being made, or being removed
		}
		var v Stream
		if err == nil {
			err = json.Unmarshal(text, &v)
		}
		if err != nil {
			return nil, fmt.Errorf("read log stream: %w", err)
		}
		if err := v.measure(filepath.Join(s.group(group), e.Name())); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b Stream) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// measure fills in what the segments say of a stream.
func (v *Stream) measure(dir string) error {
	starts, err := segments(dir)
	if err != nil {
		return err
	}
	for _, start := range starts {
		info, err := os.Stat(segment(dir, start))
		if err != nil {
			return fmt.Errorf("look at segment: %w", err)
		}
		v.Bytes += info.Size()
		if v.First != nil || info.Size() == 0 {
			continue
		}
		events, _, err := readSegment(segment(dir, start), start, start, nil, start+1)
		if err != nil {
			return err
		}
		if len(events) > 0 {
			v.First = &events[0]
		}
	}
	for _, start := range slices.Backward(starts) {
		events, _, err := readSegment(segment(dir, start), start, start, nil, start+2*segmentSize)
		if err != nil {
			return err
		}
		if len(events) > 0 {
			v.Last = &events[len(events)-1]
			break
		}
	}
	return nil
}

// segments are the starts of a stream's segments, oldest first.
func segments(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	known, starts := false, []int64(nil)
	for _, e := range entries {
		known = known || e.Name() == describedBy
		if text, ok := strings.CutSuffix(e.Name(), ".jsonl"); ok {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				starts = append(starts, n)
			}
		}
	}
	if !known {
		return nil, ErrNotFound
	}
	slices.Sort(starts)
	return starts, nil
}

func segment(dir string, start int64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d.jsonl", start))
}

// Append adds events to the end of a stream (ErrNotFound). It returns where the stream then ends.
func (s *Store) Append(group, stream string, events []Event) (end int64, err error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	for _, e := range events {
		if err := enc.Encode(e); err != nil {
			return 0, fmt.Errorf("encode log event: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := s.stream(group, stream)
	starts, err := segments(dir)
	if err != nil {
		return 0, err
	}
	start, size := int64(0), int64(0)
	if len(starts) > 0 {
		start = starts[len(starts)-1]
		if size, err = mend(segment(dir, start)); err != nil {
			return 0, err
		}
	}
	if len(starts) == 0 || size >= segmentSize {
		start, size = start+size, 0
	}
	if err := appendTo(segment(dir, start), text.Bytes(), size); err != nil {
		return 0, err
	}
	end = start + size + int64(text.Len())
	for len(starts) > 0 && starts[0] != start && end-starts[0] > streamSize {
		if err := os.Remove(segment(dir, starts[0])); err != nil {
			return end, fmt.Errorf("make room in log stream: %w", err)
		}
		starts = starts[1:]
	}
	return end, nil
}

// mend cuts off a line that was left unfinished, and returns the size.
func mend(path string) (int64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0o600) //nolint:gosec // a file of our own
	if err != nil {
		return 0, fmt.Errorf("open segment: %w", err)
	}
	defer f.Close() //nolint:errcheck // what was changed is synced below
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("measure segment: %w", err)
	}
	whole, piece := size, make([]byte, 64<<10)
	for whole > 0 {
		n := min(whole, int64(len(piece)))
		if _, err := f.ReadAt(piece[:n], whole-n); err != nil {
			return 0, fmt.Errorf("read segment: %w", err)
		}
		if i := bytes.LastIndexByte(piece[:n], '\n'); i >= 0 {
			whole = whole - n + int64(i) + 1
			break
		}
		whole -= n
	}
	if whole == size {
		return size, nil
	}
	if err := errors.Join(f.Truncate(whole), f.Sync()); err != nil {
		return 0, fmt.Errorf("mend segment: %w", err)
	}
	return whole, nil
}

// appendTo adds text to a segment that has that size; after an error it is cut off to it again.
func appendTo(path string, text []byte, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600) //nolint:gosec // a file of our own
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		err = errors.Join(err, f.Truncate(size))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write log events: %w", err)
	}
	if size == 0 {
		return durable.SyncDir(filepath.Dir(path))
	}
	return nil
}

// Read returns events of a stream from a position on, up to about 4 MiB, and where to read on: the same
// position where there is nothing new (ErrNotFound). What lay before the oldest segment is left out.
func (s *Store) Read(group, stream string, since int64) ([]Event, int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	dir := s.stream(group, stream)
	starts, err := segments(dir)
	if err != nil {
		return nil, since, err
	}
	var events []Event
	at, most := since, since+pageBytes
	for i, start := range starts {
		if i+1 < len(starts) && starts[i+1] <= at {
			continue
		}
		if at < start {
			most += start - at
			at = start
		}
		if events, at, err = readSegment(segment(dir, start), start, at, events, most); err != nil {
			return nil, since, err
		}
		if at >= most {
			break
		}
	}
	return events, at, nil
}

func readSegment(path string, start, at int64, events []Event, most int64) ([]Event, int64, error) {
	f, err := os.Open(path) //nolint:gosec // a file of our own
	if err != nil {
		return nil, at, fmt.Errorf("open segment: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	if _, err := f.Seek(at-start, io.SeekStart); err != nil {
		return nil, at, fmt.Errorf("seek in segment: %w", err)
	}
	r := bufio.NewReaderSize(f, 64<<10)
	for at < most {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // also of a line that is not finished
		}
		if err != nil {
			return nil, at, fmt.Errorf("read segment: %w", err)
		}
		e := Event{}
		if json.Unmarshal(line, &e) == nil { // a position that is in the middle of a line yields a rest, which is none
			e.Pos = at
			events = append(events, e)
		}
		at += int64(len(line))
	}
	return events, at, nil
}

// Remove deletes a stream, or, with the stream "", the whole group. What is not there is none.
func (s *Store) Remove(group, stream string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := s.group(group)
	if stream != "" {
		dir = s.stream(group, stream)
		// First the description: a stream that is half removed is none.
		if err := os.Remove(filepath.Join(dir, describedBy)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove log stream: %w", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove logs: %w", err)
	}
	return nil
}

// Expire removes the segments of a group to which nothing was added since a time. The newest segment of a stream stays
// as an empty file: it holds the place where the stream goes on.
func (s *Store) Expire(group string, before time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	streams, err := os.ReadDir(s.group(group))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list log streams: %w", err)
	}
	var errs []error
	for _, e := range streams {
		dir := filepath.Join(s.group(group), e.Name())
		starts, err := segments(dir)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		errs = append(errs, err)
		for i, start := range starts {
			errs = append(errs, expireSegment(dir, start, i == len(starts)-1, before))
		}
	}
	return errors.Join(errs...)
}

func expireSegment(dir string, start int64, newest bool, before time.Time) error {
	path := segment(dir, start)
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at segment: %w", err)
	}
	if !info.ModTime().Before(before) || info.Size() == 0 {
		return nil
	}
	if newest {
		f, err := os.OpenFile(segment(dir, start+info.Size()), os.O_CREATE|os.O_WRONLY, 0o600)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("begin segment: %w", err)
		}
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove segment: %w", err)
	}
	return nil
}
