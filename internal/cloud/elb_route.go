package cloud

import (
	"context"
	"slices"
	"strings"

	"greengate/internal/deploy"
)

// routeLocked is Route for a service of the wire: shares of task sets become weights of the target groups that they
// are registered with, on the default action and on every rule that forwards to one of the pair. What else a listener
// does is left alone.
func (c *Cloud) routeLocked(ctx context.Context, svc ECSService, r deploy.Route) (int64, error) {
	production, ok := Find[ELBListener](c.state, svc.Routing.Production)
	if !ok {
		return 0, notFound("listener", svc.Routing.Production)
	}
	if id, missing := c.missingLocked(r); missing {
		return 0, notFound("task set", id)
	}
	pair := svc.Routing.TargetGroups
	now, forwards := production.weights(pair)
	switch {
	case r.Force:
	case !forwards:
		return 0, deploy.Errorf(deploy.CodeConflict, "listener %s forwards to neither of the target groups %s", production.ResourceKey(), strings.Join(pair, " and "))
	case len(production.Shifted) > 0 && !slices.Equal(now, production.Shifted):
		return 0, deploy.ErrConflict
	}
	ch := &change{}
	want := c.groupWeightsLocked(pair, r.Production)
	moved := production.move(pair, want)
	moved.Shifted, moved.Ledger = want, r.Ledger
	if !forwards || !slices.Equal(now, want) || !slices.Equal(production.Shifted, want) || production.Ledger != r.Ledger {
		ch.resource(moved)
	}
	if test, ok := Find[ELBListener](c.state, svc.Routing.Test); ok && r.Test != "" {
		want := []GroupWeight{{TargetGroup: c.state.TaskSets[r.Test].TargetGroup, Weight: 100}}
		if now, _ := test.weights(pair); !slices.Equal(used(now), want) {
			ch.resource(test.move(pair, want))
		}
	}
	if promoted, changed := c.promotedLocked(svc, r); changed {
		ch.resource(promoted)
	}
	if len(ch.writes) > 0 {
		if err := c.commitLocked(ctx, ch); err != nil {
			return 0, err
		}
	}
	return c.state.Revision, nil
}

// promotedLocked makes the task set that takes all production traffic the primary one (UpdateServicePrimaryTaskSet).
func (c *Cloud) promotedLocked(svc ECSService, r deploy.Route) (ECSService, bool) {
	for _, w := range r.Production {
		if w.Weight == 100 && svc.Primary != w.TaskSet {
			svc.Primary = w.TaskSet
			svc.TaskDefinition = ShortTaskDefinition(c.state.TaskSets[w.TaskSet].Revision.TaskDefinition)
			return svc, true
		}
	}
	return svc, false
}

// ShortTaskDefinition is "family:revision" of an ARN or of itself.
func ShortTaskDefinition(ref string) string {
	if i := strings.LastIndexByte(ref, '/'); i >= 0 {
		return ref[i+1:]
	}
	return ref
}

// groupWeightsLocked sums the shares of task sets by target group; both of the pair are there.
func (c *Cloud) groupWeightsLocked(pair []string, shares []deploy.RouteWeight) []GroupWeight {
	weights := make([]GroupWeight, len(pair))
	for i, name := range pair {
		weights[i].TargetGroup = name
		for _, w := range shares {
			if c.state.TaskSets[w.TaskSet].TargetGroup == name {
				weights[i].Weight += w.Weight
			}
		}
	}
	return weights
}

// used are the weights that get traffic.
func used(weights []GroupWeight) []GroupWeight {
	return slices.DeleteFunc(slices.Clone(weights), func(w GroupWeight) bool { return w.Weight == 0 })
}

