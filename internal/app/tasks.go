package app

import (
	"context"
	"strconv"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/traffic/l7"
	"greengate/internal/workload/process"
)

// quiet lets single tasks end without cutting requests: it implements process.Traffic.
type quiet struct {
	router *l7.Router
	cloud  *cloud.Cloud
	minute time.Duration // of the wire
}

// Quiet implements process.Traffic. A task has the deregistration delay of its target group, or the drain of its service.
func (q quiet) Quiet(ctx context.Context, taskSet, task string) error {
	return q.router.Quiet(ctx, taskSet, task, q.limit(taskSet))
}

func (q quiet) limit(taskSet string) time.Duration {
	st := q.cloud.State()
	ts := st.TaskSets[taskSet]
	if svc, ok := st.Services[ts.Service]; ok {
		return svc.Spec.Drain
	}
	return deregistrationDelay(st, ts.TargetGroup, q.minute)
}

// reading answers clients that only look: it does not ask the runner for each of them.
type reading struct{ *process.Runtime }

// Observe implements ecs.Runtime.
func (r reading) Observe(ctx context.Context, id string) (deploy.TaskSetStatus, error) {
	return r.Glance(ctx, id)
}

// deregistrationDelay is that of a target group; it is counted in the minutes of the wire.
func deregistrationDelay(st cloud.State, group string, minute time.Duration) time.Duration {
	g, _ := cloud.Find[cloud.TargetGroup](st, group)
	n, err := strconv.Atoi(g.Attributes["deregistration_delay.timeout_seconds"])
	if err != nil {
		n = defaultDrain
	}
	return time.Duration(n) * minute / 60
}
