package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"greengate/internal/deploy"
)

// worker is the one goroutine that takes events from one deployment's inbox.
type worker struct {
	e    *Engine
	id   string
	bell chan struct{} // capacity 1: rung when the inbox may have grown

	effects sync.WaitGroup
	// Of the loop alone: what is being carried out, and per lane the last one that was put into it.
	running map[int64]*running
	lanes   map[string]<-chan struct{}
	// known is what is stored, as of the last ring of the bell; nil: not known. Nobody but this loop
	// commits the deployment, and whoever appends to its inbox rings the bell.
	known *deploy.Loaded
}

// running is an effect that is being carried out.
type running struct {
	effect deploy.Effect
	cancel context.CancelCauseFunc
	done   chan struct{}
	mu     sync.Mutex
	seen   string // what it saw last, for the message of a deadline
}

func (r *running) saw(msg string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = msg
}

func (r *running) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// errCancelled is the cause with which a Cancel effect ends another one.
var errCancelled = errors.New("cancelled by a later effect")

func newWorker(e *Engine, id string) *worker {
	return &worker{
		e: e, id: id, bell: make(chan struct{}, 1), running: map[int64]*running{}, lanes: map[string]<-chan struct{}{},
	}
}

func (w *worker) wake() {
	select {
	case w.bell <- struct{}{}:
	default:
	}
}

// woken takes the bell's ring, if it was rung.
func (w *worker) woken() bool {
	select {
	case <-w.bell:
		return true
	default:
		return false
	}
}

// loop runs until the deployment is terminal or ctx ends; effects have ended when it returns.
func (w *worker) loop(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer w.effects.Wait()
	defer stop()
	pause := w.e.cfg.Pace.Backoff
	for {
		more, err := w.turn(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, deploy.ErrStale):
		case err != nil:
			w.e.log.ErrorContext(ctx, "step deployment", "deployment", w.id, "err", err)
			if !sleep(ctx, pause) {
				return
			}
			pause = min(2*pause, w.e.cfg.Pace.MaxPause)
		case !more:
			return
		default:
			pause = w.e.cfg.Pace.Backoff
		}
	}
}

// turn takes one event, or waits for one. It reports whether there can be more.
func (w *worker) turn(ctx context.Context) (bool, error) {
	if w.woken() {
		w.known = nil
	}
	fresh := w.known == nil
	if err := w.load(ctx); err != nil {
		if errors.Is(err, &deploy.Error{Code: deploy.CodeNotFound}) {
			return false, nil // its creation failed
		}
		return false, err
	}
	d := w.known.Deployment
	if d.Phase.Terminal() {
		if d.Rollback.DeploymentID != "" {
			w.e.start(d.Rollback.DeploymentID)
		}
		return false, nil
	}
	w.align(ctx, *w.known)
	ev, item, ok := w.next(*w.known, time.Now())
	if !ok {
		w.wait(ctx, d)
		return true, nil
	}
	if ev.Kind == deploy.EventTick && !fresh { // what is stored already comes before the deadline
		w.known = nil
		return true, nil
	}
	return true, w.step(ctx, d, ev, item)
}

func (w *worker) load(ctx context.Context) error {
	if w.known != nil {
		return nil
	}
	got, err := w.e.cfg.Store.Load(ctx, w.id)
	if err != nil {
		return err
	}
	w.known = &got
	return nil
}

// align makes what is being carried out agree with what is stored: after a restart, and after a
// commit that was stored though it returned an error. An effect whose outcome waits in the inbox is
// not carried out again.
func (w *worker) align(ctx context.Context, got deploy.Loaded) {
	told := map[int64]bool{}
	for _, item := range got.Inbox {
		if item.Event.Kind == deploy.EventOutcome {
			told[item.Event.Seq] = true
		}
	}
	open := map[int64]bool{}
	for _, eff := range got.Deployment.Open {
		open[eff.Seq] = true
		if w.running[eff.Seq] == nil && !told[eff.Seq] {
			w.launch(ctx, eff)
		}
	}
	for seq, r := range w.running {
		if !open[seq] {
			r.cancel(errCancelled)
			delete(w.running, seq)
		}
	}
}

// next is the oldest event of the inbox; a Tick comes only when the inbox is empty, so that what
// was there before a deadline counts.
func (w *worker) next(got deploy.Loaded, now time.Time) (deploy.Event, int64, bool) {
	if len(got.Inbox) > 0 {
		return got.Inbox[0].Event, got.Inbox[0].ID, true
	}
	if due, ok := got.Deployment.Due(); ok && !now.Before(due) {
		return deploy.Event{Kind: deploy.EventTick, At: now, Message: w.lastSeen()}, 0, true
	}
	return deploy.Event{}, 0, false
}