// weights are those of the pair where the listener forwards to one of them, in the pair's order: of the default action,
// or else of the first rule that does.
func (l ELBListener) weights(pair []string) ([]GroupWeight, bool) {
	actions := []Action{l.Default}
	for _, r := range l.Rules {
		actions = append(actions, r.Action)
	}
	for _, a := range actions {
		if !a.forwards(pair) {
			continue
		}
		weights := make([]GroupWeight, len(pair))
		for i, name := range pair {
			weights[i] = GroupWeight{name, a.weight(name)}
		}
		return weights, true
	}
	return nil, false
}

// RulesOf are the ids of the rules that forward to one of the groups, and whose weights a deployment moves.
func (l ELBListener) RulesOf(groups []string) []string {
	var ids []string
	for _, r := range l.Rules {
		if r.Action.forwards(groups) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func (a Action) forwards(groups []string) bool {
	return slices.ContainsFunc(a.Forward, func(w GroupWeight) bool { return slices.Contains(groups, w.TargetGroup) })
}

func (a Action) weight(group string) int {
	for _, w := range a.Forward {
		if w.TargetGroup == group {
			return w.Weight
		}
	}
	return 0
}

// move gives every action that forwards to one of the pair the weights; where none does, the default action.
func (l ELBListener) move(pair []string, weights []GroupWeight) ELBListener {
	found := l.Default.forwards(pair)
	if found {
		l.Default = l.Default.move(pair, weights)
	}
	l.Rules = slices.Clone(l.Rules)
	for i, r := range l.Rules {
		if r.Action.forwards(pair) {
			found, l.Rules[i].Action = true, r.Action.move(pair, weights)
		}
	}
	if !found {
		l.Default = Action{Forward: slices.Clone(weights)}
	}
	return l
}

// move replaces the weights of the pair; other groups keep theirs.
func (a Action) move(pair []string, weights []GroupWeight) Action {
	others := slices.DeleteFunc(slices.Clone(a.Forward), func(w GroupWeight) bool { return slices.Contains(pair, w.TargetGroup) })
	return Action{Forward: append(slices.Clone(weights), others...)}
}

// share is what a listener gives to a task set, in per cent.
func (s State) share(listener string, ts TaskSet) int {
	l, ok := Find[ELBListener](s, listener)
	if !ok || ts.TargetGroup == "" || ts.Released() {
		return 0
	}
	action := l.Default
	if action.weight(ts.TargetGroup) == 0 {
		for _, r := range l.Rules {
			if r.Action.weight(ts.TargetGroup) > 0 {
				action = r.Action
				break
			}
		}
	}
	sum := 0
	for _, w := range action.Forward {
		sum += w.Weight
	}
	if sum == 0 {
		return 0
	}
	return action.weight(ts.TargetGroup) * 100 / sum
}

// CheckRouting says why deployments of a service cannot begin: its primary task set must have all traffic of the
// production listener (captured from ECS: deployments fail otherwise). Nil where they can.
func (s State) CheckRouting(service string) error {
	svc, ok := Find[ECSService](s, service)
	if !ok {
		return notFound("service", service)
	}
	l, ok := Find[ELBListener](s, svc.Routing.Production)
	if !ok {
		return notFound("listener", svc.Routing.Production)
	}
	ts, ok := s.TaskSets[svc.Primary]
	if !ok {
		return deploy.Errorf(deploy.CodeNotFound, "service %s has no primary task set", service)
	}
	if s.share(svc.Routing.Production, ts) != 100 {
		return deploy.Errorf(deploy.CodeConflict,
			"The ELB could not be updated due to the following error: Primary taskset target group must be behind listener %s", l.ResourceKey())
	}
	return nil
}

// ForwardsTo reports whether the listener or a rule of it forwards to a target group, with any weight.
func (l ELBListener) ForwardsTo(group string) bool {
	_, ok := l.weights([]string{group})
	return ok
}

// ListenerAddress is where a listener of a load balancer listens, IP:port; empty where there is none.
func (s State) ListenerAddress(key string) string {
	l, ok := Find[ELBListener](s, key)
	if !ok {
		return ""
	}
	b, _ := Find[LoadBalancer](s, l.LoadBalancer)
	return l.Address(b)
}
