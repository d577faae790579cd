package alarm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"greengate/internal/alarm"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/metric"
)

// bench is a watcher with a clock and a topic of the test's own.
type bench struct {
	t      *testing.T
	cloud  *cloud.Cloud
	memory *cloudtest.Memory
	store  *metric.Store
	w      *alarm.Watcher
	now    time.Time
	sent   []string
	refuse error
}

func (b *bench) Publish(_ context.Context, arn, subject, message string) error {
	b.sent = append(b.sent, arn+"|"+subject+"|"+message)
	return b.refuse
}

var id = metric.ID{Namespace: "N", Name: "m", Dimensions: map[string]string{"d": "1"}}

func newBench(t *testing.T, minute time.Duration) *bench {
	t.Helper()
	b := &bench{t: t, memory: &cloudtest.Memory{}, store: metric.NewStore(minute), now: time.Date(2026, 11, 27, 22, 0, 0, 0, time.UTC)}
	var err error
	if b.cloud, err = cloud.Open(t.Context(), b.memory); err != nil {
		t.Fatal(err)
	}
	b.w = alarm.New(alarm.Config{
		Region: "us-east-1", AccountID: "000000000000", Resources: b.cloud, Metrics: b.store, Publisher: b, Minute: minute,
		Now: func() time.Time { return b.now }, Log: slog.New(slog.DiscardHandler),
	})
	return b
}

func (b *bench) put(a cloud.Alarm) {
	b.t.Helper()
	a.Namespace, a.Metric, a.Dimensions, a.Comparison = id.Namespace, id.Name, id.Dimensions, "GreaterThanThreshold"
	a.State, a.Updated = cloud.AlarmInsufficient, b.now
	if a.Statistic == "" {
		a.Statistic = "Sum"
	}
	if err := b.cloud.Update(b.t.Context(), func(d *cloud.Draft) error { d.Put(a); return nil }); err != nil {
		b.t.Fatal(err)
	}
}

// after lets time pass, with n samples in its middle, and evaluates.
func (b *bench) after(d time.Duration, n int) string {
	b.t.Helper()
	for range n {
		b.store.Put(id, b.now.Add(d/2), metric.Sample(1, 1), b.now)
	}
	b.now = b.now.Add(d)
	if err := b.w.Evaluate(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return b.alarm().State
}

func (b *bench) alarm() cloud.Alarm {
	b.t.Helper()
	a, ok := cloud.Find[cloud.Alarm](b.cloud.State(), "a")
	if !ok {
		b.t.Fatal("there is no alarm")
	}
	return a
}

// An alarm is looked at once a minute, on whole periods; the state changes once and is noted and told once.
func TestWatcher_Evaluate(t *testing.T) {
	t.Parallel()
	for _, minute := range []time.Duration{time.Minute, time.Second} {
		t.Run(minute.String(), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, minute)
			b.put(cloud.Alarm{
				Name: "a", Threshold: 5, Period: 60, Periods: 1, MissingData: metric.MissingIsNotBreaching,
				Actions: map[string][]string{cloud.AlarmInAlarm: {"arn:aws:sns:us-east-1:000000000000:page"}},
			})
			steps := []struct {
				n    int
				want string
			}{{0, metric.OK}, {5, metric.OK}, {6, metric.InAlarm}, {6, metric.InAlarm}, {5, metric.OK}}
			for i, s := range steps {
				if got := b.after(minute, s.n); got != s.want {
					t.Errorf("minute %d: %s, want %s", i, got, s.want)
				}
			}
			puts := b.memory.Puts()
			if got := b.after(minute/10, 100); got != metric.OK || b.memory.Puts() != puts {
				t.Errorf("in the middle of a minute: %s", got)
			}
			if len(b.sent) != 1 || !strings.HasPrefix(b.sent[0], `arn:aws:sns:us-east-1:000000000000:page|ALARM: "a" in us-east-1|{`) {
				t.Fatalf("published: %q", b.sent)
			}
			var m struct {
				AlarmName, NewStateValue, OldStateValue string
				Trigger                                 struct {
					Statistic  string
					Dimensions []struct{ Name, Value string }
				}
			}
			if err := json.Unmarshal([]byte(strings.SplitN(b.sent[0], "|", 3)[2]), &m); err != nil {
				t.Fatal(err)
			}
			if s := fmt.Sprint(m); s != "{a ALARM OK {SUM [{d 1}]}}" {
				t.Errorf("the message says %s", s)
			}
			var kinds []string
			for _, ev := range b.alarm().History {
				kinds = append(kinds, ev.Type)
			}
			if s := strings.Join(kinds, " "); s != "StateUpdate StateUpdate Action StateUpdate" {
				t.Errorf("history: %s", s)
			}
		})
	}
}

