// Package process runs task sets as supervised programs: it is the engine's Runtime over the
// runner role.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/runner"
)

// crashLoop is how often a task that never was healthy may end before its set counts as doomed.
const crashLoop = 3

// stopPoll is how often a stop looks whether the tasks have ended.
const stopPoll = 20 * time.Millisecond

// Sets keeps which task sets are wanted and where their tasks are; *cloud.Cloud is one.
type Sets interface {
	State() cloud.State
	Ensure(ctx context.Context, ts deploy.TaskSet, now time.Time) error
	SetTargets(ctx context.Context, id string, targets []cloud.Target) error
	Release(ctx context.Context, id string, by time.Time) error
	Ended(ctx context.Context, id string) error
}

// Runtime is the engine's Runtime.
type Runtime struct {
	sets   Sets
	runner *runner.Client
	log    *slog.Logger

	traffic Traffic // nil: tasks end at once
	tasks   *Tasks  // nil: nobody asks for single tasks
	nudged  chan struct{}

	mu      sync.Mutex
	mirror  map[string]map[string]runner.Status // what the runner said last, by group and unit; nil while it is away
	busy    map[string]chan struct{}            // task sets that are being started or stopped; closed when that is done
	leaving map[string]*departure               // by unit
}

// New returns a runtime that speaks to the runner role through client.
func New(sets Sets, client *runner.Client, log *slog.Logger) *Runtime {
	return &Runtime{
		sets: sets, runner: client, log: log, busy: map[string]chan struct{}{}, leaving: map[string]*departure{},
		nudged: make(chan struct{}, 1),
	}
}

// alone runs do while nobody else starts or stops tasks of the set.
func (r *Runtime) alone(ctx context.Context, id string, do func() error) error {
	for {
		r.mu.Lock()
		other, taken := r.busy[id]
		mine := make(chan struct{})
		if !taken {
			r.busy[id] = mine
		}
		r.mu.Unlock()
		if !taken {
			defer func() {
				r.mu.Lock()
				defer r.mu.Unlock()
				delete(r.busy, id)
				close(mine)
			}()
			return do()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-other:
		}
	}
}

// Ensure implements engine.Runtime: the wish is durable before a task starts.
func (r *Runtime) Ensure(ctx context.Context, ts deploy.TaskSet) error {
	return r.alone(ctx, ts.ID, func() error { return r.ensure(ctx, ts) })
}

func (r *Runtime) ensure(ctx context.Context, ts deploy.TaskSet) error {
	if err := r.sets.Ensure(ctx, ts, time.Now()); err != nil {
		return fmt.Errorf("ensure task set %s: %w", ts.ID, err)
	}
	units, err := r.runner.List(ctx, ts.ID)
	if err != nil {
		return fmt.Errorf("list tasks of %s: %w", ts.ID, err)
	}
	for i := range ts.Tasks + len(ts.Without) {
		if !ts.Has(i) {
			continue
		}
		spec := task(ts, i)
		if slices.ContainsFunc(units, func(u runner.Status) bool { return u.ID == spec.ID && !u.State.Ended() }) {
			continue
		}
		if err := r.forget(ctx, units, spec.ID); err != nil {
			return err
		}
		if _, err := r.runner.Ensure(ctx, spec); err != nil {
			return mark(fmt.Errorf("start task %s: %w", spec.ID, err))
		}
	}
	for _, u := range units { // scaled in
		switch {
		case ts.Has(index(u.ID)) || u.State.Ended() || u.State == runner.StateStopping:
		case r.traffic != nil:
			r.surplus(ts.ID, u.ID)
		default:
			if err := r.runner.Stop(ctx, u.ID); err != nil {
				return fmt.Errorf("stop task %s: %w", u.ID, err)
			}
		}
	}
	_, err = r.Refresh(ctx, ts.ID)
	return err
}

// forget makes room for a task that was stopped when the set was scaled in before.
func (r *Runtime) forget(ctx context.Context, units []runner.Status, id string) error {
	for _, u := range units {
		if u.ID == id && u.State == runner.StateStopped {
			if err := r.runner.Forget(ctx, id); err != nil {
				return fmt.Errorf("forget task %s: %w", id, err)
			}
		}
	}
	return nil
}

