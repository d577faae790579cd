package process

import (
	"context"
	"fmt"

	"greengate/internal/cloud"
	"greengate/internal/runner"
)

// This file is about tasks of services. The runner keeps the same unit over restarts; for ECS each start is a task.

// member is the task that a unit of a task set is now.
func member(st cloud.State, ts cloud.TaskSet, u runner.Status) (cloud.Task, bool) {
	svc, ok := cloud.Find[cloud.ECSService](st, ts.Service)
	if !ok || u.StartedAt.IsZero() {
		return cloud.Task{}, false
	}
	c := svc.Sets[ts.ID].Endpoint.Container
	if def, ok := cloud.FindTaskDefinition(st, ts.Revision.TaskDefinition); ok && c == "" {
		found, _ := def.Container("")
		c = found.Name
	}
	task := cloud.Task{
		Cluster: svc.Cluster, ID: memberID(u), TaskDefinition: cloud.ShortTaskDefinition(ts.Revision.TaskDefinition), Created: u.StartedAt,
		StartedBy: ts.ID, Group: "service:" + svc.Name, Container: c, TaskSet: ts.ID, Unit: u.ID, Workload: ts.Revision.Workload,
		Tags: svc.Sets[ts.ID].Tags,
	}
	show(&task, u)
	if task.Status == cloud.TaskRunning && (ts.Released() || !ts.Has(index(u.ID))) {
		task.Status, task.StopCode = cloud.TaskDeactivating, cloud.StopScheduler
		task.StopReason = "Scaling activity initiated by (deployment " + ts.ID + ")"
	}
	return task, true
}

// Live are the tasks of services that have not ended, as they are now.
func (t *Tasks) Live(ctx context.Context) ([]cloud.Task, error) {
	units, err := t.runner.List(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	st := t.store.State()
	var tasks []cloud.Task
	for _, u := range units {
		ts, known := st.TaskSets[u.Group]
		if !known || u.State.Ended() || u.State == runner.StateBackoff {
			continue
		}
		task, ok := member(st, ts, u)
		if !ok {
			continue
		}
		if stored, ok := cloud.Find[cloud.Task](st, task.ResourceKey()); ok && stored.Ended() {
			continue
		} else if ok {
			task.Stopping, task.StopCode, task.StopReason = stored.Stopping, stored.StopCode, stored.StopReason
			show(&task, u)
		}
		tasks = append(tasks, task)
	}
	return tasks, nil
}

// noteMember stores a service's task that has ended: its unit has, or it runs again.
func (t *Tasks) noteMember(ctx context.Context, u runner.Status) error {
	t.mu.Lock()
	before, known := t.seen[u.ID]
	if u.State.Ended() {
		delete(t.seen, u.ID)
	} else {
		t.seen[u.ID] = u
	}
	t.mu.Unlock()
	if known && !before.StartedAt.Equal(u.StartedAt) && before.Exit == nil {
		before.Reason, before.EndedAt = u.LastEnd, u.StartedAt // started again; its end itself was not seen
		if err := t.endMember(ctx, before); err != nil {
			return err
		}
	}
	if u.State.Ended() || u.State == runner.StateBackoff {
		return t.endMember(ctx, u)
	}
	return nil
}

func (t *Tasks) endMember(ctx context.Context, u runner.Status) error {
	err := t.store.Update(ctx, func(d *cloud.Draft) error {
		st := d.State()
		ts, ok := st.TaskSets[u.Group]
		if !ok {
			return nil
		}
		task, ok := member(st, ts, u)
		if !ok {
			return nil
		}
		if stored, ok := cloud.Find[cloud.Task](st, task.ResourceKey()); ok {
			if stored.Ended() {
				return nil
			}
			task = stored
		}
		code, reason := cloud.StopEssentialExited, "Essential container in task exited"
		if u.State == runner.StateStopped {
			code, reason = cloud.StopScheduler, "Scaling activity initiated by (deployment "+ts.ID+")"
		}
		end(&task, u, code, reason)
		d.Put(task)
		return nil
	})
	if err != nil {
		return fmt.Errorf("note end of task %s: %w", u.ID, err)
	}
	return nil
}

// replace ends a task of a service that was told to; the runtime starts another in its place. Without a unit that is
// still that task, it has ended.
func (t *Tasks) replace(ctx context.Context, task cloud.Task) error {
	u, err := t.runner.Get(ctx, task.Unit)
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("look at task %s: %w", task.ResourceKey(), err)
	}
	if err != nil || memberID(u) != task.ID {
		return t.edit(ctx, task.ResourceKey(), func(task *cloud.Task) { end(task, runner.Status{}, task.StopCode, task.StopReason) })
	}
	if u.State.Ended() || u.State == runner.StateBackoff {
		return t.endMember(ctx, u)
	}
	t.runtime.recycle(task.TaskSet, task.Unit, u.StartedAt)
	return nil
}
