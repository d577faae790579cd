package enginetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"greengate/internal/deploy"
)

// How says how a hook ends.
type How int

// The ways in which a hook ends.
const (
	Passes  How = iota // exit code 0
	Fails              // another exit code
	Errs               // could not tell
	Silent             // never ends by itself
	Reports            // a function that calls back with Status, and goes on until it is left alone
	Returns            // a function that returns without a callback
	Lost               // started, or not: nobody knows
	Refused            // cannot be started, for good
)

// Behaviour is what one attempt of a hook does.
type Behaviour struct {
	How    How
	After  time.Duration        // how long it runs
	Status deploy.VerdictStatus // what Reports says
	Checks []deploy.Check
}

// run is a hook that was started.
type run struct {
	call    deploy.HookCall
	what    Behaviour
	started time.Time
	over    chan struct{} // closed when it was cancelled
	stopped bool
	told    bool // its end is in the journal
}

// Hook says what a hook does: one behaviour an attempt, the last one for all that follow. A hook that
// nobody described passes at once.
func (w *World) Hook(name string, attempts ...Behaviour) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scripts[name] = slices.Clone(attempts)
}

// Hooking lists the effects whose hooks still run, sorted.
func (w *World) Hooking() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []string
	for id, r := range w.hooks {
		if !r.stopped && time.Now().Before(r.ends()) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// ends is when the hook's program ends by itself or by its time limit.
func (r *run) ends() time.Time {
	end := r.started.Add(r.what.After)
	if r.what.How == Silent || end.After(r.call.Until) {
		return r.call.Until
	}
	return end
}

// startHook answers Hooks.Start.
func (w *World) startHook(id string, call deploy.HookCall) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hooks[id] != nil {
		return nil
	}
	what := Behaviour{}
	if s := w.scripts[call.Hook.Name]; len(s) > 0 {
		what = s[min(call.Attempt, len(s))-1]
	}
	if what.How == Refused {
		return fmt.Errorf("%w: start hook %s: no such program", deploy.ErrPermanent, call.Hook.Name)
	}
	r := &run{call: call, what: what, started: time.Now(), over: make(chan struct{})}
	w.hooks[id] = r
	w.noteLocked(Entry{Kind: EntryHookStart, ID: id, Call: call})
	if what.How == Reports && w.cfg.Report != nil {
		w.calls.Go(func() { w.callBack(id, r) })
	}
	return nil
}

// callBack reports as a function does that tries again while nobody answers.
func (w *World) callBack(id string, r *run) {
	for pause := r.what.After; ; pause = 100 * time.Millisecond {
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-r.over:
			t.Stop()
			return
		case <-w.ctx.Done():
			t.Stop()
			return
		}
		w.tell(id, r, r.what.Status)
		if w.cfg.Report(w.ctx, id, r.what.Status) == nil {
			return
		}
	}
}

// tell writes the end of a hook into the journal, once.
func (w *World) tell(id string, r *run, status deploy.VerdictStatus) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.told {
		return
	}
	r.told = true
	w.noteLocked(Entry{Kind: EntryHookEnd, ID: id, Call: r.call, Status: status})
}

// awaitHook answers Hooks.Await.
func (w *World) awaitHook(ctx context.Context, id string) (deploy.Verdict, error) {
	w.mu.Lock()
	r := w.hooks[id]
	w.mu.Unlock()
	if r == nil {
		return unknown("nobody knows the hook"), nil
	}
	if r.what.How == Lost {
		return unknown("it is not known whether the hook started"), nil
	}
	end := r.ends()
	waits := r.call.Hook.Kind == deploy.HookFunction && (r.what.How == Reports || r.what.How == Returns)
	if waits {
		end = r.call.Until
	}
	t := time.NewTimer(time.Until(end))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return deploy.Verdict{}, context.Cause(ctx)
	case <-r.over:
		return unknown("the hook was cancelled"), nil
	case <-t.C:
	}
	if r.what.How == Silent || waits || r.started.Add(r.what.After).After(r.call.Until) {
		v := unknown("the hook did not end in time")
		v.Reason = deploy.ReasonHookTimeout
		return v, nil
	}
	v := deploy.Verdict{Start: r.started.UTC(), End: end.UTC(), Checks: slices.Clone(r.what.Checks)}
	switch r.what.How {
	case Passes, Reports, Returns, Silent, Lost, Refused:
		v.Status, v.Message = deploy.VerdictPass, "exit code 0"
	case Fails:
		v.Status, v.Reason, v.Message = deploy.VerdictFail, deploy.ReasonHookFailed, "exit code 1"
	case Errs:
		v.Status, v.Reason, v.Message = deploy.VerdictError, deploy.ReasonInconclusive, "could not tell"
	}
	w.tell(id, r, v.Status)
	return v, nil
}

func unknown(msg string) deploy.Verdict {
	return deploy.Verdict{Status: deploy.VerdictError, Reason: deploy.ReasonInconclusive, Message: msg}
}

// cancelHook answers Hooks.Cancel.
func (w *World) cancelHook(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.hooks[id]
	if r == nil || r.stopped {
		return
	}
	r.stopped = true
	close(r.over)
	if time.Now().Before(r.ends()) {
		w.noteLocked(Entry{Kind: EntryHookCancel, ID: id, Call: r.call})
	}
}
