//go:build linux

package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// The test binary plays the roles and, where a supervisor has to be killed, the supervisor as well.
const (
	envPlay   = "SUPERVISE_TEST_PLAY"   // role, or serve
	envHow    = "SUPERVISE_TEST_HOW"    // how the role behaves
	envConfig = "SUPERVISE_TEST_CONFIG" // of serve: JSON
	// noRaceSleep keeps the race detector from waiting a second at every exit.
	noRaceSleep = "GORACE=atexit_sleep_ms=0"
	envFile     = "SUPERVISE_TEST_FILE" // to which a role appends a line when it starts and when it ends
)

func TestMain(m *testing.M) {
	switch os.Getenv(envPlay) { //nolint:forbidigo // the test binary is its own main
	case "role":
		os.Exit(playRole()) //nolint:forbidigo // as above
	case "serve":
		os.Exit(playServe()) //nolint:forbidigo // as above
	}
	goleak.VerifyTestMain(m)
}

func playServe() int {
	var cfg Config
	if err := json.Unmarshal([]byte(os.Getenv(envConfig)), &cfg); err != nil { //nolint:forbidigo // as above
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	if os.Getenv(envHow) == "subreaper" { //nolint:forbidigo // as above
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := New(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		<-s.Ready()
		fmt.Fprintln(os.Stdout, "ready")
	}()
	if err := s.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// player is a role that does what a line on one of its listeners says.
type player struct {
	h *Handover
}

func note(line string) {
	path := os.Getenv(envFile) //nolint:forbidigo // as above
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil {
		fmt.Fprintln(f, line)
		f.Close()
	}
}

func playRole() int {
	how := os.Getenv(envHow)                  //nolint:forbidigo // as above
	h, err := Receive(os.Getenv, os.Unsetenv) //nolint:forbidigo // as above
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	note("start " + h.Role())
	switch how {
	case "refuse":
		fmt.Fprintln(os.Stderr, "config.yaml:3:1: no such key")
		return 2
	case "crash":
		return 1
	case "complain":
		fmt.Fprint(os.Stderr, "opening\ndisk: no space left\n")
		return 1
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	case "forget-orphan":
		// The shell ends at once and leaves its child to whoever reaps orphans.
		if err := exec.Command("/bin/sh", "-c", "sleep 0.2 & echo $! >> $"+envFile).Run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	p := &player{h: h}
	for _, l := range h.Listeners() {
		go p.serve(l)
	}
	ends := make(chan os.Signal, 1)
	if how != "deaf" {
		signal.Notify(ends, syscall.SIGTERM)
	}
	fmt.Fprintln(os.Stdout, "serving")
	if how != "slow" {
		if err := h.Ready(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	<-ends
	note("end " + h.Role())
	return 0
}

func (p *player) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			line, err := bufio.NewReader(c).ReadString('\n')
			if err == nil {
				fmt.Fprintln(c, p.answer(strings.TrimSpace(line)))
			}
		}()
	}
}

func (p *player) answer(line string) string {
	verb, arg, _ := strings.Cut(line, " ")
	var err error
	switch verb {
	case "pid":
		return strconv.Itoa(os.Getpid())
	case "names":
		names := slices.Sorted(maps.Keys(p.h.Listeners()))
		return strings.Join(append(names, slices.Sorted(maps.Keys(p.h.Files()))...), "|")
	case "env":
		return strings.Join(os.Environ(), "|")
	case "keep":
		return p.keepNew(arg)
	case "keepfile":
		return p.keepFile(arg)
	case "forget":
		err = p.h.Forget(arg)
	case "notify":
		err = p.h.Notify(strings.ReplaceAll(arg, `\n`, "\n"))
	case "down":
		err = p.h.Down()
	case "exit":
		n, _ := strconv.Atoi(arg)
		os.Exit(n) //nolint:forbidigo // a role that ends is the test
	case "fds":
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return "error: " + err.Error()
		}
		return strconv.Itoa(len(entries))
	case "inheritable":
		return inheritable()
	default:
		return "error: what?"
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return "ok"
}

// inheritable lists the descriptors that a child of this process would get without being meant to.
func inheritable() string {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return "error: " + err.Error()
	}
	var list []string
	for _, e := range entries {
		fd, _ := strconv.Atoi(e.Name())
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if fd > 2 && err == nil && flags&unix.FD_CLOEXEC == 0 {
			target, _ := os.Readlink("/proc/self/fd/" + e.Name())
			list = append(list, e.Name()+" "+target)
		}
	}
	return strings.Join(list, "|")
}

func (p *player) keepNew(name string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "error: " + err.Error()
	}
	if err := p.h.Keep(name, l.(*net.TCPListener)); err != nil {
		return "error: " + err.Error()
	}
	go p.serve(l)
	return l.Addr().String()
}

func (p *player) keepFile(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "error: " + err.Error()
	}
	defer f.Close()
	if err := p.h.Keep("file", f); err != nil {
		return "error: " + err.Error()
	}
	return "ok"
}

