package runner

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// reaper collects orphaned descendants of units that became children of this process. Main processes are left to
// their keepers, and children that other code of this process has started to that code: those are in this process's
// own session, which no process of a unit can be.
type reaper struct {
	on bool

	mu    sync.Mutex
	mains map[int]bool
}

func newReaper(on bool) (*reaper, error) {
	if on {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return nil, fmt.Errorf("become child subreaper: %w", err)
		}
	}
	return &reaper{on: on, mains: map[int]bool{}}, nil
}

// fork runs f, which starts a main process, so that the reaper knows its pid before it looks again.
func (r *reaper) fork(f func() (int, error)) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := f()
	if err == nil {
		r.mains[pid] = true
	}
	return pid, err
}

// own notes a main process that is a child of this process already.
func (r *reaper) own(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mains[pid] = true
}

// done forgets a main process that was reaped.
func (r *reaper) done(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mains, pid)
}

// run reaps until the returned function is called.
func (r *reaper) run() (stop func()) {
	if !r.on {
		return func() {}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGCHLD)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		// The ticker finds what a merged signal has missed.
		t := time.NewTicker(5 * time.Second)
		defer t.Stop()
		for {
			select {
			case <-end:
				return
			case <-signals:
			case <-t.C:
			}
			r.reap()
		}
	}()
	return func() {
		signal.Stop(signals)
		close(end)
		<-ended
	}
}

func (r *reaper) reap() {
	session, err := unix.Getsid(0)
	if err != nil {
		return
	}
	all, err := processes()
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ps := range all {
		if ps.parent != os.Getpid() || ps.state != 'Z' || ps.session == session || r.mains[ps.pid] {
			continue
		}
		for {
			_, err := unix.Wait4(ps.pid, nil, unix.WNOHANG, nil)
			if !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
}
