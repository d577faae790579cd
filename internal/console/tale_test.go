package console_test

import (
	"strings"
	"time"

	"greengate/internal/deploy"
)

// tale plays a deployment through the domain's own steps, so that what pages are drawn from is what a controller would
// have. Every effect ends well a second after it began, but where the tale says otherwise.
type tale struct {
	d      deploy.Deployment
	now    time.Time
	events []deploy.HistoryEvent
	spawn  *deploy.Deployment
	// verdicts are those of hooks by name; the others pass.
	verdicts map[string]deploy.Verdict
	// blueIs says what is wrong with the old version; empty: it is healthy.
	blueIs string
}

// newTale begins a deployment of shop from v1 to v2, some seconds before noon: a canary that somebody promotes.
func newTale(before float64) *tale {
	set := func(id, version, digest string) deploy.TaskSet {
		return deploy.TaskSet{ID: id, Service: "shop", Tasks: 2, Revision: deploy.Revision{Version: version, Digest: strings.Repeat(digest, 8)}}
	}
	t := &tale{now: at(-before), verdicts: map[string]deploy.Verdict{}}
	t.d = deploy.Create(deploy.New{
		ID: "d-GOLDEN001", RollbackID: "d-ROLLBACK1", Creator: "user", StartedBy: root, Description: "Coupons, second try <b>with care</b>", At: t.now,
		Blue: set("shop-blue0001", "v1", "0badcafe"), Green: set("shop-green001", "v2", "9f2ce1d0"), TestSide: deploy.SideBlue,
		Plan: deploy.Plan{
			Service: "shop", Application: "shop", Group: "shop", TestListener: true, Promotion: deploy.PromoteManual, ReadyLimit: time.Hour,
			Hooks:   map[deploy.Phase][]deploy.Hook{deploy.PhaseAfterAllowTestTraffic: {{Name: "orders", Kind: deploy.HookCommand}}},
			Smoke:   []deploy.Hook{{Name: "smoke", Kind: deploy.HookCommand}},
			Traffic: deploy.Traffic{Kind: deploy.TrafficCanary, Percent: 10, Interval: 20 * time.Second}, Bake: 10 * time.Minute,
			Rollback: deploy.RollbackPolicy{OnFailure: true}, MaxErrorRate: .01, Limits: deploy.DefaultLimits(),
		},
	})
	t.begin()
	return t
}

func (t *tale) begin() {
	t.d.Revno = 1 // the store's
	t.step(deploy.Event{Kind: deploy.EventStart})
}

func (t *tale) step(ev deploy.Event) {
	ev.At = t.now
	out := deploy.Step(t.d, ev)
	t.d = out.Deployment
	for _, r := range out.Records {
		t.events = append(t.events, deploy.HistoryEvent{Seq: int64(len(t.events) + 1), Deployment: t.d.ID, Record: r})
	}
	if out.Spawn != nil {
		t.spawn = out.Spawn
	}
}

// until lets the deployment go on until it is where it shall be, or waits for somebody.
func (t *tale) until(there func(deploy.Deployment) bool) *tale {
	for !there(t.d) {
		e, ok := t.open()
		switch {
		case ok:
			t.now = t.now.Add(time.Second)
			t.step(deploy.Event{Kind: deploy.EventOutcome, Seq: e.Seq, Outcome: t.outcome(e)})
		case !t.d.Wake.IsZero():
			t.now = t.d.Wake
			t.step(deploy.Event{Kind: deploy.EventTick})
		default:
			panic("the tale stands still in " + string(t.d.Phase))
		}
	}
	return t
}

// open is the next effect that ends by itself.
func (t *tale) open() (deploy.Effect, bool) {
	for _, e := range t.d.Open {
		if e.Kind != deploy.EffectWatch {
			return e, true
		}
	}
	return deploy.Effect{}, false
}

func (t *tale) outcome(e deploy.Effect) *deploy.Outcome {
	out := &deploy.Outcome{OK: true, Healthy: t.blueIs == "", Message: t.blueIs}
	if e.Kind == deploy.EffectHook {
		v, ok := t.verdicts[e.Hook.Hook.Name]
		if !ok {
			v.Status = deploy.VerdictPass
			if e.Hook.Hook.Name == "orders" {
				v.Checks = coupons(deploy.VerdictPass)
			}
		}
		v.TestURL, v.ProductionURL = "http://127.0.0.1:8081", "http://127.0.0.1:8080"
		out.Verdict = &v
	}
	return out
}

// proceed ends a wait after two seconds of thought.
func (t *tale) proceed(wait string) *tale {
	t.now = t.now.Add(2 * time.Second)
	t.step(deploy.Event{Kind: deploy.EventContinue, Wait: wait, By: root})
	return t
}

// rollback goes on with the record of the deployment's rollback.
func (t *tale) rollback() *tale {
	t.d, t.events = *t.spawn, nil
	t.begin()
	return t
}

func in(p deploy.Phase) func(deploy.Deployment) bool {
	return func(d deploy.Deployment) bool { return d.Phase == p }
}

func ended(d deploy.Deployment) bool { return d.Phase.Terminal() }

// scene is what the page of the deployment is drawn from now.
func (t *tale) scene(targets []deploy.TaskSetView, ledger []deploy.LedgerVersion) scene {
	return scene{
		d: t.d.View(func(string) string { return "secret-execution-id" }), events: t.events, targets: targets, ledger: ledger,
		logs: map[string]deploy.LogsOutput{"orders": {Lines: []string{"asking http://127.0.0.1:8081", "<script>alert(1)</script>", "done"}, Ended: true}},
	}
}
