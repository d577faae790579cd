package app

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"greengate/internal/cloud/cloudtest"
	"greengate/internal/config"
	"greengate/internal/deploy"
	"greengate/internal/deploy/deploytest"

	"github.com/google/go-cmp/cmp"
)

// end is a way in which a deployment ends other than well, and what is told of it.
type end struct {
	// plan alters the plan, first says that there is no old version.
	plan  func(p *deploy.Plan)
	first bool
	// effects end otherwise than well: by kind, and where it matters by list or phase.
	effects func(d deploy.Deployment, e deploy.Effect) *deploy.Outcome
	// happens, once the deployment is in a phase.
	in      deploy.Phase
	happens deploy.Event
	// want are the notices of the deployment, and of the record of its rollback where there is one.
	want []string
}

func bad(r deploy.Reason) *deploy.Outcome {
	return &deploy.Outcome{Reason: r, Message: "not this time"}
}

// hooked is a hook's verdict in a list; the others end well.
func hooked(list deploy.HookList, out *deploy.Outcome) func(deploy.Deployment, deploy.Effect) *deploy.Outcome {
	return func(_ deploy.Deployment, e deploy.Effect) *deploy.Outcome {
		if e.Kind == deploy.EffectHook && e.Hook.List == list {
			return out
		}
		return nil
	}
}

func judged(v deploy.Verdict) *deploy.Outcome { return &deploy.Outcome{OK: true, Verdict: &v} }

// during is the outcome of a kind of effect in a phase.
func during(p deploy.Phase, k deploy.EffectKind, out *deploy.Outcome) func(deploy.Deployment, deploy.Effect) *deploy.Outcome {
	return func(d deploy.Deployment, e deploy.Effect) *deploy.Outcome {
		if e.Kind == k && d.Phase == p {
			return out
		}
		return nil
	}
}

const tested = deploy.HookList(deploy.PhaseAfterAllowTestTraffic)

