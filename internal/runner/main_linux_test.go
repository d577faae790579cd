package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary is also the launcher, the programs that units run (progEnv), and a runner that can be killed
// (runnerEnv).
const (
	progEnv   = "GG_TEST_PROGRAM"
	runnerEnv = "GG_TEST_RUNNER"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == LaunchArg {
		os.Exit(Launch()) //nolint:forbidigo // this is main here
	}
	if dir := os.Getenv(runnerEnv); dir != "" { //nolint:forbidigo // this is main here
		os.Exit(runnerMain(dir)) //nolint:forbidigo // this is main here
	}
	if prog := os.Getenv(progEnv); prog != "" { //nolint:forbidigo // this is main here
		os.Exit(programMain(strings.Fields(prog))) //nolint:forbidigo // this is main here
	}
	goleak.VerifyTestMain(m)
}

// programMain is what units of the tests run.
func programMain(args []string) int {
	listenAt := func(host string) net.Listener {
		l, err := net.Listen("tcp", net.JoinHostPort(host, os.Getenv("PORT"))) //nolint:forbidigo // a program
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3) //nolint:forbidigo // a program
		}
		return l
	}
	serve := func(host string) int {
		mux := http.NewServeMux()
		mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
		mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
		_ = http.Serve(listenAt(host), mux)
		return 1
	}
	switch args[0] {
	case "serve":
		return serve(os.Getenv("HOST")) //nolint:forbidigo // a program
	case "serve-all":
		return serve("")
	case "sleep":
		time.Sleep(time.Hour)
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		fmt.Fprintln(os.Stdout, "deaf")
		time.Sleep(time.Hour)
	case "exit":
		code, _ := strconv.Atoi(args[1])
		fmt.Fprintln(os.Stderr, "last words")
		return code
	case "exit-after":
		d, _ := time.ParseDuration(args[1])
		time.Sleep(d)
	case "fork":
		return programFork(args[1:])
	case "env":
		_ = json.NewEncoder(os.Stdout).Encode(os.Environ())
	case "fds":
		fmt.Fprintln(os.Stdout, strings.Join(openFiles(), ","))
	case "print":
		n, _ := strconv.Atoi(args[1])
		line := strings.Repeat("x", 99) + "\n"
		for ; n > 0; n -= len(line) {
			_, _ = os.Stdout.WriteString(line)
		}
	case "endless":
		n, _ := strconv.Atoi(args[1])
		part := strings.Repeat("y", 1000)
		for ; n > 0; n -= len(part) {
			_, _ = os.Stdout.WriteString(part)
		}
	case "count":
		for i := 0; ; i++ {
			fmt.Fprintln(os.Stdout, "line", i)
			time.Sleep(200 * time.Microsecond)
		}
	case "append": // proves how often it ran
		f, err := os.OpenFile(args[1], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return 4
		}
		fmt.Fprintln(f, os.Getpid())
		time.Sleep(time.Hour)
	case "eat":
		n, _ := strconv.Atoi(args[1])
		b := make([]byte, n)
		for i := range b {
			b[i] = 1
		}
		fmt.Fprintln(os.Stdout, "ate", len(b))
	case "spin":
		for n := 0; n >= 0; n = (n + 1) % 1000 {
		}
	}
	return 0
}

// programFork leaves a process behind that has its own session and no parent, and then does what args say.
func programFork(args []string) int {
	var marks []string // without them a daemon must be found all the same where there are cgroups
	if args[1] == "marked" {
		marks = []string{markUnit + "=" + os.Getenv(markUnit), markInstallation + "=" + os.Getenv(markInstallation)} //nolint:forbidigo // a program
	}
	if args[0] == "middle" {
		start(append(marks, "GG_TEST_PROGRAM=deaf"))
		return 0
	}
	cmd := start(append(marks, "GG_TEST_PROGRAM=fork middle "+args[1]))
	_ = cmd.Wait()
	if args[0] == "exit" {
		return 0
	}
	time.Sleep(time.Hour)
	return 0
}

func start(env []string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	return cmd
}

