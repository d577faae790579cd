package enginetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	Grace  time.Duration        // how long it goes on after it was told to end
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
	gone    time.Time // when a cancelled one is gone
	told    bool      // its end is in the journal
}

// Hook says what a hook does: one behaviour an attempt, the last one for all that follow. The name is
// the hook's, or "list/name" for what it does in one list alone. A hook that nobody described passes
// at once.
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
		if time.Now().Before(r.ends()) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// ends is when the hook's program is gone: by itself, by its time limit, or because it was cancelled.
func (r *run) ends() time.Time {
	if r.stopped {
		return r.gone
	}
	if !r.byItself() {
		return r.call.Until.Add(r.what.Grace)
	}
	return r.started.Add(r.what.After)
}

// byItself reports whether the program ends before its time limit.
func (r *run) byItself() bool {
	return r.what.How != Silent && !r.started.Add(r.what.After).After(r.call.Until)
}

// startHook answers Hooks.Start.
func (w *World) startHook(id string, call deploy.HookCall) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hooks[id] != nil {
		return nil
	}
	what := Behaviour{}
	for _, name := range []string{string(call.List) + "/" + call.Hook.Name, call.Hook.Name} {
		if s := w.scripts[name]; len(s) > 0 {
			what = s[min(call.Attempt, len(s))-1]
			break
		}
	}
	if what.How == Refused {
		return fmt.Errorf("%w: start hook %s: no such program", deploy.ErrPermanent, call.Hook.Name)
	}
	for _, other := range w.hooksOf[deployment(id)] {
		if r := w.hooks[other]; time.Now().Before(r.ends()) {
			w.violateLocked("hook %s (%s) was started while %s (%s) still runs", id, call.Hook.Name, other, r.call.Hook.Name)
		}
	}
	r := &run{call: call, what: what, started: time.Now(), over: make(chan struct{})}
	w.hooks[id] = r
	w.hooksOf[deployment(id)] = append(w.hooksOf[deployment(id)], id)
	w.noteLocked(Entry{Kind: EntryHookStart, ID: id, Call: call})
	if what.How == Reports && w.cfg.Report != nil {
		w.calls.Go(func() { w.callBack(id, r) })
	}
	return nil
}

func deployment(effect string) string {
	id, _, _ := strings.Cut(effect, "/")
	return id
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
	if r == nil {
		w.mu.Unlock()
		return unknown("nobody knows the hook"), nil
	}
	end, stopped := r.ends(), r.stopped
	w.mu.Unlock()
	if stopped {
		return unknown("the hook was cancelled"), nil
	}
	if r.what.How == Lost {
		return unknown("it is not known whether the hook started"), nil
	}
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
	if waits || !r.byItself() {
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

// cancelHook answers Hooks.Cancel: it returns when the program is gone.
func (w *World) cancelHook(ctx context.Context, id string) error {
	w.mu.Lock()
	r := w.hooks[id]
	if r == nil {
		w.mu.Unlock()
		return nil
	}
	now, natural := time.Now(), r.ends()
	if !r.stopped && now.Before(natural) {
		r.stopped, r.gone = true, now.Add(r.what.Grace)
		if natural.Before(r.gone) {
			r.gone = natural
		}
		w.noteLocked(Entry{Kind: EntryHookCancel, ID: id, Call: r.call})
		close(r.over)
	}
	wait := time.Duration(0)
	if r.stopped {
		wait = time.Until(r.gone)
	}
	w.mu.Unlock()
	if !sleep(ctx, wait) {
		return context.Cause(ctx)
	}
	return nil
}