// A period of five minutes is looked at each minute, on the last five; one of ten seconds six times a minute.
func TestWatcher_Evaluate_slides(t *testing.T) {
	t.Parallel()
	b := newBench(t, time.Minute)
	b.put(cloud.Alarm{Name: "a", Threshold: 5, Period: 300, Periods: 1, MissingData: metric.MissingIsNotBreaching})
	for i, want := range []string{metric.OK, metric.OK, metric.InAlarm, metric.InAlarm, metric.InAlarm} {
		if got := b.after(time.Minute, 2); got != want {
			t.Errorf("minute %d: %s, want %s", i+1, got, want)
		}
	}
	b = newBench(t, time.Minute)
	b.put(cloud.Alarm{Name: "a", Threshold: 5, Period: 10, Periods: 1})
	if got := b.after(10*time.Second, 6); got != metric.InAlarm {
		t.Errorf("after ten seconds: %s", got)
	}
}

// A percentile decides where the alarm is on one.
func TestWatcher_Evaluate_percentile(t *testing.T) {
	t.Parallel()
	b := newBench(t, time.Minute)
	b.put(cloud.Alarm{Name: "a", Threshold: 0.5, Statistic: "p90", Period: 60, Periods: 1})
	b.store.Put(id, b.now, metric.Sample(0.1, 95), b.now)
	b.store.Put(id, b.now, metric.Sample(2, 5), b.now)
	if got := b.after(time.Minute, 0); got != metric.OK {
		t.Errorf("5 of 100 are slow: %s", got)
	}
	b.store.Put(id, b.now, metric.Sample(0.1, 85), b.now)
	b.store.Put(id, b.now, metric.Sample(2, 15), b.now)
	if got := b.after(time.Minute, 0); got != metric.InAlarm || !strings.Contains(b.alarm().ReasonData, `"recentDatapoints":[2`) {
		t.Errorf("15 of 100 are slow: %s %s", got, b.alarm().ReasonData)
	}
}

// What SetAlarmState says holds until the alarm is evaluated again, and a state that could not be stored is found again.
func TestWatcher_Evaluate_again(t *testing.T) {
	t.Parallel()
	b := newBench(t, time.Minute)
	b.put(cloud.Alarm{Name: "a", Threshold: 5, Period: 60, Periods: 1, MissingData: metric.MissingIsNotBreaching})
	b.after(time.Minute, 0)
	set := b.alarm()
	err := b.cloud.Update(t.Context(), func(d *cloud.Draft) error {
		d.Put(set.Moved(metric.InAlarm, "drill", "", b.now))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.after(30*time.Second, 0); got != metric.InAlarm {
		t.Errorf("within the minute: %s", got)
	}
	b.memory.Fail(false)
	b.now = b.now.Add(30 * time.Second)
	if err := b.w.Evaluate(t.Context()); !errors.Is(err, cloudtest.ErrFault) {
		t.Errorf("a disk that fails: %v", err)
	}
	if got := b.after(time.Second, 0); got != metric.OK {
		t.Errorf("after the minute: %s", got)
	}
}

// Actions that cannot be carried out are noted; muted alarms have none.
func TestWatcher_Act(t *testing.T) {
	t.Parallel()
	b := newBench(t, time.Minute)
	b.refuse = errors.New("no such topic")
	b.put(cloud.Alarm{Name: "a", Threshold: 5, Period: 60, Periods: 1, Actions: map[string][]string{
		metric.InAlarm: {"arn:aws:automate:us-east-1:ec2:stop", "arn:aws:sns:us-east-1:000000000000:page"},
	}})
	b.after(time.Minute, 6)
	h := b.alarm().History
	if len(h) != 3 || !strings.Contains(h[1].Summary, "is no SNS topic") || !strings.Contains(h[2].Summary, "no such topic") {
		t.Errorf("history: %+v", h)
	}
	muted := b.alarm()
	muted.Muted = true
	b.w.Act(t.Context(), cloud.Alarm{State: metric.OK}, muted)
	if len(b.sent) != 1 {
		t.Errorf("published: %q", b.sent)
	}
}
