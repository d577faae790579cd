package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"greengate/internal/awsapi/ecs"
	"greengate/internal/cloud"
	"greengate/internal/workload/process"
)

// rollerPace is how often the roller looks at the services whose task sets are not as they are to be.
const rollerPace = 200 * time.Millisecond

// roller takes the steps of rolling deployments: services with the ECS controller. What is wanted stands in the
// resources; each step is found anew from what is there, so a new controller goes on where this one ended.
type roller struct {
	cloud   *cloud.Cloud
	runtime *process.Runtime
	minute  time.Duration // of the wire
	log     *slog.Logger
}

func (r *roller) run(ctx context.Context) error {
	ticker := time.NewTicker(rollerPace)
	defer ticker.Stop()
	for {
		st := r.cloud.State()
		for _, svc := range cloud.All[cloud.ECSService](st) {
			if svc.Controller != cloud.ControllerECS || svc.Status != "ACTIVE" {
				continue
			}
			if err := r.step(ctx, st, svc); err != nil && ctx.Err() == nil {
				r.log.WarnContext(ctx, "roll service", "service", svc.ResourceKey(), "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// step does what is next for a service.
func (r *roller) step(ctx context.Context, st cloud.State, svc cloud.ECSService) error {
	next, ok := st.TaskSets[svc.Primary]
	if !ok {
		return r.begin(ctx, st, svc)
	}
	history, _ := cloud.Find[cloud.Rollouts](st, svc.ResourceKey())
	current, rolling := history.Find(svc.Primary)
	rolling = rolling && current.State == cloud.RolloutInProgress
	var old []cloud.TaskSet
	for _, ts := range st.Sets(svc.ResourceKey()) {
		if ts.ID != next.ID && !ts.Released() {
			old = append(old, ts)
		}
	}
	if current.State == cloud.RolloutFailed {
		return nil // it stays as it is until somebody updates the service
	}
	if anyDown(next) {
		if err := r.renew(ctx, svc, next); err != nil {
			return err
		}
	}
	if rolling {
		failed, err := r.count(ctx, svc, &current)
		if err != nil {
			return err
		}
		if failed {
			return r.fail(ctx, svc, current)
		}
	}
	if !rolling && len(old) == 0 {
		return r.resize(ctx, next, svc.Desired)
	}
	return r.move(ctx, st, svc, next, old)
}

// begin makes the task set of a rollout that was stored and no more.
func (r *roller) begin(ctx context.Context, st cloud.State, svc cloud.ECSService) error {
	def, ok := cloud.FindTaskDefinition(st, svc.TaskDefinition)
	if !ok || svc.Primary == "" {
		return nil
	}
	ts, err := st.TaskSetOf(svc, def, svc.Sets[svc.Primary].Endpoint, svc.Primary)
	if err != nil {
		return err
	}
	ts.Tasks = 0
	return r.runtime.Ensure(ctx, ts)
}

func anyDown(ts cloud.TaskSet) bool {
	for _, t := range ts.Targets {
		if t.Down {
			return true
		}
	}
	return false
}

// renew starts unhealthy tasks again, as ECS replaces those that fail the health checks of their target group.
func (r *roller) renew(ctx context.Context, svc cloud.ECSService, ts cloud.TaskSet) error {
	n, err := r.runtime.Renew(ctx, ts.ID, time.Duration(svc.Rolling.Grace)*r.minute/60)
	if err != nil || n == 0 {
		return err
	}
	return r.tell(ctx, svc, nil, "%d tasks failed the health checks of %s and are started again.", n, ts.TargetGroup)
}

func (r *roller) resize(ctx context.Context, ts cloud.TaskSet, tasks int) error {
	if ts.Tasks == tasks {
		return nil
	}
	ts.Tasks = tasks
	return r.runtime.Ensure(ctx, ts.TaskSet)
}

// move starts and stops tasks as far as the service may go now.
func (r *roller) move(ctx context.Context, st cloud.State, svc cloud.ECSService, next cloud.TaskSet, old []cloud.TaskSet) error {
	to, _, err := r.batch(ctx, next)
	if err != nil {
		return err
	}
	from, lost := make([]cloud.Batch, len(old)), make([][]int, len(old))
	for i, ts := range old {
		if from[i], lost[i], err = r.batch(ctx, ts); err != nil {
			return err
		}
	}
	tasks, rest, done := svc.Rolling.Roll(svc.Desired, to, from)
	if done {
		return r.complete(ctx, svc)
	}
	if tasks > next.Tasks {
		if err := r.tell(ctx, svc, nil, "has started %d tasks (deployment %s).", tasks-next.Tasks, next.ID); err != nil {
			return err
		}
	}
	if err := r.resize(ctx, next, tasks); err != nil {
		return err
	}
	for i, ts := range old {
		if k := min(len(lost[i]), ts.Tasks-rest[ts.ID]); k > 0 && rest[ts.ID] > 0 {
			if err := r.drop(ctx, svc, ts, lost[i][:k]); err != nil {
				return err
			}
			ts.TaskSet = ts.Drop(lost[i][:k])
		}
		if err := r.shrink(ctx, st, svc, ts, rest[ts.ID]); err != nil {
			return err
		}
	}
	return nil
}

// batch is what is known of a set, and the places of those of its tasks that are lost.
func (r *roller) batch(ctx context.Context, ts cloud.TaskSet) (cloud.Batch, []int, error) {
	status, err := r.runtime.Observe(ctx, ts.ID)
	if err != nil {
		return cloud.Batch{}, nil, err
	}
	t, err := r.runtime.Trouble(ctx, ts.ID)
	return cloud.Batch{ID: ts.ID, Tasks: ts.Tasks, Healthy: status.Healthy, Lost: len(t.Lost)}, t.Lost, err
}

// drop ends tasks of an old set that do not serve.
func (r *roller) drop(ctx context.Context, svc cloud.ECSService, ts cloud.TaskSet, places []int) error {
	if err := r.tell(ctx, svc, nil, "has stopped %d unhealthy tasks (deployment %s).", len(places), ts.ID); err != nil {
		return err
	}
	return r.runtime.Ensure(ctx, ts.Drop(places))
}

// shrink ends tasks of an old set; its last ones with the set, once nothing is in flight there.
func (r *roller) shrink(ctx context.Context, st cloud.State, svc cloud.ECSService, ts cloud.TaskSet, tasks int) error {
	if tasks == ts.Tasks && tasks > 0 {
		return nil
	}
	if err := r.tell(ctx, svc, nil, "has stopped %d running tasks (deployment %s).", ts.Tasks-tasks, ts.ID); err != nil {
		return err
	}
	if tasks > 0 {
		return r.resize(ctx, ts, tasks)
	}
	return r.runtime.Release(ctx, ts.ID, time.Now().Add(deregistrationDelay(st, ts.TargetGroup, r.minute)))
}

func (r *roller) complete(ctx context.Context, svc cloud.ECSService) error {
	return r.tell(ctx, svc, func(h cloud.Rollouts, now time.Time) cloud.Rollouts {
		o, _ := h.Find(svc.Primary)
		if o.State != cloud.RolloutInProgress {
			return h
		}
		o.State, o.Reason, o.Updated = cloud.RolloutCompleted, "ECS deployment "+o.TaskSet+" completed.", now
		return h.With(o)
	}, "has reached a steady state.")
}

// count notes how many tasks of a rollout have failed, and answers whether those are too many.
func (r *roller) count(ctx context.Context, svc cloud.ECSService, o *cloud.Rollout) (bool, error) {
	t, err := r.runtime.Trouble(ctx, o.TaskSet)
	if err != nil {
		return false, err
	}
	n, message := t.Failures, t.Message
	if n > o.Failed {
		o.Failed = n
		err = r.tell(ctx, svc, func(h cloud.Rollouts, now time.Time) cloud.Rollouts {
			have, _ := h.Find(o.TaskSet)
			have.Failed, have.Updated = n, now
			return h.With(have)
		}, "was unable to start tasks: %s", message)
	}
	// What a version that is gone back to had before is not its rollout's.
	return svc.Rolling.Breaker && !o.Back && n >= svc.Rolling.Threshold(svc.Desired), err
}

// fail ends a rollout by the circuit breaker, and goes back to the last one that was completed where that is wanted.
func (r *roller) fail(ctx context.Context, svc cloud.ECSService, o cloud.Rollout) error {
	return r.cloud.Update(ctx, func(d *cloud.Draft) error {
		svc, ok := cloud.Find[cloud.ECSService](d.State(), svc.ResourceKey())
		history, _ := cloud.Find[cloud.Rollouts](d.State(), svc.ResourceKey())
		if !ok || svc.Primary != o.TaskSet {
			return nil // somebody has updated it
		}
		now := time.Now()
		o.State, o.Reason, o.Updated = cloud.RolloutFailed, "ECS deployment circuit breaker: tasks failed to start.", now
		back, known := history.LastCompleted(o.TaskSet)
		_, runs := d.State().TaskSets[back.TaskSet]
		if !svc.Rolling.Rollback || !known {
			d.Put(tell(history.With(o), now, svc, "deployment %s failed: tasks failed to start.", o.TaskSet))
			return nil
		}
		if runs = runs && !d.State().TaskSets[back.TaskSet].Released(); !runs {
			back.TaskSet, back.Created, back.Failed = ecs.NewTaskSetID(), now, 0
			svc.Sets = cloned(svc.Sets)
			svc.Sets[back.TaskSet] = cloud.SetInfo{Scale: 100, Created: now, Endpoint: svc.Sets[o.TaskSet].Endpoint}
		}
		o.To, o.Reason = back.TaskSet, "ECS deployment circuit breaker: rolling back to deploymentId "+back.TaskSet+"."
		back.State, back.Back, back.Updated, back.Reason = cloud.RolloutInProgress, true, now, "ECS deployment circuit breaker: rolled back from "+o.TaskSet+"."
		svc.Primary, svc.TaskDefinition = back.TaskSet, back.TaskDefinition
		d.Put(svc)
		d.Put(tell(history.With(o).With(back), now, svc, "rolling back to deployment %s.", back.TaskSet))
		return nil
	})
}

// tell stores an event of a service, and a change of its history with it.
func (r *roller) tell(ctx context.Context, svc cloud.ECSService, change func(h cloud.Rollouts, now time.Time) cloud.Rollouts, format string, args ...any) error {
	return r.cloud.Update(ctx, func(d *cloud.Draft) error {
		h, _ := cloud.Find[cloud.Rollouts](d.State(), svc.ResourceKey())
		h.Service = svc.ResourceKey()
		now := time.Now()
		if change != nil {
			h = change(h, now)
		}
		d.Put(tell(h, now, svc, format, args...))
		return nil
	})
}

func tell(h cloud.Rollouts, now time.Time, svc cloud.ECSService, format string, args ...any) cloud.Rollouts {
	return h.Tell(cloud.ServiceEvent{
		ID: stableUUID("event", fmt.Sprintf("%s %d", svc.ResourceKey(), now.UnixNano())), At: now,
		Message: fmt.Sprintf("(service %s) ", svc.Name) + fmt.Sprintf(format, args...),
	})
}
