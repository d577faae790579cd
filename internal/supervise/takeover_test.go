//go:build linux

package supervise

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fixedAddress finds a port for a socket that two supervisors have to agree on. The configuration of serve needs no
// such thing, but a supervisor in another process cannot tell this one its port.
func fixedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// abandon kills a supervisor as the kernel does when memory is short.
func abandon(t *testing.T, cfg Config, how string) {
	t.Helper()
	cmd := serve(t, cfg, how)
	cmd.Process.Kill()
	cmd.Wait()
}

func TestSupervisor_takesOverFromAKilledOne(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	cfg.Sockets[0].Address = fixedAddress(t)
	sock := filepath.Join(cfg.Dir, "api.sock")
	cfg.Sockets = append(cfg.Sockets, Socket{Name: "api", Network: "unix", Address: sock, Role: "controller"})
	cfg.Roles = append(cfg.Roles, testRole(t, "controller", "serve"))
	addr := tcpAddr(t, cfg.Sockets[0].Address)
	api := &net.UnixAddr{Net: "unix", Name: sock}

	cmd := serve(t, cfg, "")
	before := tcpAddr(t, mustAsk(t, addr, "keep before"))
	proxy, controller := mustPID(t, addr), mustPID(t, api)
	cmd.Process.Kill()
	cmd.Wait()

	// Nobody supervises: the roles go on, and what they keep now is fetched later.
	if got := mustPID(t, addr); got != proxy {
		t.Fatalf("answered by %d, want %d", got, proxy)
	}
	away := tcpAddr(t, mustAsk(t, addr, "keep away"))
	mustAsk(t, addr, "notify STATUS=alone")
	if got := mustAskRaw(t, addr, "down"); !strings.HasPrefix(got, "error:") {
		t.Errorf("asking nobody to end everything gave %q, want an error", got)
	}

	s, _ := run(t, cfg)
	awaitReady(t, s)
	if s.Addr("main").String() != addr.String() || s.Addr("api").String() != sock {
		t.Errorf("addresses are %v and %v", s.Addr("main"), s.Addr("api"))
	}
	if got := mustPID(t, addr); got != proxy {
		t.Errorf("proxy is %d, want the adopted %d", got, proxy)
	}
	if got := mustPID(t, api); got != controller {
		t.Errorf("controller is %d, want the adopted %d", got, controller)
	}
	for _, st := range s.Status() {
		if !st.Adopted || st.State != StateReady || st.Restarts != 0 {
			t.Errorf("status is %+v", st)
		}
	}
	// They talk to the new one,
	after := tcpAddr(t, mustAsk(t, addr, "keep after"))
	// which restarts them with all their sockets.
	for _, a := range []net.Addr{before, away, after, addr} {
		old := mustPID(t, addr)
		kill(t, old)
		if got := mustPID(t, a); got == old {
			t.Errorf("%v: process %d answered after its death", a, old)
		}
	}
	kill(t, controller)
	if got := mustPID(t, api); got == controller {
		t.Error("the dead controller answered")
	}
	if got := s.Status()[0].LastExit; got != "signal: killed" {
		t.Errorf("last exit of our own child is %q", got)
	}
	if got := s.Status()[1].LastExit; got != exitUnknown {
		t.Errorf("last exit of the adopted one is %q", got)
	}
}

