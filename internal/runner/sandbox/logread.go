package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

const (
	pageEvents = 10_000
	pageBytes  = 4 << 20
	followTick = 50 * time.Millisecond
)

// LogEvent is one line of a function's log.
type LogEvent struct {
	Timestamp int64  `json:"timestamp"` // milliseconds since 1970
	Message   string `json:"message"`   // ends with a newline, as on CloudWatch Logs
}

// LogPage is a piece of a log stream.
type LogPage struct {
	Events []LogEvent `json:"events"`
	// Starts are where the events begin in the stream.
	Starts []int64 `json:"starts,omitempty"`
	Next   int64   `json:"next"` // where to read on; the same as asked for when there is nothing new
}

// ReadLog reads events of a log stream from a position on (0 = the start): up to 10,000 or about 4 MB of them. dir is
// Config.Dir. An unknown stream is ErrNotFound. It needs no manager.
func ReadLog(dir, function, stream string, since int64) (LogPage, error) {
	page := LogPage{Events: []LogEvent{}, Next: since}
	if !functionPattern.MatchString(function) || !streamPattern.MatchString(stream) || since < 0 {
		return page, invalid("log stream %q of function %q at %d", stream, function, since)
	}
	f, err := os.Open(streamPath(dir, function, stream))
	if errors.Is(err, fs.ErrNotExist) {
		return page, fmt.Errorf("log stream %s of %s: %w", stream, function, ErrNotFound)
	}
	if err != nil {
		return page, fmt.Errorf("open log stream: %w", err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(since, io.SeekStart); err != nil {
		return page, fmt.Errorf("seek log stream: %w", err)
	}
	r := bufio.NewReaderSize(f, 64<<10)
	for len(page.Events) < pageEvents && page.Next-since < pageBytes {
		line, err := r.ReadBytes('\n')
		if err != nil {
			break // the end, or a line that is being written
		}
		start := page.Next
		page.Next += int64(len(line))
		var e LogEvent
		if json.Unmarshal(line, &e) == nil && e.Message != "" { // an empty one marks a deleted log
			page.Events, page.Starts = append(page.Events, e), append(page.Starts, start)
		}
	}
	return page, nil
}

// AwaitLog is [ReadLog] that waits, until ctx ends, for the first new event. A stream that does not exist is waited for
// as well. The end of ctx is no error: the page is empty then.
func AwaitLog(ctx context.Context, dir, function, stream string, since int64) (LogPage, error) {
	for {
		page, err := ReadLog(dir, function, stream, since)
		if len(page.Events) > 0 || (err != nil && !errors.Is(err, ErrNotFound)) {
			return page, err
		}
		if pause(ctx, followTick) != nil {
			return page, err
		}
	}
}

// Streams lists the log streams of a function, oldest day first. A function without a log has none.
func Streams(dir, function string) ([]string, error) {
	if !functionPattern.MatchString(function) {
		return nil, invalid("function name %q", function)
	}
	root := filepath.Join(dir, "logs", "aws", "lambda", function)
	files, err := filepath.Glob(filepath.Join(globQuote(root), "*", "*", "*", "*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("list log streams: %w", err)
	}
	out := []string{}
	for _, f := range files {
		rel, err := filepath.Rel(root, f)
		name := strings.TrimSuffix(filepath.ToSlash(rel), ".jsonl")
		if err == nil && streamPattern.MatchString(name) && !emptied(f) {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out, nil
}
