package cloud

import (
	"slices"
	"time"
)

// States of a rollout (DeploymentRolloutState of the ECS model), and of one that a later rollout has taken the place of.
const (
	RolloutInProgress = "IN_PROGRESS"
	RolloutCompleted  = "COMPLETED"
	RolloutFailed     = "FAILED"
	RolloutReplaced   = "REPLACED"
)

// What is kept of a service's past.
const (
	maxRollouts = 50
	maxEvents   = 100
)

// RollingConfig says how a service with the ECS controller moves to a new task set.
type RollingConfig struct {
	// MinHealthy and Max are in per cent of the desired count: so many tasks stay healthy (rounded up), and no more than
	// so many exist (rounded down).
	MinHealthy int `json:"minHealthy"`
	Max        int `json:"max"`
	// Breaker fails a rollout whose tasks keep failing; Rollback then goes back to the last one that was completed.
	Breaker  bool `json:"breaker,omitempty"`
	Rollback bool `json:"rollback,omitempty"`
	// Grace is how many seconds of the wire a new task may be unhealthy.
	Grace int `json:"grace,omitempty"`
}

// floor and ceiling are how many tasks must be healthy and how many may exist.
func (c RollingConfig) floor(desired int) int   { return (desired*c.MinHealthy + 99) / 100 }
func (c RollingConfig) ceiling(desired int) int { return desired * c.Max / 100 }

// Moves reports whether a rollout of so many tasks can begin: a task may be started before one was stopped, or stopped
// before one was started.
func (c RollingConfig) Moves(desired int) bool {
	return desired == 0 || c.ceiling(desired) > desired || c.floor(desired) < desired
}

// Threshold is how many failed tasks fail a rollout (the ECS guide: half of the desired count, 3 to 200).
func (c RollingConfig) Threshold(desired int) int { return min(max((desired+1)/2, 3), 200) }

// Batch is how many tasks a task set has, how many of them are healthy, and how many certainly do not serve. The others
// are starting, or nothing is known of them.
type Batch struct {
	ID                   string
	Tasks, Healthy, Lost int
}

// Roll is the next step of a rollout: how many tasks each set is to have now. Of a set that is to have fewer the lost tasks
// go first; where there is no room for new tasks they go although no healthy one can be spared, as ECS stops unhealthy tasks
// before others. A set of old ones with none is to end.
// Done says that nothing of the old is left, and the new one is healthy.
func (c RollingConfig) Roll(desired int, next Batch, old []Batch) (tasks int, rest map[string]int, done bool) {
	rest = map[string]int{}
	total, healthy := next.Tasks, next.Healthy
	for _, b := range old {
		total += b.Tasks
		healthy += b.Healthy
		rest[b.ID] = b.Tasks
	}
	tasks = min(next.Tasks, desired)
	if room := c.ceiling(desired) - total; room > 0 {
		tasks = min(desired, next.Tasks+room)
	}
	spare := max(0, healthy-c.floor(desired))
	need := desired - tasks // what cannot be started before something was stopped
	for _, b := range old {
		if next.Healthy >= desired || b.Lost == b.Tasks {
			rest[b.ID] = 0
			continue
		}
		lost := min(b.Lost, need)
		rest[b.ID] = max(0, b.Tasks-lost-spare)
		spare -= b.Tasks - lost - rest[b.ID]
		need -= lost
	}
	return tasks, rest, len(old) == 0 && next.Tasks == desired && next.Healthy >= desired
}

// Rollout is one deployment of a service by ECS itself. Its id is that of its task set.
type Rollout struct {
	TaskSet        string    `json:"taskSet"`
	TaskDefinition string    `json:"taskDefinition"`
	State          string    `json:"state"`
	Reason         string    `json:"reason,omitempty"`
	Created        time.Time `json:"created"`
	Updated        time.Time `json:"updated"`
	// Failed is how many of its tasks have failed.
	Failed int `json:"failed,omitempty"`
	// Back is set once the circuit breaker has come back to it, and To where it went from it.
	Back bool   `json:"back,omitempty"`
	To   string `json:"to,omitempty"`
}

// ServiceEvent is a message of the scheduler.
type ServiceEvent struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Message string    `json:"message"`
}

// Rollouts is the history of a service with the ECS controller.
type Rollouts struct {
	Service string `json:"service"`
	// List has the oldest first, Events the newest.
	List   []Rollout      `json:"list,omitempty"`
	Events []ServiceEvent `json:"events,omitempty"`
}

// ResourceKind implements Resource.
func (Rollouts) ResourceKind() Kind { return KindRollouts }

// ResourceKey implements Resource: the service's key.
func (r Rollouts) ResourceKey() string { return r.Service }

// Find finds a rollout by its task set.
func (r Rollouts) Find(taskSet string) (Rollout, bool) {
	i := slices.IndexFunc(r.List, func(o Rollout) bool { return o.TaskSet == taskSet })
	if i < 0 {
		return Rollout{}, false
	}
	return r.List[i], true
}

// With is the history with a rollout that is new, or that changed.
func (r Rollouts) With(o Rollout) Rollouts {
	r.List = slices.Clone(r.List)
	if i := slices.IndexFunc(r.List, func(have Rollout) bool { return have.TaskSet == o.TaskSet }); i >= 0 {
		r.List[i] = o
		return r
	}
	for i := range r.List {
		if r.List[i].State == RolloutInProgress {
			r.List[i].State, r.List[i].Updated = RolloutReplaced, o.Created
		}
	}
	r.List = append(r.List, o)
	r.List = r.List[max(0, len(r.List)-maxRollouts):]
	return r
}

// Tell is the history with one more event.
func (r Rollouts) Tell(e ServiceEvent) Rollouts {
	r.Events = append([]ServiceEvent{e}, r.Events...)
	r.Events = r.Events[:min(len(r.Events), maxEvents)]
	return r
}

// LastCompleted is the newest rollout other than that of a task set that was completed.
func (r Rollouts) LastCompleted(but string) (Rollout, bool) {
	for _, o := range slices.Backward(r.List) {
		if o.TaskSet != but && o.State == RolloutCompleted {
			return o, true
		}
	}
	return Rollout{}, false
}
