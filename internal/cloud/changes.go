package cloud

import (
	"context"
	"slices"
	"time"

	"greengate/internal/deploy"
)

// Apply creates a service or changes how it is wanted, with its listeners. Running task sets and
// weights stay as they are: only a deployment moves them. It answers whether the service is new.
func (c *Cloud) Apply(ctx context.Context, spec deploy.Service, now time.Time) (bool, error) {
	err := c.begin(ctx)
	defer c.mu.Unlock()
	if err != nil {
		return false, err
	}
	s, known := c.state.Services[spec.Name]
	if !known {
		s.Created = now
	}
	s.Spec = spec
	ch := &change{}
	ch.service(s)
	for role, address := range map[Role]string{RoleProduction: spec.Production, RoleTest: spec.Test} {
		l := Listener{Service: spec.Name, Role: role}
		old, has := c.state.Listeners[l.Name()]
		switch {
		case address == "" && has:
			ch.remove(kindListener, l.Name())
		case address == "":
		default:
			if has {
				l = old
			}
			l.Address = address
			ch.listener(l)
		}
	}
	return !known, c.commitLocked(ctx, ch)
}

// Started notes the deployment that was started last for a service.
func (c *Cloud) Started(ctx context.Context, service, deployment string) error {
	err := c.begin(ctx)
	defer c.mu.Unlock()
	if err != nil {
		return err
	}
	s, ok := c.state.Services[service]
	if !ok {
		return notFound("service", service)
	}
	s.Deployment = deployment
	ch := &change{}
	ch.service(s)
	return c.commitLocked(ctx, ch)
}

// Delete removes a service with its listeners; its task sets must be gone or released.
func (c *Cloud) Delete(ctx context.Context, service string) error {
	err := c.begin(ctx)
	defer c.mu.Unlock()
	if err != nil {
		return err
	}
	if _, ok := c.state.Services[service]; !ok {
		return notFound("service", service)
	}
	ch := &change{}
	ch.remove(kindService, service)
	for _, role := range []Role{RoleProduction, RoleTest} {
		if name := (Listener{Service: service, Role: role}).Name(); has(c.state.Listeners, name) {
			ch.remove(kindListener, name)
		}
	}
	return c.commitLocked(ctx, ch)
}

func has[V any](m map[string]V, name string) bool {
	_, ok := m[name]
	return ok
}

func notFound(what, name string) error {
	return deploy.Errorf(deploy.CodeNotFound, "%s '%s' does not exist", what, name)
}

// Route gives the service's listeners absolute targets and answers the revision in which they have
// them. Weights that somebody else set since the last route are a deploy.ErrConflict, unless forced. A
// task set that does not exist gets no traffic: that would be answered with 503.
func (c *Cloud) Route(ctx context.Context, r deploy.Route) (int64, error) {
	err := c.begin(ctx)
	defer c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if svc, ok := Find[ECSService](c.state, r.Service); ok {
		return c.routeLocked(ctx, svc, r)
	}
	production, ok := c.state.Listeners[Listener{Service: r.Service, Role: RoleProduction}.Name()]
	if !ok {
		return 0, notFound("service", r.Service)
	}
	if id, missing := c.missingLocked(r); missing {
		return 0, notFound("task set", id)
	}
	if !r.Force && !slices.Equal(production.Weights, production.Shifted) {
		return 0, deploy.ErrConflict
	}
	ch := &change{}
	if !slices.Equal(production.Weights, r.Production) || !slices.Equal(production.Shifted, r.Production) || production.Ledger != r.Ledger {
		production.Weights, production.Shifted, production.Ledger = slices.Clone(r.Production), slices.Clone(r.Production), r.Ledger
		ch.listener(production)
	}
	var test []deploy.RouteWeight
	if r.Test != "" {
		test = []deploy.RouteWeight{{TaskSet: r.Test, Weight: 100}}
	}
	if l, ok := c.state.Listeners[Listener{Service: r.Service, Role: RoleTest}.Name()]; ok && !slices.Equal(l.Weights, test) {
		l.Weights, l.Shifted = test, test
		ch.listener(l)
	}
	if len(ch.writes) == 0 {
		return c.state.Revision, nil
	}
	if err := c.commitLocked(ctx, ch); err != nil {
		return 0, err
	}
	return c.state.Revision, nil
}

