package console_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"greengate/internal/deploy"
)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// past makes the lifecycle events of a deployment of which n have succeeded, one second each.
func past(n int, then deploy.LifecycleStatus) []deploy.LifecycleEvent {
	var list []deploy.LifecycleEvent
	for i, name := range deploy.LifecycleEvents(true) {
		ev := deploy.LifecycleEvent{Name: name, Status: deploy.LifecyclePending}
		switch {
		case i < n:
			ev.Status, ev.Start, ev.End = deploy.LifecycleSucceeded, at(float64(i)-60), at(float64(i)-59)
		case i == n && then != "":
			ev.Status, ev.Start = then, at(float64(i)-60)
			if then == deploy.LifecycleFailed {
				ev.End = at(float64(i) - 58.5)
			}
		case then == deploy.LifecycleFailed:
			ev.Status = deploy.LifecycleSkipped
		}
		list = append(list, ev)
	}
	return list
}

func actions(possible ...string) []deploy.ActionView {
	var list []deploy.ActionView
	for _, name := range []string{deploy.ActionReroute, deploy.ActionEndBake, deploy.ActionStop, deploy.ActionStopBack} {
		a := deploy.ActionView{Name: name, Possible: slices.Contains(possible, name)}
		if !a.Possible {
			a.Why = "deployment d-GOLDEN001 is in Install, not in READY_WAIT"
		}
		list = append(list, a)
	}
	return list
}

func verdict(list deploy.HookList, status deploy.VerdictStatus) deploy.Verdict {
	return deploy.Verdict{
		Hook: "orders", Kind: deploy.HookCommand, Event: list, Attempt: 1, Seq: 7, Status: status, Revision: "9f2ce1d0a4b7c3f01122", Version: "v2",
		TestURL: "http://127.0.0.1:8081", ProductionURL: "http://127.0.0.1:8080", Start: at(-56), End: at(-54.5),
	}
}

func history(rows ...deploy.Record) []deploy.HistoryEvent {
	var list []deploy.HistoryEvent
	for i, r := range rows {
		list = append(list, deploy.HistoryEvent{Seq: int64(i + 1), Deployment: "d-GOLDEN001", Record: r})
	}
	return list
}

func base() scene {
	return scene{
		d: deploy.DeploymentView{
			ID: "d-GOLDEN001", Service: "shop", Kind: deploy.KindDeploy, Creator: "user", StartedBy: root, From: "v1", To: "v2",
			Description: "Coupons, second try <b>with care</b>", Status: deploy.StatusInProgress, Phase: deploy.PhaseInstall, CreatedAt: at(-61),
			Weights: deploy.Weights{Blue: 100}, Lifecycle: past(1, deploy.LifecycleInProgress), Revno: 5, Promotion: deploy.PromoteVerified,
			Actions: actions(deploy.ActionStop, deploy.ActionStopBack),
		},
		events: history(deploy.Record{At: at(-61), Kind: deploy.RecordPhase, Phase: deploy.PhaseBeforeInstall, Reason: deploy.ReasonAdvanced, Message: "no hooks in BeforeInstall"},
			deploy.Record{At: at(-60), Kind: deploy.RecordPhase, Phase: deploy.PhaseInstall}),
		targets: []deploy.TaskSetView{
			{ID: "shop-blue0001", Version: "v1", Weight: 100, Desired: 2, Running: 2, Healthy: 2, Tasks: []deploy.TaskView{
				{ID: "shop-blue0001-1", State: "running", Health: "healthy", Address: "127.0.0.1:41001", PID: 4711},
				{ID: "shop-blue0001-2", State: "running", Health: "healthy", Address: "127.0.0.1:41002", PID: 4712, Restarts: 1, Reason: "started again: exit status 1"},
			}},
			{ID: "shop-green001", Version: "v2", Test: true, Desired: 2, Running: 2, Healthy: 1, Tasks: []deploy.TaskView{
				{ID: "shop-green001-1", State: "running", Health: "healthy", Address: "127.0.0.1:41003", PID: 4713},
				{ID: "shop-green001-2", State: "running", Health: "unhealthy", Address: "127.0.0.1:41004", PID: 4714, Reason: "GET /healthz: 503"},
			}},
		},
		logs: map[string]deploy.LogsOutput{"orders": {Lines: []string{"asking http://127.0.0.1:8081", "<script>alert(1)</script>", "done"}, Ended: true}},
	}
}

// scenes are the states of a deployment's page.
func scenes() map[string]scene {
	return map[string]scene{
		"running": running(), "waiting": waiting(), "verified": verified(), "failed-check": failedCheck(), "could-not-tell": couldNotTell(),
		"baking": baking(), "rolled-back": rolledBack(), "rollback-record": rollbackRecord(), "halted": halted(), "unknown-parts": base(),
	}
}

