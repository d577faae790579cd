package supervise

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reapsOrphans tells whether orphans of our descendants become our children: as process 1 of a container, or when the
// process has made itself a child subreaper.
func reapsOrphans() bool {
	var sub int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&sub)), 0, 0, 0) //nolint:gosec // the call wants an address
	return os.Getpid() == 1 || err == nil && sub != 0
}

// reapOrphans collects dead children that are no roles, until ctx ends. It looks before it takes, so that the exit
// status of a role is left to the one who watches the role.
func (s *Supervisor) reapOrphans(ctx context.Context) {
	dead := make(chan os.Signal, 1)
	signal.Notify(dead, syscall.SIGCHLD)
	defer signal.Stop(dead)
	for {
		var again <-chan time.Time
		if s.reapSome() {
			again = time.After(20 * time.Millisecond)
		}
		select {
		case <-ctx.Done():
			return
		case <-dead:
		case <-again:
		}
	}
}

// reapSome reaps until no zombie is left, or (true) the next one is a role's, which may hide others behind it.
func (s *Supervisor) reapSome() (again bool) {
	// No role is started meanwhile, so every role's pid is known.
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		pid := nextZombie()
		if pid <= 0 {
			return false
		}
		for _, r := range s.roles {
			if r.proc != nil && r.proc.id.PID == pid {
				return true
			}
		}
		_ = retry(func() error { _, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); return err })
	}
}

// nextZombie gives the pid of a dead child and leaves it a zombie; 0 when there is none.
func nextZombie() int {
	var info unix.Siginfo
	err := retry(func() error {
		return unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	})
	if err != nil {
		return 0
	}
	// si_pid is the first field of a union that the package does not spell out; it follows three ints, aligned to a
	// pointer (sigaction(2)).
	word := unsafe.Sizeof(uintptr(0))
	offset := (3*unsafe.Sizeof(int32(0)) + word - 1) / word * word
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), offset))) //nolint:gosec // see above
}
