package process

import (
	"context"
	"maps"
	"slices"

	"greengate/internal/deploy"
	"greengate/internal/runner"
)

// reflect takes in what the runner said. While it is away nothing is known.
func (r *Runtime) reflect(changed []runner.Status, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.mirror = nil
		return
	}
	if r.mirror == nil {
		r.mirror = map[string]map[string]runner.Status{}
	}
	for _, u := range changed {
		units := r.mirror[u.Group]
		switch {
		case u.State == runner.StateStopped || u.State == runner.StateExited: // it counts no more, and may be forgotten
			delete(units, u.ID)
			if len(units) == 0 {
				delete(r.mirror, u.Group)
			}
		case units == nil:
			r.mirror[u.Group] = map[string]runner.Status{u.ID: u}
		default:
			units[u.ID] = u
		}
	}
}

// Glance is Observe for readers: what the runner reported last, without asking it. What happened a moment ago may not
// have been reported yet.
func (r *Runtime) Glance(ctx context.Context, id string) (deploy.TaskSetStatus, error) {
	r.mu.Lock()
	live := r.mirror != nil
	units := slices.Collect(maps.Values(r.mirror[id]))
	r.mu.Unlock()
	if !live {
		return r.Observe(ctx, id)
	}
	return statusOf(r.sets.State().TaskSets[id].TaskSet, units), nil
}
