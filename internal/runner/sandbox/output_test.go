package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func appendFile(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func rotate(t *testing.T, path string) {
	t.Helper()
	_ = os.Remove(path + ".3")
	for n := 2; n >= 1; n-- {
		_ = os.Rename(fmt.Sprint(path, ".", n), fmt.Sprint(path, ".", n+1))
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
}

const stamp = "2026-01-02T03:04:05.678Z "

func TestTail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.log")
	var got []string
	var last position
	sink := func(l outputLine) { got = append(got, l.Stream+":"+l.Text); last = l.Pos }
	tl := newTail(path, position{}, sink)
	if n := tl.poll(); n != 0 {
		t.Fatalf("read %d bytes of nothing", n)
	}
	expect := func(lines ...string) {
		t.Helper()
		tl.poll()
		if strings.Join(got, "|") != strings.Join(lines, "|") {
			t.Fatalf("got %q, want %q", got, lines)
		}
		got = nil
	}
	appendFile(t, path, stamp+"stdout F one\n"+stamp+"stderr F \n"+stamp+"stdout F thr")
	expect("stdout:one", "stderr:")
	appendFile(t, path, "ee\n"+stamp+"stdout P par\n"+stamp+"stderr F between\n"+stamp+"stdout F tial\n")
	expect("stdout:three", "stderr:between", "stdout:partial")
	appendFile(t, path, "not ours\n")
	expect("stdout:not ours")
	appendFile(t, path, stamp+"stdout F before the rotation\n")
	rotate(t, path)
	appendFile(t, path, stamp+"stdout F in the middle\n")
	rotate(t, path)
	appendFile(t, path, stamp+"stdout F after the rotation\n")
	expect("stdout:before the rotation", "stdout:in the middle", "stdout:after the rotation")
	appendFile(t, path, stamp+"stdout F no newline"+endMark+"id-1\n"+stamp+"stderr F "+endMark+"id-1\n")
	expect("stdout:no newline")
	if !tl.marked("id-1") || tl.marked("id-2") {
		t.Error("marks were not seen")
	}
	tl.close()

	// The next manager reads on where the log ends, also when the file was rotated meanwhile.
	appendFile(t, path, stamp+"stdout F while away\n")
	rotate(t, path)
	appendFile(t, path, stamp+"stdout F and after\n")
	tl = newTail(path, last, sink)
	expect("stdout:while away", "stdout:and after")
	tl.close()
	for range 3 {
		rotate(t, path)
		appendFile(t, path, stamp+"stdout F new\n")
	}
	tl = newTail(path, position{Inode: 1, Offset: 7}, sink) // rotated away for good: all that is left
	expect("stdout:and after", "stdout:new", "stdout:new", "stdout:new")
	tl.close()
}

func TestTail_endlessLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.log")
	sizes := []int{}
	tl := newTail(path, position{}, func(l outputLine) { sizes = append(sizes, len(l.Text)) })
	defer tl.close()
	for range 64 { // 1 MB in partial lines
		appendFile(t, path, stamp+"stdout P "+strings.Repeat("x", 16<<10)+"\n")
	}
	tl.poll()
	tl.flushPartial()
	total := 0
	for _, n := range sizes {
		total += n
		if n > maxMessage+16<<10 {
			t.Errorf("an event of %d bytes", n)
		}
	}
	if total != 1<<20 {
		t.Errorf("%d bytes of %d", total, 1<<20)
	}
	appendFile(t, path, strings.Repeat("y", 3*maxMessage)) // a line that never ends, in no format
	tl.poll()
	if len(tl.rest) > maxMessage {
		t.Errorf("%d bytes are held", len(tl.rest))
	}
}

