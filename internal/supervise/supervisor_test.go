//go:build linux

package supervise

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSupervisor_connectsWaitWhileTheRoleIsRestarted(t *testing.T) {
	t.Parallel()
	const kills, clients = 20, 4
	s, _ := run(t, oneRole(t, "serve"))
	awaitReady(t, s)
	addr := s.Addr("main")

	var served, cut, refused atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				answer, err := ask(addr, "pid")
				var op *net.OpError
				switch {
				case err == nil && answer != "":
					served.Add(1)
				case errors.As(err, &op) && op.Op == "dial":
					refused.Add(1)
					t.Logf("connect: %v", err)
				default:
					cut.Add(1) // was being answered by the process that died
				}
			}
		})
	}
	var took []time.Duration
	pid := mustPID(t, addr)
	for range kills {
		begin := time.Now()
		kill(t, pid)
		eventually(t, "served by the next process", func() bool {
			answer, err := ask(addr, "pid")
			next, _ := strconv.Atoi(answer)
			if err != nil || next == pid {
				return false
			}
			pid = next
			return true
		})
		took = append(took, time.Since(begin))
		eventually(t, "ready", func() bool { return s.Status()[0].State == StateReady })
	}
	close(stop)
	wg.Wait()
	slices.Sort(took)
	t.Logf("%d kills under load: kill to served again median %v, longest %v; %d served, %d cut", kills,
		took[kills/2], took[kills-1], served.Load(), cut.Load())
	if refused.Load() != 0 {
		t.Errorf("%d connects failed, want none", refused.Load())
	}
	// A client has one connection at a time, so each kill cuts at most one of each, and the killer's own.
	if cut.Load() > kills*clients {
		t.Errorf("%d connections cut, want at most %d", cut.Load(), kills*clients)
	}
	if served.Load() < kills {
		t.Errorf("%d served, want at least %d", served.Load(), kills)
	}
	if got := s.Status()[0].Restarts; got != kills {
		t.Errorf("status says %d restarts, want %d", got, kills)
	}
}

func TestSupervisor_keptSocketComesBackByName(t *testing.T) {
	t.Parallel()
	const name = `listener/arn:aws:elb/é "a" 100%`
	s, _ := run(t, oneRole(t, "serve"))
	awaitReady(t, s)
	addr := s.Addr("main")
	kept := tcpAddr(t, mustAsk(t, addr, "keep "+name))
	gone := tcpAddr(t, mustAsk(t, addr, "keep other"))
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustAsk(t, addr, "keepfile "+file)
	mustAsk(t, addr, "forget other")

	for range 3 {
		old := mustPID(t, kept)
		kill(t, old)
		if pid := mustPID(t, kept); pid == old {
			t.Fatalf("process %d answered after its death", pid)
		}
		if got, want := mustAsk(t, addr, "names"), strings.Join([]string{name, "main", "file"}, "|"); got != want {
			t.Errorf("handed over %q, want %q", got, want)
		}
	}
	if _, err := ask(gone, "pid"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("connect to a forgotten socket: %v, want refused", err)
	}
	if got, want := s.Status()[0].Sockets, []string{"file", name, "main"}; !slices.Equal(got, want) {
		t.Errorf("status names sockets %q, want %q", got, want)
	}
}

func TestSupervisor_keepOfTheSameNameReplaces(t *testing.T) {
	t.Parallel()
	s, _ := run(t, oneRole(t, "serve"))
	awaitReady(t, s)
	addr := s.Addr("main")
	first := tcpAddr(t, mustAsk(t, addr, "keep x"))
	second := tcpAddr(t, mustAsk(t, addr, "keep x"))
	kill(t, mustPID(t, addr))
	mustPID(t, second)
	if _, err := ask(first, "pid"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("connect to the replaced socket: %v, want refused", err)
	}
}

// A process that keeps a socket and dies at once has the datagram still in the queue.
func TestSupervisor_lastWordsCount(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	s, _ := run(t, cfg)
	awaitReady(t, s)
	addr := s.Addr("main")
	for range 10 {
		s.inbox.mu.Lock() // the inbox is slow
		answer := make(chan string, 1)
		go func() {
			a, _ := ask(addr, "keep late")
			answer <- a
		}()
		kept := <-answer
		pid := mustPID(t, addr)
		kill(t, pid)
		s.inbox.mu.Unlock()
		if next := mustPID(t, tcpAddr(t, kept)); next == pid {
			t.Fatalf("process %d answered after its death", pid)
		}
		eventually(t, "ready", func() bool { return s.Status()[0].State == StateReady })
	}
}

