package process

import (
	"context"
	"fmt"
	"time"

	"greengate/internal/runner"
)

// Trouble is what is wrong with a set's tasks.
type Trouble struct {
	// Failures are how often tasks have ended or could not be started.
	Failures int
	// Lost are the places of tasks that certainly do not serve now: they do not run, or have failed their health checks.
	Lost    []int
	Message string
}

// Trouble tells what is wrong with the tasks of a set.
func (r *Runtime) Trouble(ctx context.Context, id string) (Trouble, error) {
	units, err := r.runner.List(ctx, id)
	if err != nil {
		return Trouble{}, fmt.Errorf("list tasks of %s: %w", id, err)
	}
	var t Trouble
	ts := r.sets.State().TaskSets[id]
	for _, u := range units {
		if !ts.Has(index(u.ID)) {
			continue
		}
		t.Failures += u.Restarts
		down := u.State == runner.StateBackoff || u.State == runner.StateFailed
		if down {
			t.Failures++
		}
		if down || u.Health == runner.HealthUnhealthy {
			t.Lost = append(t.Lost, index(u.ID))
		}
		if t.Message == "" && (u.State != runner.StateRunning || u.Health != runner.HealthHealthy) {
			t.Message = trouble(u)
		}
	}
	return t, nil
}

// Renew starts tasks again that are unhealthy longer than grace after their start, and answers how many.
func (r *Runtime) Renew(ctx context.Context, id string, grace time.Duration) (int, error) {
	units, err := r.runner.List(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("list tasks of %s: %w", id, err)
	}
	n := 0
	for _, u := range units {
		if u.State != runner.StateRunning || u.Health != runner.HealthUnhealthy || time.Since(u.StartedAt) < grace || r.isLeaving(u.ID) {
			continue
		}
		r.recycle(id, u.ID, u.StartedAt)
		n++
	}
	return n, nil
}
