package cloud

import (
	"slices"
	"time"

	"greengate/internal/deploy"
)

// Service is a service as its owner wants it.
type Service struct {
	Spec    deploy.Service `json:"spec"`
	Created time.Time      `json:"created"`
	// Deployment is the last one that was started.
	Deployment string `json:"deployment,omitempty"`
}

// Role is what a listener is for.
type Role string

// The roles of a service's listeners.
const (
	RoleProduction Role = "production"
	RoleTest       Role = "test"
)

// Listener is an address of a service and the task sets that it forwards to.
type Listener struct {
	Service string `json:"service"`
	Role    Role   `json:"role"`
	Address string `json:"address"`
	// Weights are absolute; empty answers 503.
	Weights []deploy.RouteWeight `json:"weights,omitempty"`
	// Shifted are the weights that the last deployment set. Other weights are somebody else's edit.
	Shifted []deploy.RouteWeight `json:"shifted,omitempty"`
	// Ledger is where requests are counted.
	Ledger string `json:"ledger,omitempty"`
}

// Name identifies a listener: "service/role".
func (l Listener) Name() string { return l.Service + "/" + string(l.Role) }

// TaskSet is one version of a service that runs, or is to be stopped.
type TaskSet struct {
	deploy.TaskSet
	Created time.Time `json:"created"`
	// Targets are the addresses of its tasks.
	Targets []Target `json:"targets,omitempty"`
	// ReleaseBy is set once the set is to end: when it serves nothing any more, at the latest then.
	ReleaseBy time.Time `json:"releaseBy,omitzero"`
}

// Released reports whether the set is to end.
func (t TaskSet) Released() bool { return !t.ReleaseBy.IsZero() }

// Target is the address of one task.
type Target struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	// Down gets no new requests.
	Down bool `json:"down,omitempty"`
	// Starting is down because it has not been up yet.
	Starting bool `json:"starting,omitempty"`
}

// State is a consistent copy of all resources.
type State struct {
	Revision  int64
	Services  map[string]Service
	Listeners map[string]Listener
	TaskSets  map[string]TaskSet
	// resources are those of the other kinds: see Find and All.
	resources map[Kind]collection
}

// Primary is the task set that carries most of a service's production traffic.
func (s State) Primary(service string) (TaskSet, bool) {
	if svc, ok := Find[ECSService](s, service); ok {
		ts, ok := s.TaskSets[svc.Primary]
		return ts, ok
	}
	best, id := 0, ""
	for _, w := range s.Listeners[Listener{Service: service, Role: RoleProduction}.Name()].Weights {
		if w.Weight > best {
			best, id = w.Weight, w.TaskSet
		}
	}
	ts, ok := s.TaskSets[id]
	return ts, ok
}

// Sets are the task sets of a service, oldest first.
func (s State) Sets(service string) []TaskSet {
	var sets []TaskSet
	for _, ts := range s.TaskSets {
		if ts.Service == service {
			sets = append(sets, ts)
		}
	}
	slices.SortFunc(sets, func(a, b TaskSet) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return sets
}

// Weight is the share of a service's production traffic that a task set gets.
func (s State) Weight(service, taskSet string) int {
	if svc, ok := Find[ECSService](s, service); ok {
		return s.share(svc.Routing.Production, s.TaskSets[taskSet])
	}
	for _, w := range s.Listeners[Listener{Service: service, Role: RoleProduction}.Name()].Weights {
		if w.TaskSet == taskSet {
			return w.Weight
		}
	}
	return 0
}

// Tests reports whether the service's test listener serves the task set.
func (s State) Tests(service, taskSet string) bool {
	if svc, ok := Find[ECSService](s, service); ok {
		return s.share(svc.Routing.Test, s.TaskSets[taskSet]) > 0
	}
	for _, w := range s.Listeners[Listener{Service: service, Role: RoleTest}.Name()].Weights {
		if w.TaskSet == taskSet && w.Weight > 0 {
			return true
		}
	}
	return false
}
