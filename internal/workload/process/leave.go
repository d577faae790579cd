package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"greengate/internal/runner"
)

// Traffic knows what the data plane sends to a task.
type Traffic interface {
	// Quiet returns once the data plane sends nothing to the task any more, which is down already, and what was in flight
	// has ended, at the latest when it has had its time.
	Quiet(ctx context.Context, taskSet, task string) error
}

// departure is a task that is to end while its set goes on: no new request reaches it, what is in flight there ends, and
// only then its program is told to.
type departure struct {
	set, unit string
	begun     bool
	ending    func(ctx context.Context) error
}

// WithTraffic makes tasks that end alone wait until they are quiet. Call it before Run.
func (r *Runtime) WithTraffic(t Traffic) *Runtime {
	r.traffic = t
	return r
}

func isNotFound(err error) bool { return errors.Is(err, runner.ErrNotFound) }

// leave begins a departure, unless the task is leaving already. Without a task only the ending is carried out.
func (r *Runtime) leave(set, unit string, ending func(ctx context.Context) error) {
	name := unit
	if name == "" {
		name = set
	}
	r.mu.Lock()
	if _, ok := r.leaving[name]; !ok {
		r.leaving[name] = &departure{set: set, unit: unit, ending: ending}
	}
	r.mu.Unlock()
	select {
	case r.nudged <- struct{}{}:
	default:
	}
}

func (r *Runtime) isLeaving(unit string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leaving[unit] != nil
}

// depart carries departures out until ctx ends.
func (r *Runtime) depart(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		r.mu.Lock()
		for name, d := range r.leaving {
			if !d.begun {
				d.begun = true
				all.Go(func() { r.dismiss(ctx, name, d) })
			}
		}
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-r.nudged:
		}
	}
}

func (r *Runtime) dismiss(ctx context.Context, name string, d *departure) {
	_, err := r.Refresh(ctx, d.set) // it is down now
	if err == nil && d.unit != "" && r.traffic != nil {
		err = r.traffic.Quiet(ctx, d.set, d.unit)
	}
	if err == nil {
		err = d.ending(ctx)
	}
	r.mu.Lock()
	delete(r.leaving, name)
	r.mu.Unlock()
	if err == nil {
		_, err = r.Refresh(ctx, d.set)
	}
	if err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "end task", "task", name, "err", err)
	}
}

// surplus ends a task that its set has become too small for, unless the set has grown again meanwhile.
func (r *Runtime) surplus(set, unit string) {
	r.leave(set, unit, func(ctx context.Context) error {
		return r.alone(ctx, set, func() error {
			if r.sets.State().TaskSets[set].Has(index(unit)) {
				return nil
			}
			if err := r.runner.Stop(ctx, unit); err != nil {
				return fmt.Errorf("stop task %s: %w", unit, err)
			}
			return nil
		})
	})
}

// recycle ends the program of a task that was started then, and starts it again.
func (r *Runtime) recycle(set, unit string, started time.Time) {
	r.leave(set, unit, func(ctx context.Context) error {
		u, err := r.runner.Get(ctx, unit)
		if isNotFound(err) || (err == nil && (u.State.Ended() || !u.StartedAt.Equal(started))) {
			return nil
		}
		if err == nil {
			err = r.runner.Restart(ctx, unit)
		}
		for err == nil && u.StartedAt.Equal(started) && !u.State.Ended() && u.State != runner.StateStopping {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(stopPoll):
			}
			u, err = r.runner.Get(ctx, unit)
		}
		if isNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("start task %s again: %w", unit, err)
		}
		return nil
	})
}
