package runner

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// remote is a runner in a process of its own.
type remote struct {
	*Client
	dir string
	cmd *exec.Cmd
}

func remoteDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gg") //nolint:usetesting // a socket goes in, and the path of t.TempDir is too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// startRemote starts a runner on dir. With a fault ("point:n") it will kill itself there.
func startRemote(t *testing.T, dir, cgroup, fault string) *remote {
	t.Helper()
	cmd := exec.Command(testBinary())
	cmd.Env = []string{runnerEnv + "=" + dir, "GG_TEST_FAULT=" + fault, "GG_TEST_CGROUP=" + cgroup, "GG_SECRET=hunter2"}
	errs, err := os.OpenFile(filepath.Join(dir, "runner.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = errs.Close()
	r := &remote{Client: NewClient(filepath.Join(dir, "control.sock")), dir: dir, cmd: cmd}
	t.Cleanup(func() {
		r.Close()
		if r.cmd.ProcessState == nil {
			r.kill()
		}
	})
	return r
}

// up waits until the runner answers; it reports false when the runner died before.
func (r *remote) up(t *testing.T) bool {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if _, err := r.List(t.Context(), ""); err == nil {
			return true
		}
		if ps, err := readStat(r.cmd.Process.Pid); err != nil || ps.dead() {
			return false
		}
	}
	t.Fatal("runner does not answer")
	return false
}

func (r *remote) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.Close()
}

// end stops everything and the runner.
func (r *remote) end(t *testing.T) {
	t.Helper()
	if err := r.StopAll(t.Context()); err != nil {
		t.Errorf("stop all: %v", err)
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("runner: %v", err)
	}
}

var faultPoints = []string{
	"ensure.recorded", "start.forked", "start.recorded", "start.released",
	"stop.recorded", "stop.signalled", "exit.seen", "exit.recorded", "finish.recorded",
}

// TestTakeover_atEveryPoint kills the runner at each point of a unit's life and lets the next one continue.
func TestTakeover_atEveryPoint(t *testing.T) {
	t.Parallel()
	for _, cgroup := range []string{"", CgroupOff} {
		for _, mode := range []Mode{ModeService, ModeOnce} {
			for _, point := range faultPoints {
				t.Run(fmt.Sprintf("cgroup=%s/%s/%s", cgroup, mode, point), func(t *testing.T) {
					t.Parallel()
					takeoverAt(t, cgroup, mode, point)
				})
			}
		}
	}
}

func takeoverAt(t *testing.T, cgroup string, mode Mode, point string) {
	t.Helper()
	dir := remoteDir(t)
	marks := filepath.Join(dir, "ran")
	id := "u/" + filepath.Base(dir)
	spec := program(id, mode, "append", marks)
	first := startRemote(t, dir, cgroup, point+":1")
	if !first.up(t) {
		t.Fatal("runner died before its point")
	}
	// Drive the unit through its whole life; somewhere in it the runner dies.
	_, err := first.Ensure(t.Context(), spec)
	if err == nil {
		awaitTrue(t, "program runs", func() bool { return len(ranBy(marks)) > 0 })
		err = first.Stop(t.Context(), id)
	}
	if err == nil {
		_, _ = first.Wait(t.Context(), id)
	}
	_ = first.cmd.Wait()
	first.Close()
	if ws, ok := first.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
		t.Fatalf("the runner did not die at %s: %s", point, first.cmd.ProcessState)
	}

	second := startRemote(t, dir, cgroup, "")
	if !second.up(t) {
		t.Fatal("second runner died")
	}
	stopping := !strings.HasPrefix(point, "start") && point != "ensure.recorded"
	if stopping {
		checkStopped(t, second, id)
	} else {
		checkContinued(t, second, spec, point, marks)
	}
	second.end(t)
	awaitTrue(t, "no process left", func() bool { return len(unitProcesses(t, "", id)) == 0 })
	if n := len(ranBy(marks)); mode == ModeOnce && n > 1 {
		t.Errorf("a once unit ran %d times", n)
	}
}

// ranBy lists the pids that the program has written into its own file.
func ranBy(path string) []string {
	data, _ := os.ReadFile(path)
	return strings.Fields(string(data))
}

// checkStopped: the wish to stop was durable, so the unit ends, whoever finishes the job.
func checkStopped(t *testing.T, r *remote, id string) {
	t.Helper()
	st, err := r.Wait(t.Context(), id)
	if err != nil || st.State != StateStopped || st.PID != 0 {
		t.Errorf("after a stop: %+v %v", st, err)
	}
	if st.Exit != nil && st.Exit.Known && st.Exit.Signal != "SIGTERM" {
		t.Errorf("invented exit: %+v", st.Exit)
	}
}

