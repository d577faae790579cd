package supervise

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const exitUnknown = "unknown (was adopted)"

// process is a running role process, ours or adopted, held by its pidfd, so that no signal can hit another one.
type process struct {
	id      identity
	started time.Time
	adopted bool
	fd      int
	file    *os.File
	// exited closes when the process has ended; code and exit are set before.
	exited chan struct{}
	gone   chan struct{} // closes when the watching goroutine has ended
	code   int           // exit status; -1 where there is none
	exit   string
}

// watchProcess takes over the pidfd.
func watchProcess(id identity, pidfd int) (*process, error) {
	if err := unix.SetNonblock(pidfd, true); err != nil {
		closeAll(pidfd)
		return nil, fmt.Errorf("watch process %d: %w", id.PID, err)
	}
	p := &process{
		id: id, started: time.Now(), fd: pidfd, file: os.NewFile(uintptr(pidfd), "pidfd"),
		exited: make(chan struct{}), gone: make(chan struct{}), code: -1, exit: exitUnknown,
	}
	raw, err := p.file.SyscallConn()
	if err != nil {
		_ = p.file.Close()
		return nil, fmt.Errorf("watch process %d: %w", id.PID, err)
	}
	go func() {
		defer close(p.gone)
		err := raw.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) //nolint:gosec // a descriptor fits
			return n > 0 && err == nil
		})
		if err == nil {
			p.reap()
			close(p.exited)
		}
	}()
	return p, nil
}

// adopt watches a process that an earlier supervisor started. It fails when the process is gone.
func adopt(id identity) (*process, error) {
	pidfd, err := unix.PidfdOpen(id.PID, 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", id.PID, err)
	}
	// Only now the pid cannot change hands any more.
	if !id.alive() {
		closeAll(pidfd)
		return nil, fmt.Errorf("process %d is another one by now", id.PID)
	}
	p, err := watchProcess(id, pidfd)
	if err == nil {
		p.adopted = true
	}
	return p, err
}

// reap collects the exit status if the process is our child; nobody else does so before.
func (p *process) reap() {
	var ws syscall.WaitStatus
	var pid int
	err := retry(func() (err error) {
		pid, err = syscall.Wait4(p.id.PID, &ws, syscall.WNOHANG, nil)
		return err
	})
	if err != nil || pid != p.id.PID {
		return
	}
	switch {
	case ws.Exited():
		p.code = ws.ExitStatus()
		p.exit = fmt.Sprintf("exit status %d", p.code)
	case ws.Signaled():
		p.exit = "signal: " + ws.Signal().String()
	}
}

func (p *process) signal(sig syscall.Signal) error {
	err := unix.PidfdSendSignal(p.fd, sig, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", sig, p.id.PID, err)
	}
	return nil
}

// release stops watching; a process that runs goes on.
func (p *process) release() {
	_ = p.file.Close()
	<-p.gone
}

// sealDescriptors marks everything above stderr close-on-exec, so that what leaked into this process, from the shell that
// started it say, does not leak on into roles that outlive it. Descriptors that are meant for a child are not concerned.
func sealDescriptors() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list descriptors: %w", err)
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= firstFD {
			// One that is closed by now, as that of the listing itself, needs no mark.
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC)
		}
	}
	return nil
}

// spawn starts the program with exactly the given descriptors from 0 on.
func spawn(spec Role, env []string, fds []int) (*process, error) {
	files := make([]uintptr, len(fds))
	for i, fd := range fds {
		files[i] = uintptr(fd)
	}
	pidfd := -1
	attr := &syscall.ProcAttr{
		Dir: spec.WorkDir, Env: env, Files: files,
		// A session of its own: the terminal's signals are for the supervisor alone.
		Sys: &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd},
	}
	args := append([]string{spec.Path}, spec.Args...)
	pid, err := syscall.ForkExec(spec.Path, args, attr) //nolint:gosec // to run what the caller names is the task
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	id, err := identify(pid)
	if err == nil && pidfd < 0 {
		err = errors.New("the kernel gives no pidfd: Linux 5.4 or newer is needed")
	}
	var p *process
	if err == nil {
		p, err = watchProcess(id, pidfd)
	}
	if err != nil {
		// Not watched means not run.
		_ = syscall.Kill(pid, syscall.SIGKILL)
		_ = retry(func() error { _, err := syscall.Wait4(pid, nil, 0, nil); return err })
		return nil, fmt.Errorf("watch %s: %w", spec.Path, err)
	}
	return p, nil
}
