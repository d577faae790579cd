package process_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
	"greengate/internal/runner"
	"greengate/internal/workload/process"
	"greengate/internal/workload/workloadtest"
)

// machine is a runner over its control socket, and the resources.
type machine struct {
	t       *testing.T
	dir     string
	tag     string // in the environment of every task of this machine
	store   cloudtest.Memory
	cloud   *cloud.Cloud
	client  *runner.Client
	runtime *process.Runtime
	down    func()
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "gg") //nolint:usetesting // short: a unix socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &machine{t: t, dir: dir, tag: "GG_TEST_MACHINE=" + dir}
	m.cloud, err = cloud.Open(t.Context(), &m.store)
	if err != nil {
		t.Fatal(err)
	}
	m.client = runner.NewClient(filepath.Join(dir, "c.sock"))
	m.runtime = process.New(m.cloud, m.client, slog.New(slog.DiscardHandler))
	m.start()
	t.Cleanup(m.stop)
	return m
}

// start begins a runner's life.
func (m *machine) start() {
	m.t.Helper()
	control, err := runner.Listen(m.t.Context(), filepath.Join(m.dir, "c.sock"))
	if err != nil {
		m.t.Fatal(err)
	}
	s, err := runner.New(runner.Config{
		Dir: filepath.Join(m.dir, "runner"), Control: control, Logger: slog.New(slog.DiscardHandler),
		BackoffMin: 5 * time.Millisecond, BackoffMax: 20 * time.Millisecond,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	m.down = func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Errorf("run: %v", err)
		}
		m.client.Close()
	}
}

func (m *machine) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := m.client.StopAll(ctx); err != nil {
		m.t.Errorf("stop all: %v", err)
	}
	m.down()
	if left := m.processes(""); len(left) > 0 {
		m.t.Errorf("processes are left: %q", left)
	}
}

func (m *machine) workload(program string) deploy.Workload {
	self, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	name, dir, _ := strings.Cut(m.tag, "=")
	return deploy.Workload{
		Command: []string{self}, Env: map[string]string{programEnv: program, name: dir}, Grace: 2 * time.Second,
		Health: &deploy.HealthCheck{Type: "http", Path: "/", Interval: 20 * time.Millisecond},
	}
}

// processes lists the living processes of this machine whose unit begins with prefix, from /proc.
func (m *machine) processes(prefix string) []string {
	m.t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil || len(entries) == 0 {
		m.t.Skip("no /proc: who runs cannot be counted here")
	}
	var names []string
	for _, path := range entries {
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 { // it has ended
			continue
		}
		env := strings.Split(string(data), "\x00")
		unit := slices.IndexFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "GREENGATE_UNIT="+prefix) })
		if unit < 0 || !slices.Contains(env, m.tag) {
			continue
		}
		names = append(names, strings.TrimPrefix(env[unit], "GREENGATE_UNIT=")+" pid "+filepath.Base(filepath.Dir(path)))
	}
	slices.Sort(names)
	return names
}

func TestRuntime(t *testing.T) {
	t.Parallel()
	workloadtest.Exercise(t, func(t *testing.T) workloadtest.Harness {
		t.Helper()
		m := newMachine(t)
		missing := m.workload("healthy")
		missing.Command = []string{filepath.Join(m.dir, "no such program")}
		return workloadtest.Harness{
			Runtime: m.runtime, Healthy: m.workload("healthy"), Deaf: m.workload("deaf"), Missing: missing, Crashing: m.workload("crashing"),
			Tasks: func(_ *testing.T, set string) []string { return m.processes(set + "/") },
			Tidy:  m.tidy,
		}
	})
}

// tidy does what the controller's janitor does.
func (m *machine) tidy(t *testing.T) {
	t.Helper()
	for id, ts := range m.cloud.State().TaskSets {
		if ts.Released() && time.Now().After(ts.ReleaseBy) {
			if err := m.runtime.Stop(t.Context(), id); err != nil {
				t.Errorf("stop the released set %s: %v", id, err)
			}
		}
	}
}

