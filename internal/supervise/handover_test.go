//go:build linux

package supervise

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// systemd is what a unit sees: a notify socket and descriptors from 3 on.
type systemd struct {
	inbox *net.UnixConn
	path  string
}

func newSystemd(t *testing.T) *systemd {
	t.Helper()
	path := filepath.Join(shortDir(t), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &systemd{inbox: c, path: path}
}

// start runs a role as systemd does: LISTEN_PID is the pid of the program.
func (s *systemd) start(t *testing.T, names string, files ...*os.File) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0"`, self)
	cmd.Env = []string{
		noRaceSleep, envPlay + "=role", envHow + "=serve", "NOTIFY_SOCKET=" + s.path,
		"LISTEN_FDS=" + string(rune('0'+len(files))), "LISTEN_FDNAMES=" + names,
	}
	cmd.ExtraFiles = files
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

// next reads one datagram and the descriptors with it.
func (s *systemd) next(t *testing.T) (string, []int) {
	t.Helper()
	s.inbox.SetReadDeadline(time.Now().Add(20 * time.Second))
	b, oob := make([]byte, 4096), make([]byte, 1024)
	n, oobn, _, _, err := s.inbox.ReadMsgUnix(b, oob)
	if err != nil {
		t.Fatal(err)
	}
	_, fds := parseControl(oob[:oobn])
	return string(b[:n]), fds
}

func TestReceive_asSystemdCallsIt(t *testing.T) {
	t.Parallel()
	sd := newSystemd(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	second, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	f := fileFrom(t, l)
	f2 := fileFrom(t, second)
	cmd := sd.start(t, "api.socket:api.socket", f, f2)
	if got, fds := sd.next(t); got != "READY=1" || len(fds) != 0 {
		t.Fatalf("first datagram is %q with %v", got, fds)
	}
	if got := mustAsk(t, l.Addr(), "names"); got != "api.socket|api.socket#2" {
		t.Errorf("names are %q", got)
	}
	if got := mustPID(t, second.Addr()); got != cmd.Process.Pid {
		t.Errorf("answered by %d, want %d", got, cmd.Process.Pid)
	}
	if got := mustAsk(t, l.Addr(), "inheritable"); got != "" {
		t.Errorf("a child of the role would inherit %q", got)
	}
	if got := mustAsk(t, l.Addr(), "env"); strings.Contains(got, "LISTEN_") || strings.Contains(got, "NOTIFY_") {
		t.Errorf("a child of the role would inherit the environment %q", got)
	}

	addr := mustAsk(t, l.Addr(), "keep listener/a:b")
	got, fds := sd.next(t)
	if got != "FDSTORE=1\nFDNAME=listener/a%3Ab" || len(fds) != 1 {
		t.Fatalf("datagram is %q with %v", got, fds)
	}
	if a := addrOf(fds[0]); a == nil || a.String() != addr {
		t.Errorf("the kept socket is at %v, want %s", a, addr)
	}

	// It dies; systemd hands the stored one over behind the unit's own.
	cmd.Process.Kill()
	cmd.Wait()
	stored := os.NewFile(uintptr(fds[0]), "stored")
	defer stored.Close()
	again := sd.start(t, "api.socket:api.socket:listener/a%3Ab", f, f2, stored)
	if got, _ := sd.next(t); got != "READY=1" {
		t.Fatalf("first datagram is %q", got)
	}
	if got := mustPID(t, tcpAddr(t, addr)); got != again.Process.Pid {
		t.Errorf("answered by %d, want %d", got, again.Process.Pid)
	}
	// A kept name that comes again replaces: systemd would hold both.
	mustAsk(t, l.Addr(), "keep listener/a:b")
	if got, _ := sd.next(t); got != "FDSTOREREMOVE=1\nFDNAME=listener/a%3Ab" {
		t.Errorf("datagram is %q", got)
	}
	got, fds = sd.next(t)
	if got != "FDSTORE=1\nFDNAME=listener/a%3Ab" || len(fds) != 1 {
		t.Errorf("datagram is %q with %v", got, fds)
	}
	closeAll(fds...)
	mustAsk(t, l.Addr(), "forget listener/a:b")
	if got, _ := sd.next(t); got != "FDSTOREREMOVE=1\nFDNAME=listener/a%3Ab" {
		t.Errorf("datagram is %q", got)
	}
	if got := mustAskRaw(t, l.Addr(), "down"); got != "error: "+ErrNoSupervisor.Error() {
		t.Errorf("down under systemd gave %q", got)
	}
}

func fileFrom(t *testing.T, l net.Listener) *os.File {
	t.Helper()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestReceive_descriptorsOfAnotherProcessAreLeftAlone(t *testing.T) {
	t.Parallel()
	env := map[string]string{"LISTEN_PID": "1", "LISTEN_FDS": "1000", "LISTEN_FDNAMES": "x"}
	var unset []string
	h, err := Receive(func(k string) string { return env[k] }, func(k string) error { unset = append(unset, k); return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if len(h.Listeners()) != 0 || len(h.Files()) != 0 || h.Supervised() {
		t.Errorf("took %v, %v", h.Listeners(), h.Files())
	}
	if !strings.Contains(strings.Join(unset, " "), "LISTEN_PID LISTEN_PIDFDID LISTEN_FDS LISTEN_FDNAMES NOTIFY_SOCKET") {
		t.Errorf("unset %q", unset)
	}
	// Nobody listens: all of it succeeds and does nothing.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.Ready(), h.Notify("STATUS=x"), h.Keep("x", l.(*net.TCPListener)), h.Forget("x")); err != nil {
		t.Errorf("without a supervisor: %v", err)
	}
	if err := h.Keep("x", l.(*net.TCPListener)); err != nil {
		t.Error(err)
	}
	l.Close()
	if _, err := ask(l.Addr(), "pid"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("connect to a closed listener that nobody keeps: %v, want refused", err)
	}
	if err := h.Down(); !errors.Is(err, ErrNoSupervisor) {
		t.Errorf("Down: %v", err)
	}
}

func TestReceive_badVariables(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]map[string]string{
		"count":           {"LISTEN_FDS": "two"},
		"negative":        {"LISTEN_FDS": "-1"},
		"names":           {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a"},
		"lock":            {"GREENGATE_ROLE_LOCK": "x"},
		"lock of stdin":   {"GREENGATE_ROLE_LOCK": "0"},
		"lock is closed":  {"GREENGATE_ROLE_LOCK": "99000"},
		"folder missing":  {"GREENGATE_RUN": "/nonexistent", "GREENGATE_ROLE": "x"},
		"cannot be unset": {"fail": "yes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unset := func(string) error {
				if env["fail"] != "" {
					return errors.New("no")
				}
				return nil
			}
			h, err := Receive(func(k string) string { return env[k] }, unset)
			if err == nil {
				t.Errorf("accepted %v", env)
				h.Close()
			}
		})
	}
}

// A listener that came over the wire must still be one that Go's poller can interrupt.
func TestReceive_listenersKeepTheirDeadlines(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fd, err := dupOf(l.(*net.TCPListener))
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(fd)
	got, err := listenerOf(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("the shared socket is blocking now (%v)", err)
	}
	got.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := got.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Accept: %v, want the deadline", err)
	}
}

func TestNames_roundTrip(t *testing.T) {
	t.Parallel()
	names := []string{"a", "a:b", "é", "100%", "%3A", "a b\n", "x/y=z", "unknown", "\x00\xff"}
	joined, err := joinNames(names)
	if err != nil {
		t.Fatal(err)
	}
	got, err := listenNames("9", joined)
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		if got[i] != names[i] {
			t.Errorf("%q came back as %q", names[i], got[i])
		}
	}
	if _, err := EncodeName(strings.Repeat(":", 86)); err == nil {
		t.Error("accepted a name of 258 bytes")
	}
	if got, err := listenNames("3", ""); err != nil || strings.Join(got, " ") != "unknown unknown#2 unknown#3" {
		t.Errorf("without names: %q, %v", got, err)
	}
	if got, err := listenNames("4", "a:a:a#2:a"); err != nil || strings.Join(got, " ") != "a a#3 a#2 a#4" {
		t.Errorf("names that repeat: %q, %v", got, err)
	}
}