func mustAskRaw(t *testing.T, addr net.Addr, line string) string {
	t.Helper()
	answer, err := ask(addr, line)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// What died while nobody supervised is started anew, with new sockets, and a process of each role runs once.
func TestSupervisor_takesOverTheDead(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	cfg.Sockets[0].Address = fixedAddress(t)
	addr := tcpAddr(t, cfg.Sockets[0].Address)
	abandon(t, cfg, "")
	pid := mustPID(t, addr)
	kill(t, pid)
	eventually(t, "the role is gone", func() bool { return !runs(pid) })

	s, _ := run(t, cfg)
	awaitReady(t, s)
	if got := mustPID(t, addr); got == pid {
		t.Error("the dead process answered")
	}
	if s.Status()[0].Adopted {
		t.Error("adopted a dead process")
	}
}

// A supervisor killed again and again, at any moment of its start, never leaves two processes of a role.
func TestSupervisor_killedAtAnyMomentNeverDoubles(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	cfg.Sockets[0].Address = fixedAddress(t)
	starts := filepath.Join(cfg.Dir, "starts")
	cfg.Roles[0].Env = append(cfg.Roles[0].Env, envFile+"="+starts)
	addr := tcpAddr(t, cfg.Sockets[0].Address)
	for i := range 12 {
		cmd := startServe(t, cfg)
		time.Sleep(time.Duration(i) * 3 * time.Millisecond) // the moment of the kill, spread over the start
		cmd.Process.Kill()
		cmd.Wait()
	}
	s, _ := run(t, cfg)
	awaitReady(t, s)
	pid := mustPID(t, addr)
	if n := count(t, cfg.Roles[0].Path, "SUPERVISE_TEST_FILE="+starts); n != 1 {
		t.Errorf("%d processes of the role run, want 1 (%d)", n, pid)
	}
}

// count counts the living processes of a program that have the assignment in their environment.
func count(t *testing.T, program, assignment string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !runs(pid) {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		exe, exeErr := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err == nil && exeErr == nil && exe == program && slices.Contains(strings.Split(string(env), "\x00"), assignment) {
			n++
		}
	}
	return n
}

func TestSupervisor_survivorsOutliveItsEnd(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	cfg.Sockets[0].Address = fixedAddress(t)
	cfg.Roles[0].Survives = true
	cfg.Roles = append(cfg.Roles, testRole(t, "controller", "serve"))
	s, end := run(t, cfg)
	awaitReady(t, s)
	addr := s.Addr("main")
	pid := mustPID(t, addr)
	kept := tcpAddr(t, mustAsk(t, addr, "keep x"))
	controller := s.Status()[1].PID
	if err := end(); err != nil {
		t.Fatalf("Run: %v", err)
	}
	if runs(controller) {
		t.Error("the controller still runs")
	}
	if got := mustPID(t, kept); got != pid {
		t.Errorf("answered by %d, want %d", got, pid)
	}
	if got := record(t, cfg.Dir, "proxy"); got.State != StateLeft || got.PID != pid || got.StartTicks == 0 || got.BootID == "" {
		t.Errorf("record is %+v", got)
	}
	s, _ = run(t, cfg)
	awaitReady(t, s)
	if got := mustPID(t, addr); got != pid {
		t.Errorf("proxy is %d, want the adopted %d", got, pid)
	}
	if s.Status()[1].PID == controller {
		t.Error("a controller that was stopped is back")
	}
	kill(t, pid)
	mustPID(t, kept)
}

func TestNew_secondSupervisorIsRefused(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	cfg.Sockets[0].Address = fixedAddress(t)
	addr := tcpAddr(t, cfg.Sockets[0].Address)
	cmd := serve(t, cfg, "")
	pid := mustPID(t, addr)
	eventually(t, "the record is written", func() bool { return record(t, cfg.Dir, "proxy").State == StateReady })
	before := listing(t, cfg.Dir)
	_, err := New(cfg)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != cmd.Process.Pid {
		t.Fatalf("New: %v, want a LockedError of process %d", err, cmd.Process.Pid)
	}
	if !strings.Contains(err.Error(), cfg.Dir+" is in use by process "+strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("message is %q", err)
	}
	if after := listing(t, cfg.Dir); !slices.Equal(before, after) {
		t.Errorf("the folder changed from %q to %q", before, after)
	}
	if got := mustPID(t, addr); got != pid {
		t.Errorf("answered by %d, want %d", got, pid)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("serve after SIGTERM: %v", err)
	}
	eventually(t, "the role is stopped", func() bool { return !runs(pid) })
}

// listing gives every file below dir with its inode.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		list = append(list, path+" "+strconv.FormatUint(st.Ino, 10))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A role whose address is another one in the configuration of the new supervisor moves there.
func TestSupervisor_adoptedRoleMovesToTheNewAddress(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	cfg.Sockets[0].Address = fixedAddress(t)
	abandon(t, cfg, "")
	old := tcpAddr(t, cfg.Sockets[0].Address)
	pid := mustPID(t, old)
	kept := tcpAddr(t, mustAsk(t, old, "keep x"))

	cfg.Sockets[0].Address = fixedAddress(t)
	s, _ := run(t, cfg)
	awaitReady(t, s)
	if got := s.Addr("main").String(); got != cfg.Sockets[0].Address {
		t.Errorf("address is %s, want %s", got, cfg.Sockets[0].Address)
	}
	eventually(t, "a new process", func() bool { st := s.Status()[0]; return st.State == StateReady && st.PID != pid })
	mustPID(t, s.Addr("main"))
	mustPID(t, kept)
	if _, err := ask(old, "pid"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("connect to the old address: %v, want refused", err)
	}
}

// A role that hangs when the new supervisor comes is asked for its sockets again later.
func TestSupervisor_fetchesLater(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	cfg.Sockets[0].Address = fixedAddress(t)
	addr := tcpAddr(t, cfg.Sockets[0].Address)
	abandon(t, cfg, "")
	pid := mustPID(t, addr)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the role is stopped", func() bool {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		_, rest, _ := strings.Cut(string(b), ") ")
		return err == nil && strings.HasPrefix(rest, "T")
	})
	s, _ := run(t, cfg)
	if s.Addr("main") != nil {
		t.Errorf("address is %v, want none before the role answers", s.Addr("main"))
	}
	select {
	case <-s.Ready():
		t.Error("ready although the role hangs")
	default:
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, s)
	eventually(t, "its sockets are fetched", func() bool { return s.Addr("main") != nil })
	kill(t, pid)
	if got := mustPID(t, addr); got == pid {
		t.Error("the dead process answered")
	}
}

