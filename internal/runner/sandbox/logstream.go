package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const logTailBytes = 4 << 10

var streamPattern = regexp.MustCompile(`^[0-9]{4}/[0-9]{2}/[0-9]{2}/\[\$LATEST\][0-9a-f]{32}$`)

// streamName names the log stream of a sandbox as Lambda does.
func streamName(at time.Time, box string) string {
	return at.UTC().Format("2006/01/02") + "/[$LATEST]" + box
}

func streamPath(dir, function, stream string) string {
	return filepath.Join(dir, "logs", "aws", "lambda", function, filepath.FromSlash(stream)+".jsonl")
}

// loggedEvent is a line of the stream's file. Pos says how far the sandbox's output has been taken over, so that a new
// manager neither repeats nor loses lines.
type loggedEvent struct {
	LogEvent
	Pos *position `json:"pos,omitempty"`
}

// logStream appends to one log stream. It is used by one goroutine.
type logStream struct {
	file    *streamFile
	w       *bufio.Writer
	output  int64 // bytes of function output kept
	limit   int64
	full    bool
	recent  []byte // the log since START, its end only
	last    position
	failure error
}

// openLogStream opens or makes a stream. A line that a killed writer left unfinished is cut off.
func openLogStream(dir, function, stream string, limit int64) (*logStream, error) {
	path := streamPath(dir, function, stream)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make log folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // names were checked
	if err != nil {
		return nil, fmt.Errorf("open log stream: %w", err)
	}
	file := &streamFile{path: path, file: f}
	s := &logStream{file: file, w: bufio.NewWriterSize(file, 64<<10), limit: limit}
	if err := s.recover(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return s, nil
}

// recover reads what an earlier manager wrote: size, position, the log since the last START.
func (s *logStream) recover() error {
	r := bufio.NewReaderSize(s.file.file, 64<<10)
	var end int64
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			break // the end, or an unfinished line
		}
		end += int64(len(line))
		var e loggedEvent
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		if e.Pos != nil {
			s.last = *e.Pos
			s.output += int64(len(e.Message))
		}
		s.remember(e.Message)
	}
	s.full = s.output >= s.limit
	if err := s.file.file.Truncate(end); err != nil {
		return fmt.Errorf("mend log stream: %w", err)
	}
	if _, err := s.file.file.Seek(end, io.SeekStart); err != nil {
		return fmt.Errorf("mend log stream: %w", err)
	}
	return nil
}

// platform writes a line of ours (START, END, REPORT …); it is kept however full the stream is.
func (s *logStream) platform(at time.Time, text string) {
	s.append(loggedEvent{LogEvent: LogEvent{Timestamp: at.UnixMilli(), Message: text + "\n"}})
	s.flush()
}

// line writes a line of the function, up to the limit of the stream.
func (s *logStream) line(l outputLine) {
	if s.full {
		return
	}
	// Runtimes print \r for a line break inside one event.
	text := strings.ReplaceAll(strings.TrimSuffix(l.Text, "\r"), "\r", "\n") + "\n"
	pos := l.Pos
	s.append(loggedEvent{LogEvent: LogEvent{Timestamp: l.Time.UnixMilli(), Message: text}, Pos: &pos})
	s.output += int64(len(text))
	if s.output >= s.limit {
		s.full = true
		s.platform(l.Time, fmt.Sprintf("greengate: output limit of %d bytes reached, the rest is not kept", s.limit))
	}
}

func (s *logStream) append(e loggedEvent) {
	enc := json.NewEncoder(s.w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		s.failure = err
	}
	s.remember(e.Message)
}

func (s *logStream) remember(message string) {
	if strings.HasPrefix(message, "START RequestId: ") {
		s.recent = s.recent[:0]
	}
	s.recent = append(s.recent, message[max(0, len(message)-logTailBytes):]...)
	if over := len(s.recent) - logTailBytes; over > 0 {
		s.recent = append(s.recent[:0], s.recent[over:]...)
	}
}

// tail is the end of the log since START.
func (s *logStream) tail() []byte {
	return bytes.Clone(s.recent)
}

// ended reports whether END of this invocation was written, by a manager that was killed right after.
func (s *logStream) ended(id string) bool {
	return bytes.Contains(s.recent, []byte("END RequestId: "+id+"\n"))
}

// flush writes out; a failure (disk full) loses lines, never results, and is told once by takeFailure.
func (s *logStream) flush() {
	if err := s.w.Flush(); err != nil {
		s.failure = err
		s.w.Reset(s.file)
	}
}

func (s *logStream) takeFailure() error {
	err := s.failure
	s.failure = nil
	return err
}

func (s *logStream) close() {
	s.flush()
	_ = s.file.file.Close()
}
