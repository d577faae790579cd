package runner

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestServer_serviceBecomesHealthyAndStops(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	spec := program("set/1", ModeService, "serve")
	spec.Group, spec.NeedPort = "set", true
	spec.Health = &HealthCheck{Type: "http", Path: "/healthz", Interval: 50 * time.Millisecond, HealthyThreshold: 2}
	st := ensure(t, s, spec)
	if st.State != StateRunning || st.PID == 0 || st.Port == 0 || !strings.HasPrefix(st.Address, "127.") {
		t.Fatalf("status after ensure: %+v", st)
	}
	await(t, s, "set/1", "healthy", func(st Status) bool { return st.Health == HealthHealthy && st.HealthReason == "" })
	res, err := http.Get("http://" + hostPort(st.Address, st.Port) + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()

	again := ensure(t, s, spec)
	if again.PID != st.PID || again.Address != st.Address {
		t.Errorf("second ensure started another: %+v", again)
	}
	spec.Command = append(spec.Command, "other")
	if _, err := s.Ensure(t.Context(), spec); !errors.Is(err, ErrConflict) || !errors.Is(err, ErrPermanent) {
		t.Errorf("ensure of another spec: %v, want conflict", err)
	}
	if err := s.Forget(t.Context(), "set/1"); !errors.Is(err, ErrBusy) {
		t.Errorf("forget of a running unit: %v", err)
	}
	if err := s.Stop(t.Context(), "set/1"); err != nil {
		t.Fatal(err)
	}
	end, err := s.Wait(t.Context(), "set/1")
	if err != nil || end.State != StateStopped || end.Exit == nil || end.Exit.Signal != "SIGTERM" || end.PID != 0 {
		t.Errorf("after stop: %+v %v", end, err)
	}
	if left := unitProcesses(t, s.installation, "set/1"); len(left) != 0 {
		t.Errorf("processes left: %v", left)
	}
	if err := s.Forget(t.Context(), "set/1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "set/1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get after forget: %v", err)
	}
	if files, _ := os.ReadDir(filepath.Join(s.cfg.Dir, "units")); len(files) != 0 {
		t.Errorf("files left in journal: %v", files)
	}
}

func TestServer_healthReasons(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	spec := program("sick", ModeService, "serve")
	spec.NeedPort = true
	spec.Health = &HealthCheck{Type: "http", Path: "/broken", Statuses: "200-299", Interval: 20 * time.Millisecond, UnhealthyThreshold: 2}
	st := ensure(t, s, spec)
	want := "GET http://" + hostPort(st.Address, st.Port) + "/broken: 500 (want 200-299)"
	await(t, s, "sick", "unhealthy with reason", func(st Status) bool {
		return st.Health == HealthUnhealthy && st.HealthReason == want
	})
	tcp := program("tcp", ModeService, "serve")
	tcp.NeedPort = true
	tcp.Health = &HealthCheck{Type: "tcp", Interval: 20 * time.Millisecond}
	ensure(t, s, tcp)
	await(t, s, "tcp", "healthy", func(st Status) bool { return st.Health == HealthHealthy })
	mute := program("mute", ModeService, "sleep")
	mute.NeedPort = true
	mute.Health = &HealthCheck{Type: "tcp", Interval: 20 * time.Millisecond, StartPeriod: time.Hour}
	ensure(t, s, mute)
	st = await(t, s, "mute", "probed", func(st Status) bool { return strings.Contains(st.HealthReason, "refused") })
	if st.Health != HealthStarting {
		t.Errorf("within its start period: %+v", st)
	}
}

func TestServer_killsWhatIgnoresSIGTERM(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	spec := program("deaf", ModeService, "deaf")
	spec.Grace = 300 * time.Millisecond
	st := ensure(t, s, spec)
	awaitTrue(t, "program is deaf", func() bool { return strings.Contains(logText(t, st.LogFile), "deaf") })
	begin := time.Now()
	if err := s.Stop(t.Context(), "deaf"); err != nil {
		t.Fatal(err)
	}
	end, err := s.Wait(t.Context(), "deaf")
	if err != nil || end.Exit == nil || end.Exit.Signal != "SIGKILL" {
		t.Errorf("after stop: %+v %v", end, err)
	}
	if took := time.Since(begin); took < spec.Grace {
		t.Errorf("killed after %s, before the grace of %s", took, spec.Grace)
	}
}

func TestServer_killsDescendants(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"", CgroupOff} {
		t.Run("cgroup="+mode, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, func(c *Config) { c.CgroupRoot = mode })
			if mode == "" && s.cgroups.Tree == "" {
				t.Skip("no writable cgroup hierarchy on this machine")
			}
			id := "fork" + mode
			marks := "bare"
			if mode == CgroupOff {
				marks = "marked"
			}
			spec := program(id, ModeService, "fork", "stay", marks)
			spec.Grace = 100 * time.Millisecond
			ensure(t, s, spec)
			daemon := awaitDaemon(t, s, id)
			if err := s.Stop(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Wait(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if alive(daemon) {
				t.Errorf("daemon %d outlived its unit", daemon.pid)
			}
		})
	}
}

