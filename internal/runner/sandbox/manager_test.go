package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// world is a manager with everything around it.
type world struct {
	*Manager
	t     *testing.T
	cfg   Config
	units *shimUnits
	code  string
	n     atomic.Int64
}

func searchPath(t *testing.T) string {
	t.Helper()
	dirs := []string{}
	for _, name := range []string{"python3", "node"} {
		if p, err := exec.LookPath(name); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	return strings.Join(append(dirs, "/usr/local/bin", "/usr/bin", "/bin"), ":")
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, units: newShimUnits(filepath.Join(dir, "units")), code: filepath.Join(dir, "code")}
	for _, d := range []string{w.units.dir, w.code} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.cfg = Config{
		Dir: filepath.Join(dir, "data"), Units: w.units, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		SearchPath: searchPath(t), InitTimeout: 60 * time.Second,
	}
	if change != nil {
		change(&w.cfg)
	}
	t.Cleanup(w.units.killAll)
	w.start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := w.StopAll(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) start() {
	w.t.Helper()
	m, err := New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Manager = m
}

// restart ends the manager gracefully and starts the next one.
func (w *world) restart() {
	w.t.Helper()
	if err := w.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.start()
}

func (w *world) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.code, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

// python writes a handler that our own bootstrap runs and describes its function; $F in the code is a file beside it.
func (w *world) python(code string) Function {
	w.t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		w.t.Skip("python3 is not on PATH: Python handlers are not tested")
	}
	w.write("awslambdaric.py", "raise ImportError('hidden, so that our own bootstrap is tested')\n")
	name := fmt.Sprintf("handler%d", w.n.Add(1))
	w.write(name+".py", strings.ReplaceAll(code, "$F", filepath.Join(w.code, "out.txt")))
	return w.function("python3", name+".handler")
}

func (w *world) node(file, code string) Function {
	w.t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		w.t.Skip("node is not on PATH: Node handlers are not tested")
	}
	w.write(file, strings.ReplaceAll(code, "$F", filepath.Join(w.code, "out.txt")))
	return w.function("nodejs", strings.SplitN(file, ".", 2)[0]+".handler")
}

func (w *world) function(runtime, handler string) Function {
	return Function{
		Name: "hook", Runtime: runtime, Handler: handler, CodeDir: w.code, Timeout: 30 * time.Second, MemoryMB: 256,
		Version: fmt.Sprint(w.n.Add(1)), AccountID: "000000000000", Region: "us-east-1",
	}
}

func (w *world) accept(f Function, payload string) string {
	w.t.Helper()
	id := fmt.Sprintf("11111111-2222-3333-4444-%012d", w.n.Add(1))
	if err := w.Invoke(w.t.Context(), Invocation{ID: id, Function: f, Payload: []byte(payload)}); err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) await(id string) Result {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 90*time.Second)
	defer cancel()
	r, err := w.Await(ctx, id)
	if err != nil {
		w.t.Fatalf("await %s: %v", id, err)
	}
	return r
}

func (w *world) run(f Function, payload string) Result {
	w.t.Helper()
	return w.await(w.accept(f, payload))
}

// logOf is the whole log stream of a result.
func (w *world) logOf(r Result) string {
	w.t.Helper()
	var b strings.Builder
	for since := int64(0); ; {
		page, err := ReadLog(w.cfg.Dir, "hook", r.LogStream, since)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range page.Events {
			b.WriteString(e.Message)
		}
		if page.Next == since {
			return b.String()
		}
		since = page.Next
	}
}