func TestSupervisor_environmentIsOnlyWhatIsGiven(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	cfg.Roles[0].Env = append(cfg.Roles[0].Env, "COLOUR=green", "LISTEN_PID=1", "LISTEN_FDS=7", "NOTIFY_SOCKET=/nowhere")
	s, _ := run(t, cfg)
	awaitReady(t, s)
	got := strings.Split(mustAsk(t, s.Addr("main"), "env"), "|")
	want := []string{"COLOUR=green", noRaceSleep, envHow + "=serve", envPlay + "=role"}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("environment of the role is %q, want %q", got, want)
	}
}

// A descriptor that leaked into the supervisor goes no further.
// It is not parallel: the leak would reach the programs of other tests.
func TestSupervisor_descriptorsAreOnlyWhatIsGiven(t *testing.T) {
	leak, err := unix.Open(os.DevNull, unix.O_RDONLY, 0) // not close-on-exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	s, _ := run(t, oneRole(t, "serve"))
	awaitReady(t, s)
	if got := mustAsk(t, s.Addr("main"), "inheritable"); got != "" {
		t.Errorf("a child of the role would inherit %q, want nothing", got)
	}
}

func TestSupervisor_descriptorsDoNotPileUp(t *testing.T) {
	t.Parallel()
	s, _ := run(t, oneRole(t, "serve"))
	awaitReady(t, s)
	addr := s.Addr("main")
	mustAsk(t, addr, "keep x")
	counts := map[string]bool{}
	for range 5 {
		kill(t, mustPID(t, addr))
		counts[mustAsk(t, addr, "fds")] = true
		mustAsk(t, addr, "keep x")
	}
	// The very first one has no "x" yet, all later ones are alike, save for a descriptor of the runtime more or less.
	if len(counts) > 2 {
		t.Errorf("descriptors of the processes in turn: %v", counts)
	}
}

func TestSupervisor_strangersAreNotHeard(t *testing.T) {
	t.Parallel()
	s, _ := run(t, oneRole(t, "serve"))
	awaitReady(t, s)
	c, err := net.Dial("unixgram", s.inbox.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, line := range []string{StateDown, "FDSTORE=1\nFDNAME=evil", "rubbish", strings.Repeat("x=y\n", 2000)} {
		if _, err := c.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	mustAsk(t, s.Addr("main"), "notify STATUS=marker")
	eventually(t, "the datagram behind the strangers' is read", func() bool { return s.Status()[0].Text == "marker" })
	select {
	case <-s.down:
		t.Error("a stranger's request to end everything was heard")
	default:
	}
	if got := s.Status()[0].Sockets; !slices.Equal(got, []string{"main"}) {
		t.Errorf("sockets are %q", got)
	}
}

func TestSupervisor_ephemeralStopsAllInReverseOrder(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	order := filepath.Join(cfg.Dir, "order")
	names := []string{"controller", "proxy", "runner"}
	cfg.Roles = nil
	for _, name := range names {
		r := testRole(t, name, "serve")
		r.Env = append(r.Env, envFile+"="+order)
		r.Survives = true
		cfg.Roles = append(cfg.Roles, r)
	}
	cfg.Roles[0].After = []string{"proxy", "runner"}
	cfg.Roles[1].After = []string{"runner"}
	cfg.Ephemeral = true
	s, end := run(t, cfg)
	awaitReady(t, s)
	status := s.Status()
	if err := end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	b, err := os.ReadFile(order)
	if err != nil {
		t.Fatal(err)
	}
	want := "start runner\nstart proxy\nstart controller\nend controller\nend proxy\nend runner\n"
	if string(b) != want {
		t.Errorf("order was\n%swant\n%s", b, want)
	}
	for _, st := range status {
		if runs(st.PID) {
			t.Errorf("%s still runs as %d", st.Role, st.PID)
		}
		if rec := record(t, cfg.Dir, st.Role); rec.State != StateStopped || rec.PID != 0 || rec.LastExit != "exit status 0" {
			t.Errorf("record of %s is %+v", st.Role, rec)
		}
	}
}

func TestSupervisor_downStopsSurvivorsToo(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	cfg.Roles[0].Survives = true
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	awaitReady(t, s)
	addr := s.Addr("main")
	pid := mustPID(t, addr)
	ask(addr, "down") // the answer may be cut: it is stopped at once
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if runs(pid) {
		t.Error("the role still runs")
	}
	if _, err := ask(addr, "pid"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("connect after down: %v, want refused", err)
	}
}

func TestSupervisor_deafRoleIsKilled(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "deaf")
	cfg.Roles[0].StopTimeout = 50 * time.Millisecond
	s, end := run(t, cfg)
	awaitReady(t, s)
	pid := mustPID(t, s.Addr("main"))
	if err := end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if runs(pid) {
		t.Error("the role still runs")
	}
	if got := record(t, cfg.Dir, "proxy").LastExit; got != "signal: killed" {
		t.Errorf("last exit is %q", got)
	}
}

func TestSupervisor_badConfigurationEndsIt(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "refuse")
	other := testRole(t, "runner", "serve")
	other.Survives = true
	cfg.Roles = append(cfg.Roles, other)
	cfg.Roles[0].After = []string{"runner"}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(t.Context())
	var e *ExitError
	if !errors.As(err, &e) {
		t.Fatalf("Run: %v, want an ExitError", err)
	}
	if e.Role != "proxy" || e.Reason != "exit status 2" || e.Tail != "config.yaml:3:1: no such key" {
		t.Errorf("got %+v", e)
	}
	if st := record(t, cfg.Dir, "runner"); st.State != StateStopped {
		t.Errorf("what this run had started is %+v, want stopped", st)
	}
}