// missingLocked names a task set that is to get traffic and does not exist.
func (c *Cloud) missingLocked(r deploy.Route) (string, bool) {
	for _, w := range r.Production {
		if w.Weight > 0 && !has(c.state.TaskSets, w.TaskSet) {
			return w.TaskSet, true
		}
	}
	return r.Test, r.Test != "" && !has(c.state.TaskSets, r.Test)
}

// Edit gives a listener weights as somebody other than a deployment wants them. A deployment in
// progress sees them as a conflict.
func (c *Cloud) Edit(ctx context.Context, listener string, weights []deploy.RouteWeight) error {
	err := c.begin(ctx)
	defer c.mu.Unlock()
	if err != nil {
		return err
	}
	l, ok := c.state.Listeners[listener]
	if !ok {
		return notFound("listener", listener)
	}
	if slices.Equal(l.Weights, weights) {
		return nil
	}
	l.Weights = slices.Clone(weights)
	ch := &change{}
	ch.listener(l)
	return c.commitLocked(ctx, ch)
}

// Ensure makes a task set wanted with its desired count. A set that is released stays released.
func (c *Cloud) Ensure(ctx context.Context, ts deploy.TaskSet, now time.Time) error {
	err := c.begin(ctx)
	defer c.mu.Unlock()
	if err != nil {
		return err
	}
	t, ok := c.state.TaskSets[ts.ID]
	if ok && t.Tasks == ts.Tasks && slices.Equal(t.Without, ts.Without) {
		return nil
	}
	if !ok {
		t.Created = now
	}
	t.TaskSet = ts
	ch := &change{}
	ch.taskSet(t)
	return c.commitLocked(ctx, ch)
}

// SetTargets notes the addresses of a task set's tasks. An unknown set is no error: it has ended.
func (c *Cloud) SetTargets(ctx context.Context, id string, targets []Target) error {
	err := c.begin(ctx)
	defer c.mu.Unlock()
	if err != nil {
		return err
	}
	t, ok := c.state.TaskSets[id]
	if !ok || slices.Equal(t.Targets, targets) {
		return nil
	}
	t.Targets = slices.Clone(targets)
	ch := &change{}
	ch.taskSet(t)
	return c.commitLocked(ctx, ch)
}

// Release says that a task set is to end once it serves nothing any more, at the latest at by. It
// is idempotent; an earlier time wins.
func (c *Cloud) Release(ctx context.Context, id string, by time.Time) error {
	err := c.begin(ctx)
	defer c.mu.Unlock()
	if err != nil {
		return err
	}
	t, ok := c.state.TaskSets[id]
	if !ok || (t.Released() && !by.Before(t.ReleaseBy)) {
		return nil
	}
	t.ReleaseBy = by
	ch := &change{}
	ch.taskSet(t)
	return c.commitLocked(ctx, ch)
}

// Ended removes a task set that has no task left. It is idempotent. A set that still has weight is
// taken out of its listeners, which then have fewer targets.
func (c *Cloud) Ended(ctx context.Context, id string) error {
	err := c.begin(ctx)
	defer c.mu.Unlock()
	if err != nil {
		return err
	}
	if !has(c.state.TaskSets, id) {
		return nil
	}
	ch := &change{}
	for _, l := range c.state.Listeners {
		w, s := without(l.Weights, id), without(l.Shifted, id)
		if slices.Equal(w, l.Weights) && slices.Equal(s, l.Shifted) {
			continue
		}
		l.Weights, l.Shifted = w, s
		ch.listener(l)
	}
	ch.remove(kindTaskSet, id)
	return c.commitLocked(ctx, ch)
}

func without(weights []deploy.RouteWeight, id string) []deploy.RouteWeight {
	var rest []deploy.RouteWeight
	for _, w := range weights {
		if w.TaskSet != id {
			rest = append(rest, w)
		}
	}
	return rest
}

// Advance makes the revision at least n, for a data plane that has seen a later one.
func (c *Cloud) Advance(ctx context.Context, n int64) error {
	err := c.begin(ctx)
	defer c.mu.Unlock()
	if err != nil {
		return err
	}
	if c.state.Revision > n {
		return nil
	}
	c.state.Revision = n
	return c.commitLocked(ctx, &change{traffic: true})
}