// file is what handlers wrote to $F.
func (w *world) file() string {
	data, _ := os.ReadFile(filepath.Join(w.code, "out.txt"))
	return string(data)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func want(t *testing.T, r Result, state State, errorType, message string) {
	t.Helper()
	if r.State != state || r.ErrorType != errorType || !strings.Contains(r.ErrorMessage, message) {
		t.Fatalf("got %s %s %q, want %s %s …%q…\nlog: %s", r.State, r.ErrorType, r.ErrorMessage, state, errorType, message, r.LogTail)
	}
}

// wantOrder checks that the parts follow one another in the text.
func wantOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, p := range parts {
		_, after, ok := strings.Cut(rest, p)
		if !ok {
			t.Fatalf("%q is not there, or not in this place, in:\n%s", p, text)
		}
		rest = after
	}
}

func TestInvoke_refusesBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	good := Invocation{ID: "id", Function: w.function("provided", "")}
	tests := map[string]func(*Invocation){
		"id leaves the folder":     func(i *Invocation) { i.ID = "../x" },
		"id is empty":              func(i *Invocation) { i.ID = "" },
		"id with slash":            func(i *Invocation) { i.ID = "a/b" },
		"name leaves the folder":   func(i *Invocation) { i.Function.Name = "../../etc" },
		"unknown runtime":          func(i *Invocation) { i.Function.Runtime = "java21" },
		"relative code folder":     func(i *Invocation) { i.Function.CodeDir = "code" },
		"no handler":               func(i *Invocation) { i.Function.Runtime = "python3" },
		"negative timeout":         func(i *Invocation) { i.Function.Timeout = -1 },
		"account":                  func(i *Invocation) { i.Function.AccountID = "1" },
		"region":                   func(i *Invocation) { i.Function.Region = "a:b" },
		"payload is no JSON":       func(i *Invocation) { i.Payload = []byte("{") },
		"payload too large":        func(i *Invocation) { i.Payload = bytes.Repeat([]byte(" "), MaxPayload+1) },
		"reserved variable":        func(i *Invocation) { i.Function.Env = map[string]string{"AWS_LAMBDA_RUNTIME_API": "x"} },
		"variable name":            func(i *Invocation) { i.Function.Env = map[string]string{"A=B": "x"} },
		"variable with a NUL byte": func(i *Invocation) { i.Function.Env = map[string]string{"A": "x\x00"} },
	}
	for name, change := range tests {
		in := good
		change(&in)
		if err := w.Invoke(t.Context(), in); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	if _, err := w.Result(t.Context(), "never"); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown id: got %v, want ErrNotFound", err)
	}
	if _, err := w.Result(t.Context(), "../invocations/x"); !errors.Is(err, ErrInvalid) {
		t.Errorf("bad id: got %v, want ErrInvalid", err)
	}
}

func TestInvoke_sameIDRunsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python("def handler(e, c):\n    open('$F', 'a').write('x')\n")
	in := Invocation{ID: "once", Function: f}
	errs := make(chan error)
	for range 8 {
		go func() { errs <- w.Invoke(t.Context(), in) }()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	want(t, w.await("once"), StateSucceeded, "", "")
	if err := w.Invoke(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if err := w.Invoke(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	want(t, w.await("once"), StateSucceeded, "", "")
	if got := w.file(); got != "x" {
		t.Fatalf("the handler ran %d times", len(got))
	}
}

func TestManager_warmReuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python("open('$F', 'a').write('cold ')\nn = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return n\n")
	first := w.run(f, "{}")
	for i := 2; i <= 4; i++ {
		r := w.run(f, "{}")
		if string(r.Payload) != fmt.Sprint(i) || r.ColdStart || r.LogStream != first.LogStream {
			t.Fatalf("invocation %d: payload %s, cold %t, stream %s", i, r.Payload, r.ColdStart, r.LogStream)
		}
	}
	if !first.ColdStart || w.file() != "cold " {
		t.Fatalf("cold %t, file %q", first.ColdStart, w.file())
	}
	f.Version = "other"
	if r := w.run(f, "{}"); !r.ColdStart || string(r.Payload) != "1" {
		t.Fatalf("another version: cold %t, payload %s", r.ColdStart, r.Payload)
	}
}

func TestManager_credentialsEndReuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python("import os\ndef handler(e, c):\n    return [os.environ['AWS_ACCESS_KEY_ID'], os.environ['AWS_SESSION_TOKEN']]\n")
	invoke := func(id, key string, valid time.Duration) Result {
		c := &Credentials{AccessKeyID: key, SecretAccessKey: "s", SessionToken: "t" + key, Expires: time.Now().Add(valid)}
		if err := w.Invoke(t.Context(), Invocation{ID: id, Function: f, Credentials: c}); err != nil {
			t.Fatal(err)
		}
		return w.await(id)
	}
	if r := invoke("a", "K1", time.Second); string(r.Payload) != `["K1", "tK1"]` {
		t.Fatalf("got %s", r.Payload)
	}
	// K1 ends before an invocation of 30 s could.
	if r := invoke("b", "K2", time.Hour); string(r.Payload) != `["K2", "tK2"]` || !r.ColdStart {
		t.Fatalf("got %s, cold %t", r.Payload, r.ColdStart)
	}
	if r := invoke("c", "K3", time.Hour); string(r.Payload) != `["K2", "tK2"]` || r.ColdStart {
		t.Fatalf("got %s, cold %t", r.Payload, r.ColdStart)
	}
}