// lastSeen is what the effects in progress saw last, so that a deadline can say what was missing.
func (w *worker) lastSeen() string {
	for _, r := range w.running {
		if msg := r.last(); msg != "" && r.effect.Kind == deploy.EffectInstall {
			return msg
		}
	}
	return ""
}

func (w *worker) wait(ctx context.Context, d deploy.Deployment) {
	due, ok := d.Due()
	var timer <-chan time.Time
	if ok {
		t := time.NewTimer(time.Until(due))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-w.bell:
		w.known = nil
	case <-timer:
	}
}

// step persists what follows from one event, then acts.
func (w *worker) step(ctx context.Context, d deploy.Deployment, ev deploy.Event, item int64) error {
	out := deploy.Step(d, ev)
	commit := deploy.Commit{Deployment: out.Deployment, Consumed: item, Records: out.Records, Spawn: out.Spawn}
	if out.Spawn != nil {
		commit.SpawnFirst = deploy.Event{Kind: deploy.EventStart, At: ev.At}
	}
	known := w.known
	w.known = nil // an error leaves it open what is stored
	if err := w.e.cfg.Store.Commit(ctx, commit); err != nil {
		return err
	}
	known.Deployment = out.Deployment
	if item != 0 {
		known.Inbox = known.Inbox[1:]
	}
	w.known = known
	for _, r := range out.Records {
		w.e.log.InfoContext(ctx, "deployment", "deployment", w.id, "phase", string(r.Phase), "kind", r.Kind,
			"reason", string(r.Reason), "message", r.Message)
	}
	for _, eff := range out.Effects {
		w.launch(ctx, eff)
	}
	return nil
}

// lane names what an effect acts on. Effects of one lane are carried out one at a time and in order:
// one that was cancelled has let go before the next begins (rule 5 of package deploy). The empty
// lane is no lane.
func lane(eff deploy.Effect) string {
	switch eff.Kind {
	case deploy.EffectRoute:
		return "route"
	case deploy.EffectInstall, deploy.EffectRetire:
		return "set " + eff.TaskSet.ID
	case deploy.EffectHook:
		return "hook"
	case deploy.EffectCancel:
		if eff.Hook != nil { // the next hook begins when this one is gone
			return "hook"
		}
	case deploy.EffectInspect, deploy.EffectWatch:
	}
	return ""
}

// launch carries out an effect beside the loop. A cancellation takes hold at once, in order.
func (w *worker) launch(ctx context.Context, eff deploy.Effect) {
	ectx, cancel := context.WithCancelCause(ctx)
	r := &running{effect: eff, cancel: cancel, done: make(chan struct{})}
	name := lane(eff)
	var before []<-chan struct{}
	if target := w.running[eff.Cancels]; eff.Kind == deploy.EffectCancel && target != nil {
		target.cancel(errCancelled)
		delete(w.running, eff.Cancels)
		before = append(before, target.done)
	}
	if last := w.lanes[name]; name != "" && last != nil {
		before = append(before, last)
	}
	if name != "" {
		w.lanes[name] = r.done
	}
	w.running[eff.Seq] = r
	w.effects.Go(func() {
		defer cancel(nil)
		defer close(r.done)
		for _, done := range before { // also when this one is cancelled: who comes after waits for both
			<-done
		}
		if ectx.Err() != nil {
			return
		}
		outcome, ended := w.execute(ectx, r)
		if ended && ectx.Err() == nil {
			w.report(ectx, eff, outcome)
		}
	})
}

// report appends an effect's outcome to the inbox; it gives up only when the process ends.
func (w *worker) report(ctx context.Context, eff deploy.Effect, outcome deploy.Outcome) {
	ev := deploy.Event{Kind: deploy.EventOutcome, At: time.Now(), Seq: eff.Seq, Outcome: &outcome}
	w.append(ctx, "outcome/"+eff.ID(), ev)
}

func (w *worker) append(ctx context.Context, key string, ev deploy.Event) {
	pause := w.e.cfg.Pace.Backoff
	for {
		_, err := w.e.cfg.Store.Append(ctx, w.id, key, ev)
		var fault *deploy.Error
		if err == nil || errors.As(err, &fault) { // a terminal deployment takes no events, and needs none
			w.wake()
			return
		}
		if ctx.Err() != nil {
			return
		}
		w.e.log.ErrorContext(ctx, "append to inbox", "deployment", w.id, "kind", string(ev.Kind), "err", err)
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, w.e.cfg.Pace.MaxPause)
	}
}