// ends are all of them: the test below looks whether a reason is missing.
func ends() map[string]end {
	fail := judged(deploy.Verdict{Status: deploy.VerdictFail, Reason: deploy.ReasonHookFailed})
	back := []string{"rollback started", "rollback rolled-back verified"}
	ends := map[string]end{
		"install failed":                      {effects: during(deploy.PhaseInstall, deploy.EffectInstall, bad("")), want: append([]string{"started", "failed ECS_UPDATE_ERROR"}, back...)},
		"install silent":                      {effects: during(deploy.PhaseInstall, deploy.EffectInstall, deploytest.Silent), want: append([]string{"started", "failed TIMEOUT"}, back...)},
		"test not routed":                     {effects: during(deploy.PhaseInstall, deploy.EffectRoute, bad("")), want: append([]string{"started", "failed ROUTE_FAILED"}, back...)},
		"shift conflicts":                     {effects: during(deploy.PhaseAllowTraffic, deploy.EffectRoute, bad(deploy.ReasonRouteConflict)), want: []string{"started", "failed ROUTE_CONFLICT", "rollback started", "rollback halted ROUTE_CONFLICT"}},
		"hook failed":                         {effects: hooked(tested, fail), want: append([]string{"started", "failed HOOK_EXECUTION_FAILURE"}, back...)},
		"hook silent":                         {effects: hooked(tested, deploytest.Silent), want: append([]string{"started", "failed VERIFICATION_INCONCLUSIVE"}, back...)},
		"could not tell":                      {effects: hooked(tested, judged(deploy.Verdict{Status: deploy.VerdictError})), want: append([]string{"started", "failed VERIFICATION_INCONCLUSIVE"}, back...)},
		"hook not allowed":                    {effects: hooked(tested, judged(deploy.Verdict{Status: deploy.VerdictError, Reason: deploy.ReasonPermissions})), want: append([]string{"started", "failed IAM_ROLE_PERMISSIONS"}, back...)},
		"smoke failed":                        {effects: hooked(deploy.SmokeAfter, fail), want: append([]string{"started", "failed SMOKE_FAILED"}, back...)},
		"smoke failed at the end of the bake": {effects: hooked(deploy.SmokeBake, fail), want: append([]string{"started", "failed SMOKE_FAILED"}, back...)},
		"no way back": {
			plan: func(p *deploy.Plan) { p.WayBack = deploy.WayBackRequire }, effects: during(deploy.PhaseWayBack, deploy.EffectInspect, &deploy.Outcome{OK: true}),
			want: append([]string{"started", "failed NO_VERIFIED_WAY_BACK"}, back...),
		},
		"alarm":          {in: deploy.PhaseTerminationWait, happens: deploy.Event{Kind: deploy.EventAlarm, Alarms: []string{"errors"}}, want: append([]string{"started", "stopped ALARM_ACTIVE"}, back...)},
		"unhealthy":      {in: deploy.PhaseTerminationWait, happens: deploy.Event{Kind: deploy.EventUnhealthy}, want: append([]string{"started", "failed GREEN_UNHEALTHY"}, back...)},
		"error rate":     {in: deploy.PhaseTerminationWait, happens: deploy.Event{Kind: deploy.EventBudget}, want: append([]string{"started", "failed ERROR_RATE_EXCEEDED"}, back...)},
		"stop":           {in: deploy.PhaseTerminationWait, happens: deploy.Event{Kind: deploy.EventStop, GoBack: new(false)}, want: []string{"started", "stopped MANUAL_STOP"}},
		"stop and back":  {in: deploy.PhaseTerminationWait, happens: deploy.Event{Kind: deploy.EventStop, GoBack: new(true)}, want: append([]string{"started", "stopped MANUAL_STOP"}, back...)},
		"nobody decides": {plan: func(p *deploy.Plan) { p.Promotion = deploy.PromoteManual }, want: append([]string{"started", "ready", "stopped READY_WAIT_EXPIRED"}, back...)},
		"halted": {
			in: deploy.PhaseTerminationWait, happens: deploy.Event{Kind: deploy.EventBudget}, effects: during(deploy.PhaseInspect, deploy.EffectInspect, &deploy.Outcome{OK: true}),
			want: []string{"started", "halted ERROR_RATE_EXCEEDED"},
		},
		"way back not confirmed": {
			in: deploy.PhaseTerminationWait, happens: deploy.Event{Kind: deploy.EventBudget}, effects: during(deploy.PhaseRollback, deploy.EffectRoute, bad("")),
			want: []string{"started", "halted ERROR_RATE_EXCEEDED"},
		},
		"rollback not verified": {
			effects: func(_ deploy.Deployment, e deploy.Effect) *deploy.Outcome {
				if e.Kind == deploy.EffectHook && (e.Hook.List == deploy.SmokeAfter || e.Hook.List == deploy.SmokeRollback) {
					return fail
				}
				return nil
			},
			want: []string{"started", "failed SMOKE_FAILED", "rollback started", "rollback rolled-back"},
		},
		"rollback failed": {
			effects: func(d deploy.Deployment, e deploy.Effect) *deploy.Outcome {
				switch {
				case e.Kind == deploy.EffectHook && e.Hook.List == tested:
					return fail
				case e.Kind == deploy.EffectRoute && d.Kind == deploy.KindRollback:
					return bad("")
				}
				return nil
			},
			want: []string{"started", "failed HOOK_EXECUTION_FAILURE", "rollback started", "rollback halted ROUTE_FAILED"},
		},
		"first one failed": {first: true, effects: hooked(tested, fail), want: []string{"started", "failed HOOK_EXECUTION_FAILURE"}},
		"no rollback":      {plan: func(p *deploy.Plan) { p.Rollback = deploy.RollbackPolicy{} }, effects: hooked(tested, fail), want: []string{"started", "failed HOOK_EXECUTION_FAILURE"}},
		"blind": {
			in: deploy.PhaseTerminationWait, effects: nil, happens: deploy.Event{Kind: deploy.EventOutcome, Outcome: bad(deploy.ReasonInternal)},
			want: append([]string{"started", "failed INTERNAL_ERROR"}, back...),
		},
	}
	for _, r := range []deploy.Reason{deploy.ReasonInvalidRevision, deploy.ReasonRevisionMissing, deploy.ReasonInvalidECSService, deploy.ReasonRoleMissing} {
		ends["refused: "+string(r)] = end{plan: func(p *deploy.Plan) { p.Refused = &deploy.Refusal{Reason: r} }, want: []string{"started", "failed " + string(r)}}
	}
	return ends
}

