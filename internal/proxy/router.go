package proxy

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// choice is one group that a route may choose.
type choice struct {
	group  *group
	weight int
	row    *row
	meter  *meter
}

// route is what a listener does with requests. It is immutable; a swap replaces it.
type route struct {
	limits     Limits
	nameTarget bool
	rules      []rule // as they are tried
	otherwise  action // what happens to a request that no rule applies to
	row        *row   // counts requests that reach no group
	meter      *meter // the same for metrics
}

// action is an Action made ready for use.
type action struct {
	fixed    *Fixed
	redirect *Redirect // with defaults
	choices  []choice  // only those with weight
	total    int
}

// needsNoTarget tells whether the data plane answers by itself.
func (a *action) needsNoTarget() bool { return a.fixed != nil || a.redirect != nil }

// pick chooses a group at random by weight: each request for itself, so there is no bias to follow.
func (a *action) pick() *choice {
	switch {
	case a.total == 0:
		return nil
	case len(a.choices) == 1:
		return &a.choices[0]
	}
	n := rand.IntN(a.total) //nolint:gosec // a share of traffic needs no secret
	for i := range a.choices {
		if n -= a.choices[i].weight; n < 0 {
			return &a.choices[i]
		}
	}
	return nil
}

// routing is where a listener's present route is. Writes are made under the router's write lock.
type routing struct{ current atomic.Pointer[route] }

// router makes claiming a target and swapping the table exclude one another.
type router struct {
	log *slog.Logger

	mu     sync.RWMutex
	table  Table
	groups map[string]*group // also those that left the table and are not idle yet
}

// claim chooses what serves x and counts it in flight, in the ledger too. false means that there is no target; x.route
// and x.action are set in any case. The rules are tried before the lock is taken, so that big requests hold up no swap, and
// once more if there was one meanwhile.
func (rt *router) claim(from *routing, x *exchange, now time.Time) bool {
	x.route = from.current.Load()
	x.action = x.route.match(x.req, x.from)
	rt.mu.RLock()
	defer rt.mu.RUnlock()
	if present := from.current.Load(); present != x.route {
		x.route, x.action = present, present.match(x.req, x.from)
	}
	x.row, x.meter = x.route.row, x.route.meter
	if x.action.needsNoTarget() {
		x.row.count(wordStarted)
		return true
	}
	c := x.action.pick()
	if c != nil {
		x.row, x.meter = c.row, c.meter
	}
	x.row.count(wordStarted)
	if c == nil || !c.group.admit(x, now) {
		return false
	}
	x.meter.requested()
	return true
}

// swap puts a table in force. routes belong to the table's listeners; detached listeners get the empty route.
func (rt *router) swap(t Table, routes map[*routing]*route) {
	routed := map[string]bool{}
	noteRouted(t, routed)
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.table = t
	inTable := make(map[string]bool, len(t.Groups))
	for _, spec := range t.Groups {
		inTable[spec.Name] = true
		rt.groups[spec.Name].update(spec, routed[spec.Name])
	}
	for name, g := range rt.groups {
		if !inTable[name] {
			g.leave()
		}
	}
	for at, r := range routes {
		at.current.Store(r)
	}
}

// holder is what gives a group weight: a listener, or a rule of one.
type holder struct{ listener, rule string }

func (h holder) String() string {
	if h.rule == "" {
		return fmt.Sprintf("listener %q", h.listener)
	}
	return fmt.Sprintf("rule %q of listener %q", h.rule, h.listener)
}

// noteRouted enters the groups that have weight.
func noteRouted(t Table, routed map[string]bool) {
	note := func(a *Action) {
		for _, w := range a.Forward {
			if w.Weight > 0 {
				routed[w.Group] = true
			}
		}
	}
	for i := range t.Listeners {
		l := &t.Listeners[i]
		note(&l.Action)
		for k := range l.Rules {
			note(&l.Rules[k].Action)
		}
	}
}

// routedBy tells who gives a group weight, or nil.
func routedBy(t Table, group string) *holder {
	gives := func(a Action) bool {
		return slices.ContainsFunc(a.Forward, func(w Weight) bool { return w.Group == group && w.Weight > 0 })
	}
	for _, l := range t.Listeners {
		if gives(l.Action) {
			return &holder{listener: l.Name}
		}
		for _, r := range l.Rules {
			if gives(r.Action) {
				return &holder{l.Name, r.Name}
			}
		}
	}
	return nil
}

// group returns the group of a name, making one that no table knows yet if need be.
func (rt *router) group(name string) *group {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	g := rt.groups[name]
	if g == nil {
		g = newGroup(name, rt.log)
		rt.groups[name] = g
	}
	return g
}

// find returns the group of a name, or nil.
func (rt *router) find(name string) *group {
	rt.mu.RLock()
	defer rt.mu.RUnlock()
	return rt.groups[name]
}

// snapshot returns the table and all groups.
func (rt *router) snapshot() (Table, []*group) {
	rt.mu.RLock()
	defer rt.mu.RUnlock()
	groups := make([]*group, 0, len(rt.groups))
	for _, g := range rt.groups {
		groups = append(groups, g)
	}
	return rt.table, groups
}

// sweep forgets groups that are gone and closes connections that nobody needs.
func (rt *router) sweep(now time.Time) {
	rt.mu.Lock()
	for name, g := range rt.groups {
		if g.idle() {
			g.shut()
			delete(rt.groups, name)
		}
	}
	rt.mu.Unlock()
	_, groups := rt.snapshot()
	for _, g := range groups {
		g.sweep(now)
	}
}

// drain begins to drain a group under the read lock, so that no swap gives it weight meanwhile. If the group has weight,
// it is not drained, and who gives it is told.
func (rt *router) drain(name string, limit time.Duration, now time.Time) (DrainStatus, *holder) {
	rt.mu.RLock()
	defer rt.mu.RUnlock()
	if by := routedBy(rt.table, name); by != nil {
		return DrainStatus{}, by
	}
	g := rt.groups[name]
	if g == nil {
		return DrainStatus{Group: name, Done: true}, nil
	}
	g.drain(limit, now)
	return g.drainStatus(now), nil
}
