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
	running map[int64]*running // of the loop alone
	routes  chan struct{}      // capacity 1: one Route at a time, in order
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
		e: e, id: id, bell: make(chan struct{}, 1), running: map[int64]*running{}, routes: make(chan struct{}, 1),
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
	resumed := false
	pause := w.e.cfg.Pace.Backoff
	for {
		more, err := w.turn(ctx, &resumed)
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
func (w *worker) turn(ctx context.Context, resumed *bool) (bool, error) {
	got, err := w.e.cfg.Store.Load(ctx, w.id)
	if err != nil {
		return false, err
	}
	d := got.Deployment
	if d.Phase.Terminal() {
		return false, nil
	}
	if !*resumed {
		*resumed = true
		for _, eff := range d.Open {
			w.launch(ctx, eff)
		}
	}
	ev, item, ok := w.next(got, time.Now())
	if !ok {
		w.wait(ctx, d)
		return true, nil
	}
	return true, w.step(ctx, d, ev, item)
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
	if err := w.e.cfg.Store.Commit(ctx, commit); err != nil {
		return err
	}
	for _, r := range out.Records {
		w.e.log.InfoContext(ctx, "deployment", "deployment", w.id, "phase", string(r.Phase), "kind", r.Kind,
			"reason", string(r.Reason), "message", r.Message)
	}
	if ev.Kind == deploy.EventOutcome {
		delete(w.running, ev.Seq)
	}
	for _, eff := range out.Effects {
		w.launch(ctx, eff)
	}
	if out.Spawn != nil {
		w.e.start(out.Spawn.ID)
	}
	return nil
}

// launch carries out an effect beside the loop. A cancellation takes hold at once, in order.
func (w *worker) launch(ctx context.Context, eff deploy.Effect) {
	ectx, cancel := context.WithCancelCause(ctx)
	r := &running{effect: eff, cancel: cancel, done: make(chan struct{})}
	var target *running
	if eff.Kind == deploy.EffectCancel {
		if target = w.running[eff.Cancels]; target != nil {
			target.cancel(errCancelled)
			delete(w.running, eff.Cancels)
		}
	}
	w.running[eff.Seq] = r
	w.effects.Go(func() {
		defer cancel(nil)
		defer close(r.done)
		outcome, ended := w.execute(ectx, r, target)
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
