package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one main process that is watched. It is either a child of this runner or was adopted.
type process struct {
	pid   int
	start uint64
	child bool
	fd    *os.File // pidfd; nil on kernels without (then it is polled)
	ended chan struct{}
	once  sync.Once
}

var errGone = errors.New("process has ended")

// openProcess takes hold of a living process. It fails with errGone when the process has ended or the pid belongs to
// another one by now.
func openProcess(pid int, start uint64, child bool) (*process, error) {
	if pid <= 1 { // signals to 0, -1 and init would reach everybody
		return nil, errGone
	}
	p := &process{pid: pid, start: start, child: child, ended: make(chan struct{})}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	switch {
	case err == nil:
		p.fd = os.NewFile(uintptr(fd), "pidfd:"+strconv.Itoa(pid))
	case errors.Is(err, unix.ESRCH):
		return nil, errGone
	case !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("open pidfd: %w", err)
	}
	// The pidfd is open: if the start time is right now, it is the pidfd of the right process.
	ps, err := readStat(pid)
	if err != nil || ps.start != start || (ps.dead() && !child) {
		p.close()
		return nil, errGone
	}
	return p, nil
}

// watch closes p.ended when the process has ended. It returns then, or when ctx ends.
func (p *process) watch(ctx context.Context) {
	if p.fd == nil {
		p.poll(ctx)
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = p.fd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	rc, err := p.fd.SyscallConn()
	if err != nil {
		p.poll(ctx)
		return
	}
	err = rc.Read(func(fd uintptr) bool {
		pfd := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // descriptors are small
		n, err := unix.Poll(pfd, 0)
		return err == nil && n == 1
	})
	if err == nil {
		p.once.Do(func() { close(p.ended) })
		return
	}
	if ctx.Err() == nil {
		p.poll(ctx)
	}
}

// poll is watch for kernels where a pidfd cannot be had or waited for.
func (p *process) poll(ctx context.Context) {
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for p.alive() {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
	p.once.Do(func() { close(p.ended) })
}

// alive reports whether the very process runs.
func (p *process) alive() bool {
	ps, err := readStat(p.pid)
	return err == nil && ps.start == p.start && !ps.dead()
}

// exit returns how the process ended; call it once, after ended is closed. It reaps a child. The status of a process
// that is not a child is known only where the kernel keeps it at the pidfd (Linux 6.15) and its parent reaps it within the patience.
func (p *process) exit(patience time.Duration) Exit {
	defer p.close()
	if p.child {
		var ws unix.WaitStatus
		for {
			_, err := unix.Wait4(p.pid, &ws, 0, nil)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return Exit{Code: -1}
			}
			return exitOf(ws)
		}
	}
	if p.fd == nil {
		return Exit{Code: -1}
	}
	// The pidfd tells of the end before the parent has reaped the process; give the parent a moment.
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
		err := unix.IoctlPidfdInfo(int(p.fd.Fd()), &info)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			break
		}
		if err == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
			return exitOf(unix.WaitStatus(info.Exit_code)) //nolint:gosec // a wait status has 16 bits
		}
		if time.Now().After(deadline) {
			break
		}
	}
	return Exit{Code: -1}
}

func exitOf(ws unix.WaitStatus) Exit {
	e := Exit{Known: true, Code: ws.ExitStatus()}
	if ws.Signaled() {
		e.Code = -1
		e.Signal = unix.SignalName(ws.Signal())
	}
	return e
}

// signalGroup sends a signal to the process and its process group, while the process lives.
func (p *process) signalGroup(sig syscall.Signal) error {
	if !p.alive() {
		return nil
	}
	err := unix.Kill(-p.pid, sig)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

func (p *process) close() {
	if p.fd != nil {
		_ = p.fd.Close()
	}
}
