package runner

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// needCgroup skips where a limit cannot be enforced.
func needCgroup(t *testing.T, s *Server, dir, what string) {
	t.Helper()
	if dir == "" {
		t.Skipf("no writable cgroup with the %s controller; cgroups here: %+v", what, s.cgroups)
	}
}

func TestLimits_memory(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	needCgroup(t, s, s.cgroups.Memory, "memory")
	spec := program("greedy", ModeOnce, "eat", strconv.Itoa(300<<20))
	spec.Limits.MemoryBytes = 64 << 20
	ensure(t, s, spec)
	st, err := s.Wait(t.Context(), "greedy")
	if err != nil || st.Exit == nil || !st.Exit.OOM || st.Exit.Signal != "SIGKILL" || !strings.Contains(st.Reason, "memory limit") {
		t.Errorf("over its limit: %+v %+v %v", st, st.Exit, err)
	}
	if len(st.Enforced) != 1 || !strings.HasPrefix(st.Enforced[0], "memory: cgroup") || len(st.NotEnforced) != 0 {
		t.Errorf("enforced %v, not %v", st.Enforced, st.NotEnforced)
	}
	modest := program("modest", ModeOnce, "eat", strconv.Itoa(8<<20))
	modest.Limits.MemoryBytes = 64 << 20
	ensure(t, s, modest)
	if st, err := s.Wait(t.Context(), "modest"); err != nil || !st.Exit.Success() || st.Exit.OOM {
		t.Errorf("below its limit: %+v %+v %v", st, st.Exit, err)
	}
}

func TestLimits_pids(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	needCgroup(t, s, s.cgroups.PIDs, "pids")
	spec := Spec{ID: "forks", Mode: ModeOnce, Command: []string{"sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait"}}
	spec.Limits.PIDs = 3
	ensure(t, s, spec)
	st, err := s.Wait(t.Context(), "forks")
	if err != nil || st.Exit.Success() || !strings.Contains(st.Reason, "fork") {
		t.Errorf("over its limit: %+v %+v %v", st, st.Exit, err)
	}
	if left := unitProcesses(t, s.installation, "forks"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLimits_cpu(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	needCgroup(t, s, s.cgroups.CPU, "cpu")
	spec := program("spin", ModeService, "spin")
	spec.Limits.CPU = 0.1
	spec.Grace = -1
	st := ensure(t, s, spec)
	u, _ := s.find(t.Context(), "spin")
	r := u.record()
	awaitTrue(t, "throttled", func() bool {
		data, err := os.ReadFile(filepath.Join(r.Cgroups.CPU, "cpu.stat"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) == 2 && f[0] == "nr_throttled" && f[1] != "0" {
				return true
			}
		}
		return false
	})
	if len(st.Enforced) != 1 || !strings.HasPrefix(st.Enforced[0], "cpu: cgroup") {
		t.Errorf("enforced %v", st.Enforced)
	}
}

func TestLimits_notEnforcedIsSaid(t *testing.T) {
	t.Parallel()
	s := startServer(t, func(c *Config) { c.CgroupRoot = CgroupOff })
	spec := Spec{ID: "free", Mode: ModeService, Command: []string{"sleep", "1000"}}
	spec.Limits = Limits{CPU: 1, MemoryBytes: 64 << 20, PIDs: 10}
	ensure(t, s, spec)
	st := await(t, s, "free", "running", func(st Status) bool { return st.State == StateRunning })
	for _, want := range []string{"cpu: no writable cgroup", "memory: no writable cgroup", "memory: each process has RLIMIT_DATA", "pids: no writable cgroup"} {
		if !slices.ContainsFunc(st.NotEnforced, func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Errorf("not enforced %v lacks %q", st.NotEnforced, want)
		}
	}
	data, err := os.ReadFile("/proc/" + strconv.Itoa(st.PID) + "/limits")
	if err != nil || !strings.Contains(string(data), strconv.FormatUint(dataLimit(64<<20), 10)) {
		t.Errorf("limits of the process: %s %v", data, err)
	}
}

// TestLimits_unified uses a cgroup v2 folder given by the operator.
func TestLimits_unifiedFolder(t *testing.T) {
	t.Parallel()
	root := ""
	for _, m := range cgroupMounts() {
		if m.unified {
			root = makeBase(filepath.Join(m.own, "gg-test-"+strconv.Itoa(os.Getpid())))
		}
	}
	if root == "" {
		t.Skip("no writable cgroup v2 hierarchy on this machine")
	}
	t.Cleanup(func() {
		entries, _ := filepath.Glob(filepath.Join(root, "*", ""))
		for _, e := range entries {
			_ = os.Remove(e)
		}
		if err := os.Remove(root); err != nil {
			t.Errorf("cgroup left behind: %v", err)
		}
	})
	s := startServer(t, func(c *Config) { c.CgroupRoot = root })
	ensure(t, s, program("v2", ModeService, "fork", "stay", "bare"))
	daemon := awaitDaemon(t, s, "v2")
	if err := s.Stop(t.Context(), "v2"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Wait(t.Context(), "v2"); err != nil {
		t.Fatal(err)
	}
	if alive(daemon) {
		t.Error("daemon outlived its unit")
	}
	base := s.cgroups.Tree
	if left, _ := filepath.Glob(filepath.Join(base, "v2*")); len(left) != 0 {
		t.Errorf("cgroup of the unit left behind: %v", left)
	}
	t.Cleanup(func() { _ = os.Remove(base) })
}

func TestLimits_oneSetOfCgroupsAUnit(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	if s.cgroups.Tree == "" {
		t.Skip("no writable cgroup hierarchy on this machine")
	}
	st := ensure(t, s, program("member", ModeService, "sleep"))
	u, _ := s.find(t.Context(), "member")
	r := u.record()
	pids, err := cgroupPIDs(r.Cgroups.Tree)
	if err != nil || !slices.Equal(pids, []int{st.PID}) {
		t.Errorf("cgroup holds %v %v, want %d", pids, err, st.PID)
	}
	own, err := cgroupPIDs(s.cgroups.Tree)
	if err != nil || slices.Contains(own, os.Getpid()) {
		t.Errorf("the runner is in the units' cgroup: %v %v", own, err)
	}
}