func sceneNames() []string { return slices.Sorted(maps.Keys(scenes())) }

func running() scene {
	s := base()
	s.d.Phase, s.d.Lifecycle = deploy.PhaseAfterAllowTestTraffic, past(4, deploy.LifecycleInProgress)
	s.d.Running = &deploy.RunningHook{Hook: "orders", Kind: deploy.HookCommand, Event: deploy.HookList(deploy.PhaseAfterAllowTestTraffic), Started: at(-5), ExecutionID: "secret-execution-id"}
	s.logs["orders"] = deploy.LogsOutput{Lines: []string{"asking http://127.0.0.1:8081", "3 of 12 orders placed"}}
	return s
}

func waiting() scene {
	s := base()
	s.d.Status, s.d.Phase, s.d.Lifecycle = deploy.StatusReady, deploy.PhaseReadyWait, past(5, "")
	s.d.Promotion, s.d.Waiting = deploy.PromoteManual, deploy.Waiting{For: deploy.WaitReady, Until: at(3540)}
	s.d.Actions, s.d.Revno = actions(deploy.ActionReroute, deploy.ActionStop, deploy.ActionStopBack), 12
	v := verdict(deploy.HookList(deploy.PhaseAfterAllowTestTraffic), deploy.VerdictPass)
	v.Checks = []deploy.Check{
		{Name: "cart adds up", Status: deploy.VerdictPass, Expected: "42.00", Actual: "42.00", Duration: 12 * time.Millisecond},
		{Name: "cart ships", Status: deploy.CheckSkipped, Message: "no carrier"},
	}
	s.d.Verdicts = []deploy.Verdict{v}
	s.events = append(s.events, history(deploy.Record{At: at(-55), Kind: deploy.RecordVerdict, Phase: deploy.PhaseAfterAllowTestTraffic, Message: v.Headline()},
		deploy.Record{At: at(-54), Kind: deploy.RecordPhase, Phase: deploy.PhaseReadyWait, Reason: deploy.ReasonAdvanced},
		deploy.Record{At: at(-54), Kind: deploy.RecordNote, Phase: deploy.PhaseReadyWait, Reason: deploy.ReasonWaiting, Message: "waiting until 12:59:00 for somebody to continue"})...)
	return s
}

func verified() scene {
	s := waiting()
	s.d.Status, s.d.Phase, s.d.Lifecycle, s.d.CompletedAt = deploy.StatusSucceeded, deploy.PhaseSucceeded, past(8, ""), at(-1)
	s.d.Waiting, s.d.Weights, s.d.Moved, s.d.Switch = deploy.Waiting{}, deploy.Weights{Green: 100}, true, 23*time.Millisecond
	s.d.WayBack = deploy.BlueWay{Checked: true, Healthy: true, Verified: true}
	s.d.Actions = nil
	smoke := verdict(deploy.SmokeAfter, deploy.VerdictPass)
	smoke.Hook, smoke.Seq = "smoke", 9
	s.d.Verdicts = append(s.d.Verdicts, smoke)
	s.events = append(s.events, history(deploy.Record{At: at(-40), Kind: deploy.RecordPhase, Phase: deploy.PhaseAllowTraffic},
		deploy.Record{At: at(-39), Kind: deploy.RecordWeights, Phase: deploy.PhaseAllowTraffic, Message: "blue 90 green 10"},
		deploy.Record{At: at(-20), Kind: deploy.RecordWeights, Phase: deploy.PhaseAllowTraffic, Message: "blue 0 green 100"},
		deploy.Record{At: at(-1), Kind: deploy.RecordEnd, Phase: deploy.PhaseSucceeded})...)
	s.ledger = []deploy.LedgerVersion{
		{Version: "v1", TaskSet: "shop-blue0001", Requests: 12840, Served: 12838, ClientCut: 2, P50: 1200 * time.Microsecond, P99: 9 * time.Millisecond},
		{Version: "v2", TaskSet: "shop-green001", Requests: 40211, Served: 40208, Failed: 2, Cut: 1, P50: 1100 * time.Microsecond, P99: 8 * time.Millisecond},
	}
	s.targets = []deploy.TaskSetView{{ID: "shop-green001", Version: "v2", Weight: 100, Test: true, Desired: 2, Running: 2, Healthy: 2}}
	return s
}

