package console_test

import (
	"strings"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/deploy/deploytest"
)

// tale is a deployment of shop from v1 to v2: a canary that somebody promotes.
type tale struct {
	*deploytest.Tale
	// verdicts are those of hooks by name; the others pass.
	verdicts map[string]deploy.Verdict
	// blueIs says what is wrong with the old version; empty: it is healthy.
	blueIs string
}

// newTale begins it some seconds before noon.
func newTale(before float64) *tale {
	set := func(id, version, digest string) deploy.TaskSet {
		return deploy.TaskSet{ID: id, Service: "shop", Tasks: 2, Revision: deploy.Revision{Version: version, Digest: strings.Repeat(digest, 8)}}
	}
	t := &tale{verdicts: map[string]deploy.Verdict{}}
	t.Tale = deploytest.New(deploy.New{
		ID: "d-GOLDEN001", RollbackID: "d-ROLLBACK1", Creator: "user", StartedBy: root, Description: "Coupons, second try <b>with care</b>", At: at(-before),
		Blue: set("shop-blue0001", "v1", "0badcafe"), Green: set("shop-green001", "v2", "9f2ce1d0"), TestSide: deploy.SideBlue,
		Plan: deploy.Plan{
			Service: "shop", Application: "shop", Group: "shop", TestListener: true, Promotion: deploy.PromoteManual, ReadyLimit: time.Hour,
			Hooks:   map[deploy.Phase][]deploy.Hook{deploy.PhaseAfterAllowTestTraffic: {{Name: "orders", Kind: deploy.HookCommand}}},
			Smoke:   []deploy.Hook{{Name: "smoke", Kind: deploy.HookCommand}},
			Traffic: deploy.Traffic{Kind: deploy.TrafficCanary, Percent: 10, Interval: 20 * time.Second}, Bake: 10 * time.Minute,
			Rollback: deploy.RollbackPolicy{OnFailure: true}, MaxErrorRate: .01, Limits: deploy.DefaultLimits(),
		},
	})
	t.Outcome = t.outcome
	t.Start()
	return t
}

func (t *tale) until(there func(deploy.Deployment) bool) *tale {
	t.Until(there)
	return t
}

// proceed ends a wait after two seconds of thought.
func (t *tale) proceed(wait string) *tale {
	t.Now = t.Now.Add(2 * time.Second)
	t.Proceed(wait, root)
	return t
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

// scene is what the page of the deployment is drawn from now.
func (t *tale) scene(targets []deploy.TaskSetView, ledger []deploy.LedgerVersion) scene {
	s := scene{
		d: t.D.View(func(string) string { return "secret-execution-id" }), targets: targets, ledger: ledger,
		logs: map[string]deploy.LogsOutput{"orders": {Lines: []string{"asking http://127.0.0.1:8081", "<script>alert(1)</script>", "done"}, Ended: true}},
	}
	for i, r := range t.Records {
		s.events = append(s.events, deploy.HistoryEvent{Seq: int64(i + 1), Deployment: t.D.ID, Record: r})
	}
	return s
}
