package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// managerSetup is what a manager in a process of its own is told.
type managerSetup struct {
	Dir, Units, SearchPath, Socket string
	Point                          string // kills itself there
}

// managerMain is a manager that is killed.
func managerMain(args []string) error {
	var s managerSetup
	if err := json.Unmarshal([]byte(args[0]), &s); err != nil {
		return err
	}
	m, err := New(Config{
		Dir: s.Dir, Units: newShimUnits(s.Units), Logger: discardLogger(), SearchPath: s.SearchPath,
		Fault: func(point string) {
			if point == s.Point {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // until it arrives
			}
		},
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("unix", s.Socket)
	if err != nil {
		return err
	}
	fmt.Println("ready") //nolint:forbidigo // to the test that started us
	return http.Serve(l, m.Handler())
}

// spawn starts a manager in a process of its own; the test's own one must be closed.
func (w *world) spawn(point string) (*exec.Cmd, *Client) {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	s := managerSetup{
		Dir: w.cfg.Dir, Units: w.units.dir, SearchPath: w.cfg.SearchPath, Point: point, Socket: filepath.Join(filepath.Dir(w.cfg.Dir), "control"),
	}
	_ = os.Remove(s.Socket)
	data, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(w.t.Context(), self, "role-manager", string(data))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		w.t.Fatalf("manager did not start: %q %v", line, err)
	}
	c := NewClient(s.Socket)
	w.t.Cleanup(c.CloseIdle)
	return cmd, c
}

const slowHandler = `
import os, time
def handler(event, context):
    fd = os.open('$F', os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(fd, b'x')
    print("started work")
    time.sleep(event["sleep"])
    print("ended work")
    return {"id": context.aws_request_id}
`

// The manager is killed at each position of the journal. The handler runs at most once, and the next manager knows how it
// ended wherever that can be known.
func TestKill_everyJournalPosition(t *testing.T) {
	t.Parallel()
	tests := []struct {
		point string
		state State
		runs  int
	}{
		{"accepting", StateSucceeded, 1},
		{"accepted", StateSucceeded, 1},
		{"starting", StateSucceeded, 1},
		{"started", StateSucceeded, 1},
		{"handing", StateSucceeded, 1},
		{"handed", StateUnknown, 0},
		{"answering", StateSucceeded, 1},
		{"answered", StateSucceeded, 1},
		{"finishing", StateSucceeded, 1},
		{"finished", StateSucceeded, 1},
	}
	for _, tt := range tests {
		t.Run(tt.point, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			in := Invocation{ID: "kill-" + tt.point, Function: w.python(slowHandler), Payload: []byte(`{"sleep":0.2}`)}
			cmd, client := w.spawn(tt.point)
			_ = client.Invoke(t.Context(), in) // killed before it answers, at the first positions
			if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("the manager was not killed: %v", err)
			}
			w.start()
			if err := w.Invoke(t.Context(), in); err != nil { // the caller does not know and asks again
				t.Fatal(err)
			}
			r := w.await(in.ID)
			if r.State != tt.state || len(w.file()) != tt.runs {
				t.Fatalf("got %s %s after %d runs, want %s after %d", r.State, r.ErrorMessage, len(w.file()), tt.state, tt.runs)
			}
			if tt.state == StateSucceeded {
				if string(r.Payload) != `{"id": "`+in.ID+`"}` {
					t.Errorf("payload %s", r.Payload)
				}
				log := w.logOf(r)
				wantOrder(t, log, "START RequestId: "+in.ID, "started work\n", "ended work\n", "END RequestId: "+in.ID, "REPORT RequestId: "+in.ID)
				for _, once := range []string{"START", "started work", "ended work", "END", "REPORT"} {
					if n := strings.Count(log, once); n != 1 {
						t.Errorf("%d times %s in the log:\n%s", n, once, log)
					}
				}
			}
			w.noneLeft()
		})
	}
}

