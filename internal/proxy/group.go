package proxy

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	suspectFirst = 500 * time.Millisecond
	suspectMost  = 8 * time.Second
)

// target is one address of a group at run time. What is not said otherwise is guarded by the group's lock.
type target struct {
	key         targetKey
	id, address string
	down, gone  bool
	inFlight    int
	backoff     time.Duration // grows with each connect that fails in a row
	suspect     time.Time     // avoided until then

	ill atomic.Bool // backoff is not zero; readable without the lock

	pool pool            // has a lock of its own
	h2   *http.Transport // h2c groups; safe for concurrent use
}

// close ends idle connections; busy ones are closed when they come back.
func (t *target) close() {
	t.pool.close()
	if t.h2 != nil {
		t.h2.CloseIdleConnections()
	}
}

// group is a target group at run time. It lives from the first table that has it until it has left the table and
// its last request has ended.
type group struct {
	name string
	log  *slog.Logger
	// shadow copies the requests of the group; nil: nobody does.
	shadow atomic.Pointer[shadow]

	mu      sync.Mutex
	spec    Group
	inTable bool
	targets []*target
	leaving []*target // left the table with requests in flight
	turn    int
	first   *exchange // list of what is in flight

	draining bool
	deadline time.Time
	timer    *time.Timer
}

func newGroup(name string, log *slog.Logger) *group { return &group{name: name, log: log} }

// update brings the group to a new spec. Targets that stay (same id, address and protocol) keep their connections and counts.
func (g *group) update(spec Group, routed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.targets
	g.spec, g.inTable, g.targets = spec.withDefaults(), true, make([]*target, 0, len(spec.Targets))
	for _, ts := range spec.Targets {
		key := g.key(ts)
		t := take(old, key)
		if t == nil {
			t = take(g.leaving, key)
		}
		if t == nil {
			t = newTarget(key)
		}
		t.down, t.gone = ts.Down, false
		t.pool.reopen()
		g.targets = append(g.targets, t)
	}
	g.dropTargets(old)
	if routed && g.draining {
		g.log.Info("drain ended because the group has weight again", "group", g.name)
		g.stopDrain()
	}
}

// targetKey is what makes a target another one.
type targetKey struct {
	id, address string
	h2          bool
	connect     time.Duration // of h2c targets: it is fixed in their transport
}

func (g *group) key(t Target) targetKey {
	k := targetKey{id: t.ID, address: t.Address}
	if g.spec.Protocol == ProtocolH2C {
		k.h2, k.connect = true, g.spec.ConnectTimeout
	}
	return k
}

func newTarget(k targetKey) *target {
	t := &target{key: k, id: k.id, address: k.address}
	if k.h2 {
		t.h2 = newH2Transport(k.connect)
	}
	return t
}

func take(from []*target, key targetKey) *target {
	for _, t := range from {
		if t.key == key {
			return t
		}
	}
	return nil
}

// dropTargets closes the connections of those of old that are not in the group any more.
func (g *group) dropTargets(old []*target) {
	leaving := g.leaving
	g.leaving = nil
	for _, t := range append(leaving, old...) {
		if take(g.targets, t.key) == t {
			continue
		}
		t.gone = true
		t.close()
		if t.inFlight > 0 {
			g.leaving = append(g.leaving, t)
		}
	}
}

// leave takes the group out of the table. What is in flight goes on.
func (g *group) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.targets
	g.inTable, g.targets = false, nil
	g.dropTargets(old)
}

// idle tells whether the group has left the table and nothing is left of it.
func (g *group) idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.inTable && g.first == nil
}

// admit gives x a target that it has not tried yet and counts it in flight there. It fails when there is none.
func (g *group) admit(x *exchange, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.choose(x, now)
	if t == nil {
		return false
	}
	if x.target != nil {
		x.target.inFlight--
	} else {
		x.next, x.prev = g.first, nil
		if g.first != nil {
			g.first.prev = x
		}
		g.first = x
	}
	t.inFlight++
	x.group, x.target = g, t
	x.connectTimeout, x.responseTimeout = g.spec.ConnectTimeout, g.spec.ResponseTimeout
	return true
}