func TestSupervisor_programThatIsNotThereEndsIt(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	cfg.Roles[0].Path = "/nonexistent/greengate"
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(t.Context())
	var e *ExitError
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "/nonexistent/greengate: no such file") {
		t.Fatalf("Run: %v, want an ExitError that names the program", err)
	}
}

// A role that fails the same way at every start is no reason to end, but the reason must not stand in its log alone.
func TestSupervisor_saysWhyARoleKeepsEnding(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "complain")
	path := filepath.Join(t.TempDir(), "serve.log")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	cfg.Logger = slog.New(slog.NewTextHandler(out, nil))
	run(t, cfg)
	want := `said="disk: no space left" log=` + filepath.Join(cfg.Dir, "logs", "proxy.log")
	eventually(t, "the reason", func() bool {
		b, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(b), want)
	})
}

// Status 2 of a role that has been ready is a death like any other.
func TestSupervisor_lateExitIsRestarted(t *testing.T) {
	t.Parallel()
	s, _ := run(t, oneRole(t, "serve"))
	awaitReady(t, s)
	addr := s.Addr("main")
	pid := mustPID(t, addr)
	ask(addr, "exit 2") // cut
	eventually(t, "restarted", func() bool { st := s.Status()[0]; return st.Restarts == 1 && st.State == StateReady })
	if next := mustPID(t, addr); next == pid {
		t.Errorf("process %d is still there", pid)
	}
	if got := s.Status()[0].LastExit; got != "exit status 2" {
		t.Errorf("last exit is %q", got)
	}
}

func TestSupervisor_roleThatKeepsDyingIsHeldBack(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "crash")
	cfg.Backoff = Backoff{First: 20 * time.Millisecond, Max: time.Hour, Healthy: time.Hour}
	begin := time.Now()
	s, end := run(t, cfg)
	eventually(t, "four deaths", func() bool { return s.Status()[0].Deaths >= 4 })
	if took := time.Since(begin); took < 60*time.Millisecond {
		t.Errorf("four deaths took %v, want pauses of 0 + 20 + 40 ms between them", took)
	}
	eventually(t, "the record tells", func() bool {
		st := record(t, cfg.Dir, "proxy")
		return st.State == StateBackoff && st.LastExit == "exit status 1" && st.Restarts >= 3
	})
	begin = time.Now()
	if err := end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("ending during a pause took %v", took)
	}
}