// noneLeft stops everything and counts processes.
func (w *world) noneLeft() {
	w.t.Helper()
	if err := w.StopAll(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	for _, id := range w.units.programs() {
		eventually(w.t, "program "+id+" ends", func() bool { return w.units.shim(id) == 0 })
	}
	for _, sub := range []string{"sandboxes", "output", "scratch"} {
		if left, _ := os.ReadDir(filepath.Join(w.cfg.Dir, sub)); len(left) > 0 {
			w.t.Errorf("%s holds %v", sub, left)
		}
	}
	w.start()
}

// The manager is killed at any moment, again and again.
func TestKill_anyMoment(t *testing.T) {
	t.Parallel()
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range rounds {
		w := newWorld(t, nil)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		in := Invocation{ID: fmt.Sprint("any-", i), Function: w.python(slowHandler), Payload: []byte(`{"sleep":0.1}`)}
		for range 2 {
			cmd, client := w.spawn("")
			if err := client.Invoke(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(random.IntN(600)) * time.Millisecond) // the moment of the kill
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		w.start()
		r := w.await(in.ID)
		runs := len(w.file())
		ok := (r.State == StateSucceeded && runs == 1) || (r.State == StateUnknown && runs <= 1)
		if !ok {
			t.Fatalf("round %d: %s %s after %d runs", i, r.State, r.ErrorMessage, runs)
		}
		t.Logf("round %d: %s, %d runs %s", i, r.State, runs, r.ErrorMessage)
		w.noneLeft()
	}
}

// A handler that ran while no manager was there answers the next one, at the address bound anew.
func TestRestart_runningHandlerAnswersNextManager(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python(slowHandler)
	id := w.accept(f, `{"sleep":0.4}`)
	eventually(t, "the handler runs", func() bool { return w.file() == "x" })
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(600 * time.Millisecond) // the handler ends meanwhile
	w.start()
	r := w.await(id)
	want(t, r, StateSucceeded, "", "")
	wantOrder(t, w.logOf(r), "START", "started work", "ended work", "END", "REPORT")
	if r := w.run(f, `{"sleep":0}`); r.ColdStart {
		t.Error("the adopted sandbox is not used again")
	}
	if w.file() != "xx" {
		t.Errorf("%d runs", len(w.file()))
	}
}

// A kept listener lets a runtime that tries only once wait for the next manager.
func TestRestart_keptListener(t *testing.T) {
	t.Parallel()
	kept := map[string]*os.File{}
	w := newWorld(t, func(c *Config) {
		c.Keep = func(name string, l *net.TCPListener) (err error) {
			kept[name], err = l.File()
			return err
		}
		c.Unkeep = func(name string) error {
			if kept[name] == nil {
				return errors.New("not kept")
			}
			defer delete(kept, name)
			return kept[name].Close()
		}
	})
	file := filepath.Join(w.code, "go-on")
	f := w.provided("")
	id := w.accept(f, fmt.Sprintf(`{"Do":"wait","File":%q}`, file))
	eventually(t, "the handler runs", func() bool { _, err := os.Stat(file + ".started"); return err == nil })
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unneeded, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Inherited = map[string]net.Listener{"sandbox-unneeded": unneeded}
	for name, file := range kept {
		l, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		w.cfg.Inherited[name] = l
	}
	w.cfg.Listen = func(context.Context, string) (*net.TCPListener, error) { return nil, errors.New("must not bind anew") }
	w.start()
	w.cfg.Inherited, w.cfg.Listen = nil, nil
	want(t, w.await(id), StateSucceeded, "", "")
	if r := w.run(f, `{"Do":"echo"}`); r.ColdStart {
		t.Error("the adopted sandbox is not used again")
	}
	if _, err := unneeded.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener that nobody needs stays open: %v", err)
	}
	if err := w.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(kept) > 0 {
		t.Errorf("still kept: %v", kept)
	}
	w.start()
}

// A sandbox that ends while no manager is there may have done its work or not.
func TestRestart_sandboxEndedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python(slowHandler)
	id := w.accept(f, `{"sleep":60}`)
	eventually(t, "the handler runs", func() bool { return w.file() == "x" })
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.units.killAll()
	w.start()
	r := w.await(id)
	want(t, r, StateUnknown, ErrorTypeUnknown, "no manager was there")
	wantOrder(t, w.logOf(r), "START", "started work", "END", "Status: unknown")
	if w.file() != "x" {
		t.Errorf("%d runs", len(w.file()))
	}
}