func openFiles() []string {
	entries, _ := os.ReadDir("/proc/self/fd")
	var list []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.Contains(target, "/proc/") && !strings.HasPrefix(target, "anon_inode") &&
			!strings.HasPrefix(target, "/sys/fs/cgroup/") { // of the Go runtime, of each program's own
			list = append(list, e.Name()+"="+target)
		}
	}
	return list
}

// runnerMain is a runner in a process of its own. GG_TEST_FAULT=point:n kills it at the n-th passage of a point.
func runnerMain(dir string) int {
	point, count, _ := strings.Cut(os.Getenv("GG_TEST_FAULT"), ":") //nolint:forbidigo // this is main here
	left, _ := strconv.Atoi(count)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	control, err := Listen(ctx, filepath.Join(dir, "control.sock"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cfg := testConfig(dir)
	cfg.CgroupRoot = os.Getenv("GG_TEST_CGROUP") //nolint:forbidigo // this is main here
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	cfg.Control = control
	cfg.Subreaper = true
	cfg.Fault = func(p string) {
		if p != point {
			return
		}
		if left--; left == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	s, err := New(cfg)
	if err == nil {
		err = s.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func testConfig(dir string) Config {
	return Config{
		Dir: dir, Logger: slog.New(slog.DiscardHandler),
		BackoffMin: 10 * time.Millisecond, BackoffMax: 200 * time.Millisecond, BackoffReset: 300 * time.Millisecond,
	}
}

// startServer runs a runner in this process; it stops all units at the end of the test.
func startServer(t *testing.T, edit func(*Config)) *Server {
	t.Helper()
	cfg := testConfig(t.TempDir())
	if edit != nil {
		edit(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop, end := context.WithTimeout(context.Background(), 30*time.Second)
		defer end()
		for _, u := range s.list("") {
			_ = u.alter(func(r *record) { r.Spec.Grace = -1 }, false)
		}
		if err := s.StopAll(stop); err != nil {
			t.Errorf("stop all: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		// What was not closed would be reported as a leak.
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

// program is a spec that runs one of programMain's programs.
func program(id string, mode Mode, args ...string) Spec {
	return Spec{
		ID: id, Mode: mode, Command: []string{testBinary()}, Env: map[string]string{progEnv: strings.Join(args, " ")},
		Grace: 5 * time.Second,
	}
}

func testBinary() string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return path
}

func ensure(t *testing.T, s interface {
	Ensure(context.Context, Spec) (Status, error)
}, spec Spec,
) Status {
	t.Helper()
	st, err := s.Ensure(t.Context(), spec)
	if err != nil {
		t.Fatalf("ensure %s: %v", spec.ID, err)
	}
	return st
}

// await polls until the unit's status is as wanted.
func await(t *testing.T, s interface {
	Get(context.Context, string) (Status, error)
}, id, what string, ok func(Status) bool,
) Status {
	t.Helper()
	var st Status
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		st, err = s.Get(t.Context(), id)
		if err == nil && ok(st) {
			return st
		}
	}
	t.Fatalf("unit %s is not %s: %+v, err %v", id, what, st, err)
	return st
}

func awaitTrue(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not seen in time: %s", what)
}

// unitProcesses lists living processes that carry the marks, from /proc; any installation where it is "".
func unitProcesses(t *testing.T, installation, id string) []int {
	t.Helper()
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, ps := range all {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", ps.pid))
		if err == nil && !ps.dead() && strings.Contains("\x00"+string(env), "\x00"+markUnit+"="+id+"\x00") &&
			strings.Contains(string(env), markInstallation+"="+installation) {
			pids = append(pids, ps.pid)
		}
	}
	return pids
}

// logText is what a unit has printed on stdout, from its log.
func logText(t *testing.T, path string) string {
	t.Helper()
	files, err := logFiles(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			f := strings.SplitN(line, " ", 4)
			if len(f) != 4 {
				t.Fatalf("bad log line %.100q", line)
			}
			if _, err := time.Parse(time.RFC3339Nano, f[0]); err != nil {
				t.Fatalf("bad time in log line %.100q", line)
			}
			if f[1] != "stdout" {
				continue
			}
			text := strings.TrimSuffix(f[3], "\n")
			b.WriteString(text)
			if f[2] == "F" {
				b.WriteString("\n")
			}
		}
	}
	return b.String()
}
