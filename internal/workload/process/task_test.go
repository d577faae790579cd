package process_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/workload/process"
)

// follow runs Tasks, as a controller does while it lives.
func (m *machine) follow() (tasks *process.Tasks, end func()) {
	runtime := process.New(m.cloud, m.client, slog.New(slog.DiscardHandler))
	m.runtime = runtime
	tasks = process.NewTasks(m.cloud, runtime, time.Hour, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- tasks.Run(ctx) }()
	go func() { done <- runtime.Run(ctx) }()
	return tasks, func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				m.t.Errorf("run: %v", err)
			}
		}
	}
}

func (m *machine) put(r cloud.Resource) {
	m.t.Helper()
	if err := m.cloud.Update(m.t.Context(), func(d *cloud.Draft) error { d.Put(r); return nil }); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) single(id, shell string) cloud.Task {
	name, dir, _ := strings.Cut(m.tag, "=")
	return cloud.Task{
		Cluster: "c", ID: id, TaskDefinition: "f:1", Created: time.Now(), Status: cloud.TaskProvisioning, Container: "app",
		Workload: deploy.Workload{Command: []string{"/bin/sh", "-c", shell}, Env: map[string]string{name: dir}, Grace: time.Second},
	}
}

// await waits until a task is as it should be.
func (m *machine) await(id, what string, is func(cloud.Task) bool) cloud.Task {
	m.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		changed := m.cloud.Changed()
		task, _ := cloud.Find[cloud.Task](m.cloud.State(), "c/"+id)
		if is(task) {
			return task
		}
		select {
		case <-changed:
		case <-limit:
			m.t.Fatalf("task %s did not become %s: %+v", id, what, task)
		}
	}
}

func ended(t cloud.Task) bool { return t.Ended() }

func TestTasks_ends(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	tasks, end := m.follow()
	defer end()
	for _, c := range []struct {
		id, shell string
		code      int
		stop      string
	}{
		{"ok", "exit 0", 0, cloud.StopEssentialExited},
		{"bad", "exit 3", 3, cloud.StopEssentialExited},
		{"killed", "kill -9 $$", 137, cloud.StopEssentialExited},
	} {
		m.put(m.single(c.id, c.shell))
		tasks.Nudge()
		got := m.await(c.id, "stopped", ended)
		if got.ExitCode == nil || *got.ExitCode != c.code || got.StopCode != c.stop || got.Status != cloud.TaskStopped || got.Started.IsZero() || got.Stopped.Before(got.Started) {
			t.Errorf("%s: %+v", c.id, got)
		}
	}
	missing := m.single("missing", "")
	missing.Workload.Command = []string{"/no/such/program"}
	m.put(missing)
	tasks.Nudge()
	if got := m.await("missing", "stopped", ended); got.StopCode != cloud.StopFailedToStart || got.ExitCode != nil || !strings.Contains(got.StopReason, "/no/such/program") {
		t.Errorf("a program that does not exist: %+v", got)
	}
}

func TestTasks_stop(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	tasks, end := m.follow()
	defer end()
	m.put(m.single("long", "trap 'exit 5' TERM; while :; do sleep 0.05; done"))
	tasks.Nudge()
	running := m.await("long", "running", func(t cloud.Task) bool { return t.Status == cloud.TaskRunning })
	if running.Address == "" {
		t.Errorf("a running task without an address: %+v", running)
	}
	running.Stopping, running.StopCode, running.StopReason = time.Now(), cloud.StopUserInitiated, "enough"
	m.put(running)
	tasks.Nudge()
	if got := m.await("long", "stopped", ended); got.StopCode != cloud.StopUserInitiated || got.StopReason != "enough" || got.ExitCode == nil {
		t.Errorf("after its stop: %+v", got)
	}
	never := m.single("never", "sleep 60")
	never.Stopping, never.StopCode = time.Now(), cloud.StopUserInitiated
	m.put(never)
	tasks.Nudge()
	if got := m.await("never", "stopped", ended); got.ExitCode != nil || !got.Started.IsZero() {
		t.Errorf("stopped before it started: %+v", got)
	}
}

// A new controller and a new runner go on with the tasks: none starts twice, none is lost, and nobody guesses an exit code.
func TestTasks_restart(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.put(m.single("stored", "exec sleep 60")) // the controller died before it could start it
	_, end := m.follow()
	m.await("stored", "running", func(t cloud.Task) bool { return t.Status == cloud.TaskRunning })
	end()
	before := m.processes("task/")
	m.down()
	m.start()
	tasks, end := m.follow()
	defer end()
	m.put(m.single("next", "exit 0"))
	tasks.Nudge()
	m.await("next", "stopped", ended)
	if after := m.processes("task/"); len(before) != 1 || len(after) != 1 || before[0] != after[0] {
		t.Errorf("tasks before the restart %q, after it %q", before, after)
	}
	task, _ := cloud.Find[cloud.Task](m.cloud.State(), "c/stored")
	if task.Ended() {
		t.Errorf("a task that runs counts as ended: %+v", task)
	}
	task.Stopping, task.StopCode = time.Now(), cloud.StopUserInitiated
	m.put(task)
	tasks.Nudge()
	// This process is the parent of the first runner's programs, so it may see how it ended; it never sees a success.
	if got := m.await("stored", "stopped", ended); got.ExitCode != nil && *got.ExitCode == 0 {
		t.Errorf("a task that was killed ended with 0: %+v", got)
	}
}

// A service's task that is stopped is replaced, and stays in the store as it ended.
func TestTasks_replacement(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	tasks, end := m.follow()
	defer end()
	m.put(cloud.ECSService{Cluster: "c", Name: "s", Status: "ACTIVE", Desired: 1, Primary: "ecs-svc/1"})
	ts := deploy.TaskSet{ID: "ecs-svc/1", Service: "c/s", Tasks: 1, Revision: deploy.Revision{Digest: "d", TaskDefinition: "f:1", Workload: m.workload("healthy")}}
	if err := m.runtime.Ensure(t.Context(), ts); err != nil {
		t.Fatal(err)
	}
	live := func(not string) cloud.Task {
		t.Helper()
		for limit := time.Now().Add(30 * time.Second); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
			list, err := tasks.Live(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 1 && list[0].ID != not && list[0].Status == cloud.TaskRunning {
				return list[0]
			}
		}
		t.Fatal("no running task")
		return cloud.Task{}
	}
	first := live("")
	first.Stopping, first.StopCode, first.StopReason = time.Now(), cloud.StopUserInitiated, "enough"
	m.put(first)
	tasks.Nudge()
	if second := live(first.ID); second.Unit != first.Unit || second.StopCode != "" {
		t.Errorf("the replacement of %+v is %+v", first, second)
	}
	if got := m.await(first.ID, "stopped", ended); got.StopCode != cloud.StopUserInitiated || got.StopReason != "enough" {
		t.Errorf("the one that was stopped: %+v", got)
	}
	if err := m.runtime.Stop(t.Context(), ts.ID); err != nil {
		t.Fatal(err)
	}
	if units, err := m.client.List(t.Context(), ts.ID); err != nil || len(units) != 0 {
		t.Errorf("units after the stop of the set: %v, %v", units, err)
	}
}
