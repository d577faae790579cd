package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tree finds and kills all processes of a unit: by its cgroup, or without one by the markers in the environment, the
// session of the main process, and descent from a process so found.
type tree struct {
	cgroup       string // "" without
	installation string
	id           string
	session      int    // pid of the main process, which leads its session; 0 if there was none
	start        uint64 // its start time
}

// members lists the living processes of the unit.
func (t tree) members() ([]procStat, error) {
	if t.cgroup == "" {
		return t.search()
	}
	pids, err := cgroupPIDs(t.cgroup)
	if err != nil {
		return nil, err
	}
	var list []procStat
	for _, pid := range pids {
		if ps, err := readStat(pid); err == nil && !ps.dead() {
			list = append(list, ps)
		}
	}
	return list, nil
}

// search walks all processes of the machine.
func (t tree) search() ([]procStat, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	in := t.roots(all)
	for grown := true; grown; {
		grown = false
		for _, ps := range all {
			if in[ps.parent] && !in[ps.pid] {
				in[ps.pid], grown = true, true
			}
		}
	}
	var list []procStat
	for _, ps := range all {
		if in[ps.pid] && !ps.dead() && ps.pid != os.Getpid() {
			list = append(list, ps)
		}
	}
	return list, nil
}

// roots are the processes that are recognised by themselves.
func (t tree) roots(all []procStat) map[int]bool {
	session := t.session
	for _, ps := range all {
		if ps.pid == t.session && ps.start != t.start {
			session = 0 // the pid belongs to somebody else by now, and so may the session number
		}
	}
	in := map[int]bool{}
	for _, ps := range all {
		if (session != 0 && ps.session == session) || marked(ps.pid, t.installation, t.id) {
			in[ps.pid] = true
		}
	}
	return in
}

// kill ends all processes of the unit by SIGKILL and returns when none is left. It gives up when ctx ends.
func (t tree) kill(ctx context.Context) error {
	pause := time.Millisecond
	for {
		list, err := t.members()
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return nil
		}
		if err := t.killOnce(list); err != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("kill unit: %d processes are left, first %d: %w", len(list), list[0].pid, ctx.Err())
		case <-timer.C:
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
}

func (t tree) killOnce(list []procStat) error {
	if t.cgroup != "" && writeControl(filepath.Join(t.cgroup, "cgroup.kill"), "1") == nil {
		return nil // Linux 5.14: all at once, also what is being forked
	}
	freezer := filepath.Join(t.cgroup, "freezer.state")
	if t.cgroup != "" && writeControl(freezer, "FROZEN") == nil {
		// The signals are pending until THAWED: nobody forks in between.
		defer func() { _ = writeControl(freezer, "THAWED") }()
	}
	for _, ps := range list {
		if err := killExactly(ps); err != nil {
			return err
		}
	}
	return nil
}

// killExactly kills a process unless its pid was given to another one since it was seen.
func killExactly(seen procStat) error {
	fd, err := unix.PidfdOpen(seen.pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err == nil {
		defer func() { _ = unix.Close(fd) }()
	}
	now, readErr := readStat(seen.pid)
	if readErr != nil || now.start != seen.start {
		return nil // it is gone, which is what is wanted
	}
	if err == nil {
		err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	} else {
		err = unix.Kill(seen.pid, unix.SIGKILL)
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %s: %w", strconv.Itoa(seen.pid), err)
	}
	return nil
}
