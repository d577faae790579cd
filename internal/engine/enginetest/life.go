package enginetest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/engine"
)

// Point is a place where a call can go wrong.
type Point struct {
	N     int    // from 1, in the order in which they are passed
	Call  string // "Store.Commit", "Router.Shift", …
	After bool   // the call has done its work, nobody knows yet
}

// Action is what happens at a point.
type Action int

// The actions.
const (
	Pass  Action = iota
	Fault        // the call returns ErrFault; before: without, after: with its effect
	Crash        // the process dies here
)

// CrashAt dies at the n-th point.
func CrashAt(n int) func(Point) Action {
	return func(p Point) Action {
		if p.N == n {
			return Crash
		}
		return Pass
	}
}

// FaultAt fails the call at the n-th point.
func FaultAt(n int) func(Point) Action {
	return func(p Point) Action {
		if p.N == n {
			return Fault
		}
		return Pass
	}
}

// FaultCalls fails the first n calls of a name, before they do anything. The points of a World come
// one at a time, so the function needs no lock.
func FaultCalls(name string, n int) func(Point) Action {
	return func(p Point) Action {
		if p.Call == name && !p.After && n > 0 {
			n--
			return Fault
		}
		return Pass
	}
}

var (
	// ErrFault is a passing fault.
	ErrFault = errors.New("passing fault of the test")
	// ErrDead answers the calls of a process that has died.
	ErrDead = errors.New("this process has died")
)

// Points counts the points that were passed so far.
func (w *World) Points() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.points
}

// Life is one process: from Boot to its death or its end.
type Life struct {
	w   *World
	ctx context.Context //nolint:containedctx // what the process's engine runs under
	die context.CancelCauseFunc

	gate sync.RWMutex // a change holds it for reading, death for writing
	dead bool
}

// Boot starts a process that lives until parent ends, at the longest.
func (w *World) Boot(parent context.Context) *Life {
	l := &Life{w: w}
	l.ctx, l.die = context.WithCancelCause(parent)
	return l
}

// Context is what the process's engine must run under.
func (l *Life) Context() context.Context { return l.ctx }

// Crashed reports whether the process has died at a point.
func (l *Life) Crashed() bool {
	l.gate.RLock()
	defer l.gate.RUnlock()
	return l.dead
}

// Shutdown ends the process in an orderly way: its context ends, its calls still work.
func (l *Life) Shutdown() { l.die(context.Canceled) }

// Config makes the configuration of the process's engine.
func (l *Life) Config(log *slog.Logger, pace engine.Pace) engine.Config {
	return engine.Config{
		Store: l.Store(), Runtime: l.Runtime(), Router: l.Router(), Hooks: l.Hooks(), Alarms: l.Alarms(), Logger: log, Pace: pace,
	}
}

// Store is the process's way to the store.
func (l *Life) Store() engine.Store { return lifeStore{l} }

// Runtime is the process's way to the task sets.
func (l *Life) Runtime() engine.Runtime { return lifeRuntime{l} }

// Router is the process's way to the data plane.
func (l *Life) Router() engine.Router { return lifeRouter{l} }

// Hooks is the process's way to the hooks.
func (l *Life) Hooks() engine.Hooks { return lifeHooks{l} }

// Alarms is the process's way to the alarms.
func (l *Life) Alarms() engine.Alarms { return lifeAlarms{l} }

func (l *Life) kill(p Point) {
	l.gate.Lock()
	defer l.gate.Unlock()
	if l.dead {
		return
	}
	l.dead = true
	l.w.mu.Lock()
	l.w.noteLocked(Entry{Kind: EntryCrash, ID: p.Call, Text: map[bool]string{false: "before", true: "after"}[p.After]})
	l.w.mu.Unlock()
	l.die(ErrDead)
}

// at passes a point.
func (l *Life) at(call string, after bool) error {
	if l.Crashed() {
		return ErrDead
	}
	w := l.w
	w.mu.Lock()
	w.points++
	p, act := Point{N: w.points, Call: call, After: after}, Pass
	if w.cfg.OnPoint != nil {
		act = w.cfg.OnPoint(p)
	}
	w.mu.Unlock()
	switch act {
	case Pass:
		return nil
	case Fault:
		return ErrFault
	case Crash:
		l.kill(p)
	}
	return ErrDead
}