// mark tells the engine what cannot be cured by repetition.
func mark(err error) error {
	if errors.Is(err, runner.ErrPermanent) {
		return deploy.Permanent(err)
	}
	return err
}

func task(ts deploy.TaskSet, i int) runner.Spec {
	w := ts.Revision.Workload
	spec := runner.Spec{
		ID: fmt.Sprintf("%s/%d", ts.ID, i), Group: ts.ID, Mode: runner.ModeService,
		Command: w.Command, Dir: w.Dir, Env: w.Env, EnvFile: w.EnvFile,
		Port: w.Port, NeedPort: w.Port == 0, Network: w.Network, Grace: w.Grace,
		Limits: runner.Limits{CPU: w.CPU, MemoryBytes: w.MemoryBytes, PIDs: w.PIDs},
		Digest: ts.Revision.Digest,
	}
	if h := w.Health; h != nil {
		spec.Health = &runner.HealthCheck{
			Type: h.Type, Protocol: w.Protocol, Path: h.Path, Statuses: h.Statuses, Interval: h.Interval, Timeout: h.Timeout,
			HealthyThreshold: h.HealthyThreshold, UnhealthyThreshold: h.UnhealthyThreshold, StartPeriod: h.StartPeriod,
		}
	} else {
		// Traffic must not reach a task that does not listen yet.
		spec.Health = &runner.HealthCheck{Type: "tcp", Interval: 2 * time.Second}
	}
	return spec
}

