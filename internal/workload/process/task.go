package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"greengate/internal/cloud"
	"greengate/internal/runner"
)

const (
	// taskPrefix begins the group and the units of tasks that RunTask started.
	taskPrefix = "task/"
	// tasksRetry is how soon what failed for a passing reason is tried again.
	tasksRetry = 2 * time.Second
	// tasksKept is how many stopped tasks are kept however old they are.
	tasksKept = 100
)

// TaskStore keeps tasks; *cloud.Cloud is one.
type TaskStore interface {
	State() cloud.State
	Update(ctx context.Context, edit func(d *cloud.Draft) error) error
}

// Tasks runs single tasks, and tells of the tasks of services. What is wanted stands in the store before anything is
// done, so another process can go on with it: a task starts at most once, by the journal of the runner.
type Tasks struct {
	store   TaskStore
	runtime *Runtime
	runner  *runner.Client
	keep    time.Duration // how long stopped tasks can be described
	log     *slog.Logger
	nudged  chan struct{}

	mu   sync.Mutex
	seen map[string]runner.Status // tasks of services by their units, as last seen
}

// NewTasks returns Tasks whose stopped tasks can be described for at least the time keep.
func NewTasks(store TaskStore, runtime *Runtime, keep time.Duration, log *slog.Logger) *Tasks {
	t := &Tasks{
		store: store, runtime: runtime, runner: runtime.runner, keep: keep, log: log,
		nudged: make(chan struct{}, 1), seen: map[string]runner.Status{},
	}
	runtime.tasks = t
	return t
}

// Nudge says that a task was stored that is to start, or to end.
func (t *Tasks) Nudge() {
	select {
	case t.nudged <- struct{}{}:
	default:
	}
}

// Run starts and ends tasks as they are wanted, and notes how they end, until ctx ends.
func (t *Tasks) Run(ctx context.Context) error {
	changes := make(chan []runner.Status)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	watcher.Go(func() { t.watch(ctx, changes) })
	again := time.NewTicker(tasksRetry)
	defer again.Stop()
	for n := 0; ; n++ {
		var changed []runner.Status
		select {
		case <-ctx.Done():
			return nil
		case changed = <-changes:
		case <-t.nudged:
		case <-again.C:
		}
		for _, u := range changed {
			t.logged(ctx, t.note(ctx, u))
		}
		t.reconcile(ctx)
		if n%30 == 0 {
			t.logged(ctx, t.prune(ctx))
		}
	}
}

func (t *Tasks) logged(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		t.log.WarnContext(ctx, "follow tasks", "err", err)
	}
}

func (t *Tasks) watch(ctx context.Context, changes chan<- []runner.Status) {
	var since uint64
	for ctx.Err() == nil {
		changed, next, err := t.runner.Watch(ctx, since)
		if err != nil { // the runner is away; the runtime logs that
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
			continue
		}
		since = next
		select {
		case <-ctx.Done():
		case changes <- changed:
		}
	}
}

// reconcile does what is wanted of every task that has not ended.
func (t *Tasks) reconcile(ctx context.Context) {
	for _, task := range cloud.All[cloud.Task](t.store.State()) {
		if task.Ended() || ctx.Err() != nil {
			continue
		}
		if task.TaskSet != "" {
			t.logged(ctx, t.replace(ctx, task))
			continue
		}
		t.logged(ctx, t.advance(ctx, task))
	}
}

// advance starts a task, or ends it.
func (t *Tasks) advance(ctx context.Context, task cloud.Task) error {
	unit := taskPrefix + task.ResourceKey()
	u, err := t.runner.Get(ctx, unit)
	switch {
	case errors.Is(err, runner.ErrNotFound) && !task.Stopping.IsZero() && task.Started.IsZero():
		return t.edit(ctx, task.ResourceKey(), func(task *cloud.Task) { end(task, runner.Status{}, task.StopCode, task.StopReason) })
	case errors.Is(err, runner.ErrNotFound) && !task.Started.IsZero():
		return t.edit(ctx, task.ResourceKey(), func(task *cloud.Task) {
			end(task, runner.Status{}, cloud.StopEssentialExited, "The task is not known any more; how it ended was not seen.")
		})
	case errors.Is(err, runner.ErrNotFound):
		return t.launch(ctx, task, unit)
	case err != nil:
		return fmt.Errorf("look at task %s: %w", task.ResourceKey(), err)
	case !task.Stopping.IsZero() && !u.State.Ended() && u.State != runner.StateStopping:
		if err := t.runner.Stop(ctx, unit); err != nil {
			return fmt.Errorf("stop task %s: %w", task.ResourceKey(), err)
		}
	}
	return t.note(ctx, u)
}

func (t *Tasks) launch(ctx context.Context, task cloud.Task, unit string) error {
	w := task.Workload
	u, err := t.runner.Ensure(ctx, runner.Spec{
		ID: unit, Group: taskPrefix + task.ResourceKey(), Mode: runner.ModeOnce, Command: w.Command, Dir: w.Dir, Env: w.Env, EnvFile: w.EnvFile,
		NeedPort: true, Network: w.Network, Grace: w.Grace, Limits: runner.Limits{CPU: w.CPU, MemoryBytes: w.MemoryBytes, PIDs: w.PIDs},
		Digest: task.ID,
	})
	if errors.Is(err, runner.ErrPermanent) {
		return t.finish(ctx, task.ResourceKey(), runner.Status{ID: unit}, cloud.StopFailedToStart, "Task failed to start: "+err.Error())
	}
	if err != nil {
		return fmt.Errorf("start task %s: %w", task.ResourceKey(), err)
	}
	return t.note(ctx, u)
}

