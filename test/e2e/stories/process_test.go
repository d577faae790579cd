package stories

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// background is a command that runs beside the script.
type background struct {
	cmd      *exec.Cmd
	out, err string // files
	done     chan struct{}
}

func (s *story) start(name string, words []string) *background {
	s.Helper()
	b := &background{cmd: s.prepare(words), out: s.path("." + name + ".out"), err: s.path("." + name + ".err"), done: make(chan struct{})}
	out, err := os.Create(b.out)
	s.must(err)
	defer out.Close()
	errs, err := os.Create(b.err)
	s.must(err)
	defer errs.Close()
	b.cmd.Stdout, b.cmd.Stderr = out, errs
	s.must(b.cmd.Start())
	go func() {
		_ = b.cmd.Wait() // the exit code is asked for where it matters
		close(b.done)
	}()
	return b
}

func (s *story) background(_ bool, args []string) {
	s.Helper()
	s.jobs[args[0]] = s.start(args[0], args[1:])
}

func (s *story) waitBackground(_ bool, args []string) {
	s.Helper()
	b := s.jobs[args[0]]
	select {
	case <-b.done:
	case <-time.After(patience):
		_ = b.cmd.Process.Kill()
		<-b.done
		s.Errorf("%s did not end within %s", args[0], patience)
	}
	s.stdout, s.stderr = s.read(b.out), s.read(b.err)
	if got := b.cmd.ProcessState.ExitCode(); got != s.number(args[1]) {
		s.Errorf("exit code %d, want %s\nstdout:\n%s\nstderr:\n%s", got, args[1], clip(s.stdout), clip(s.stderr))
	}
}

var ready = regexp.MustCompile(`(?m)^greengate: serving (\S+) data`)

// serve starts a controller. Unless the story wants it otherwise everything ends with it.
func (s *story) serve(_ bool, args []string) {
	s.Helper()
	words := []string{"greengate", "serve", "--listen", "127.0.0.1:0"}
	if !slices.Contains(args, "--ephemeral=false") {
		words = append(words, "--ephemeral")
	}
	s.server = s.start("serve", append(words, args...))
	s.until("serve is ready", func() bool {
		select {
		case <-s.server.done:
			s.Fatalf("serve has ended with code %d:\n%s", s.server.cmd.ProcessState.ExitCode(), s.read(s.server.err))
		default:
		}
		return ready.MatchString(s.read(s.server.out))
	})
	s.env = append(s.env, "URL="+ready.FindStringSubmatch(s.read(s.server.out))[1])
}

func (s *story) signal(_ bool, args []string) {
	s.Helper()
	signals := map[string]syscall.Signal{
		"KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
	}
	sig, ok := signals[args[1]]
	if !ok {
		s.Fatalf("unknown signal %q", args[1])
	}
	s.must(syscall.Kill(s.pidOf(args[0]), sig))
}

// pidOf finds a background command, serve or a role of it.
func (s *story) pidOf(name string) int {
	s.Helper()
	if b, ok := s.jobs[name]; ok {
		return b.cmd.Process.Pid
	}
	if name == "serve" {
		return s.server.cmd.Process.Pid
	}
	var role struct {
		PID int `json:"pid"`
	}
	s.must(json.Unmarshal([]byte(s.read(filepath.Join(s.getenv("DATA"), "roles", name+".json"))), &role))
	if role.PID < 2 {
		s.Fatalf("no process of the role %s is known", name)
	}
	return role.PID
}

// memoryBelow looks at the most memory that a role has had, in MiB.
func (s *story) memoryBelow(_ bool, args []string) {
	s.Helper()
	status := s.read("/proc/" + strconv.Itoa(s.pidOf(args[0])) + "/status")
	peak := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindStringSubmatch(status)
	if peak == nil {
		s.Fatalf("no VmHWM in:\n%s", status)
	}
	if got, most := s.number(peak[1])>>10, s.number(args[1]); got >= most {
		s.Errorf("the %s has had %d MiB, want less than %d", args[0], got, most)
	}
}

// left are the processes of the story: those whose folder, arguments or environment name its folder.
func (s *story) left() []int {
	s.Helper()
	entries, err := os.ReadDir("/proc")
	s.must(err)
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		cwd, _ := os.Readlink("/proc/" + e.Name() + "/cwd")
		found := strings.HasPrefix(cwd+"/", s.dir+"/")
		for _, file := range []string{"cmdline", "environ"} {
			content, _ := os.ReadFile("/proc/" + e.Name() + "/" + file) // it may have ended meanwhile
			found = found || bytes.Contains(content, []byte(s.dir))
		}
		if found {
			pids = append(pids, pid)
		}
	}
	return pids
}

func describe(pids []int) string {
	var b strings.Builder
	for _, pid := range pids {
		cmdline, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		b.WriteString(strconv.Itoa(pid) + " " + strings.ReplaceAll(string(cmdline), "\x00", " ") + "\n")
	}
	return b.String()
}

// gone waits until nothing of the story runs.
func (s *story) gone() {
	s.Helper()
	limit := time.Now().Add(patience)
	for pids := s.left(); len(pids) > 0; pids = s.left() {
		if time.Now().After(limit) {
			s.Errorf("still there after %s:\n%s", patience, describe(pids))
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// end stops all that a story started. What does not end by itself is a fault of the story.
func (s *story) end() {
	if s.load != nil {
		s.load.stop()
	}
	for _, c := range s.sockets {
		_ = c.conn.Close()
	}
	if s.Failed() {
		s.evidence()
	}
	for _, b := range s.jobs {
		_ = b.cmd.Process.Kill()
		<-b.done
	}
	if s.server != nil {
		_ = s.server.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.server.done:
			if !s.Failed() {
				s.gone()
			}
		case <-time.After(patience):
			s.Errorf("serve did not end within %s of SIGTERM", patience)
		}
	}
	for range 100 { // a service that is killed may be started again by a role that is still there
		pids := s.left()
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, dir := range s.mounts {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			s.Errorf("unmount %s: %v", dir, err)
		}
	}
	_ = os.RemoveAll(s.dir)
}

// answered are lines of the log that say that nothing is wrong.
var answered = regexp.MustCompile(`(?m)^.*msg=request .* status=200 .*\n`)

// evidence prints what a failed story leaves.
func (s *story) evidence() {
	for _, file := range []string{".serve.err", "data/logs/controller.log", "data/logs/runner.log", "data/logs/proxy.log"} {
		if content, err := os.ReadFile(s.path(file)); err == nil {
			s.Logf("%s:\n%s", file, clip(answered.ReplaceAllString(string(content), "")))
		}
	}
	if s.server == nil {
		return
	}
	for _, args := range [][]string{{"history"}, {"events"}} {
		cmd := exec.Command(filepath.Join(binDir, "greengate"), args...)
		cmd.Env, cmd.Dir = s.env, s.dir
		timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		out, _ := cmd.CombinedOutput()
		timer.Stop()
		s.Logf("greengate %s:\n%s", args[0], clip(string(out)))
	}
}
