package engine

import (
	"context"
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
		if !sleep(ctx, w.e.cfg.Pace.Watch) {
			return
		}
	}
}

// look makes one round. What cannot be seen now is looked at again in the next round.
func (w *worker) look(ctx context.Context, eff deploy.Effect, badSince *time.Time) (deploy.Event, bool) {
	if names := w.alarmed(ctx, eff.Watch.Alarms); len(names) > 0 {
		return deploy.Event{Kind: deploy.EventAlarm, Alarms: names}, true
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

func (w *worker) alarmed(ctx context.Context, names []string) []string {
	if len(names) == 0 || w.e.cfg.Alarms == nil {
		return nil
	}
	in, err := w.e.cfg.Alarms.Observe(ctx, names)
	if err != nil {
		w.e.log.WarnContext(ctx, "observe alarms", "deployment", w.id, "err", err)
		return nil
	}
	return in
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