func failedCheck() scene {
	s := base()
	s.d.Status, s.d.Phase, s.d.Lifecycle, s.d.CompletedAt = deploy.StatusFailed, deploy.PhaseFailed, past(4, deploy.LifecycleFailed), at(-50)
	s.d.Lifecycle[4].Reason, s.d.Lifecycle[4].Message = deploy.ReasonHookFailed, "orders in AfterAllowTestTraffic: fail: cart takes coupons: 10 % were taken off twice"
	s.d.Reason, s.d.Message, s.d.Actions = deploy.ReasonHookFailed, s.d.Lifecycle[4].Message, nil
	v := verdict(deploy.HookList(deploy.PhaseAfterAllowTestTraffic), deploy.VerdictFail)
	v.Reason, v.Message = deploy.ReasonHookFailed, "1 of 2 checks did not pass"
	v.Checks = []deploy.Check{
		{Name: "cart adds up", Status: deploy.VerdictPass, Expected: "42.00", Actual: "42.00", Duration: 12 * time.Millisecond},
		{
			Name: "cart takes coupons", Status: deploy.VerdictFail, Expected: "90.00", Actual: "81.00", Message: "10 % were taken off twice", Duration: 8 * time.Millisecond,
			Evidence: "POST /cart/coupons HTTP/1.1\nHost: 127.0.0.1:8081\nAuthorization: ***\n\n{\"code\":\"TEN\"}\n\nHTTP/1.1 200 OK\nContent-Type: application/json\n\n{\"total\":\"81.00\"}",
		},
	}
	s.d.Verdicts = []deploy.Verdict{v}
	s.d.Rollback = deploy.RollbackInfo{Message: "production never left blue"}
	s.targets = s.targets[:1]
	return s
}

func couldNotTell() scene {
	s := failedCheck()
	message := "orders in AfterAllowTestTraffic: error: lookup shop.test: no such host"
	s.d.Reason, s.d.Message = deploy.ReasonInconclusive, message
	s.d.Lifecycle[4].Reason, s.d.Lifecycle[4].Message = deploy.ReasonInconclusive, message
	v := verdict(deploy.HookList(deploy.PhaseAfterAllowTestTraffic), deploy.VerdictError)
	v.Reason, v.Message, v.Attempt = deploy.ReasonInconclusive, "lookup shop.test: no such host", 3
	s.d.Verdicts = []deploy.Verdict{v}
	s.logs = map[string]deploy.LogsOutput{"orders": {Ended: true}}
	return s
}

func baking() scene {
	s := verified()
	s.d.Status, s.d.Phase, s.d.CompletedAt = deploy.StatusInProgress, deploy.PhaseTerminationWait, time.Time{}
	s.d.Waiting, s.d.Actions = deploy.Waiting{For: deploy.WaitTermination, Until: at(600)}, actions(deploy.ActionEndBake, deploy.ActionStop, deploy.ActionStopBack)
	s.events[len(s.events)-1] = deploy.HistoryEvent{Seq: 99, Deployment: s.d.ID, Record: deploy.Record{
		At: at(-10), Kind: deploy.RecordPhase, Phase: deploy.PhaseTerminationWait, Reason: deploy.ReasonAdvanced,
	}}
	return s
}

func rolledBack() scene {
	s := verified()
	s.targets[0].Version, s.targets[0].ID = "v1", "shop-blue0001"
	s.d.Status, s.d.Phase, s.d.Weights, s.d.Back = deploy.StatusFailed, deploy.PhaseFailed, deploy.Weights{Blue: 100}, 18*time.Millisecond
	s.d.Reason, s.d.Message = deploy.ReasonErrorBudget, "312 of 4021 production requests to green failed (7.8 %, allowed 1.0 %)"
	s.d.Rollback = deploy.RollbackInfo{DeploymentID: "d-ROLLBACK1", Message: "production is on the old version"}
	s.events = append(s.events[:len(s.events)-1], history(deploy.Record{At: at(-8), Kind: deploy.RecordPhase, Phase: deploy.PhaseRollback, Reason: deploy.ReasonErrorBudget},
		deploy.Record{At: at(-7), Kind: deploy.RecordWeights, Phase: deploy.PhaseRollback, Reason: deploy.ReasonRolledBack, Message: "blue 100 green 0"},
		deploy.Record{At: at(-1), Kind: deploy.RecordEnd, Phase: deploy.PhaseFailed, Reason: deploy.ReasonErrorBudget})...)
	return s
}