// index is the place of a task in its set, from its id.
func index(id string) int {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i] == '/' {
			n, err := strconv.Atoi(id[i+1:])
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

// Observe implements engine.Runtime.
func (r *Runtime) Observe(ctx context.Context, id string) (deploy.TaskSetStatus, error) {
	units, err := r.Refresh(ctx, id)
	if err != nil {
		return deploy.TaskSetStatus{}, err
	}
	return statusOf(r.sets.State().TaskSets[id].TaskSet, units), nil
}

func statusOf(ts deploy.TaskSet, units []runner.Status) deploy.TaskSetStatus {
	st := deploy.TaskSetStatus{Desired: ts.Tasks}
	for _, u := range units {
		if !ts.Has(index(u.ID)) {
			continue
		}
		if u.State == runner.StateRunning {
			st.Running++
		}
		if u.State == runner.StateRunning && u.Health == runner.HealthHealthy {
			st.Healthy++
			continue
		}
		if st.Message == "" {
			st.Message = trouble(u)
		}
		if doomed(u) {
			st.Doomed, st.Message = true, trouble(u)
		}
	}
	return st
}

func doomed(u runner.Status) bool {
	return u.State == runner.StateFailed || (u.State == runner.StateBackoff && u.Restarts >= crashLoop)
}

// trouble says in one line what is wrong with a task.
func trouble(u runner.Status) string {
	msg := fmt.Sprintf("task %s is %s", u.ID, u.State)
	if u.State == runner.StateRunning {
		msg = fmt.Sprintf("task %s is %s", u.ID, u.Health)
	}
	for _, detail := range []string{u.Reason, u.HealthReason} {
		if detail != "" {
			msg += ": " + detail
		}
	}
	return msg
}

// Refresh reads a set's tasks and notes their addresses: a task that is not healthy gets no new requests.
func (r *Runtime) Refresh(ctx context.Context, id string) ([]runner.Status, error) {
	units, err := r.runner.List(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list tasks of %s: %w", id, err)
	}
	var targets []cloud.Target
	ts, known := r.sets.State().TaskSets[id]
	for _, u := range units {
		if u.Address == "" || u.Port == 0 || u.State.Ended() {
			continue
		}
		targets = append(targets, cloud.Target{
			ID: u.ID, Address: net.JoinHostPort(u.Address, strconv.Itoa(u.Port)),
			Down:     u.State != runner.StateRunning || u.Health != runner.HealthHealthy || (known && !ts.Has(index(u.ID))) || r.isLeaving(u.ID),
			Starting: u.Health == runner.HealthStarting,
		})
	}
	if err := r.sets.SetTargets(ctx, id, targets); err != nil {
		return nil, fmt.Errorf("note targets of %s: %w", id, err)
	}
	return units, nil
}

// Stop implements engine.Runtime.
func (r *Runtime) Stop(ctx context.Context, id string) error {
	return r.alone(ctx, id, func() error { return r.stop(ctx, id) })
}

func (r *Runtime) stop(ctx context.Context, id string) error {
	for {
		units, err := r.runner.List(ctx, id)
		if err != nil {
			return fmt.Errorf("list tasks of %s: %w", id, err)
		}
		left := 0
		for _, u := range units {
			if u.State.Ended() {
				continue
			}
			left++
			if u.State == runner.StateStopping {
				continue
			}
			if err := r.runner.Stop(ctx, u.ID); err != nil {
				return fmt.Errorf("stop task %s: %w", u.ID, err)
			}
		}
		if left == 0 {
			return r.ended(ctx, id, units)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(stopPoll):
		}
	}
}

func (r *Runtime) ended(ctx context.Context, id string, units []runner.Status) error {
	for _, u := range units {
		if r.tasks != nil {
			if err := r.tasks.noteMember(ctx, u); err != nil {
				return err
			}
		}
		if err := r.runner.Forget(ctx, u.ID); err != nil {
			return fmt.Errorf("forget task %s: %w", u.ID, err)
		}
	}
	r.mu.Lock()
	delete(r.mirror, id)
	r.mu.Unlock()
	if err := r.sets.Ended(ctx, id); err != nil {
		return fmt.Errorf("end task set %s: %w", id, err)
	}
	return nil
}

// Release implements engine.Runtime.
func (r *Runtime) Release(ctx context.Context, id string, by time.Time) error {
	if err := r.sets.Release(ctx, id, by); err != nil {
		return fmt.Errorf("release task set %s: %w", id, err)
	}
	return nil
}

// Run follows the runner until ctx ends: wanted tasks are started again after a loss of the host, and
// targets follow the health of their tasks.
func (r *Runtime) Run(ctx context.Context) error {
	var departures sync.WaitGroup
	defer departures.Wait()
	departures.Go(func() { r.depart(ctx) })
	r.resume(ctx)
	var since uint64
	for ctx.Err() == nil {
		changed, next, err := r.runner.Watch(ctx, since)
		r.reflect(changed, err)
		if err != nil {
			since = 0
			if ctx.Err() == nil {
				r.log.WarnContext(ctx, "watch runner", "err", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
			continue
		}
		since = next
		r.follow(ctx, changed)
	}
	return nil
}

// resume makes every wanted set run. A set that was released is not wanted: its tasks may have been
// stopped and forgotten already, and started again they would be nobody's. Meanwhile the engine goes on,
// so what is wanted is asked for each set when its turn has come.
func (r *Runtime) resume(ctx context.Context) {
	for id := range r.sets.State().TaskSets {
		err := r.alone(ctx, id, func() error {
			ts, ok := r.sets.State().TaskSets[id]
			if !ok || ts.Released() {
				return nil
			}
			return r.ensure(ctx, ts.TaskSet)
		})
		if err != nil && ctx.Err() == nil {
			r.log.ErrorContext(ctx, "ensure task set", "task_set", id, "err", err)
		}
	}
}

func (r *Runtime) follow(ctx context.Context, changed []runner.Status) {
	seen := map[string]bool{}
	for _, u := range changed {
		if u.Group == "" || seen[u.Group] {
			continue
		}
		seen[u.Group] = true
		units, err := r.Refresh(ctx, u.Group)
		if err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "refresh targets", "task_set", u.Group, "err", err)
		}
		r.mend(u.Group, units)
	}
}

// mend starts tasks again that were still ending when their set grew.
func (r *Runtime) mend(id string, units []runner.Status) {
	lost := func(ts cloud.TaskSet) bool {
		return !ts.Released() && slices.ContainsFunc(units, func(u runner.Status) bool {
			return u.State == runner.StateStopped && ts.Has(index(u.ID))
		})
	}
	if !lost(r.sets.State().TaskSets[id]) {
		return
	}
	r.leave(id, "", func(ctx context.Context) error {
		return r.alone(ctx, id, func() error {
			if ts, ok := r.sets.State().TaskSets[id]; ok && lost(ts) {
				return r.ensure(ctx, ts.TaskSet)
			}
			return nil
		})
	})
}
