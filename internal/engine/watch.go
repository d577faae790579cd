package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"greengate/internal/deploy"
)

// minBudgetRequests is how many requests a ledger must have counted before a share of them means
// anything.
const minBudgetRequests = 20

// watch looks at a task set, the alarms and the ledger until it is cancelled, and posts what it
// sees at most once each.
func (w *worker) watch(ctx context.Context, eff deploy.Effect) {
	var badSince time.Time
	for {
		if ev, ok := w.look(ctx, eff, &badSince); ok {
			ev.At = time.Now()
			w.append(ctx, fmt.Sprintf("watch/%d/%s", eff.Seq, ev.Kind), ev)
			<-ctx.Done()
			return
		}
		if !w.rest(ctx, eff.Watch) {
			return
		}
	}
}

// look makes one round. What cannot be seen now is looked at again in the next round.
func (w *worker) look(ctx context.Context, eff deploy.Effect, badSince *time.Time) (deploy.Event, bool) {
	if ev, ok := w.alarmed(ctx, eff.Watch); ok {
		return ev, true
	}
	if eff.Watch.TaskSet.IsZero() {
		return deploy.Event{}, false
	}
	if msg, bad := w.unhealthy(ctx, eff.Watch, badSince); bad {
		return deploy.Event{Kind: deploy.EventUnhealthy, Message: msg}, true
	}
	if msg, over := w.overBudget(ctx, eff.Watch); over {
		return deploy.Event{Kind: deploy.EventBudget, Message: msg}, true
	}
	return deploy.Event{}, false
}

// rest waits for the next round, which begins early when an alarm has changed. It reports whether ctx is still alive.
func (w *worker) rest(ctx context.Context, watch *deploy.Watch) bool {
	signal, ok := w.e.cfg.Alarms.(AlarmSignal)
	if len(watch.Alarms) == 0 || !ok {
		return sleep(ctx, w.e.cfg.Pace.Watch)
	}
	end := time.NewTimer(w.e.cfg.Pace.Watch)
	defer end.Stop()
	for {
		changed := signal.Changed()
		if _, ok := w.alarmed(ctx, watch); ok {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-end.C:
			return true
		case <-changed:
		}
	}
}

// alarmed tells alarms in ALARM, and that alarms cannot be watched (as CodeDeploy stops a deployment then, unless
// ignorePollAlarmFailure is set).
func (w *worker) alarmed(ctx context.Context, watch *deploy.Watch) (deploy.Event, bool) {
	if len(watch.Alarms) == 0 || w.e.cfg.Alarms == nil {
		return deploy.Event{}, false
	}
	in, err := w.e.cfg.Alarms.Observe(ctx, watch.Alarms)
	switch {
	case len(in) > 0:
		return deploy.Event{Kind: deploy.EventAlarm, Alarms: in}, true
	case err == nil:
	case !errors.Is(err, deploy.ErrPermanent):
		w.e.log.WarnContext(ctx, "observe alarms", "deployment", w.id, "err", err)
	case !watch.IgnoreAlarmFaults:
		return deploy.Event{Kind: deploy.EventAlarm, Message: "alarms cannot be watched: " + err.Error()}, true
	}
	return deploy.Event{}, false
}

func (w *worker) unhealthy(ctx context.Context, watch *deploy.Watch, since *time.Time) (string, bool) {
	st, err := w.e.cfg.Runtime.Observe(ctx, watch.TaskSet.ID)
	if err != nil {
		w.e.log.WarnContext(ctx, "observe task set", "deployment", w.id, "err", err)
		return "", false
	}
	if st.Steady() {
		*since = time.Time{}
		return "", false
	}
	now := time.Now()
	if since.IsZero() {
		*since = now
	}
	if now.Sub(*since) < watch.Grace {
		return "", false
	}
	return fmt.Sprintf("green is unhealthy for more than %s: %d of %d tasks healthy; %s",
		watch.Grace, st.Healthy, st.Desired, st.Message), true
}

func (w *worker) overBudget(ctx context.Context, watch *deploy.Watch) (string, bool) {
	if watch.MaxErrorRate <= 0 {
		return "", false
	}
	c, err := w.e.cfg.Router.Ledger(ctx, watch.Ledger, watch.TaskSet.ID)
	if err != nil {
		w.e.log.WarnContext(ctx, "read ledger", "deployment", w.id, "err", err)
		return "", false
	}
	if c.Requests < minBudgetRequests {
		return "", false
	}
	rate := float64(c.Failed) / float64(c.Requests)
	if rate <= watch.MaxErrorRate {
		return "", false
	}
	return fmt.Sprintf("%d of %d production requests to green failed (%.1f %%, allowed %.1f %%)",
		c.Failed, c.Requests, 100*rate, 100*watch.MaxErrorRate), true
}