func FuzzListenNames(f *testing.F) {
	f.Add("1", "api")
	f.Add("2", "a:a")
	f.Add("3", "a%3Ab::%")
	f.Add("-1", "")
	f.Add("4", "a:a:a#2:a")
	f.Fuzz(func(t *testing.T, n, names string) {
		got, err := listenNames(n, names)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, name := range got {
			if seen[name] {
				t.Errorf("%q twice in %q", name, got)
			}
			seen[name] = true
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("listener/arn:aws:elb")
	f.Add("%")
	f.Add("\x00")
	f.Fuzz(func(t *testing.T, name string) {
		enc, err := EncodeName(name)
		if err != nil {
			return
		}
		if strings.ContainsAny(enc, ": \n=") || len(enc) > maxEncodedName {
			t.Errorf("%q is encoded as %q", name, enc)
		}
		if got := DecodeName(enc); got != name {
			t.Errorf("%q came back as %q", name, got)
		}
	})
}

func FuzzParseMessage(f *testing.F) {
	for _, seed := range []string{
		"READY=1", "READY=0\n" + stateEnd, "FDSTORE=1\nFDNAME=a%3Ab", "FDSTOREREMOVE=1\nFDNAME=x\n", StateDown,
		"STATUS=a=b", "=", "x", "\n\n", "FDSTORE=1\nFDSTOREREMOVE=1", "STATUS=", "BARRIER=1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			if m != (message{}) {
				t.Errorf("an error and %+v", m)
			}
			return
		}
		if m.Store && m.Remove || m.Ready && m.NotReady {
			t.Errorf("contradiction: %+v", m)
		}
		if m.Down && !bytes.Contains(b, []byte(StateDown)) {
			t.Errorf("%q asks for the end", b)
		}
	})
}

func FuzzParseStartTicks(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("1 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, b []byte) {
		ticks, err := parseStartTicks(b)
		if err != nil && ticks != 0 {
			t.Errorf("an error and %d", ticks)
		}
	})
}

func TestParseStartTicks(t *testing.T) {
	t.Parallel()
	got, err := parseStartTicks([]byte("1 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20"))
	if err != nil || got != 4242 {
		t.Errorf("got %d, %v", got, err)
	}
}