// checkContinued: exactly one process of a service; of a once unit one, or none and an unknown exit.
func checkContinued(t *testing.T, r *remote, spec Spec, point, marks string) {
	t.Helper()
	st := await(t, r, spec.ID, "running or ended", func(st Status) bool {
		return (st.State == StateRunning && len(ranBy(marks)) > 0) || st.State.Ended()
	})
	if st.State.Ended() {
		if spec.Mode != ModeOnce || st.State != StateExited || st.Exit == nil || st.Exit.Known || st.Exit.Success() {
			t.Errorf("ended at %s: %+v %+v", point, st, st.Exit)
		}
		if point == "ensure.recorded" || point == "start.forked" {
			t.Errorf("nothing had run at %s, it could have been started: %+v", point, st)
		}
		if left := unitProcesses(t, "", spec.ID); len(left) > 0 {
			t.Errorf("ended with processes left: %v", left)
		}
		return
	}
	if pids := unitProcesses(t, "", spec.ID); !slices.Equal(pids, []int{st.PID}) {
		t.Errorf("processes of the unit %v, want only %d", pids, st.PID)
	}
	ran := ranBy(marks)
	if len(ran) != 1 || ran[0] != strconv.Itoa(st.PID) {
		t.Errorf("ran as %v, status says pid %d", ran, st.PID)
	}
	if wantAdopted := point == "start.released"; st.Adopted != wantAdopted {
		t.Errorf("adopted is %v at %s", st.Adopted, point)
	}
	again := ensure(t, r, spec)
	if again.PID != st.PID {
		t.Errorf("ensure after the takeover started another: %+v", again)
	}
}

// TestTakeover_adoptsAndWatches: units survive, are watched on, and lose no output.
func TestTakeover_adoptsAndWatches(t *testing.T) {
	t.Parallel()
	dir := remoteDir(t)
	r := startRemote(t, dir, "", "")
	if !r.up(t) {
		t.Fatal("runner died")
	}
	name := filepath.Base(dir)
	web := program("web/"+name, ModeService, "serve")
	web.NeedPort = true
	web.Health = &HealthCheck{Type: "http", Path: "/healthz", Interval: 20 * time.Millisecond}
	before := ensure(t, r, web)
	count := ensure(t, r, program("count/"+name, ModeService, "count"))
	gone := ensure(t, r, program("gone/"+name, ModeOnce, "sleep"))
	lost := ensure(t, r, program("lost/"+name, ModeService, "sleep"))
	await(t, r, web.ID, "healthy", func(st Status) bool { return st.Health == HealthHealthy })

	for range 3 {
		r.kill()
		r = startRemote(t, dir, "", "")
		if !r.up(t) {
			t.Fatal("runner died")
		}
	}
	st, err := r.Get(t.Context(), web.ID)
	if err != nil || !st.Adopted || st.PID != before.PID || st.Address != before.Address || st.Health != HealthHealthy {
		t.Errorf("adopted: %+v %v, before %+v", st, err, before)
	}

	// While no runner lives: a once unit and a service end.
	r.kill()
	for _, pid := range []int{gone.PID, lost.PID} {
		killProcess(t, pid)
		awaitTrue(t, "process is dead", func() bool {
			ps, err := readStat(pid)
			return err != nil || ps.dead()
		})
	}
	r = startRemote(t, dir, "", "")
	if !r.up(t) {
		t.Fatal("runner died")
	}
	st, err = r.Wait(t.Context(), gone.ID)
	if err != nil || st.State != StateExited || st.Exit == nil || st.Exit.Known || st.Exit.Success() {
		t.Errorf("once unit that ended unseen: %+v %+v %v", st, st.Exit, err)
	}
	await(t, r, lost.ID, "started again", func(st Status) bool { return st.State == StateRunning && st.PID != lost.PID })

	// While the new one watches: an adopted service ends and is started again.
	killProcess(t, before.PID)
	await(t, r, web.ID, "healthy again", func(st Status) bool {
		return st.Health == HealthHealthy && st.PID != before.PID && !st.Adopted && st.Address == before.Address
	})
	checkExitOfAdopted(t, r, dir)
	r.end(t)
	checkNoLineLost(t, logText(t, count.LogFile))
}

// checkExitOfAdopted: the status of an adopted process is the true one, or unknown; never a guess.
func checkExitOfAdopted(t *testing.T, r *remote, dir string) {
	t.Helper()
	id := "code/" + filepath.Base(dir)
	ensure(t, r, Spec{ID: id, Mode: ModeOnce, Command: []string{"sh", "-c", "while [ ! -e go ]; do sleep 0.01; done; exit 9"}, Dir: dir})
	r.kill()
	next := startRemote(t, dir, "", "")
	r.cmd = next.cmd
	if !next.up(t) {
		t.Fatal("runner died")
	}
	writeFile(t, filepath.Join(dir, "go"), "", 0o600)
	st, err := next.Wait(t.Context(), id)
	if err != nil || st.State != StateExited || st.Exit == nil || st.Exit.Success() || (st.Exit.Known && st.Exit.Code != 9) {
		t.Errorf("adopted once unit: %+v %+v %v", st, st.Exit, err)
	}
	t.Logf("exit status of an adopted process is known here: %v", st.Exit != nil && st.Exit.Known)
}