func TestLogStream_mendsAndResumes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stream := streamName(time.Now(), newID())
	s, err := openLogStream(dir, "f", stream, 1000)
	if err != nil {
		t.Fatal(err)
	}
	s.platform(time.Now(), "START RequestId: a")
	s.line(outputLine{Time: time.UnixMilli(5), Text: "a\rb", Pos: position{Inode: 3, Offset: 77}})
	s.close()
	appendFile(t, streamPath(dir, "f", stream), `{"timestamp":6,"mess`)
	s, err = openLogStream(dir, "f", stream, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if s.last != (position{3, 77}) || string(s.tail()) != "START RequestId: a\na\nb\n" {
		t.Errorf("position %+v, tail %q", s.last, s.tail())
	}
	for range 10 {
		s.line(outputLine{Time: time.Now(), Text: strings.Repeat("z", 200)})
	}
	s.platform(time.Now(), "END")
	s.close()
	page, err := ReadLog(dir, "f", stream, 0)
	if err != nil {
		t.Fatal(err)
	}
	texts := ""
	for _, e := range page.Events {
		texts += e.Message
	}
	wantOrder(t, texts, "START RequestId: a\n", "a\nb\n", "zzz", "output limit of 1000 bytes reached", "END\n")
	if strings.Count(texts, "limit") != 1 || len(texts) > 1500 {
		t.Errorf("%d bytes kept: %s", len(texts), texts)
	}
	if _, err := ReadLog(dir, "f", "2026/01/01/../../x", 0); err == nil {
		t.Error("left the folder")
	}
}

func FuzzParseOutput(f *testing.F) {
	for _, s := range []string{stamp + "stdout F text", stamp + "stderr P ", "", "x", stamp + "stdout F", stamp + "stdin F a", "\x00 \x00 F"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		l, _, ok := parseOutput(line)
		if ok && (l.Time.IsZero() && !strings.HasPrefix(string(line), "0001-01-01") || (l.Stream != "stdout" && l.Stream != "stderr")) {
			t.Errorf("%q: %+v", line, l)
		}
		if ok && !strings.HasSuffix(string(line), l.Text) {
			t.Errorf("%q became %q", line, l.Text)
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	in := Invocation{ID: "a", Function: Function{Name: "f", Runtime: "provided", CodeDir: "/c", AccountID: "000000000000", Region: "r"}}
	box := strings.Repeat("ab", 16)
	for _, r := range []record{
		{ID: "a", Phase: phaseAccepted, Invocation: in},
		{ID: "a", Phase: phaseHanded, Invocation: in, Sandbox: box, Handed: time.Unix(1, 0), Deadline: time.Unix(2, 0)},
		{ID: "a", Phase: phaseAnswered, Invocation: in, Sandbox: box, Handed: time.Unix(1, 0), Deadline: time.Unix(2, 0), Outcome: &outcome{State: StateFailed}},
		{ID: "a", Phase: phaseFinished, Invocation: in, Result: Result{ID: "a", State: StateUnknown}},
	} {
		data, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := decodeRecord("a", data); err != nil {
			f.Fatalf("seed %s: %v", data, err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRecord("a", data)
		if err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		second, err := decodeRecord("a", again)
		if err != nil {
			t.Fatalf("%s is read, %s is not: %v", data, again, err)
		}
		if r.Phase != second.Phase || r.ID != "a" || (r.Phase != phaseFinished && r.Invocation.check() != nil) {
			t.Errorf("got %+v", r)
		}
	})
}

func FuzzDecodeBox(f *testing.F) {
	id := strings.Repeat("0f", 16)
	data, err := json.Marshal(boxRecord{ID: id, Unit: unitID(id), Function: "f", Stream: streamName(time.Unix(0, 0), id)})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := decodeBox(id, data); err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"id":"../x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeBox(id, data)
		if err == nil && (r.ID != id || strings.Contains(r.Function+r.Stream, "..")) {
			t.Errorf("got %+v", r)
		}
	})
}

func FuzzParseError(f *testing.F) {
	f.Add([]byte(`{"errorType":"A","errorMessage":"b","stackTrace":["x",{"line":1}],"trace":["t"]}`), "H")
	f.Add([]byte(`[]`), "")
	f.Add([]byte(`{"errorType":"\n"}`), "a\r\nb")
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		out := parseError(body, header)
		if out.State != StateFailed || out.ErrorType == "" || len(out.ErrorType) > 256 || strings.ContainsAny(out.ErrorType, "\r\n") {
			t.Errorf("got %+v", out)
		}
	})
}