// guarded runs do unless the process has died, which it cannot while do runs.
func (l *Life) guarded(ctx context.Context, do func() error) error {
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.dead {
		return ErrDead
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return do()
}

// change passes a point, makes a change, and passes another one.
func (l *Life) change(ctx context.Context, call string, do func() error) error {
	if err := l.read(ctx, call, do); err != nil {
		return err
	}
	return l.at(call, true)
}

// write changes the store.
func (l *Life) write(ctx context.Context, call string, do func() error) error {
	return l.change(ctx, call, func() error {
		err := do()
		l.w.mu.Lock()
		defer l.w.mu.Unlock()
		l.w.writes++
		return err
	})
}

// read passes a point and looks at something.
func (l *Life) read(ctx context.Context, call string, do func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := l.at(call, false); err != nil {
		return err
	}
	return l.guarded(ctx, do)
}

type lifeStore struct{ l *Life }

func (s lifeStore) Create(ctx context.Context, d deploy.Deployment, first deploy.Event) error {
	return s.l.write(ctx, "Store.Create", func() error { return s.l.w.store.Create(ctx, d, first) })
}

func (s lifeStore) Load(ctx context.Context, id string) (got deploy.Loaded, err error) {
	err = s.l.read(ctx, "Store.Load", func() error {
		got, err = s.l.w.store.Load(ctx, id)
		return err
	})
	return got, err
}

func (s lifeStore) Commit(ctx context.Context, c deploy.Commit) error {
	return s.l.write(ctx, "Store.Commit", func() error { return s.l.w.store.Commit(ctx, c) })
}

func (s lifeStore) Append(ctx context.Context, id, key string, ev deploy.Event) (added bool, err error) {
	err = s.l.write(ctx, "Store.Append", func() error {
		added, err = s.l.w.store.Append(ctx, id, key, ev)
		return err
	})
	return added && err == nil, err
}

func (s lifeStore) Active(ctx context.Context) (ids []string, err error) {
	err = s.l.read(ctx, "Store.Active", func() error {
		ids, err = s.l.w.store.Active(ctx)
		return err
	})
	return ids, err
}

type lifeRuntime struct{ l *Life }

func (r lifeRuntime) Ensure(ctx context.Context, ts deploy.TaskSet) error {
	return r.l.change(ctx, "Runtime.Ensure", func() error { return r.l.w.ensure(ts) })
}

func (r lifeRuntime) Observe(ctx context.Context, id string) (st deploy.TaskSetStatus, err error) {
	err = r.l.read(ctx, "Runtime.Observe", func() error {
		st = r.l.w.observe(id)
		return nil
	})
	return st, err
}

func (r lifeRuntime) Stop(ctx context.Context, id string) error {
	return r.l.change(ctx, "Runtime.Stop", func() error {
		r.l.w.stop(id)
		return nil
	})
}

func (r lifeRuntime) Release(ctx context.Context, id string, by time.Time) error {
	return r.l.change(ctx, "Runtime.Release", func() error {
		r.l.w.release(id, by)
		return nil
	})
}

type lifeRouter struct{ l *Life }

func (r lifeRouter) Shift(ctx context.Context, route deploy.Route) error {
	err := r.l.read(ctx, "Router.Shift", func() error { return r.l.w.shift(route) })
	if err != nil {
		return err
	}
	if confirm := r.l.w.cfg.Confirm; confirm > 0 && !sleep(ctx, confirm) {
		return context.Cause(ctx)
	}
	return r.l.at("Router.Shift", true)
}

func (r lifeRouter) Drain(ctx context.Context, taskSet string, limit time.Duration) (left deploy.InFlight, err error) {
	err = r.l.change(ctx, "Router.Drain", func() error {
		left, err = r.l.w.drain(taskSet, limit)
		return err
	})
	return left, err
}

func (r lifeRouter) Ledger(ctx context.Context, name, taskSet string) (c deploy.Count, err error) {
	err = r.l.read(ctx, "Router.Ledger", func() error {
		c = r.l.w.Count(name, taskSet)
		return nil
	})
	return c, err
}

type lifeHooks struct{ l *Life }

func (h lifeHooks) Start(ctx context.Context, id string, call deploy.HookCall) error {
	return h.l.change(ctx, "Hooks.Start", func() error { return h.l.w.startHook(id, call) })
}

func (h lifeHooks) Await(ctx context.Context, id string, _ deploy.HookCall) (v deploy.Verdict, err error) {
	if err := h.l.read(ctx, "Hooks.Await", func() error { return nil }); err != nil {
		return v, err
	}
	if v, err = h.l.w.awaitHook(ctx, id); err != nil {
		return deploy.Verdict{}, err
	}
	if err := h.l.at("Hooks.Await", true); err != nil {
		return deploy.Verdict{}, err
	}
	return v, nil
}

func (h lifeHooks) Cancel(ctx context.Context, id string, _ deploy.HookCall) error {
	// The first look takes the cancellation; its program may go on for a while.
	if err := h.l.read(ctx, "Hooks.Cancel", func() error { return nil }); err != nil {
		return err
	}
	if err := h.l.w.cancelHook(ctx, id); err != nil {
		return err
	}
	return h.l.at("Hooks.Cancel", true)
}

type lifeAlarms struct{ l *Life }

func (a lifeAlarms) Observe(ctx context.Context, names []string) (in []string, err error) {
	err = a.l.read(ctx, "Alarms.Observe", func() error {
		var err error
		in, err = a.l.w.observeAlarms(names)
		return err
	})
	return in, err
}

// Changed implements engine.AlarmSignal.
func (a lifeAlarms) Changed() <-chan struct{} { return a.l.w.alarmsChanged() }

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