// awaitDaemon finds the double-forked daemon of programFork: a process of the test binary in the unit's tree that is
// not the main process.
func awaitDaemon(t *testing.T, s *Server, id string) procStat {
	t.Helper()
	var found procStat
	awaitTrue(t, "daemon", func() bool {
		u, err := s.find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		r := u.record()
		list, err := u.tree(&r).members()
		if err != nil {
			t.Fatal(err)
		}
		for _, ps := range list {
			env, _ := os.ReadFile("/proc/" + strconv.Itoa(ps.pid) + "/environ")
			if ps.pid != r.PID && strings.Contains(string(env), progEnv+"=deaf") {
				found = ps
				return true
			}
		}
		return false
	})
	return found
}

func alive(ps procStat) bool {
	now, err := readStat(ps.pid)
	return err == nil && now.start == ps.start && !now.dead()
}

func TestServer_crashLoopBacksOff(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	ensure(t, s, program("loop", ModeService, "exit", "7"))
	st := await(t, s, "loop", "restarted 4 times", func(st Status) bool { return st.Restarts >= 4 && st.State == StateBackoff })
	if st.Exit == nil || st.Exit.Code != 7 || !st.Exit.Known {
		t.Errorf("exit: %+v", st.Exit)
	}
	for _, want := range []string{"exited with code 7", "last words", "started again in"} {
		if !strings.Contains(st.Reason, want) {
			t.Errorf("reason %q does not say %q", st.Reason, want)
		}
	}
	u, _ := s.find(t.Context(), "loop")
	for n, want := range map[int]time.Duration{1: 10 * time.Millisecond, 2: 20 * time.Millisecond, 5: 160 * time.Millisecond, 9: 200 * time.Millisecond, 1000: 200 * time.Millisecond} {
		if got := u.backoff(n); got != want {
			t.Errorf("backoff(%d) = %s, want %s", n, got, want)
		}
	}
	if err := s.Stop(t.Context(), "loop"); err != nil {
		t.Fatal(err)
	}
	if end, err := s.Wait(t.Context(), "loop"); err != nil || end.State != StateStopped {
		t.Errorf("stop in back-off: %+v %v", end, err)
	}
}

func TestServer_once(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for _, code := range []int{0, 42} {
		id := "once" + strconv.Itoa(code)
		ensure(t, s, program(id, ModeOnce, "exit", strconv.Itoa(code)))
		st, err := s.Wait(t.Context(), id)
		if err != nil || st.State != StateExited || st.Exit == nil || !st.Exit.Known || st.Exit.Code != code {
			t.Errorf("once: %+v %v", st, err)
		}
		if st.Exit.Success() != (code == 0) {
			t.Errorf("success of code %d: %v", code, st.Exit.Success())
		}
		again := ensure(t, s, program(id, ModeOnce, "exit", strconv.Itoa(code)))
		if again.State != StateExited || again.StartedAt != st.StartedAt {
			t.Errorf("ran again: %+v", again)
		}
	}
	slow := program("slow", ModeOnce, "deaf")
	slow.Timeout, slow.Grace = 200*time.Millisecond, 50*time.Millisecond
	ensure(t, s, slow)
	st, err := s.Wait(t.Context(), "slow")
	if err != nil || st.State != StateExited || !st.Exit.TimedOut || st.Exit.Success() {
		t.Errorf("timed out: %+v %+v %v", st, st.Exit, err)
	}
}

