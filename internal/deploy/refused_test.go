package deploy

import (
	"testing"
	"time"
)

// A refused deployment fails as soon as it is started, and nothing is done for it.
func TestStep_refused(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	d := Create(New{ID: "d-1", RollbackID: "d-2", At: at, Blue: TaskSet{ID: "blue"}, Plan: Plan{
		Service: "c/s", Limits: DefaultLimits(), Rollback: RollbackPolicy{OnFailure: true},
		Refused: &Refusal{Reason: ReasonInvalidRevision, Message: "the AppSpec is not valid"},
	}})
	out := Step(d, Event{Kind: EventStart, At: at})
	d = out.Deployment
	if d.Status != StatusFailed || d.Phase != PhaseFailed || d.Cause == nil || d.Cause.Reason != ReasonInvalidRevision || d.Cause.Message != "the AppSpec is not valid" {
		t.Errorf("status %s, phase %s, cause %+v", d.Status, d.Phase, d.Cause)
	}
	if len(out.Effects) != 0 || out.Spawn != nil || len(d.Open) != 0 || d.Moved || !d.ProductionProven() {
		t.Errorf("effects %v, record %v, production proven %t", out.Effects, out.Spawn, d.ProductionProven())
	}
	for _, ev := range d.Lifecycle {
		if ev.Status != LifecycleSkipped {
			t.Errorf("%s is %s", ev.Name, ev.Status)
		}
	}
	if c := d.Clone(); c.Plan.Refused == d.Plan.Refused {
		t.Error("a clone shares the refusal")
	}
}
