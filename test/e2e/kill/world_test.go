//go:build linux

package kill

import (
	"bufio"
	"bytes"
	"context"
	"database/sql" //nolint:depguard // the test looks at the file from outside
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

	_ "modernc.org/sqlite" //nolint:depguard // the test looks at the file from outside

	"greengate/internal/supervise"
)

const (
	service = "shop"
	tasks   = 2
	// The limits are generous: a small machine that does three of these at once is slow.
	startLimit  = time.Minute
	deployLimit = 3 * time.Minute
)

// world is one installation with a service, and the load on it.
type world struct {
	program               string
	dir, data, starts     string
	api, production, test string // host:port
	http                  *http.Client
	load                  *load
	census                *census
	serve                 *exec.Cmd
	served                chan struct{} // closed when serve has ended
	stderr                *os.File
	version               int              // of the last deployment
	live                  string           // version that production is on
	noFunction            bool             // deploy without hooks that need an interpreter
	cuts                  int              // how often the data plane was killed
	slow                  int64            // requests of our own that a kill of the data plane has cut
	looked                map[string]int64 // requests of our own to production, by version

	mu           sync.Mutex
	installation string
}

// newWorld starts an installation of a program without any service.
func newWorld(t *testing.T, program string) *world {
	t.Helper()
	dir, err := os.MkdirTemp(built.dir, "w") //nolint:usetesting // short: unix sockets live in it
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		program: program, dir: dir, data: filepath.Join(dir, "d"), starts: filepath.Join(dir, "starts"),
		looked: map[string]int64{},
		http:   &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}},
	}
	t.Cleanup(func() { w.end(t) })
	w.api, w.production, w.test = freeAddress(t), freeAddress(t), freeAddress(t)
	if w.stderr, err = os.Create(filepath.Join(dir, "serve.log")); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	w.census = startCensus(w.id)
	return w
}

// freeAddress is a loopback address of its own with a port that is free there.
func freeAddress(t *testing.T) string {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 3+rand.IntN(50), rand.IntN(250), 2+rand.IntN(250))
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// start runs serve and waits for its line.
func (w *world) start(t *testing.T, flags ...string) {
	t.Helper()
	w.serve = exec.Command(w.program, append([]string{"serve", "--data", w.data, "--listen", w.api}, flags...)...)
	w.serve.Env = w.environment()
	w.serve.Stderr = w.stderr
	w.serve.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := w.serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.serve.Start(); err != nil {
		t.Fatal(err)
	}
	line := make(chan string, 1)
	w.served = make(chan struct{})
	go func(cmd *exec.Cmd, served chan struct{}) {
		r := bufio.NewReader(out)
		first, _ := r.ReadString('\n')
		line <- first
		_, _ = io.Copy(io.Discard, r)
		_ = cmd.Wait()
		close(served)
	}(w.serve, w.served)
	select {
	case s := <-line:
		if !strings.HasPrefix(s, "greengate: serving") {
			t.Fatalf("serve printed %q", s)
		}
	case <-time.After(startLimit):
		t.Fatalf("serve was not ready within %s", startLimit)
	}
}

func (w *world) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")} //nolint:forbidigo // what a person's shell would give
}

// id marks the processes of the installation; "" until the runner has made it.
func (w *world) id() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.installation == "" {
		data, _ := os.ReadFile(filepath.Join(w.data, "runner", "installation"))
		w.installation = strings.TrimSpace(string(data))
	}
	if w.installation == "" {
		return "none"
	}
	return w.installation
}

// result is how a command ended.
type result struct {
	exit   int
	stdout []byte
	stderr string
}

// cli runs a command as a person would.
func (w *world) cli(args ...string) (result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deployLimit+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.program, append(args, "--data", w.data)...)
	cmd.Env, cmd.Dir = w.environment(), w.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		err = nil
	}
	if err != nil {
		return result{}, fmt.Errorf("run greengate %s: %w", strings.Join(args, " "), err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.Bytes(), stderr.String()}, nil
}

// role reads what the supervisor has written about a role.
func (w *world) role(name string) (supervise.Status, error) {
	var s supervise.Status
	data, err := os.ReadFile(filepath.Join(w.data, "roles", name+".json"))
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	return s, err
}

// killRole ends a living process of a role and returns its pid. Which one lives is asked of /proc, since
// the supervisor's record lags behind.
func (w *world) killRole(t *testing.T, name string) int {
	t.Helper()
	pid := w.pid(t, name)
	killProcess(pid, started(pid))
	return pid
}

