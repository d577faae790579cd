package runner

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProcess_exitOfAnothersChild: the kernel keeps the status at the pidfd once the parent has reaped the process.
func TestProcess_exitOfAnothersChild(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "read x; exit 9")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := openProcess(cmd.Process.Pid, startOf(t, cmd.Process.Pid), false)
	if err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	p.watch(t.Context())
	select {
	case <-p.ended:
	default:
		t.Fatal("watch returned before the end")
	}
	_ = cmd.Wait()
	got := p.exit(time.Second)
	if got != (Exit{Known: true, Code: 9}) && got != (Exit{Code: -1}) {
		t.Errorf("exit %+v", got)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	if release := unix.ByteSliceToString(u.Release[:]); !got.Known {
		t.Skipf("Linux %s does not keep the status of others' children (6.15 does)", release)
	}
}

func TestOpenProcess_refusesWhatIsNotIt(t *testing.T) {
	t.Parallel()
	own := os.Getpid()
	for name, c := range map[string]struct {
		pid   int
		start uint64
	}{
		"recycled pid": {own, startOf(t, own) + 1},
		"nobody":       {1 << 30, 1},
		"group":        {0, 0},
		"everybody":    {-1, 0},
		"init":         {1, startOf(t, 1)},
	} {
		if p, err := openProcess(c.pid, c.start, false); !errors.Is(err, errGone) {
			t.Errorf("%s: %v %v", name, p, err)
		}
	}
}

// TestLaunch_endsWithItsRunner: a launcher whose runner dies before the word to go on starts nothing.
func TestLaunch_endsWithItsRunner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := os.Create(dir + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	rp, err := newReaper(false)
	if err != nil {
		t.Fatal(err)
	}
	l, err := beginLaunch(launchInput{
		launcher: []string{"/proc/self/exe", LaunchArg}, stdout: out, stderr: out, reaper: rp,
		request: launchRequest{Path: "/bin/sh", Args: []string{"sh", "-c", "echo ran"}, Dir: "/"},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.closePipes() // as the kernel does when the runner is killed
	var ws unix.WaitStatus
	for {
		if _, err = unix.Wait4(l.pid, &ws, 0, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil || ws.ExitStatus() != 2 {
		t.Errorf("launcher ended with %v %v", ws, err)
	}
	if data, err := os.ReadFile(dir + "/out"); err != nil || strings.Contains(string(data), "ran") {
		t.Errorf("it ran: %q %v", data, err)
	}
}