func TestServer_permanentFaults(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	writeFile(t, script, "no shebang", 0o700)
	writeFile(t, filepath.Join(dir, "lost"), "#!/nowhere/interpreter\n", 0o700)
	writeFile(t, filepath.Join(dir, "plain"), "#!/bin/sh\n", 0o600)
	writeFile(t, filepath.Join(dir, "env"), "A=1\nB\n", 0o600)
	for name, c := range map[string]struct {
		spec Spec
		want string
	}{
		"not found":   {Spec{Command: []string{"gg-no-such-command"}}, "command not found: gg-no-such-command"},
		"no file":     {Spec{Command: []string{"./none"}, Dir: dir}, "no such file"},
		"no folder":   {Spec{Command: []string{"true"}, Dir: dir + "/none"}, "working folder " + dir + "/none does not exist"},
		"no shebang":  {Spec{Command: []string{script}}, "first line"},
		"interpreter": {Spec{Command: []string{"./lost"}, Dir: dir}, "interpreter"},
		"mode bits":   {Spec{Command: []string{"./plain"}, Dir: dir}, "chmod +x"},
		"env file":    {Spec{Command: []string{"true"}, Dir: dir, EnvFile: "env"}, dir + "/env:2: "},
		"no env file": {Spec{Command: []string{"true"}, EnvFile: dir + "/none"}, dir + "/none"},
	} {
		for _, mode := range []Mode{ModeService, ModeOnce} {
			c.spec.ID, c.spec.Mode = strings.ReplaceAll(name, " ", "-")+"/"+string(mode), mode
			st, err := s.Ensure(t.Context(), c.spec)
			if !errors.Is(err, ErrPermanent) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, want permanent with %q", name, err, c.want)
			}
			if st.State != StateFailed || st.Reason == "" || st.PID != 0 {
				t.Errorf("%s: status %+v", name, st)
			}
		}
	}
	// What was missing is there now: another Ensure starts it.
	writeFile(t, filepath.Join(dir, "none"), "#!/bin/sh\nexit 5\n", 0o700)
	ensure(t, s, Spec{ID: "no-file/once", Mode: ModeOnce, Command: []string{"./none"}, Dir: dir})
	if st, err := s.Wait(t.Context(), "no-file/once"); err != nil || st.State != StateExited || st.Exit.Code != 5 {
		t.Errorf("second attempt: %+v %v", st, err)
	}
}

func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestServer_environmentIsExact(t *testing.T) {
	t.Setenv("GG_SECRET_OF_RUNNER", "hunter2")
	s := startServer(t, nil)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "env"), "FROM_FILE=1\nBOTH=file\nPORT=1\n", 0o600)
	spec := program("env", ModeOnce, "env")
	spec.NeedPort, spec.EnvFile = true, filepath.Join(dir, "env")
	spec.Env["BOTH"] = "spec"
	spec.Env["HOST"] = "0.0.0.0"
	ensure(t, s, spec)
	st, err := s.Wait(t.Context(), "env")
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	if err := json.Unmarshal([]byte(logText(t, st.LogFile)), &env); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"FROM_FILE": "1", "BOTH": "spec", "HOST": st.Address, "PORT": strconv.Itoa(st.Port), "PATH": defaultPath,
		"HOME": s.home, progEnv: "env", markUnit: "env", markInstallation: s.installation,
	}
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		if want[k] != v {
			t.Errorf("environment has %s, want %q", kv, want[k])
		}
		delete(want, k)
	}
	if len(want) > 0 {
		t.Errorf("environment lacks %v", want)
	}
}

func TestServer_noInheritedFiles(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	f, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ensure(t, s, program("fds", ModeOnce, "fds"))
	st, err := s.Wait(t.Context(), "fds")
	if err != nil {
		t.Fatal(err)
	}
	base := s.journal.base("fds")
	want := "0=/dev/null,1=" + base + ".out,2=" + base + ".err\n"
	if got := logText(t, st.LogFile); got != want {
		t.Errorf("open files %q, want %q", got, want)
	}
}

func TestServer_restart(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	st := ensure(t, s, program("again", ModeService, "sleep"))
	if err := s.Restart(t.Context(), "again"); err != nil {
		t.Fatal(err)
	}
	now := await(t, s, "again", "restarted", func(now Status) bool { return now.State == StateRunning && now.PID != st.PID })
	if now.Address != st.Address || now.Restarts != 1 {
		t.Errorf("after restart: %+v, before %+v", now, st)
	}
	if err := s.Restart(t.Context(), "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("restart of nobody: %v", err)
	}
}