func TestBackoff_delay(t *testing.T) {
	t.Parallel()
	b := Backoff{First: 100 * time.Millisecond, Max: 5 * time.Second}
	for i, ms := range []int64{0, 100, 200, 400, 800, 1600, 3200, 5000, 5000} {
		if got := b.delay(i + 1).Milliseconds(); got != ms {
			t.Errorf("after %d deaths: %d ms, want %d", i+1, got, ms)
		}
	}
	if got := b.delay(1 << 20); got != b.Max {
		t.Errorf("after very many deaths: %v", got)
	}
}

func TestSupervisor_restart(t *testing.T) {
	t.Parallel()
	s, _ := run(t, oneRole(t, "serve"))
	awaitReady(t, s)
	pid := mustPID(t, s.Addr("main"))
	if err := s.Restart("nobody"); err == nil {
		t.Error("restarted a role that there is not")
	}
	if err := s.Restart("proxy"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new process", func() bool { st := s.Status()[0]; return st.State == StateReady && st.PID != pid })
	if got := s.Status()[0].LastExit; got != "exit status 0" {
		t.Errorf("the old one ended with %q, want asked to", got)
	}
}

func TestSupervisor_logsAreFilesAndRotate(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	cfg.LogLimit = 100
	logs := filepath.Join(cfg.Dir, "logs")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	old := strings.Repeat("old\n", 50)
	if err := os.WriteFile(filepath.Join(logs, "proxy.log"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := run(t, cfg)
	awaitReady(t, s)
	b, err := os.ReadFile(filepath.Join(logs, "proxy.log"))
	if err != nil || string(b) != "serving\n" {
		t.Errorf("log is %q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(logs, "proxy.log.1")); err != nil || string(b) != old {
		t.Errorf("rotated log is %q, %v", b, err)
	}
	pid := mustPID(t, s.Addr("main"))
	if target, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "fd", "2")); err != nil || !strings.HasSuffix(target, "/proxy.log") {
		t.Errorf("stderr of the role is %q, %v; want the file itself", target, err)
	}
}

func TestSupervisor_addressInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := oneRole(t, "serve")
	cfg.Sockets[0].Address = l.Addr().String()
	_, err = New(cfg)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), `"main"`) {
		t.Fatalf("New: %v", err)
	}
	// The folder is free again.
	cfg.Sockets[0].Address = "127.0.0.1:0"
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := s.Run(t.Context()); err == nil {
		t.Error("ran after Close")
	}
}

func TestSupervisor_longDataFolder(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	cfg.Dir = filepath.Join(cfg.Dir, strings.Repeat("a-long-name/", 20))
	path := filepath.Join(cfg.Dir, "run", "api.sock")
	cfg.Sockets = append(cfg.Sockets, Socket{Name: "api", Network: "unix", Address: path, Mode: 0o660, Role: "proxy"})
	cfg.Roles[0].Survives = true
	s, end := run(t, cfg)
	awaitReady(t, s)
	pid := mustPID(t, s.Addr("api"))
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("socket is %v, %v", st, err)
	}
	kept := tcpAddr(t, mustAsk(t, s.Addr("main"), "keep x"))
	if err := end(); err != nil {
		t.Fatal(err)
	}
	s, _ = run(t, cfg)
	awaitReady(t, s)
	if got := mustPID(t, s.Addr("api")); got != pid {
		t.Errorf("role is process %d, want the adopted %d", got, pid)
	}
	kill(t, pid)
	if got := mustPID(t, kept); got == pid {
		t.Error("a dead process answered")
	}
	mustPID(t, s.Addr("api"))
}

func TestConfig_everyFaultIsNamed(t *testing.T) {
	t.Parallel()
	_, err := New(Config{
		Roles: []Role{
			{Name: "Bad Name", Path: "/x"},
			{Name: "a", Path: "x", After: []string{"b"}},
			{Name: "b", Path: "/x", After: []string{"a"}},
			{Name: "b", Path: "/x", After: []string{"a"}},
		},
		Sockets: []Socket{
			{Name: "", Network: "tcp", Role: "a"},
			{Name: "u", Network: "udp", Role: "a"},
			{Name: "s", Network: "unix", Address: "rel", Role: "a"},
			{Name: "t", Network: "tcp", Role: "nobody"},
		},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"no data folder", `role name "Bad Name"`, `program "x"`, "role b is given twice", "in a circle",
		"needs a name", `network "udp"`, `path "rel"`, `no role "nobody"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}