// choose returns the target with the fewest requests in flight. Suspect ones are the last resort, the one
// whose time is over first before the others: to refuse because all are suspect would make one hiccup an outage.
func (g *group) choose(x *exchange, now time.Time) *target {
	var best, last *target
	n := len(g.targets)
	g.turn++
	for i := range n {
		t := g.targets[(g.turn+i)%n]
		switch {
		case t.down || x.hasTried(t) || (x.target != nil && x.target.key.h2 != t.key.h2): // a swap may change the protocol
		case t.suspect.After(now):
			if last == nil || t.suspect.Before(last.suspect) {
				last = t
			}
		case best == nil || t.inFlight < best.inFlight:
			best = t
		}
	}
	if best == nil {
		return last
	}
	return best
}

// release ends the flight of x.
func (g *group) release(x *exchange) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x.target.inFlight--
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		g.first = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	}
	x.prev, x.next, x.group, x.target = nil, nil, nil, nil
	if len(g.leaving) > 0 {
		g.dropTargets(nil)
	}
}

// connected and connectFailed are the passive health check.
func (g *group) connected(t *target) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.backoff, t.suspect = 0, time.Time{}
	t.ill.Store(false)
}

func (g *group) connectFailed(t *target, now time.Time, why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.suspect.After(now) {
		return
	}
	t.backoff = min(max(2*t.backoff, suspectFirst), suspectMost)
	t.suspect = now.Add(t.backoff)
	t.ill.Store(true)
	g.log.Warn("target cannot be connected to and is avoided for a while",
		"group", g.name, "target", t.id, "address", t.address, "for", t.backoff, "error", why)
}

// drain sets the deadline after which what is left is closed; a later deadline than the present one changes nothing.
func (g *group) drain(limit time.Duration, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	deadline := now.Add(limit)
	if g.draining && !deadline.Before(g.deadline) {
		return
	}
	g.stopDrain()
	g.draining, g.deadline = true, deadline
	g.timer = time.AfterFunc(limit, func() { g.expire(deadline) })
}

// stopDrain expects the lock.
func (g *group) stopDrain() {
	if g.timer != nil {
		g.timer.Stop()
	}
	g.draining, g.deadline, g.timer = false, time.Time{}, nil
}

func (g *group) expire(deadline time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining && g.deadline.Equal(deadline) { // else it was stopped or brought forward meanwhile
		g.cutLocked(kindDrained)
	}
}

// cut closes everything that is in flight.
func (g *group) cut(why errorKind) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cutLocked(why)
}

// cutLocked holds the lock, so no exchange can leave the list, and be used again, while it is being cut.
func (g *group) cutLocked(why errorKind) {
	var n int
	for x := g.first; x != nil; x = x.next {
		x.cut(why)
		n++
	}
	if n > 0 {
		g.log.Info("requests were closed", "group", g.name, "reason", faultOf(why).name, "count", n)
	}
}

func (g *group) drainStatus(now time.Time) DrainStatus {
	s := g.status(now)
	g.mu.Lock()
	defer g.mu.Unlock()
	return DrainStatus{
		Group: g.name, Known: true, Requests: s.Requests, Streams: s.Streams,
		Done: s.Requests+s.Streams == 0, Deadline: g.deadline,
	}
}

func (g *group) status(now time.Time) GroupStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := GroupStatus{Name: g.name, InTable: g.inTable, Draining: g.draining, Targets: []TargetStatus{}}
	for x := g.first; x != nil; x = x.next {
		if x.isStream(now) {
			s.Streams++
		} else {
			s.Requests++
		}
	}
	for _, t := range g.targets {
		s.Targets = append(s.Targets, t.status(now))
	}
	for _, t := range g.leaving {
		s.Targets = append(s.Targets, t.status(now))
	}
	return s
}

func (t *target) status(now time.Time) TargetStatus {
	state := TargetUp
	switch {
	case t.gone:
		state = TargetGone
	case t.down:
		state = TargetDown
	case t.suspect.After(now):
		state = TargetSuspect
	}
	return TargetStatus{ID: t.id, Address: t.address, State: state, InFlight: t.inFlight}
}

// shut ends all connections of the group for good.
func (g *group) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopDrain()
	for _, t := range append(g.targets, g.leaving...) {
		t.close()
	}
}

// sweep closes connections that have been idle for too long.
func (g *group) sweep(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.targets {
		t.pool.sweep(now)
	}
}
