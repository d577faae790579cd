//go:build linux

package kill

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// proc is a process that bears the marks of an installation.
type proc struct {
	pid   int
	start string // time of its start, so that a pid means one process
	unit  string
}

// marked lists the living processes of an installation.
func marked(installation string) []proc {
	var list []proc
	for _, pid := range pids() {
		p, ok := look(pid, installation)
		if ok {
			list = append(list, p)
		}
	}
	return list
}

func pids() []int {
	entries, _ := os.ReadDir("/proc")
	var list []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

func look(pid int, installation string) (proc, bool) {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || !bytes.Contains(env, []byte("GREENGATE_INSTALLATION="+installation+"\x00")) {
		return proc{}, false
	}
	p := proc{pid: pid, start: started(pid)}
	for kv := range strings.SplitSeq(string(env), "\x00") {
		if unit, ok := strings.CutPrefix(kv, "GREENGATE_UNIT="); ok {
			p.unit = unit
		}
	}
	return p, p.start != ""
}

// started is when a living process was started; "" when there is none, or only its remains.
func started(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	if f := strings.Fields(rest); len(f) > 19 && f[0] != "Z" && f[0] != "X" {
		return f[19]
	}
	return ""
}

// twins names units that have two living processes at once. Nothing that the tests run forks.
func twins(list []proc) []string {
	var found []string
	seen := map[string]proc{}
	for _, p := range list {
		q, ok := seen[p.unit]
		if ok && started(q.pid) == q.start && started(p.pid) == p.start {
			found = append(found, fmt.Sprintf("unit %s runs twice: pids %d and %d", p.unit, q.pid, p.pid))
		}
		seen[p.unit] = p
	}
	return found
}

// listening counts the sockets on which each of the processes listens.
func listening(list []proc) int {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, _ := os.ReadFile(table)
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	n := 0
	for _, p := range list {
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.pid))
		for _, fd := range fds {
			if target, err := os.Readlink(fd); err == nil && inodes[target] {
				n++
			}
		}
	}
	return n
}

// arguments are those of a process, its program first.
func arguments(pid int) []string {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.Split(string(line), "\x00")
}

// processesOf lists serve and the roles of a data folder by their arguments.
func processesOf(data string) map[string]int {
	found := map[string]int{}
	for _, pid := range pids() {
		args := arguments(pid)
		i := slices.Index(args, "--data")
		if i > 1 && i+1 < len(args) && args[i+1] == data && started(pid) != "" {
			found[args[1]] = pid
		}
	}
	return found
}

// census watches that no unit ever runs twice. It remembers for a while which processes are of no interest:
// reading all of /proc ten times a second would be most of what the tests do.
type census struct {
	installation func() string
	stop         chan struct{}
	wg           sync.WaitGroup
	foreign      map[int]time.Time // of the loop alone: pids that were looked at, and when to look again

	mu  sync.Mutex
	bad map[string]bool
}

func startCensus(installation func() string) *census {
	c := &census{installation: installation, stop: make(chan struct{}), foreign: map[int]time.Time{}, bad: map[string]bool{}}
	c.wg.Go(func() {
		tick := time.NewTicker(150 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-c.stop:
				return
			case <-tick.C:
			}
			c.look()
		}
	})
	return c
}

func (c *census) look() {
	var list []proc
	now, installation := time.Now(), c.installation()
	for _, pid := range pids() {
		if now.Before(c.foreign[pid]) {
			continue
		}
		p, ok := look(pid, installation)
		if !ok {
			c.foreign[pid] = now.Add(2 * time.Second)
			continue
		}
		list = append(list, p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range twins(list) {
		c.bad[f] = true
	}
}

func (c *census) check(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range slices.Sorted(maps.Keys(c.bad)) {
		t.Error(f)
	}
	clear(c.bad)
}

func (c *census) end() {
	close(c.stop)
	c.wg.Wait()
}

// killProcess ends a process if it still is the one that was looked at.
func killProcess(pid int, start string) {
	if start != "" && started(pid) == start {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
