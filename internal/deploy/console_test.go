package deploy

import (
	"testing"
	"time"
)

// TestStep_stale: a Stop or Continue that was decided on another revision changes nothing, and the history says so; one
// of the revision at hand is followed.
func TestStep_stale(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	d := Create(New{ID: "d-1", At: begin, Plan: Plan{Service: "shop", Promotion: PromoteManual, ReadyLimit: time.Hour, Limits: DefaultLimits(), TestListener: true}, Green: TaskSet{ID: "g"}})
	d.Phase, d.Status, d.Waiting, d.Revno = PhaseReadyWait, StatusReady, Waiting{For: WaitReady}, 7
	for _, kind := range []EventKind{EventStop, EventContinue} {
		for _, seen := range []int64{6, 8} {
			out := Step(d, Event{Kind: kind, At: begin, By: "ann", Wait: WaitReady, Revno: seen})
			if out.Deployment.Phase != PhaseReadyWait || out.Deployment.Cause != nil || len(out.Effects) > 0 {
				t.Errorf("%s seen at %d was followed: %s", kind, seen, out.Deployment.Phase)
			}
			if len(out.Records) != 1 || out.Records[0].Reason != ReasonStale {
				t.Errorf("%s seen at %d: history %+v", kind, seen, out.Records)
			}
		}
		for _, seen := range []int64{0, 7} {
			if out := Step(d, Event{Kind: kind, At: begin, By: "ann", Wait: WaitReady, Revno: seen}); out.Deployment.Phase == PhaseReadyWait {
				t.Errorf("%s seen at %d was not followed", kind, seen)
			}
		}
	}
}

// TestActions: each phase that waits has its button, the first deployment has nothing to go back to, and the end has none.
func TestActions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		d    Deployment
		want string
	}{
		"ready":   {Deployment{Kind: KindDeploy, Phase: PhaseReadyWait, Waiting: Waiting{For: WaitReady}, Blue: TaskSet{ID: "b"}}, "reroute stop stop-and-roll-back"},
		"bake":    {Deployment{Kind: KindDeploy, Phase: PhaseTerminationWait, Waiting: Waiting{For: WaitTermination}, Blue: TaskSet{ID: "b"}}, "end-bake stop stop-and-roll-back"},
		"first":   {Deployment{Kind: KindDeploy, Phase: PhaseInstall}, "stop"},
		"ending":  {Deployment{Kind: KindDeploy, Phase: PhaseRollback, Cause: &Cause{}, Blue: TaskSet{ID: "b"}}, ""},
		"ended":   {Deployment{Kind: KindDeploy, Phase: PhaseSucceeded, Blue: TaskSet{ID: "b"}}, ""},
		"rolling": {Deployment{Kind: KindRollback, Phase: PhaseAllowTraffic, Blue: TaskSet{ID: "b"}}, ""},
	} {
		got := ""
		for _, a := range c.d.Actions() {
			if a.Possible {
				got += " " + a.Name
			} else if a.Why == "" {
				t.Errorf("%s: %s is not possible without a reason", name, a.Name)
			}
		}
		if got != " "+c.want && (got != "" || c.want != "") {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

// TestParseWeights: it reads what the history writes.
func TestParseWeights(t *testing.T) {
	t.Parallel()
	m := &machine{d: Deployment{Weights: Weights{Blue: 90, Green: 10}}}
	if w, ok := ParseWeights(m.weightsLine()); !ok || w != m.d.Weights {
		t.Errorf("%+v %t", w, ok)
	}
	if _, ok := ParseWeights("nothing serves production"); ok {
		t.Error("a sentence was read as weights")
	}
}