// An adopted role that was not ready yet counts when it is.
func TestSupervisor_adoptedRoleThatIsNotReady(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "slow")
	cfg.Sockets[0].Address = fixedAddress(t)
	addr := tcpAddr(t, cfg.Sockets[0].Address)
	cmd := startServe(t, cfg)
	mustPIDEventually(t, addr)
	cmd.Process.Kill()
	cmd.Wait()
	s, _ := run(t, cfg)
	mustAsk(t, addr, "notify STATUS=marker")
	eventually(t, "status is read", func() bool { return s.Status()[0].Text == "marker" })
	select {
	case <-s.Ready():
		t.Fatal("ready too early")
	default:
	}
	mustAsk(t, addr, "notify READY=1")
	awaitReady(t, s)
}

func mustPIDEventually(t *testing.T, addr net.Addr) {
	t.Helper()
	eventually(t, "served", func() bool {
		_, err := ask(addr, "pid")
		return err == nil
	})
}

// A role that something else runs on the same data is neither adopted nor doubled.
func TestNew_roleRunByOthersIsLeftAlone(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "serve")
	h, err := Receive(func(string) string { return "" }, func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Claim(t.Context(), cfg.Dir, "proxy"); err != nil {
		t.Fatal(err)
	}
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("New: %v, want refused with our pid", err)
	}
	other, err := Receive(func(string) string { return "" }, func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Claim(t.Context(), cfg.Dir, "proxy"); err == nil || !strings.Contains(err.Error(), "already runs") {
		t.Errorf("second Claim: %v, want refused", err)
	}
	h.Close()
	if err := other.Claim(t.Context(), cfg.Dir, "proxy"); err != nil {
		t.Errorf("Claim of a free role: %v", err)
	}
}

// As process 1 or as a subreaper the supervisor collects orphans, and only those.
func TestSupervisor_reapsOrphans(t *testing.T) {
	t.Parallel()
	cfg := oneRole(t, "forget-orphan")
	cfg.Sockets[0].Address = fixedAddress(t)
	file := filepath.Join(cfg.Dir, "orphans")
	cfg.Roles[0].Env = append(cfg.Roles[0].Env, envFile+"="+file)
	addr := tcpAddr(t, cfg.Sockets[0].Address)
	cmd := serve(t, cfg, "subreaper")
	for range 3 {
		pid := mustPID(t, addr)
		ask(addr, "exit 7")
		eventually(t, "the exit status of the role is known", func() bool {
			st := record(t, cfg.Dir, "proxy")
			return st.LastExit == "exit status 7" && st.PID != pid && st.State == StateReady
		})
	}
	var orphans []int
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if pid, err := strconv.Atoi(line); err == nil {
			orphans = append(orphans, pid)
		}
	}
	if len(orphans) < 3 {
		t.Fatalf("%d orphans were made, want at least 3", len(orphans))
	}
	for _, pid := range orphans {
		eventually(t, "the orphan is collected", func() bool {
			_, err := os.Stat("/proc/" + strconv.Itoa(pid))
			return errors.Is(err, os.ErrNotExist)
		})
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("serve: %v", err)
	}
}
