package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"greengate/internal/deploy"
)

// execute carries out one effect. It reports false when there is no outcome to tell: the effect was
// cancelled, the process ends, or it only watches.
func (w *worker) execute(ctx context.Context, r *running) (deploy.Outcome, bool) {
	switch r.effect.Kind {
	case deploy.EffectInstall:
		return w.install(ctx, r)
	case deploy.EffectRoute:
		return w.route(ctx, r.effect)
	case deploy.EffectHook:
		return w.hook(ctx, r.effect)
	case deploy.EffectInspect:
		return w.inspect(ctx, r.effect)
	case deploy.EffectWatch:
		w.watch(ctx, r.effect)
		return deploy.Outcome{}, false
	case deploy.EffectRetire:
		return w.retire(ctx, r.effect)
	case deploy.EffectCancel:
		return w.cancelled(ctx, r.effect)
	}
	return deploy.Outcome{Reason: deploy.ReasonInternal, Message: "unknown effect " + string(r.effect.Kind)}, true
}

// retry repeats do until it succeeds, fails for good or ctx ends. Only the last two return an error.
func (w *worker) retry(ctx context.Context, eff deploy.Effect, do func() error) error {
	pause := w.e.cfg.Pace.Backoff
	for {
		err := do()
		if err == nil || errors.Is(err, deploy.ErrPermanent) || errors.Is(err, deploy.ErrConflict) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.e.log.WarnContext(ctx, "effect", "deployment", w.id, "effect", string(eff.Kind), "seq", eff.Seq, "err", err)
		if !sleep(ctx, pause) {
			return context.Cause(ctx)
		}
		pause = min(2*pause, w.e.cfg.Pace.MaxPause)
	}
}

// failed makes the outcome of an error that retry returned.
func failed(ctx context.Context, reason deploy.Reason, err error) (deploy.Outcome, bool) {
	if ctx.Err() != nil {
		return deploy.Outcome{}, false
	}
	if errors.Is(err, deploy.ErrConflict) {
		reason = deploy.ReasonRouteConflict
	}
	if errors.Is(err, deploy.ErrPermission) {
		reason = deploy.ReasonPermissions
	}
	return deploy.Outcome{Reason: reason, Message: err.Error()}, true
}

// install ensures the task set and waits until it is steady or will never be.
func (w *worker) install(ctx context.Context, r *running) (deploy.Outcome, bool) {
	ts := *r.effect.TaskSet
	err := w.retry(ctx, r.effect, func() error { return w.e.cfg.Runtime.Ensure(ctx, ts) })
	if err != nil {
		return failed(ctx, deploy.ReasonInstallFailed, err)
	}
	pause := w.e.cfg.Pace.Poll
	for {
		var st deploy.TaskSetStatus
		err := w.retry(ctx, r.effect, func() (err error) {
			st, err = w.e.cfg.Runtime.Observe(ctx, ts.ID)
			return err
		})
		switch {
		case err != nil:
			return failed(ctx, deploy.ReasonInstallFailed, err)
		case st.Steady():
			return deploy.Outcome{OK: true, Message: fmt.Sprintf("%d of %d tasks healthy", st.Healthy, st.Desired)}, true
		case st.Doomed:
			return deploy.Outcome{Reason: deploy.ReasonInstallFailed, Message: st.Message}, true
		}
		r.saw(fmt.Sprintf("%d of %d tasks healthy; %s", st.Healthy, st.Desired, st.Message))
		if !sleep(ctx, pause) {
			return deploy.Outcome{}, false
		}
		pause = min(pause*5/4, w.e.cfg.Pace.Watch)
	}
}

func (w *worker) route(ctx context.Context, eff deploy.Effect) (deploy.Outcome, bool) {
	if err := w.retry(ctx, eff, func() error { return w.e.cfg.Router.Shift(ctx, *eff.Route) }); err != nil {
		return failed(ctx, deploy.ReasonRouteFailed, err)
	}
	return deploy.Outcome{OK: true}, true
}

func (w *worker) hook(ctx context.Context, eff deploy.Effect) (deploy.Outcome, bool) {
	err := w.retry(ctx, eff, func() error { return w.e.cfg.Hooks.Start(ctx, eff.ID(), *eff.Hook) })
	if err != nil {
		return failed(ctx, deploy.ReasonInconclusive, err)
	}
	var v deploy.Verdict
	err = w.retry(ctx, eff, func() (err error) {
		v, err = w.e.cfg.Hooks.Await(ctx, eff.ID(), *eff.Hook)
		return err
	})
	if err != nil {
		return failed(ctx, deploy.ReasonInconclusive, err)
	}
	return deploy.Outcome{OK: true, Verdict: &v}, true
}

func (w *worker) inspect(ctx context.Context, eff deploy.Effect) (deploy.Outcome, bool) {
	var st deploy.TaskSetStatus
	err := w.retry(ctx, eff, func() (err error) {
		st, err = w.e.cfg.Runtime.Observe(ctx, eff.TaskSet.ID)
		return err
	})
	if err != nil {
		return failed(ctx, deploy.ReasonInternal, err)
	}
	msg := fmt.Sprintf("%d of %d tasks healthy", st.Healthy, st.Desired)
	if st.Message != "" {
		msg += "; " + st.Message
	}
	return deploy.Outcome{OK: true, Healthy: st.Steady(), Message: msg}, true
}

// retire drains a task set and stops it. The wish to end it is durable first: whatever becomes of the
// deployment, a set that was to be retired does not stay. Streams that outlive the switch do not hold
// the deployment up: the set is stopped when they have ended.
func (w *worker) retire(ctx context.Context, eff deploy.Effect) (deploy.Outcome, bool) {
	id := eff.TaskSet.ID
	limit := time.Now().Add(eff.Drain)
	if err := w.retry(ctx, eff, func() error { return w.e.cfg.Runtime.Release(ctx, id, limit) }); err != nil {
		return done(ctx, err, "")
	}
	for {
		var left deploy.InFlight
		err := w.retry(ctx, eff, func() (err error) {
			left, err = w.e.cfg.Router.Drain(ctx, id, max(0, time.Until(limit)))
			return err
		})
		if err != nil {
			return done(ctx, err, "")
		}
		over := !time.Now().Before(limit)
		if left.Requests == 0 && left.Streams > 0 && !over {
			return done(ctx, nil, fmt.Sprintf("%d streams stay on the retired task set until they end", left.Streams))
		}
		if left == (deploy.InFlight{}) || over {
			break
		}
		if !sleep(ctx, w.e.cfg.Pace.Poll) {
			return deploy.Outcome{}, false
		}
	}
	return done(ctx, w.retry(ctx, eff, func() error { return w.e.cfg.Runtime.Stop(ctx, id) }), "")
}

func done(ctx context.Context, err error, msg string) (deploy.Outcome, bool) {
	if err != nil {
		return failed(ctx, deploy.ReasonRetirementUnconfirmed, err)
	}
	return deploy.Outcome{OK: true, Message: msg}, true
}

// cancelled comes after the cancelled effect has let go. It ends a hook's program unless that is to
// be left in peace.
func (w *worker) cancelled(ctx context.Context, eff deploy.Effect) (deploy.Outcome, bool) {
	if eff.Hook != nil && !eff.Abandon {
		id := deploy.Effect{Deployment: eff.Deployment, Seq: eff.Cancels}.ID()
		if err := w.retry(ctx, eff, func() error { return w.e.cfg.Hooks.Cancel(ctx, id, *eff.Hook) }); err != nil {
			return failed(ctx, deploy.ReasonInternal, err)
		}
	}
	return deploy.Outcome{OK: true}, true
}
