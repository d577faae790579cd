package process

import (
	"context"
	"flag"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/runner"
)

// launchWord makes TestLauncher the runner's launcher.
const launchWord = "launch"

// TestLauncher is no test: it is how newRunner's runner starts programs.
func TestLauncher(*testing.T) {
	if flag.Arg(0) == launchWord {
		os.Exit(runner.Launch()) //nolint:forbidigo // it is a program of its own
	}
}

// fakeSets keeps task sets in memory. read is called before each reading.
type fakeSets struct {
	mu   sync.Mutex
	sets map[string]cloud.TaskSet
	read func()
}

func (f *fakeSets) State() cloud.State {
	if f.read != nil {
		f.read()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return cloud.State{TaskSets: maps.Clone(f.sets)}
}

func (f *fakeSets) alter(id string, change func(*cloud.TaskSet)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	ts := f.sets[id]
	change(&ts)
	f.sets[id] = ts
	return nil
}

func (f *fakeSets) Ensure(_ context.Context, ts deploy.TaskSet, _ time.Time) error {
	return f.alter(ts.ID, func(t *cloud.TaskSet) { t.TaskSet = ts })
}

func (f *fakeSets) SetTargets(_ context.Context, id string, targets []cloud.Target) error {
	return f.alter(id, func(t *cloud.TaskSet) { t.Targets = targets })
}

func (f *fakeSets) Release(_ context.Context, id string, by time.Time) error {
	return f.alter(id, func(t *cloud.TaskSet) { t.ReleaseBy = by })
}

func (f *fakeSets) Ended(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sets, id)
	return nil
}

// newRunner is a runner with nothing in it.
func newRunner(t *testing.T) *runner.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "gg") //nolint:usetesting // short: a unix socket is in it
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server, err := runner.New(runner.Config{
		Dir: filepath.Join(dir, "r"), Control: l, Logger: slog.New(slog.DiscardHandler),
		Launcher: []string{self, "-test.run=^TestLauncher$", launchWord},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		limit, release := context.WithTimeout(context.Background(), time.Minute)
		defer release()
		if err := server.StopAll(limit); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return runner.NewClient(path)
}

func set(id string) cloud.TaskSet {
	return cloud.TaskSet{TaskSet: deploy.TaskSet{
		ID: id, Service: "s", Tasks: 1,
		Revision: deploy.Revision{Version: "v1", Digest: "d", Workload: deploy.Workload{Command: []string{"sleep", "600"}, Dir: "/"}},
	}}
}

func units(t *testing.T, c *runner.Client, id string) int {
	t.Helper()
	list, err := c.List(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A controller that was killed between the end of a set's last task and the end of the set finds a set
// without tasks. It must not start them again: the set ends a moment later, and they would stay.
func TestRuntime_resumeLeavesReleasedSets(t *testing.T) {
	client := newRunner(t)
	released := set("released")
	released.ReleaseBy = time.Now()
	sets := &fakeSets{sets: map[string]cloud.TaskSet{"wanted": set("wanted"), "released": released}}
	New(sets, client, slog.New(slog.DiscardHandler)).resume(t.Context())
	if n := units(t, client, "wanted"); n != 1 {
		t.Errorf("the wanted set has %d tasks instead of 1", n)
	}
	if n := units(t, client, "released"); n != 0 {
		t.Errorf("the released set was started again: %d tasks", n)
	}
}

// The engine goes on while a new controller makes sets run, so a set can end under its hands.
func TestRuntime_resumeSeesWhatEndedMeanwhile(t *testing.T) {
	client := newRunner(t)
	reads := 0
	sets := &fakeSets{sets: map[string]cloud.TaskSet{"ending": set("ending")}}
	sets.read = func() {
		if reads++; reads == 2 {
			_ = sets.Ended(context.Background(), "ending") // never fails
		}
	}
	New(sets, client, slog.New(slog.DiscardHandler)).resume(t.Context())
	if reads < 2 {
		t.Fatal("what is wanted was not asked again")
	}
	if n := units(t, client, "ending"); n != 0 || len(sets.State().TaskSets) != 0 {
		t.Errorf("a set that has ended came back: %d tasks, %d sets", n, len(sets.State().TaskSets))
	}
}