func TestServer_namesProgramThatBindsEverything(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	_ = free.Close()

	greedy := program("greedy/1", ModeService, "serve-all")
	greedy.Port = port
	greedy.Health = &HealthCheck{Type: "http", Path: "/healthz", Interval: 20 * time.Millisecond}
	st := ensure(t, s, greedy)
	await(t, s, "greedy/1", "healthy, and named", func(st Status) bool {
		return st.Health == HealthHealthy && strings.Contains(st.HealthReason, "listens on every address") &&
			strings.Contains(st.HealthReason, "network: namespace")
	})
	// The first answers at the second's address; the second must not be called healthy for that.
	idle := program("idle", ModeService, "sleep")
	idle.Port, idle.Health = port, greedy.Health
	ensure(t, s, idle)
	await(t, s, "idle", "told who answers", func(st Status) bool {
		if st.Health == HealthHealthy {
			t.Fatal("healthy by somebody else's answer")
		}
		return strings.Contains(st.HealthReason, "unit greedy/1")
	})
	sibling := program("greedy/2", ModeService, "serve-all")
	sibling.Port = port
	ensure(t, s, sibling)
	want := "pid " + strconv.Itoa(st.PID)
	await(t, s, "greedy/2", "blaming the first", func(st Status) bool {
		return st.State == StateBackoff && strings.Contains(st.Reason, "unit greedy/1") && strings.Contains(st.Reason, want) &&
			strings.Contains(st.Reason, "$HOST")
	})
}

func TestServer_addressesAreUnique(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	seen := map[string]bool{}
	ports := map[int]bool{}
	for i := range 5 {
		spec := program("unique/"+strconv.Itoa(i), ModeService, "sleep")
		spec.NeedPort = true
		st := ensure(t, s, spec)
		if seen[st.Address] || ports[st.Port] {
			t.Errorf("address or port given twice: %+v", st)
		}
		seen[st.Address], ports[st.Port] = true, true
	}
}

func TestServer_watch(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	ensure(t, s, program("w", ModeService, "sleep"))
	list, next, err := s.Watch(t.Context(), 0)
	if err != nil || len(list) != 1 {
		t.Fatalf("watch: %v %v", list, err)
	}
	go func() { _ = s.Stop(context.Background(), "w") }()
	awaitTrue(t, "watched stop", func() bool {
		list, next, err = s.Watch(t.Context(), next)
		return err == nil && len(list) == 1 && list[0].State == StateStopped
	})
}

func TestServer_refusesSecondRunner(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	_, err := New(testConfig(s.cfg.Dir))
	if err == nil || !strings.Contains(err.Error(), "another runner (pid "+strconv.Itoa(os.Getpid())+")") {
		t.Errorf("second runner: %v", err)
	}
}

func TestServer_refusesBadSpecs(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for name, edit := range map[string]func(*Spec){
		"id":       func(s *Spec) { s.ID = "../../etc/passwd\n" },
		"empty id": func(s *Spec) { s.ID = "" },
		"mode":     func(s *Spec) { s.Mode = "twice" },
		"command":  func(s *Spec) { s.Command = nil },
		"nul":      func(s *Spec) { s.Command = []string{"a\x00b"} },
		"dir":      func(s *Spec) { s.Dir = "relative" },
		"log":      func(s *Spec) { s.LogFile = "relative.log" },
		"env":      func(s *Spec) { s.Env = map[string]string{"A=B": "1"} },
		"mark":     func(s *Spec) { s.Env = map[string]string{markUnit: "1"} },
		"port":     func(s *Spec) { s.Port = 70000 },
		"address":  func(s *Spec) { s.Address = "0.0.0.0" },
		"network":  func(s *Spec) { s.Network = "bridge" },
		"timeout":  func(s *Spec) { s.Timeout = time.Second },
		"health":   func(s *Spec) { s.Health = &HealthCheck{Type: "http"} },
		"statuses": func(s *Spec) { s.NeedPort, s.Health = true, &HealthCheck{Type: "http", Statuses: "20"} },
		"path":     func(s *Spec) { s.NeedPort, s.Health = true, &HealthCheck{Type: "http", Path: "/ HTTP/1.0\r\n"} },
		"memory":   func(s *Spec) { s.Limits.MemoryBytes = 1 },
	} {
		spec := program("bad", ModeService, "sleep")
		edit(&spec)
		if _, err := s.Ensure(t.Context(), spec); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	if list, _ := s.List(t.Context(), ""); len(list) != 0 {
		t.Errorf("units: %v", list)
	}
}