// note takes in what the runner says of a unit.
func (t *Tasks) note(ctx context.Context, u runner.Status) error {
	key, single := strings.CutPrefix(u.Group, taskPrefix)
	if !single {
		return t.noteMember(ctx, u)
	}
	if u.State.Ended() {
		code, reason := cloud.StopEssentialExited, "Essential container in task exited"
		if u.State == runner.StateFailed {
			code, reason = cloud.StopFailedToStart, "Task failed to start: "+u.Reason
		}
		return t.finish(ctx, key, u, code, reason)
	}
	return t.edit(ctx, key, func(task *cloud.Task) { show(task, u) })
}

// finish notes the end of a task, and then lets go of its unit: in this order, or it might start again.
func (t *Tasks) finish(ctx context.Context, key string, u runner.Status, code, reason string) error {
	if err := t.edit(ctx, key, func(task *cloud.Task) { end(task, u, code, reason) }); err != nil {
		return err
	}
	if err := t.runner.Forget(ctx, u.ID); err != nil {
		return fmt.Errorf("forget task %s: %w", key, err)
	}
	return nil
}

// edit changes a task that has not ended.
func (t *Tasks) edit(ctx context.Context, key string, change func(task *cloud.Task)) error {
	err := t.store.Update(ctx, func(d *cloud.Draft) error {
		task, ok := cloud.Find[cloud.Task](d.State(), key)
		if !ok || task.Ended() {
			return nil
		}
		before := task
		change(&task)
		if task.Status != before.Status || task.Address != before.Address || !task.Started.Equal(before.Started) || task.Ended() {
			d.Put(task)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note task %s: %w", key, err)
	}
	return nil
}

// show makes a task say what its unit does.
func show(task *cloud.Task, u runner.Status) {
	if u.Address != "" {
		task.Address = net.JoinHostPort(u.Address, strconv.Itoa(u.Port))
	}
	if !u.StartedAt.IsZero() {
		task.Started = u.StartedAt
	}
	task.Health = map[string]string{runner.HealthHealthy: "HEALTHY", runner.HealthUnhealthy: "UNHEALTHY"}[u.Health]
	switch u.State {
	case runner.StateRunning:
		task.Status = cloud.TaskRunning
	case runner.StateStarting, runner.StateBackoff:
		task.Status = cloud.TaskPending
	case runner.StateStopping:
		task.Status = cloud.TaskStopping
	case runner.StateStopped, runner.StateExited, runner.StateFailed:
		task.Status = cloud.TaskStopped
	}
	if !task.Stopping.IsZero() && task.Status == cloud.TaskRunning {
		task.Status = cloud.TaskDeactivating
	}
}

// end makes a task say how its unit ended. Code and reason are for one that nobody asked to end.
func end(task *cloud.Task, u runner.Status, code, reason string) {
	if !u.StartedAt.IsZero() {
		task.Started = u.StartedAt
	}
	task.Status, task.Health, task.Stopped = cloud.TaskStopped, "", u.EndedAt
	if task.Stopped.IsZero() {
		task.Stopped = time.Now()
	}
	if task.StopCode == "" {
		task.StopCode, task.StopReason = code, reason
	}
	switch exit := u.Exit; {
	case exit == nil:
		task.Detail = u.Reason
	case !exit.Known:
		task.Detail = "how the program ended was not seen"
	default:
		task.ExitCode, task.Detail = exitCode(exit)
	}
}

// exitCode is what a shell would say: a signal counts from 128.
func exitCode(exit *runner.Exit) (*int, string) {
	switch {
	case exit.Signal != "" && exit.OOM:
		return new(128 + int(unix.SignalNum(exit.Signal))), "OutOfMemoryError: the program was killed at its memory limit"
	case exit.Signal != "":
		return new(128 + int(unix.SignalNum(exit.Signal))), "the program was ended by " + exit.Signal
	}
	return new(exit.Code), ""
}

// prune forgets tasks that stopped long ago, but never the last ones.
func (t *Tasks) prune(ctx context.Context) error {
	return t.store.Update(ctx, func(d *cloud.Draft) error {
		var ended []cloud.Task
		for _, task := range cloud.All[cloud.Task](d.State()) {
			if task.Ended() {
				ended = append(ended, task)
			}
		}
		slices.SortFunc(ended, func(a, b cloud.Task) int { return b.Stopped.Compare(a.Stopped) })
		for _, task := range ended[min(tasksKept, len(ended)):] {
			if time.Since(task.Stopped) > t.keep {
				d.Remove(task)
			}
		}
		return nil
	})
}

// memberID is the id of a service's task: one start of one unit.
func memberID(u runner.Status) string {
	sum := sha256.Sum256([]byte(u.ID + " " + u.StartedAt.UTC().Format(time.RFC3339Nano)))
	return hex.EncodeToString(sum[:16])
}