func (w *world) pid(t *testing.T, name string) (pid int) {
	t.Helper()
	eventually(t, startLimit, "a process of "+name, func() (string, bool) {
		pid = processesOf(w.data)[name]
		return "none", pid != 0
	})
	return pid
}

// ready waits until a role is ready in another process than before.
func (w *world) ready(t *testing.T, name string, before int) {
	t.Helper()
	eventually(t, startLimit, name+" is ready again", func() (string, bool) {
		s, err := w.role(name)
		return fmt.Sprintf("%+v %v", s, err), err == nil && s.State == supervise.StateReady && s.PID != before
	})
}

// end ends everything that is left of the world, and tells what it was about when the test failed.
func (w *world) end(t *testing.T) {
	t.Helper()
	if w.load != nil {
		w.load.stop()
	}
	if w.census != nil {
		w.census.end()
	}
	if t.Failed() {
		w.dump(t)
	}
	for _, name := range []string{"serve", "controller", "runner", "proxy"} { // serve first: it would start the others again
		if pid := processesOf(w.data)[name]; pid != 0 {
			killProcess(pid, started(pid))
		}
	}
	for _, p := range marked(w.id()) {
		killProcess(p.pid, p.start)
	}
	if w.served != nil {
		<-w.served
	}
	_ = w.stderr.Close()
	eventually(t, startLimit, "nothing of the installation is left", func() (string, bool) {
		left := marked(w.id())
		return fmt.Sprint(left), len(left) == 0
	})
	if err := os.RemoveAll(w.dir); err != nil {
		t.Errorf("remove folder: %v", err)
	}
}

// dump prints the ends of the logs and the history.
func (w *world) dump(t *testing.T) {
	t.Helper()
	if w.load != nil {
		t.Logf("load: %+v", w.load.counts())
	}
	for _, name := range []string{"d/logs/controller.log", "d/logs/runner.log", "d/logs/proxy.log", "serve.log", "starts"} {
		t.Logf("--- end of %s:\n%s", name, tail(filepath.Join(w.dir, name), 60))
	}
	if r, err := w.cli("history", service); err == nil {
		t.Logf("--- greengate history: exit %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	var list struct{ Deployments []struct{ ID string } }
	if r, err := w.cli("history", service, "--json"); err == nil && json.Unmarshal(r.stdout, &list) == nil {
		for i := range min(2, len(list.Deployments)) {
			if r, err := w.cli("events", list.Deployments[i].ID); err == nil {
				t.Logf("--- greengate events %s:\n%s", list.Deployments[i].ID, r.stdout)
			}
		}
	}
}

func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	all = slices.DeleteFunc(all, func(line string) bool {
		return strings.Contains(line, "msg=request ") || strings.HasPrefix(line, `{"kind":"request"`)
	})
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// close ends the installation in order and makes sure that nothing is left, and that its data can be opened
// again and knows everything.
func (w *world) close(t *testing.T) {
	t.Helper()
	w.load.stop()
	before, err := w.deployments()
	if err != nil {
		t.Fatal(err)
	}
	w.down(t)
	w.checkStore(t)
	w.start(t)
	after, err := w.deployments()
	if err != nil || len(after) != len(before) {
		t.Errorf("after a restart there are %d deployments of %d (%v)", len(after), len(before), err)
	}
	w.down(t)
}

// down ends everything and waits until nothing is left.
func (w *world) down(t *testing.T) {
	t.Helper()
	r, err := w.cli("down")
	if err != nil || r.exit != 0 {
		t.Fatalf("down: exit %d, %v\n%s%s", r.exit, err, r.stdout, r.stderr)
	}
	w.gone(t)
}

// gone waits until nothing of the installation runs.
func (w *world) gone(t *testing.T) {
	t.Helper()
	eventually(t, settleLimit, "nothing runs any more", func() (string, bool) {
		tasks, roles := marked(w.id()), processesOf(w.data)
		return fmt.Sprintf("%+v %v", tasks, roles), len(tasks)+len(roles) == 0
	})
	<-w.served
}

// checkStore opens the database without the program.
func (w *world) checkStore(t *testing.T) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.data, "greengate.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity of the store: %q, %v", verdict, err)
	}
	for query, what := range map[string]string{
		"SELECT count(*) FROM pragma_foreign_key_check":                                               "rows without what they refer to",
		"SELECT count(*) FROM deployments WHERE active = 1":                                           "active deployments",
		"SELECT count(*) FROM inbox JOIN deployments d ON d.id = inbox.deployment WHERE d.active = 0": "events of deployments that have ended",
	} {
		var n int
		if err := db.QueryRow(query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d %s, %v", n, what, err)
		}
	}
}