// told plays an end and returns what a receiver was told of it, and the reasons that ended it.
func (e end) told(t *testing.T) (notices []string, reasons []deploy.Reason) {
	t.Helper()
	n := deploy.New{
		ID: "d-1", RollbackID: "d-2", At: born, Green: deploy.TaskSet{ID: "g", Revision: deploy.Revision{Version: "v2"}},
		Plan: deploy.Plan{
			Service: "shop", TestListener: true, Promotion: deploy.PromoteAuto, Bake: time.Minute, Limits: deploy.DefaultLimits(),
			Hooks: map[deploy.Phase][]deploy.Hook{deploy.PhaseAfterAllowTestTraffic: {{Name: "orders", Kind: deploy.HookCommand, Timeout: time.Minute}}},
			Smoke: []deploy.Hook{{Name: "smoke", Kind: deploy.HookCommand}}, Rollback: deploy.RollbackPolicy{OnFailure: true, OnAlarm: true, OnStop: true},
		},
	}
	if !e.first {
		n.Blue = deploy.TaskSet{ID: "b", Revision: deploy.Revision{Version: "v1"}}
	}
	if e.plan != nil {
		e.plan(&n.Plan)
	}
	story := deploytest.New(n)
	play := func(s *deploytest.Tale) {
		s.Outcome = func(effect deploy.Effect) *deploy.Outcome {
			if e.effects == nil {
				return nil
			}
			return e.effects(s.D, effect)
		}
	}
	play(story)
	story.Start()
	if e.in != "" {
		story.Until(deploytest.In(e.in))
		ev := e.happens
		if ev.Kind == deploy.EventOutcome { // of the watch
			ev.Seq = story.D.Open[0].Seq
		}
		story.Step(ev)
	}
	story.Until(deploytest.Ended)
	all := []*deploytest.Tale{story}
	if story.Spawn != nil {
		back := *story
		back.D, back.Records, back.Spawn = *story.Spawn, nil, nil
		back.D.Revno = 1
		play(&back)
		all = append(all, back.Start().Until(deploytest.Ended))
	}
	p, r, keep := newMemoryPast(), newReceiver(t, fine), &cloudtest.Memory{}
	sink := config.Sink{URL: r.URL}
	announcing(t, p, keep, sink)
	for _, s := range all {
		p.add(s.D, s.Records...)
		if s.D.Cause != nil {
			reasons = append(reasons, s.D.Cause.Reason)
		}
	}
	for range e.want {
		var got notice
		if err := json.Unmarshal([]byte(r.next(t)), &got); err != nil {
			t.Fatal(err)
		}
		line := strings.TrimSpace(fmt.Sprintf("%s %s", got.Event, got.Reason))
		if got.Kind == deploy.KindRollback {
			line = "rollback " + line
		}
		if got.Verified {
			line += " verified"
		}
		notices = append(notices, line)
	}
	eventually(t, "all is read", func() bool {
		known, err := places(t.Context(), keep)
		return err == nil && known[sinkName(sink)].After == int64(len(p.records))
	})
	if n := len(r.got); n > 0 {
		t.Errorf("%d notices more than %q", n, e.want)
	}
	return notices, reasons
}

// TestAnnouncer_ends: every way in which a deployment can end other than well is told, once; so is the record of its
// rollback. The deployments are played by the domain's own steps.
func TestAnnouncer_ends(t *testing.T) {
	t.Parallel()
	seen := map[deploy.Reason]bool{}
	for _, name := range slices.Sorted(maps.Keys(ends())) {
		e := ends()[name]
		got, reasons := e.told(t)
		if diff := cmp.Diff(e.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, r := range reasons {
			seen[r] = true
		}
	}
	for _, r := range allReasons(t) {
		if !seen[r] && !slices.Contains(endsNothing(), r) {
			t.Errorf("no deployment ended with %s: is that told?", r)
		}
	}
}

// endsNothing are the reasons of transitions and notes. A hook that is silent ends a deployment as inconclusive.
func endsNothing() []deploy.Reason {
	return []deploy.Reason{
		deploy.ReasonNone, deploy.ReasonHookTimeout, deploy.ReasonBlueUnhealthy, deploy.ReasonRollbackUnconfirmed, deploy.ReasonAdvanced, deploy.ReasonVerified,
		deploy.ReasonContinued, deploy.ReasonAutomatic, deploy.ReasonWaiting, deploy.ReasonRolledBack, deploy.ReasonHalted, deploy.ReasonRetirementUnconfirmed,
		deploy.ReasonStale,
	}
}

// allReasons reads the reasons of the domain from its source.
func allReasons(t *testing.T) []deploy.Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../deploy/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []deploy.Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && strings.HasPrefix(spec.Names[0].Name, "Reason") {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, deploy.Reason(text))
		}
		return true
	})
	if len(all) < 20 {
		t.Fatalf("only %d reasons were found", len(all))
	}
	return all
}