// The time limit goes on while no manager is there.
func TestRestart_timeoutOfAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python(slowHandler)
	f.Timeout = 500 * time.Millisecond
	id := w.accept(f, `{"sleep":60}`)
	eventually(t, "the handler runs", func() bool { return w.file() == "x" })
	w.restart()
	want(t, w.await(id), StateFailed, ErrorTypeTimedOut, "Task timed out after 0.50 seconds")
}

// A record that cannot be read is never run again, and does not stop the manager.
func TestRestart_damagedJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python(slowHandler)
	for path, text := range map[string]string{
		"invocations/torn.json": `{"id":"torn","pha`, "invocations/other.json": `{"id":"another"}`, "invocations/empty.json": "",
		"sandboxes/0123.json": "{}", "invocations/.0123.json.1.tmp": "unfinished",
	} {
		if err := os.WriteFile(filepath.Join(w.cfg.Dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	for _, id := range []string{"torn", "other", "empty"} {
		if err := w.Invoke(t.Context(), Invocation{ID: id, Function: f, Payload: []byte(`{"sleep":0}`)}); err != nil {
			t.Fatal(err)
		}
		want(t, w.await(id), StateUnknown, ErrorTypeUnknown, "journal")
	}
	if w.file() != "" {
		t.Error("ran")
	}
	if _, err := os.Stat(filepath.Join(w.cfg.Dir, "invocations/.0123.json.1.tmp")); err == nil {
		t.Error("an unfinished file is left")
	}
}

// forgetful notes for each program that is forgotten whether its sandbox was still in the journal.
type forgetful struct {
	Units

	dir      string
	mu       sync.Mutex
	recorded []bool
}

func (f *forgetful) Forget(_ context.Context, id string) error {
	records, err := journal{f.dir}.ids("sandboxes")
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recorded = append(f.recorded, slices.ContainsFunc(records, func(box string) bool { return strings.Contains(id, box) }))
	return nil
}

// The record of a sandbox outlives what it names: a manager that is killed while it removes a sandbox leaves nothing that
// the next one does not know of.
func TestStopAll_recordLast(t *testing.T) {
	t.Parallel()
	units := &forgetful{}
	w := newWorld(t, func(c *Config) {
		units.Units, units.dir = c.Units, c.Dir
		c.Units = units
	})
	want(t, w.await(w.accept(w.python(slowHandler), `{"sleep":0}`)), StateSucceeded, "", "")
	w.noneLeft()
	units.mu.Lock()
	defer units.mu.Unlock()
	if !slices.Equal(units.recorded, []bool{true}) {
		t.Errorf("forgotten while recorded: %v", units.recorded)
	}
}

// Files of a sandbox without a record go; those of one with a record stay.
func TestRestart_filesWithoutRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python(slowHandler)
	want(t, w.await(w.accept(f, `{"sleep":0}`)), StateSucceeded, "", "")
	count := func(sub string) int {
		entries, err := os.ReadDir(filepath.Join(w.cfg.Dir, sub))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	scratch, output := count("scratch"), count("output")
	if scratch == 0 || output == 0 {
		t.Fatalf("a sandbox has %d and %d files", scratch, output)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(w.cfg.Dir, "scratch", "fedcba", "cache"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"output/fedcba.log", "output/fedcba.log.1"} {
		if err := os.WriteFile(filepath.Join(w.cfg.Dir, name), []byte("said"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.start()
	if s, o := count("scratch"), count("output"); s != scratch || o != output {
		t.Errorf("%d and %d files, want %d and %d", s, o, scratch, output)
	}
}

// What was accepted and not handed is run by the next manager after a stop of everything.
func TestStopAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.MaxPerFunction = 1 })
	f := w.python(slowHandler)
	running, waiting := w.accept(f, `{"sleep":60}`), w.accept(f, `{"sleep":0}`)
	eventually(t, "the handler runs", func() bool { return w.file() == "x" })
	w.noneLeft()
	want(t, w.await(running), StateFailed, ErrorTypeCancelled, "cancelled")
	want(t, w.await(waiting), StateSucceeded, "", "")
}

// The client over a unix socket, while the manager behind it goes and comes.
func TestClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	cmd, client := w.spawn("")
	f := w.python(slowHandler)
	in := Invocation{ID: "client", Function: f, Payload: []byte(`{"sleep":0.5}`)}
	if err := client.Invoke(t.Context(), Invocation{ID: "../bad", Function: f}); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "../bad") {
		t.Errorf("bad id: %v", err)
	}
	if err := client.Invoke(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	results := make(chan Result, 1)
	go func() {
		r, err := client.Await(t.Context(), "client")
		if err != nil {
			t.Error(err)
		}
		results <- r
	}()
	eventually(t, "the handler runs", func() bool { return w.file() == "x" })
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	cmd, client = w.spawn("")
	r := <-results
	want(t, r, StateSucceeded, "", "")
	if got, err := client.Result(t.Context(), "client"); err != nil || got.State != StateSucceeded {
		t.Errorf("result: %+v, %v", got, err)
	}
	for _, err := range []error{
		client.Cancel(t.Context(), "unknown"), second(client.Result(t.Context(), "unknown")), second(client.Await(t.Context(), "unknown")),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("unknown id: %v", err)
		}
	}
	streams, err := client.Streams(t.Context(), "hook")
	if err != nil || len(streams) != 1 || streams[0] != r.LogStream {
		t.Errorf("streams %q, %v", streams, err)
	}
	w.followLog(client, r)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := client.Await(ctx, "client"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("await without a manager: %v", err)
	}
	w.start()
}

func second[T any](_ T, err error) error { return err }

func (w *world) followLog(client *Client, r Result) {
	w.t.Helper()
	page, err := client.ReadLog(w.t.Context(), "hook", r.LogStream, 0)
	if err != nil || len(page.Events) < 5 || !strings.HasPrefix(page.Events[0].Message, "START") || page.Events[0].Timestamp == 0 {
		w.t.Fatalf("log %+v, %v", page, err)
	}
	path := streamPath(w.cfg.Dir, "hook", r.LogStream)
	go func() {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = io.WriteString(f, `{"timestamp":1,"message":"later\n"}`+"\n")
			_ = f.Close()
		}
		if err != nil {
			w.t.Error(err)
		}
	}()
	errStop := errors.New("stop")
	var last string
	err = client.FollowLog(w.t.Context(), "hook", r.LogStream, 0, func(e LogEvent) error {
		last = e.Message
		if last == "later\n" {
			return errStop
		}
		return nil
	})
	if !errors.Is(err, errStop) || last != "later\n" {
		w.t.Errorf("follow: %q, %v", last, err)
	}
	if _, err := client.ReadLog(w.t.Context(), "../hook", r.LogStream, 0); !errors.Is(err, ErrInvalid) {
		w.t.Errorf("bad name: %v", err)
	}
	if _, err := client.ReadLog(w.t.Context(), "hook", streamName(time.Now(), newID()), 0); !errors.Is(err, ErrNotFound) {
		w.t.Errorf("unknown stream: %v", err)
	}
}
