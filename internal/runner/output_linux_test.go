package runner

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestOutput_hundredMegabytes(t *testing.T) {
	t.Parallel()
	const size = 100 << 20
	for _, kind := range []string{"print", "endless"} {
		t.Run(kind, func(t *testing.T) {
			dir := remoteDir(t)
			r := startRemote(t, dir, "", "")
			if !r.up(t) {
				t.Fatal("runner died")
			}
			spec := program(kind+"/"+filepath.Base(dir), ModeOnce, kind, strconv.Itoa(size))
			spec.LogMaxBytes, spec.LogKeep = 1<<20, 2
			ensure(t, r, spec)
			st, err := r.Wait(t.Context(), spec.ID)
			if err != nil || !st.Exit.Success() || st.LogLost != 0 {
				t.Fatalf("ended: %+v %+v %v", st, st.Exit, err)
			}
			files, err := filepath.Glob(st.LogFile + "*")
			if err != nil || len(files) != 3 {
				t.Errorf("log files %v, want 3", files)
			}
			for _, file := range files {
				if info, err := os.Stat(file); err != nil || info.Size() > 1<<20+256<<10 {
					t.Errorf("size of %s: %v %v", file, info, err)
				}
			}
			if rss := peakMemory(t, r.cmd.Process.Pid); rss > 200<<10 {
				t.Errorf("runner used %d KiB", rss)
			}
			r.end(t)
		})
	}
}

// peakMemory is a process's greatest resident size in KiB.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("peak memory of the runner: %d KiB", n)
			return n
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

func TestOutput_everyByteOfAnOrdinaryProgram(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	spec := Spec{ID: "sh", Mode: ModeOnce, Command: []string{"sh", "-c", "printf 'one\ntwo'; sleep 0.4; printf ' more\n\n'; printf tail; printf oops >&2; exit 3"}}
	ensure(t, s, spec)
	st, err := s.Wait(t.Context(), "sh")
	if err != nil || st.Exit.Code != 3 {
		t.Fatalf("%+v %v", st, err)
	}
	data, err := os.ReadFile(st.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(data)) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if strings.HasPrefix(rest, "stdout") {
			got = append(got, rest)
		} else if rest != "stderr P oops" {
			t.Errorf("stderr line %q", rest)
		}
	}
	want := "stdout F one;stdout P two;stdout F  more;stdout F ;stdout P tail"
	if strings.Join(got, ";") != want {
		t.Errorf("log %q, want %q", strings.Join(got, ";"), want)
	}
	if !strings.Contains(st.Reason, "oops") {
		t.Errorf("reason %q lacks the last words", st.Reason)
	}
}

func TestAppendLines(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 15, 4, 5, 6_000_000, time.FixedZone("", 3600))
	long := strings.Repeat("z", maxLine+5)
	for name, c := range map[string]struct {
		raw   string
		flush bool
		want  string
		used  int
	}{
		"whole":     {"a\nb\n", false, "F a|F b|", 4},
		"begun":     {"a\nb", false, "F a|", 2},
		"flushed":   {"a\nb", true, "F a|P b|", 3},
		"empty":     {"\n\n", false, "F |F |", 2},
		"long":      {long + "\n", false, "P " + long[:maxLine] + "|F zzzzz|", len(long) + 1},
		"long held": {long, false, "P " + long[:maxLine] + "|", maxLine},
		"exact":     {long[:maxLine] + "\n", false, "F " + long[:maxLine] + "|", maxLine + 1},
		"nothing":   {"", true, "", 0},
	} {
		text, used := appendLines(nil, []byte(c.raw), "stdout", now, c.flush)
		got := strings.ReplaceAll(strings.ReplaceAll(string(text), "2026-01-02T14:04:05.006Z stdout ", ""), "\n", "|")
		if got != c.want || used != c.used {
			t.Errorf("%s: %.60q, %d bytes used, want %.60q, %d", name, got, used, c.want, c.used)
		}
	}
}

func TestLogFile_fullDiskDropsAndRecovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// A folder in the way of the log file stands for any fault of the disk.
	path := filepath.Join(dir, "log")
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	l := openLog(path, 100, 1)
	defer l.close()
	if ok, _ := l.write([]byte("lost\n")); ok {
		t.Error("write into a folder")
	}
	if lost, err := l.state(); lost != 5 || err == nil {
		t.Errorf("state %d %v", lost, err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if ok, changed := l.write([]byte("kept\n")); !ok || !changed {
		t.Error("does not recover")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "kept\n" {
		t.Errorf("log %q %v", data, err)
	}
}

func TestLogFile_endsTornLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	writeFile(t, path, "torn", 0o600)
	l := openLog(path, 100, 1)
	l.write([]byte("next\n"))
	l.close()
	if data, _ := os.ReadFile(path); string(data) != "torn\nnext\n" {
		t.Errorf("log %q", data)
	}
}

func TestWriteLogs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	l := openLog(path, 10, 3)
	for i := range 6 {
		l.write([]byte("line" + strconv.Itoa(i) + "\n")) // one a file: 6 bytes and 6 more are over 10
	}
	l.close()
	ended := make(chan struct{})
	close(ended)
	for name, c := range map[string]struct {
		q    LogQuery
		want string
	}{
		"all kept": {LogQuery{}, "line2\nline3\nline4\nline5\n"},
		"tail 1":   {LogQuery{Tail: 1}, "line5\n"},
		"tail 3":   {LogQuery{Tail: 3}, "line3\nline4\nline5\n"},
		"tail 99":  {LogQuery{Tail: 99}, "line2\nline3\nline4\nline5\n"},
		"none":     {LogQuery{Tail: -1}, ""},
		"offset":   {LogQuery{Offset: 4}, "5\n"},
		"followed": {LogQuery{Tail: 2, Follow: true}, "line4\nline5\n"},
	} {
		var b bytes.Buffer
		if err := writeLogs(t.Context(), &b, path, c.q, ended); err != nil || b.String() != c.want {
			t.Errorf("%s: %q %v, want %q", name, b.String(), err, c.want)
		}
	}
	var b bytes.Buffer
	if err := writeLogs(t.Context(), &b, path+"-none", LogQuery{Follow: true}, ended); err != nil || b.Len() != 0 {
		t.Errorf("missing log: %q %v", b.String(), err)
	}
}

func TestClient_logsFollowOverRotation(t *testing.T) {
	t.Parallel()
	dir := remoteDir(t)
	r := startRemote(t, dir, "", "")
	if !r.up(t) {
		t.Fatal("runner died")
	}
	id := "follow/" + filepath.Base(dir)
	spec := Spec{
		ID: id, Mode: ModeOnce, LogMaxBytes: 64 << 10, LogKeep: 9,
		Command: []string{"sh", "-c", "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done"},
	}
	ensure(t, r, spec)
	stream, err := r.Logs(t.Context(), id, LogQuery{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(stream)
	_ = stream.Close()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) != 5000 {
		t.Fatalf("%d lines followed, want 5000", len(lines))
	}
	for i, line := range lines {
		if !strings.HasSuffix(line, " stdout F line "+strconv.Itoa(i)) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "logs", fileName(id)+".log.1")); err != nil {
		t.Errorf("nothing was rotated: %v", err)
	}
	r.end(t)
}