// testRole is a role that the test binary plays.
func testRole(t *testing.T, name, how string) Role {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Role{
		Name: name, Path: self, StopTimeout: 5 * time.Second,
		Env: []string{envPlay + "=role", envHow + "=" + how, noRaceSleep},
	}
}

// shortDir is a folder whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gg") //nolint:usetesting // its path would be too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// quick is a back-off for tests that kill often.
var quick = Backoff{First: 10 * time.Millisecond, Max: 50 * time.Millisecond, Healthy: time.Nanosecond}

// oneRole is the configuration of most tests: one role with one TCP socket.
func oneRole(t *testing.T, how string) Config {
	t.Helper()
	return Config{
		Dir: shortDir(t), Roles: []Role{testRole(t, "proxy", how)},
		Sockets: []Socket{{Name: "main", Network: "tcp", Address: "127.0.0.1:0", Role: "proxy"}},
		Backoff: quick, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// run runs a supervisor in this process until the test ends; every role is stopped with it. The returned function ends
// it earlier, by the context, and gives what Run returned.
func run(t *testing.T, cfg Config) (*Supervisor, func() error) {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	// The test's own context ends before the cleanup, and the survivors would be left.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ended := false
	end := func() error {
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { endRoles(t, cfg) })
	t.Cleanup(func() {
		if !ended {
			s.StopAll()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
		cancel()
	})
	return s, end
}

func awaitReady(t *testing.T, s *Supervisor) {
	t.Helper()
	select {
	case <-s.Ready():
	case <-time.After(20 * time.Second):
		t.Fatalf("not ready: %+v", s.Status())
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// ask sends a line to a player and returns its answer.
func ask(addr net.Addr, line string) (string, error) {
	if addr == nil {
		return "", fmt.Errorf("no address")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	var c net.Conn
	var err error
	if addr.Network() == "unix" {
		c, err = DialUnix(ctx, addr.String())
	} else {
		c, err = (&net.Dialer{}).DialContext(ctx, addr.Network(), addr.String())
	}
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(15 * time.Second))
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

func mustAsk(t *testing.T, addr net.Addr, line string) string {
	t.Helper()
	answer, err := ask(addr, line)
	if err != nil || strings.HasPrefix(answer, "error:") {
		t.Fatalf("%s: %q, %v", line, answer, err)
	}
	return answer
}

func mustPID(t *testing.T, addr net.Addr) int {
	t.Helper()
	pid, err := strconv.Atoi(mustAsk(t, addr, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func tcpAddr(t *testing.T, s string) net.Addr {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// runs tells whether the process exists and is no zombie.
func runs(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// startServe starts a supervisor as a process of its own.
func startServe(t *testing.T, cfg Config) *exec.Cmd {
	t.Helper()
	cmd := serveCommand(t, cfg, "")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func serveCommand(t *testing.T, cfg Config, how string) *exec.Cmd {
	t.Helper()
	cfg.Logger = nil
	b, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(cfg.Roles[0].Path)
	cmd.Env = []string{noRaceSleep, envPlay + "=serve", envHow + "=" + how, envConfig + "=" + string(b)}
	cmd.Stderr = t.Output()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		endRoles(t, cfg)
	})
	return cmd
}

// endRoles makes sure that a test that failed half-way leaves no role running.
func endRoles(t *testing.T, cfg Config) {
	t.Helper()
	for _, r := range cfg.Roles {
		fd, err := openLock(filepath.Join(cfg.Dir, "run", r.Name+".lock"))
		if err != nil {
			continue
		}
		if id := readHolder(fd); id.Supervised && id.alive() {
			syscall.Kill(id.PID, syscall.SIGKILL)
		}
		closeAll(fd)
	}
}

// serve starts a supervisor as a process of its own and waits until it is ready.
func serve(t *testing.T, cfg Config, how string) *exec.Cmd {
	t.Helper()
	cmd := serveCommand(t, cfg, how)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		t.Fatalf("serve said %q, %v", line, err)
	}
	return cmd
}

// record reads roles/<role>.json.
func record(t *testing.T, dir, role string) Status {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "roles", role+".json"))
	if err != nil {
		return Status{}
	}
	var st Status
	if err := json.Unmarshal(b, &st); err != nil {
		t.Fatalf("record of %s: %v", role, err)
	}
	return st
}