func taskSet(id string, tasks int, w deploy.Workload) deploy.TaskSet {
	return deploy.TaskSet{ID: id, Service: "shop", Tasks: tasks, Revision: deploy.Revision{Version: "v1", Digest: "digest", Workload: w}}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not seen in time: %s", what)
		}
	}
}

func (m *machine) ensure(ts deploy.TaskSet) {
	m.t.Helper()
	if err := m.runtime.Ensure(m.t.Context(), ts); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) steady() {
	m.t.Helper()
	const id = "ts-1"
	eventually(m.t, id+" is steady", func() bool {
		st, err := m.runtime.Observe(m.t.Context(), id)
		return err == nil && st.Steady()
	})
}

// run follows the runner until the test calls the answer.
func (m *machine) run() (stop func()) {
	ctx, cancel := context.WithCancel(m.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := m.runtime.Run(ctx); err != nil {
			m.t.Error(err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

// TestRuntime_targets: the data plane learns where tasks are, and which must get no requests.
func TestRuntime_targets(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	defer m.run()()
	m.ensure(taskSet("ts-1", 2, m.workload("healthy")))
	up := func() []cloud.Target {
		return slices.DeleteFunc(slices.Clone(m.cloud.State().TaskSets["ts-1"].Targets), func(x cloud.Target) bool { return x.Down })
	}
	eventually(t, "two targets up", func() bool { return len(up()) == 2 })
	first := up()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, target := range first {
		res, err := client.Get("http://" + target.Address)
		if err != nil {
			t.Fatal(err)
		}
		pid, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if want := fmt.Sprintf("%s pid %s", target.ID, pid); !slices.Contains(m.processes("ts-1/"), want) {
			t.Errorf("target %+v is answered by %s", target, want)
		}
	}
	if first[0].Address == first[1].Address {
		t.Errorf("two tasks have one address: %+v", first)
	}
	m.ensure(taskSet("ts-1", 1, m.workload("healthy")))
	eventually(t, "one target left", func() bool { return len(m.cloud.State().TaskSets["ts-1"].Targets) == 1 })
	if got := m.cloud.State().TaskSets["ts-1"].Targets[0]; got != first[0] {
		t.Errorf("scaling in left %+v, want %+v", got, first[0])
	}
}

// TestRuntime_restartsWanted: a runner that has lost everything is given the wanted sets again, but not
// those that are to end.
func TestRuntime_restartsWanted(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.ensure(taskSet("ts-1", 1, m.workload("healthy")))
	m.ensure(taskSet("ts-2", 1, m.workload("healthy")))
	m.steady()
	if err := m.runtime.Release(t.Context(), "ts-2", time.Now()); err != nil {
		t.Fatal(err)
	}
	m.stop()
	if err := os.RemoveAll(filepath.Join(m.dir, "runner")); err != nil {
		t.Fatal(err)
	}
	m.start()
	defer m.run()()
	eventually(t, "the wanted task runs again", func() bool { return len(m.processes("ts-1/")) == 1 })
	m.steady()
	if left := m.processes("ts-2/"); len(left) > 0 {
		t.Errorf("a released set was started again: %q", left)
	}
}

// TestRuntime_runnerAway: without a runner nothing is known, and nothing is given up.
func TestRuntime_runnerAway(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	ts := taskSet("ts-1", 1, m.workload("healthy"))
	m.ensure(ts)
	m.steady()
	before := m.processes("ts-1/")
	m.down()
	_, observed := m.runtime.Observe(t.Context(), "ts-1")
	for name, err := range map[string]error{
		"ensure": m.runtime.Ensure(t.Context(), ts), "observe": observed, "stop": m.runtime.Stop(t.Context(), "ts-1"),
	} {
		if err == nil || errors.Is(err, deploy.ErrPermanent) {
			t.Errorf("%s without a runner: %v, want a passing fault", name, err)
		}
	}
	m.start()
	m.ensure(ts)
	m.steady()
	if after := m.processes("ts-1/"); !slices.Equal(before, after) {
		t.Errorf("the task changed from %q to %q while the runner was away", before, after)
	}
}