func rollbackRecord() scene {
	s := rolledBack()
	s.d.Kind, s.d.Creator, s.d.StartedBy, s.d.From, s.d.To = deploy.KindRollback, deploy.CreatorRollback, "", "v2", "v1"
	s.d.Status, s.d.Phase, s.d.Reason, s.d.Message, s.d.Description = deploy.StatusSucceeded, deploy.PhaseSucceeded, "", "", ""
	s.d.Rollback = deploy.RollbackInfo{TriggeringID: "d-GOLDEN000", Verified: true, Message: "rolled back"}
	s.d.Lifecycle = s.d.Lifecycle[6:]
	v := verdict(deploy.SmokeRollback, deploy.VerdictPass)
	v.Hook, v.Version = "smoke", "v1"
	s.d.Verdicts = []deploy.Verdict{v}
	s.events, s.ledger = s.events[len(s.events)-3:], nil
	return s
}

func halted() scene {
	s := rolledBack()
	s.d.Halted, s.d.Weights = true, deploy.Weights{Blue: 40, Green: 60}
	s.d.Rollback = deploy.RollbackInfo{Message: "halted with blue 40 green 60: blue is not healthy: 0 of 2 tasks healthy"}
	return s
}

// many are deployments of two services, newest first.
func many(n int) []deploy.DeploymentView {
	status := []deploy.Status{deploy.StatusSucceeded, deploy.StatusSucceeded, deploy.StatusFailed, deploy.StatusStopped, deploy.StatusSucceeded}
	var list []deploy.DeploymentView
	for i := range n {
		d := deploy.DeploymentView{
			ID: fmt.Sprintf("d-%09d", n-i), Service: []string{"shop", "checkout"}[i%2], Kind: deploy.KindDeploy, Creator: "user", StartedBy: root,
			From: fmt.Sprintf("v%d", n-i-1), To: fmt.Sprintf("v%d", n-i), Status: status[i%5], Phase: deploy.Phase(status[i%5]),
			CreatedAt: at(float64(-600 * (i + 1))), CompletedAt: at(float64(-600*(i+1) + 95)), Weights: deploy.Weights{Green: 100},
		}
		if d.Status != deploy.StatusSucceeded {
			d.Reason, d.Weights = deploy.ReasonHookFailed, deploy.Weights{Blue: 100}
		}
		if i == 0 {
			d.Status, d.Phase, d.CompletedAt, d.Weights, d.Reason = deploy.StatusReady, deploy.PhaseReadyWait, time.Time{}, deploy.Weights{Blue: 100}, ""
		}
		list = append(list, d)
	}
	return list
}

// furnish fills the other pages.
func (s *site) furnish() {
	sets := base().targets
	s.services = []deploy.ServiceView{
		{Name: "checkout", Version: "v7", Production: "127.0.0.1:9080", Tasks: 1, Deployment: "d-000000499", DeploymentStatus: deploy.StatusSucceeded},
		{Name: "shop", Version: "v1", Production: "127.0.0.1:8080", Test: "127.0.0.1:8081", Tasks: 2, TaskSets: sets, Deployment: "d-GOLDEN001", DeploymentStatus: deploy.StatusReady},
	}
	s.list = many(500)
	s.funcs = []deploy.FunctionView{{
		Name: "verify", Runtime: "python3.11", Handler: "verify.handler", Origin: "shop", Timeout: 30 * time.Second,
		Invocations: []deploy.InvocationView{{ID: "6f3c", At: at(-10)}, {ID: "5e2b", At: at(-70), Duration: "31.20 ms", Memory: "42 MB"}},
		Log:         []string{"START RequestId: 5e2b", "asking http://127.0.0.1:8081", "REPORT RequestId: 5e2b"},
	}}
	s.checks = []deploy.ServiceFindings{
		{Service: "checkout", Findings: []deploy.Finding{
			{Level: "error", Field: "listeners.production", Message: "127.0.0.1:9080 cannot be opened: address already in use", Mend: "choose another address, or stop what uses it"},
			{Level: "warning", Field: "smoke", Message: "there is no smoke set", Mend: "add a smoke list"},
		}},
		{Service: "shop", Findings: []deploy.Finding{}},
	}
	s.audit = []deploy.AuditEntry{
		{Seq: 3, At: at(-5), Principal: root, Source: "127.0.0.1", Agent: "console; Mozilla/5.0", Service: "codedeploy", Operation: "ContinueDeployment", Resource: "d-GOLDEN001", Outcome: "ok"},
		{Seq: 2, At: at(-9), Source: "10.1.2.3", Agent: "console; curl/8", Service: "greengate", Operation: "SignIn", Outcome: "AccessDenied"},
		{Seq: 1, At: at(-90), Principal: "arn:aws:iam::000000000000:user/ci", Source: "10.1.2.4", Agent: "aws-cli/1.45.11", Service: "codedeploy", Operation: "CreateDeployment", Resource: "shop production", Outcome: "AccessDeniedException"},
	}
}
