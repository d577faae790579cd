package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	maxMessage = 256 << 10 // bytes of one log event, as on CloudWatch Logs
	pollBytes  = 4 << 20   // most bytes taken from the output file at a time, so that a chatty function starves nobody
)

// endMark starts the line that our own bootstraps print on stdout and stderr when a handler has returned: everything
// the handler printed is before it, so the log is complete once both were read.
const endMark = "\x1egreengate:end "

// initMark stands in place of a request id in the mark that ends the output of the initialization; no id starts so.
const initMark = "-"

// outputLine is one line of a sandbox's output.
type outputLine struct {
	Time   time.Time
	Stream string // stdout or stderr
	Text   string // without newline
	Pos    position
}

// position is a place in the output file: what lies before it has been taken over into the log.
type position struct {
	Inode  uint64 `json:"ino"`
	Offset int64  `json:"off"`
}

// parseOutput reads one line of the output file: "<RFC3339Nano> stdout|stderr F|P text". partial means that the line goes on.
func parseOutput(line []byte) (l outputLine, partial, ok bool) {
	fields := bytes.SplitN(line, []byte(" "), 4)
	if len(fields) < 3 {
		return l, false, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(fields[0]))
	if err != nil {
		return l, false, false
	}
	l.Time, l.Stream = at, string(fields[1])
	if l.Stream != "stdout" && l.Stream != "stderr" {
		return l, false, false
	}
	tag := string(fields[2])
	if tag != "F" && tag != "P" {
		return l, false, false
	}
	if len(fields) == 4 {
		l.Text = string(fields[3])
	}
	return l, tag == "P", true
}

// tail reads an output file as it grows, also over its rotation. It is used by one goroutine.
type tail struct {
	path    string
	file    *os.File
	pos     position // after the last complete line
	rest    []byte   // an incomplete line
	partial map[string]*outputLine
	marks   map[string]string // stream -> request id of the last end mark
	sink    func(outputLine)
}

func newTail(path string, from position, sink func(outputLine)) *tail {
	t := &tail{path: path, pos: from, sink: sink, partial: map[string]*outputLine{}, marks: map[string]string{}}
	if from.Inode != 0 {
		t.resume(from)
	}
	return t
}

// resume looks for the file that the position belongs to; it may have been rotated away meanwhile.
func (t *tail) resume(from position) {
	for _, f := range openSeries(t.path) {
		if t.file == nil && f.inode == from.Inode && f.size >= from.Offset {
			if _, err := f.Seek(from.Offset, io.SeekStart); err == nil {
				t.file = f.File
				continue
			}
		}
		_ = f.Close()
	}
}

func globQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}

// outputFile is one file of a rotated series.
type outputFile struct {
	*os.File
	inode uint64
	size  int64
}

func openOutput(path string) (outputFile, error) {
	f, err := os.Open(path) //nolint:gosec // our own output file
	if err != nil {
		return outputFile{}, fmt.Errorf("open output: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return outputFile{}, fmt.Errorf("stat output: %w", err)
	}
	return outputFile{f, inodeOf(info), info.Size()}, nil
}

// inodeOf is the file's number, 0 where the system has none.
func inodeOf(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// openSeries opens path, path.1, path.2 …: the youngest first. A rotation while it does that shows as one file met twice,
// and it begins again.
func openSeries(path string) []outputFile {
	for {
		var out []outputFile
		name, torn := path, false
		for n := 1; ; n++ {
			f, err := openOutput(name)
			if err != nil {
				break
			}
			torn = torn || slices.ContainsFunc(out, func(o outputFile) bool { return o.inode == f.inode })
			out = append(out, f)
			name = path + "." + strconv.Itoa(n)
		}
		if !torn {
			return out
		}
		for _, f := range out {
			_ = f.Close()
		}
	}
}

// poll takes over what was written since, up to pollBytes, and tells how many bytes that was.
func (t *tail) poll() int {
	total := 0
	for total < pollBytes {
		if t.file == nil && !t.open() {
			return total
		}
		n := t.read(pollBytes - total)
		total += n
		if n == 0 && !t.rotated() {
			return total
		}
	}
	return total
}

// open opens the file after the one that was read last, or the oldest there is.
func (t *tail) open() bool {
	series := openSeries(t.path)
	if len(series) == 0 {
		return false // not there yet
	}
	pick := len(series) - 1
	if i := slices.IndexFunc(series, func(f outputFile) bool { return f.inode == t.pos.Inode }); i >= 0 {
		pick = max(i-1, 0)
	}
	for i, f := range series {
		if i == pick {
			t.file, t.pos, t.rest = f.File, position{Inode: f.inode}, nil
			continue
		}
		_ = f.Close()
	}
	return true
}

// rotated closes the file where the path names another one, after the old one was read to its end.
func (t *tail) rotated() bool {
	info, err := os.Stat(t.path)
	if err != nil {
		return false // between rename and create
	}
	if inodeOf(info) == t.pos.Inode && info.Size() >= t.pos.Offset {
		return false
	}
	if t.read(pollBytes) > 0 {
		return true // written between our last read and the rotation
	}
	t.close()
	return true
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close()
		t.file = nil
	}
}

func (t *tail) read(limit int) int {
	buf := make([]byte, min(limit, 256<<10))
	n, _ := t.file.Read(buf) // an error shows as nothing read
	t.rest = append(t.rest, buf[:n]...)
	for {
		i := bytes.IndexByte(t.rest, '\n')
		if i < 0 && len(t.rest) < maxMessage {
			return n
		}
		line := t.rest
		if i >= 0 {
			line = t.rest[:i]
			t.pos.Offset++
		}
		t.pos.Offset += int64(len(line))
		t.take(line)
		t.rest = t.rest[min(len(t.rest), len(line)+1):]
		if i < 0 {
			t.rest = nil
		}
	}
}

// take joins partial lines, up to maxMessage bytes, and passes complete ones on.
func (t *tail) take(raw []byte) {
	l, more, ok := parseOutput(raw)
	if !ok {
		l = outputLine{Time: time.Now(), Stream: "stdout", Text: string(raw)}
	}
	if p := t.partial[l.Stream]; p != nil {
		p.Text += l.Text
		l = *p
	}
	if more && len(l.Text) < maxMessage {
		t.partial[l.Stream] = &l
		return
	}
	delete(t.partial, l.Stream)
	if text, id, ok := strings.Cut(l.Text, endMark); ok {
		t.marks[l.Stream] = id
		if text == "" {
			return
		}
		l.Text = text
	}
	l.Pos = t.pos
	t.sink(l)
}

// flushPartial passes on what a program left without a newline.
func (t *tail) flushPartial() {
	for _, name := range []string{"stdout", "stderr"} {
		if p := t.partial[name]; p != nil {
			delete(t.partial, name)
			p.Pos = t.pos
			t.sink(*p)
		}
	}
}

// marked reports whether everything that the invocation printed has been read.
func (t *tail) marked(id string) bool {
	return t.marks["stdout"] == id && t.marks["stderr"] == id
}
