// Package storetest holds the conformance suite of the engine's Store port: the store on disk and
// every fake that stands in for it must pass the same one.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/engine"
)

// Exercise runs the suite. Open returns a new, empty store that lives as long as its test.
func Exercise(t *testing.T, open func(t *testing.T) engine.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(s suite)
	}{
		{"create", testCreate},
		{"create refuses an active group", testActiveRefusal},
		{"create refuses a known id", testKnownID},
		{"values are copied", testCopies},
		{"unknown deployment", testUnknown},
		{"commit guards the revision", testCommitGuard},
		{"commit consumes", testConsume},
		{"commit refuses a missing item", testConsumeMissing},
		{"inbox keeps order", testOrder},
		{"append dedupes", testDedupe},
		{"terminal", testTerminal},
		{"spawn", testSpawn},
		{"spawn is atomic", testSpawnAtomic},
		{"concurrent create", testConcurrentCreate},
		{"concurrent append and commit", testConcurrentCommit},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(suite{Store: open(t), t: t}) })
	}
}

// suite is what one test of the suite works with.
type suite struct {
	engine.Store
	t *testing.T
}

// Start is the time at which the deployments of New were created.
func Start() time.Time { return time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC) }

// New makes a deployment of the application "shop" with something in every kind of field. It is
// not terminal and has revision number 0.
func New(id, group string) deploy.Deployment {
	blue := deploy.Revision{Version: "v1", Digest: "d1", Workload: deploy.Workload{
		Command: []string{"./server", "--flag"}, Env: map[string]string{"COLOR": "blue", "UTF8": "grün \u2028"}, Port: 8080,
		Health: &deploy.HealthCheck{Type: "http", Path: "/healthz", Interval: time.Second},
	}}
	green := blue
	green.Version, green.Digest = "v2", "d2"
	d := deploy.Create(deploy.New{
		ID: id, RollbackID: id + "-back", Creator: "user", StartedBy: "arn:aws:iam::000000000000:user/ops",
		Description: `quotes " ' and a line` + "\n", At: Start(), TestSide: deploy.SideBlue,
		Blue:  deploy.TaskSet{ID: "ts-" + id + "-blue", Service: "shop", Revision: blue, Tasks: 2},
		Green: deploy.TaskSet{ID: "ts-" + id + "-green", Service: "shop", Revision: green, Tasks: 2},
		Plan: deploy.Plan{
			Service: "shop", Application: "shop", Group: group, TestListener: true, Promotion: deploy.PromoteVerified,
			Hooks:        map[deploy.Phase][]deploy.Hook{deploy.PhaseAfterInstall: {{Name: "probe", Kind: deploy.HookCommand, Command: []string{"true"}}}},
			MaxErrorRate: 0.015625, Bake: time.Minute, Limits: deploy.DefaultLimits(),
		},
	})
	d.Verdicts = []deploy.Verdict{{Hook: "probe", Status: deploy.VerdictPass, Start: Start(), Checks: []deploy.Check{{Name: "a"}}}}
	d.Run = &deploy.HookRun{List: deploy.SmokeAfter, Attempt: 2, Seq: 1 << 60}
	d.Cause = &deploy.Cause{Status: deploy.StatusFailed, Reason: deploy.ReasonAlarm}
	d.Open = []deploy.Effect{{Deployment: id, Seq: 1, Kind: deploy.EffectWatch, Watch: &deploy.Watch{Alarms: []string{"cpu"}}}}
	return d
}

// Next returns d one revision later, in another phase.
func Next(d deploy.Deployment, p deploy.Phase) deploy.Deployment {
	n := d.Clone()
	n.Revno++
	n.Phase = p
	n.Status = deploy.StatusInProgress
	if p.Terminal() {
		n.Status = deploy.Status(p)
	}
	n.UpdatedAt = d.UpdatedAt.Add(time.Second)
	return n
}

// Event makes an event that can be told from others by its message.
func Event(message string) deploy.Event {
	back := true
	return deploy.Event{
		Kind: deploy.EventOutcome, At: Start().Add(time.Second), Seq: 7, GoBack: &back, Message: message,
		Outcome: &deploy.Outcome{OK: true, Verdict: &deploy.Verdict{Hook: "probe", Checks: []deploy.Check{{Name: "c"}}}},
	}
}

func mustCreate(t *testing.T, s engine.Store, d deploy.Deployment) {
	t.Helper()
	if err := s.Create(t.Context(), d, Event("first of "+d.ID)); err != nil {
		t.Fatalf("create %s: %v", d.ID, err)
	}
}

func mustAppend(t *testing.T, s engine.Store, id, key, message string) {
	t.Helper()
	added, err := s.Append(t.Context(), id, key, Event(message))
	if err != nil || !added {
		t.Fatalf("append %q to %s: got %t, %v; want it added", message, id, added, err)
	}
}

func mustLoad(t *testing.T, s engine.Store, id string) deploy.Loaded {
	t.Helper()
	l, err := s.Load(t.Context(), id)
	if err != nil {
		t.Fatalf("load %s: %v", id, err)
	}
	return l
}

func mustCommit(t *testing.T, s engine.Store, c deploy.Commit) {
	t.Helper()
	if err := s.Commit(t.Context(), c); err != nil {
		t.Fatalf("commit %s revision %d: %v", c.Deployment.ID, c.Deployment.Revno, err)
	}
}

// wantCode checks for a fault of the caller.
func wantCode(t *testing.T, err error, code deploy.Code, parts ...string) {
	t.Helper()
	var fault *deploy.Error
	if !errors.As(err, &fault) || fault.Code != code {
		t.Fatalf("got error %v, want code %s", err, code)
	}
	for _, p := range parts {
		if !strings.Contains(fault.Message, p) {
			t.Errorf("message %q does not say %q", fault.Message, p)
		}
	}
}

// wantSame compares values as they are written, which is all that a store has to keep.
func wantSame(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := written(t, got), written(t, want); g != w {
		t.Errorf("%s\n got %s\nwant %s", what, g, w)
	}
}

func written(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	return string(text)
}

// wantInbox checks the messages of the waiting events and that each item can be named.
func wantInbox(t *testing.T, s engine.Store, id string, messages ...string) {
	t.Helper()
	var got []string
	seen := map[int64]bool{0: true}
	for _, item := range mustLoad(t, s, id).Inbox {
		if seen[item.ID] {
			t.Errorf("inbox of %s: item id %d is 0 or was seen before", id, item.ID)
		}
		seen[item.ID] = true
		got = append(got, item.Event.Message)
	}
	if !slices.Equal(got, messages) {
		t.Errorf("inbox of %s: got %q, want %q", id, got, messages)
	}
}

func wantActive(t *testing.T, s engine.Store, want ...string) {
	t.Helper()
	got, err := s.Active(t.Context())
	if err != nil {
		t.Fatalf("active: %v", err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("active: got %q, want %q", got, want)
	}
}

// wantMissing checks that no part of a deployment was stored.
func wantMissing(ctx context.Context, t *testing.T, s engine.Store, id string) {
	t.Helper()
	_, err := s.Load(ctx, id)
	wantCode(t, err, deploy.CodeNotFound)
	_, err = s.Append(ctx, id, "", Event("late"))
	wantCode(t, err, deploy.CodeNotFound)
}
