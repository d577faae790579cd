package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"greengate/internal/durable"
)

// shimUnits is a real implementation of Units: each program has a small parent process (the shim) that outlives the
// manager, writes its output and keeps its exit status in a file.
type shimUnits struct {
	dir string
	wg  *sync.WaitGroup // the shims that this process started
}

func newShimUnits(dir string) *shimUnits { return &shimUnits{dir: dir, wg: &sync.WaitGroup{}} }

func (u *shimUnits) file(id, name string) string { return filepath.Join(u.dir, id, name) }

func (u *shimUnits) Start(ctx context.Context, p Program) error {
	if err := os.Mkdir(filepath.Join(u.dir, p.ID), 0o700); errors.Is(err, os.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(u.file(p.ID, "program.json"), data, 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "role-shim", filepath.Join(u.dir, p.ID)) // without a context: it outlives us
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	u.wg.Go(func() { _ = cmd.Wait() })
	for {
		if text, err := os.ReadFile(u.file(p.ID, "started")); err == nil {
			if string(text) != "ok" {
				return errors.New(string(text))
			}
			return nil
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

func (u *shimUnits) Stop(_ context.Context, id string) error {
	if pid := u.shim(id); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	return nil
}

// shim is the process id of the program's shim, 0 when it is gone.
func (u *shimUnits) shim(id string) int {
	text, err := os.ReadFile(u.file(id, "pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(string(text))
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if !strings.Contains(string(cmdline), filepath.Join(u.dir, id)) {
		return 0
	}
	return pid
}

func (u *shimUnits) Wait(ctx context.Context, id string) (Exit, error) {
	for {
		info, err := os.Stat(filepath.Join(u.dir, id))
		if err != nil {
			return Exit{}, fmt.Errorf("unit %s was never started", id)
		}
		// A starter that was killed may have a shim on its way that has not written its pid yet.
		dead := u.shim(id) == 0 && time.Since(info.ModTime()) > 2*time.Second
		if data, err := os.ReadFile(u.file(id, "exit.json")); err == nil {
			var e Exit
			return e, json.Unmarshal(data, &e)
		}
		if dead {
			return Exit{}, nil
		}
		if err := pause(ctx, 3*time.Millisecond); err != nil {
			return Exit{}, err
		}
	}
}

// programs lists the ids of everything that was started.
func (u *shimUnits) programs() []string {
	entries, _ := os.ReadDir(u.dir)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// killAll ends what is left and waits for it.
func (u *shimUnits) killAll() {
	for _, id := range u.programs() {
		for u.shim(id) != 0 {
			_ = u.Stop(context.Background(), id)
			time.Sleep(5 * time.Millisecond) // polls
		}
	}
	u.wg.Wait()
}

// shimMain runs one program: its whole tree is killed on SIGTERM, and when its main process ends.
func shimMain(args []string) error {
	dir := args[0]
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	if err := os.WriteFile(filepath.Join(dir, "pid"), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	cmd, pumps, err := shimStart(dir)
	if err != nil {
		return durable.WriteFile(filepath.Join(dir, "started"), []byte(err.Error()), 0o600)
	}
	if err := durable.WriteFile(filepath.Join(dir, "started"), []byte("ok"), 0o600); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	select {
	case <-term:
		killDescendants(os.Getpid())
		<-ended
	case <-ended:
	}
	killDescendants(os.Getpid())
	pumps.Wait()
	e := Exit{Known: true, Code: cmd.ProcessState.ExitCode()}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.Signal = ws.Signal().String()
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, "exit.json"), data, 0o600)
}

func shimStart(dir string) (*exec.Cmd, *sync.WaitGroup, error) {
	data, err := os.ReadFile(filepath.Join(dir, "program.json"))
	if err != nil {
		return nil, nil, err
	}
	var p Program
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, nil, err
	}
	out, err := os.OpenFile(p.Output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(p.Command[0], p.Command[1:]...)
	cmd.Dir = p.Dir
	cmd.Env = []string{}
	for k, v := range p.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var pumps sync.WaitGroup
	var mu sync.Mutex
	for name, target := range map[string]*io.Writer{"stdout": &cmd.Stdout, "stderr": &cmd.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, nil, err
		}
		*target = w
		defer func() { _ = w.Close() }()
		pumps.Go(func() { pump(r, out, name, &mu) })
	}
	return cmd, &pumps, cmd.Start()
}

// pump writes lines in the format of Program.Output.
func pump(r io.Reader, w io.Writer, stream string, mu *sync.Mutex) {
	br := bufio.NewReaderSize(r, 16<<10)
	for {
		line, err := br.ReadSlice('\n')
		if len(line) > 0 {
			tag, text := "F", strings.TrimSuffix(string(line), "\n")
			if err != nil {
				tag = "P"
			}
			mu.Lock()
			_, _ = fmt.Fprintf(w, "%s %s %s %s\n", time.Now().UTC().Format(time.RFC3339Nano), stream, tag, text)
			mu.Unlock()
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func killDescendants(root int) {
	for {
		found := descendants(root)
		if len(found) == 0 {
			return
		}
		for _, pid := range found {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(2 * time.Millisecond) // polls
	}
}

// descendants lists the living processes below root.
func descendants(root int) []int {
	parent := map[int]int{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		rest := string(data)[strings.LastIndexByte(string(data), ')')+2:]
		fields := strings.Fields(rest)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if fields[0] != "Z" && fields[0] != "X" {
			parent[pid], _ = strconv.Atoi(fields[1])
		}
	}
	var out []int
	for pid := range parent {
		for p := pid; p > 1; p = parent[p] {
			if parent[p] == root {
				out = append(out, pid)
				break
			}
		}
	}
	return out
}
