package alarm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/metric"
)

// Resources keeps alarms; *cloud.Cloud is one.
type Resources interface {
	State() cloud.State
	Update(ctx context.Context, edit func(d *cloud.Draft) error) error
}

// Publisher tells the subscribers of an SNS topic. It takes a message over and does not wait until it is delivered.
type Publisher interface {
	Publish(ctx context.Context, topicARN, subject, message string) error
}

// Config is what a Watcher needs.
type Config struct {
	Region, AccountID string
	Resources         Resources
	Metrics           *metric.Store
	// Publisher carries actions out; without one they are noted in the alarm's history as failed.
	Publisher Publisher
	// Minute is how long a minute of an alarm's periods lasts.
	Minute time.Duration
	Now    func() time.Time
	Log    *slog.Logger
}

// Watcher evaluates alarms.
type Watcher struct {
	cfg Config

	mu   sync.Mutex
	seen map[string]look // by alarm
}

// look is what an alarm was evaluated on last.
type look struct {
	configured time.Time
	end        time.Time
}

// New returns a Watcher.
func New(cfg Config) *Watcher {
	return &Watcher{cfg: cfg, seen: map[string]look{}}
}

// span is how long n seconds of an alarm's period last.
func (w *Watcher) span(seconds int) time.Duration {
	return time.Duration(seconds) * w.cfg.Minute / 60
}

// step is how often an alarm is evaluated.
func (w *Watcher) step(a cloud.Alarm) time.Duration {
	if a.Period < 60 {
		return w.cfg.Minute / 6
	}
	return w.cfg.Minute
}

// verdict is what became of an alarm.
type verdict struct {
	metric.Verdict
	data string
}

// Evaluate looks at every alarm of which there are periods that ended since it was looked at last, or that was changed
// since.
func (w *Watcher) Evaluate(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.cfg.Now()
	seen, moved := map[string]look{}, map[string]verdict{}
	for _, a := range cloud.All[cloud.Alarm](w.cfg.Resources.State()) {
		if a.Period <= 0 || a.Periods <= 0 {
			continue
		}
		l := look{configured: a.Updated, end: now.Truncate(w.step(a))}
		seen[a.Name] = l
		if w.seen[a.Name] == l {
			continue
		}
		if v := w.evaluate(a, l.end, now); v.State != a.State {
			moved[a.Name] = v
		}
	}
	if err := w.move(ctx, moved, seen, now); err != nil {
		return err // all are looked at again
	}
	w.seen = seen
	return nil
}

// move stores the new states, then acts.
func (w *Watcher) move(ctx context.Context, moved map[string]verdict, seen map[string]look, now time.Time) error {
	if len(moved) == 0 {
		return nil
	}
	changes := map[string][2]cloud.Alarm{}
	err := w.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		clear(changes)
		for name, v := range moved {
			a, ok := cloud.Find[cloud.Alarm](d.State(), name)
			if !ok || !a.Updated.Equal(seen[name].configured) {
				continue // it was changed meanwhile and is looked at anew
			}
			next := a.Moved(v.State, v.Reason, v.data, now)
			d.Put(next)
			changes[name] = [2]cloud.Alarm{a, next}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store states of alarms: %w", err)
	}
	for _, c := range changes {
		w.cfg.Log.InfoContext(ctx, "alarm changed its state", "alarm", c[1].Name, "from", c[0].State, "to", c[1].State, "reason", c[1].Reason)
		w.Act(ctx, c[0], c[1])
	}
	return nil
}

func (w *Watcher) evaluate(a cloud.Alarm, end, now time.Time) verdict {
	rule := metric.Rule{Comparison: a.Comparison, Threshold: a.Threshold, Periods: a.Periods, ToAlarm: a.ToAlarm, Missing: a.MissingData}
	queries, watched, err := Queries(a)
	if err != nil { // PutMetricAlarm refuses it
		return verdict{Verdict: metric.Verdict{State: metric.Insufficient, Reason: err.Error()}}
	}
	points := w.cfg.Metrics.Compute(queries, watched, end, w.span(a.Period), rule.Range())
	v := verdict{Verdict: rule.Evaluate(points, a.State)}
	v.data = reasonData(a, v.Verdict, now)
	return v
}

// Queries are what an alarm is on, and the id of the one that is compared with the threshold.
func Queries(a cloud.Alarm) (metric.Queries, string, error) {
	list := a.Queries
	if len(list) == 0 {
		list = []cloud.AlarmQuery{{ID: "m", Namespace: a.Namespace, Metric: a.Metric, Dimensions: a.Dimensions, Statistic: a.Statistic, Watched: true}}
	}
	queries, watched := metric.Queries{}, ""
	for _, q := range list {
		made := metric.Query{ID: metric.ID{Namespace: q.Namespace, Name: q.Metric, Dimensions: q.Dimensions}}
		var err error
		if q.Expression != "" {
			var e metric.Expression
			e, err = metric.ParseExpression(q.Expression)
			made.Expression = &e
		} else {
			made.Stat, err = metric.ParseStat(q.Statistic)
		}
		if err != nil {
			return nil, "", fmt.Errorf("query %s: %w", q.ID, err)
		}
		queries[q.ID] = made
		if q.Watched {
			watched = q.ID
		}
	}
	if _, ok := queries[watched]; !ok {
		return nil, "", errors.New("no query is compared with the threshold")
	}
	if err := queries.Check(); err != nil {
		return nil, "", err
	}
	return queries, watched, nil
}

// reasonData is StateReasonData.
func reasonData(a cloud.Alarm, v metric.Verdict, now time.Time) string {
	const layout = "2006-01-02T15:04:05.000+0000"
	recent := []float64{}
	data := map[string]any{
		"version": "1.0", "queryDate": now.UTC().Format(layout), "statistic": a.Statistic, "period": a.Period, "threshold": a.Threshold,
	}
	for i, p := range slices.Backward(v.Recent) {
		recent = append(recent, p.Value)
		if i == len(v.Recent)-1 {
			data["startDate"] = p.At.UTC().Format(layout)
		}
	}
	data["recentDatapoints"] = recent
	text, err := json.Marshal(data)
	if err != nil { // a number that JSON does not have; the reason says it
		return ""
	}
	return string(text)
}