// checkNoLineLost allows lines to be repeated after a killed runner, but none to be missing.
func checkNoLineLost(t *testing.T, text string) {
	t.Helper()
	seen := map[int]bool{}
	last := -1
	for line := range strings.Lines(text) {
		n, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), "line "))
		if err != nil {
			t.Fatalf("torn line %q", line)
		}
		seen[n] = true
		last = max(last, n)
	}
	if last < 100 {
		t.Fatalf("only %d lines", last)
	}
	for i := range last {
		if !seen[i] {
			t.Fatalf("line %d of %d is missing", i, last)
		}
	}
}

func TestTakeover_reboot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(boot string) (*Server, func()) {
		cfg := testConfig(dir)
		cfg.BootID = boot
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		return s, func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	s, stop := run("boot-1")
	service := ensure(t, s, program("reboot/service", ModeService, "sleep"))
	once := ensure(t, s, program("reboot/once", ModeOnce, "sleep"))
	stop()
	if !alive(procStat{pid: service.PID, start: startOf(t, service.PID)}) {
		t.Fatal("the end of the runner ended a unit")
	}
	// Another boot: none of these processes exists any more.
	for _, pid := range []int{service.PID, once.PID} {
		killProcess(t, pid)
		_, _ = syscall.Wait4(pid, nil, 0, nil)
	}
	s, stop = run("boot-2")
	defer stop()
	await(t, s, "reboot/service", "started again", func(st Status) bool { return st.State == StateRunning && st.PID != service.PID })
	st, err := s.Wait(t.Context(), "reboot/once")
	if err != nil || st.State != StateExited || st.Exit == nil || st.Exit.Known || !strings.Contains(st.Reason, "restart of the host") {
		t.Errorf("once unit after a reboot: %+v %+v %v", st, st.Exit, err)
	}
	if err := s.StopAll(t.Context()); err != nil {
		t.Error(err)
	}
}

func killProcess(t *testing.T, pid int) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no process: pid %d", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func startOf(t *testing.T, pid int) uint64 {
	t.Helper()
	ps, err := readStat(pid)
	if err != nil {
		t.Fatal(err)
	}
	return ps.start
}

// TestTakeover_subreaper: orphans of units become the runner's children and are reaped.
func TestTakeover_subreaperLeavesNoZombie(t *testing.T) {
	t.Parallel()
	dir := remoteDir(t)
	r := startRemote(t, dir, "", "")
	if !r.up(t) {
		t.Fatal("runner died")
	}
	for i := range 5 {
		st := ensure(t, r, program("orphan/"+strconv.Itoa(i)+filepath.Base(dir), ModeOnce, "fork", "exit", "marked"))
		if end, err := r.Wait(t.Context(), st.ID); err != nil || end.Exit == nil || end.Exit.Code != 0 {
			t.Errorf("once unit that leaves a daemon: %+v %v", end, err)
		}
		if left := unitProcesses(t, "", st.ID); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	awaitTrue(t, "no zombie child of the runner", func() bool {
		all, err := processes()
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(all, func(ps procStat) bool { return ps.parent == r.cmd.Process.Pid && ps.state == 'Z' })
	})
	r.end(t)
}

// TestTakeover_keptOutput: with the FIFOs held by somebody else, the last words of a program that died while no runner
// lived are in the log.
func TestTakeover_keptOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	held := map[string]int{}
	cfg := testConfig(dir)
	cfg.Keep = func(name string, f *os.File) error {
		rc, err := f.SyscallConn()
		if err != nil {
			return err
		}
		return rc.Control(func(fd uintptr) {
			if _, ok := held[name]; !ok {
				held[name], _ = syscall.Dup(int(fd))
			}
		})
	}
	cfg.Forget = func(name string) error {
		fd, ok := held[name]
		if !ok {
			return fmt.Errorf("%s was not kept", name)
		}
		delete(held, name)
		return syscall.Close(fd)
	}
	run := func() (*Server, func()) {
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		return s, func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	s, stop := run()
	st := ensure(t, s, Spec{ID: "kept", Mode: ModeOnce, Dir: dir, Command: []string{"sh", "-c", "while [ ! -e go ]; do sleep 0.01; done; echo last words"}})
	stop()
	writeFile(t, filepath.Join(dir, "go"), "", 0o600)
	awaitTrue(t, "program has ended", func() bool {
		ps, err := readStat(st.PID)
		return err != nil || ps.dead()
	})
	s, stop = run()
	defer stop()
	if st, err := s.Wait(t.Context(), "kept"); err != nil || !st.Exit.Success() {
		// The same process is the parent here, so that the status is known.
		t.Errorf("ended: %+v %+v %v", st, st.Exit, err)
	}
	if got := logText(t, st.LogFile); got != "last words\n" {
		t.Errorf("log %q", got)
	}
	if len(held) != 0 {
		t.Errorf("still held: %v", held)
	}
}