func TestManager_oneInvocationAtATime(t *testing.T) {
	t.Parallel()
	code := "import os, time\ndef handler(e, c):\n    open('$F', 'a').write('<')\n    time.sleep(0.3)\n    open('$F', 'a').write('>')\n    return os.getpid()\n"
	for _, limit := range []int{1, 4} {
		w := newWorld(t, func(c *Config) { c.MaxPerFunction = limit })
		f := w.python(code)
		var ids []string
		for range 3 {
			ids = append(ids, w.accept(f, "{}"))
		}
		pids := map[string]bool{}
		for _, id := range ids {
			r := w.await(id)
			want(t, r, StateSucceeded, "", "")
			pids[string(r.Payload)] = true
		}
		if limit == 1 && (len(pids) != 1 || w.file() != "<><><>") {
			t.Errorf("limit 1: %d processes, %s", len(pids), w.file())
		}
		if limit == 4 && len(pids) != 3 {
			t.Errorf("limit 4: %d processes for 3 invocations at once", len(pids))
		}
	}
}

func TestManager_totalLimitEvictsIdle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.MaxSandboxes = 1 })
	a := w.python("def handler(e, c):\n    return 'a'\n")
	b := w.python("def handler(e, c):\n    return 'b'\n")
	for _, f := range []Function{a, b, a} {
		r := w.run(f, "{}")
		want(t, r, StateSucceeded, "", "")
		if !r.ColdStart {
			t.Fatal("the other function's sandbox was not evicted")
		}
	}
}

func TestManager_idleSandboxIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.IdleTimeout = 300 * time.Millisecond })
	f := w.python("def handler(e, c):\n    return 1\n")
	r := w.run(f, "{}")
	id := w.units.programs()[0]
	eventually(t, "the idle sandbox ends", func() bool { return w.units.shim(id) == 0 })
	eventually(t, "its files are removed", func() bool {
		left, _ := filepath.Glob(filepath.Join(w.cfg.Dir, "*", strings.TrimPrefix(id, "sandbox-")+"*"))
		return len(left) == 0
	})
	if !strings.Contains(w.logOf(r), "REPORT") {
		t.Error("its log went as well")
	}
	if r := w.run(f, "{}"); !r.ColdStart {
		t.Error("reused a stopped sandbox")
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.MaxPerFunction = 1 })
	f := w.python("import time\ndef handler(e, c):\n    open('$F', 'a').write('x')\n    time.sleep(60)\n")
	running, waiting := w.accept(f, "{}"), w.accept(f, "{}")
	eventually(t, "the first runs", func() bool { return w.file() == "x" })
	if r, err := w.Result(t.Context(), running); err != nil || r.State != StateRunning || r.LogStream == "" {
		t.Fatalf("running: %+v, %v", r, err)
	}
	for _, id := range []string{waiting, running} {
		if err := w.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		want(t, w.await(id), StateFailed, ErrorTypeCancelled, "cancelled")
	}
	if w.file() != "x" {
		t.Error("the waiting one ran")
	}
	if err := w.Cancel(t.Context(), running); err != nil {
		t.Errorf("cancel of a finished one: %v", err)
	}
	if err := w.Cancel(t.Context(), "never"); !errors.Is(err, ErrNotFound) {
		t.Errorf("cancel of an unknown one: %v", err)
	}
}

func TestManager_deadlineOfWaitingInvocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.MaxPerFunction = 1 })
	f := w.python("import time\ndef handler(e, c):\n    open('$F', 'a').write('x')\n    time.sleep(60)\n")
	w.accept(f, "{}")
	in := Invocation{ID: "late", Function: f, Deadline: time.Now().Add(200 * time.Millisecond)}
	if err := w.Invoke(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	r := w.await("late")
	want(t, r, StateFailed, ErrorTypeTimedOut, "deadline")
	if !r.TimedOut {
		t.Error("not marked as timed out")
	}
}

// A disk that refuses must neither lose nor repeat an invocation.
func TestManager_journalCannotBeWritten(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	w := newWorld(t, nil)
	away := func(aside bool) {
		dir, hidden := filepath.Join(w.cfg.Dir, "invocations"), filepath.Join(w.cfg.Dir, "hidden")
		if !aside {
			dir, hidden = hidden, dir
		}
		if err := os.Rename(dir, hidden); err != nil {
			t.Error(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.cfg.Fault = func(point string) {
		if point == "handing" && broken.CompareAndSwap(false, true) {
			away(true)
		}
	}
	w.start()
	f := w.python("def handler(e, c):\n    open('$F', 'a').write('x')\n")
	id := w.accept(f, "{}")
	eventually(t, "the disk breaks", broken.Load)
	if err := w.Invoke(t.Context(), Invocation{ID: "more", Function: f}); err == nil {
		t.Error("accepted without a journal")
	}
	if w.file() != "" {
		t.Fatal("handed over without a journal")
	}
	away(false)
	want(t, w.await(id), StateSucceeded, "", "")
	if w.file() != "x" {
		t.Fatalf("ran %d times", len(w.file()))
	}
}

func TestManager_nothingToRunIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.SearchPath = "/nonexistent/bin" })
	w.write("h.py", "")
	for runtime, name := range map[string]string{"python3.99": "python3.99, python3", "nodejs20.x": "node20", "provided": "bootstrap"} {
		r := w.run(w.function(runtime, "h.handler"), "{}")
		want(t, r, StateFailed, ErrorTypeEntrypoint, name)
		if !strings.Contains(string(r.LogTail), name) {
			t.Errorf("%s: the log does not say it: %s", runtime, r.LogTail)
		}
	}
	f := w.function("provided", "")
	f.CodeDir = filepath.Join(w.code, "gone")
	want(t, w.run(f, "{}"), StateFailed, ErrorTypeEntrypoint, "is not there")
	f = w.function("provided", "")
	w.write("bootstrap", "#!/nonexistent/shell\n")
	want(t, w.run(f, "{}"), StateFailed, ErrorTypeStart, "no such file")
}

func TestManager_prunesOldResults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.SearchPath = "/nonexistent/bin" })
	id := w.accept(w.function("provided", ""), "{}")
	w.await(id)
	w.cfg.Retention = time.Nanosecond
	w.restart()
	eventually(t, "the result is forgotten", func() bool {
		_, err := w.Result(t.Context(), id)
		return errors.Is(err, ErrNotFound)
	})
}

func TestManager_closedRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Invoke(t.Context(), Invocation{ID: "x", Function: w.function("provided", "")}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	w.start()
}

func discardLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }
