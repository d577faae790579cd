package console_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/deploy/deploytest"
)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// scenes are the states of a deployment's page.
func scenes() map[string]scene {
	return map[string]scene{
		"running": running(), "waiting": waiting(), "verified": verified(), "failed-check": failedCheck(), "could-not-tell": couldNotTell(),
		"baking": baking(), "rolled-back": rolledBack(), "rollback-record": rollbackRecord(), "halted": halted(), "stopped": stopped(),
		"unknown-parts": unknownParts(),
	}
}

func sceneNames() []string { return slices.Sorted(maps.Keys(scenes())) }

// blueAndGreen are the task sets before production has moved.
func blueAndGreen() []deploy.TaskSetView {
	return []deploy.TaskSetView{
		{ID: "shop-blue0001", Version: "v1", Weight: 100, Desired: 2, Running: 2, Healthy: 2, Tasks: []deploy.TaskView{
			{ID: "shop-blue0001-1", State: "running", Health: "healthy", Address: "127.0.0.1:41001", PID: 4711},
			{ID: "shop-blue0001-2", State: "running", Health: "healthy", Address: "127.0.0.1:41002", PID: 4712, Restarts: 1, Reason: "started again: exit status 1"},
		}},
		{ID: "shop-green001", Version: "v2", Test: true, Desired: 2, Running: 2, Healthy: 1, Tasks: []deploy.TaskView{
			{ID: "shop-green001-1", State: "running", Health: "healthy", Address: "127.0.0.1:41003", PID: 4713},
			{ID: "shop-green001-2", State: "running", Health: "unhealthy", Address: "127.0.0.1:41004", PID: 4714, Reason: "GET /healthz: 503"},
		}},
	}
}

// alone is a task set that has production to itself.
func alone(id, version string) []deploy.TaskSetView {
	return []deploy.TaskSetView{{ID: id, Version: version, Weight: 100, Test: true, Desired: 2, Running: 2, Healthy: 2, Tasks: []deploy.TaskView{
		{ID: id + "-1", State: "running", Health: "healthy", Address: "127.0.0.1:41001", PID: 4711},
		{ID: id + "-2", State: "running", Health: "healthy", Address: "127.0.0.1:41002", PID: 4712},
	}}}
}

func counted() []deploy.LedgerVersion {
	return []deploy.LedgerVersion{
		{Version: "v1", TaskSet: "shop-blue0001", Requests: 12840, Served: 12838, ClientCut: 2, P50: 1200 * time.Microsecond, P99: 9 * time.Millisecond},
		{Version: "v2", TaskSet: "shop-green001", Requests: 40211, Served: 40208, Failed: 2, Cut: 1, P50: 1100 * time.Microsecond, P99: 8 * time.Millisecond},
	}
}

// coupons are the checks of the orders hook, of which the last one ends as it is told.
func coupons(last deploy.VerdictStatus) []deploy.Check {
	checks := []deploy.Check{
		{Name: "cart adds up", Status: deploy.VerdictPass, Expected: "42.00", Actual: "42.00", Duration: 12 * time.Millisecond},
		{Name: "cart ships", Status: deploy.CheckSkipped, Message: "no carrier"},
	}
	if last == deploy.VerdictPass {
		return checks
	}
	return append(checks[:1], deploy.Check{
		Name: "cart takes coupons", Status: last, Expected: "90.00", Actual: "81.00", Message: "10 % were taken off twice", Duration: 8 * time.Millisecond,
		Evidence: "POST /cart/coupons HTTP/1.1\nHost: 127.0.0.1:8081\nAuthorization: ***\n\n{\"code\":\"TEN\"}\n\nHTTP/1.1 200 OK\nContent-Type: application/json\n\n{\"total\":\"81.00\"}",
	})
}

func running() scene {
	f := newTale(75)
	f.D.Plan.Hooks[deploy.PhaseAfterAllowTestTraffic][0].Kind = deploy.HookFunction
	f.until(func(d deploy.Deployment) bool {
		return d.Run != nil && d.Run.List == deploy.HookList(deploy.PhaseAfterAllowTestTraffic)
	})
	s := f.scene(blueAndGreen(), nil)
	s.logs["orders"] = deploy.LogsOutput{Lines: []string{"asking http://127.0.0.1:8081", "3 of 12 orders placed"}}
	return s
}

func unknownParts() scene {
	return newTale(70).until(deploytest.In(deploy.PhaseInstall)).scene(blueAndGreen(), nil)
}

func waiting() scene {
	return newTale(66).until(deploytest.In(deploy.PhaseReadyWait)).scene(blueAndGreen(), nil)
}

// switched is a deployment up to where production is on the new version and the bake begins.
func switched() *tale {
	return newTale(60).until(deploytest.In(deploy.PhaseReadyWait)).proceed(deploy.WaitReady).until(deploytest.In(deploy.PhaseTerminationWait))
}

func baking() scene { return switched().scene(blueAndGreen(), counted()) }

func verified() scene {
	return switched().proceed(deploy.WaitTermination).until(deploytest.Ended).scene(alone("shop-green001", "v2"), counted())
}

func failedCheck() scene {
	f := newTale(80)
	f.verdicts["orders"] = deploy.Verdict{Status: deploy.VerdictFail, Reason: deploy.ReasonHookFailed, Message: "1 of 2 checks did not pass", Checks: coupons(deploy.VerdictFail)}
	return f.until(deploytest.Ended).scene(blueAndGreen()[:1], nil)
}

func couldNotTell() scene {
	f := newTale(80)
	f.D.Plan.Hooks[deploy.PhaseAfterAllowTestTraffic][0].Retries = 2
	f.verdicts["orders"] = deploy.Verdict{Status: deploy.VerdictError, Reason: deploy.ReasonInconclusive, Message: "lookup shop.test: no such host"}
	s := f.until(deploytest.Ended).scene(blueAndGreen()[:1], nil)
	s.logs = map[string]deploy.LogsOutput{"orders": {Ended: true}}
	return s
}

func stopped() scene {
	f := newTale(66).until(deploytest.In(deploy.PhaseReadyWait))
	f.Step(deploy.Event{Kind: deploy.EventStop, By: root, GoBack: new(true)})
	return f.until(deploytest.Ended).scene(blueAndGreen()[:1], nil)
}

// overBudget is a switched deployment whose new version fails too many requests.
func overBudget() *tale {
	f := switched()
	f.Step(deploy.Event{Kind: deploy.EventBudget, Message: "312 of 4021 production requests to green failed (7.8 %, allowed 1.0 %)"})
	return f
}

func rolledBack() scene {
	return overBudget().until(deploytest.Ended).scene(alone("shop-blue0001", "v1"), counted())
}

func halted() scene {
	f := overBudget()
	f.blueIs = "0 of 2 tasks healthy"
	sets := blueAndGreen()
	sets[0].Healthy, sets[0].Running, sets[0].Weight, sets[1].Weight = 0, 0, 0, 100
	sets[0].Tasks = sets[0].Tasks[:0]
	return f.until(deploytest.Ended).scene(sets, counted())
}

func rollbackRecord() scene {
	f := overBudget().until(deploytest.Ended)
	f.Tale = f.Rollback()
	return f.until(deploytest.Ended).scene(alone("shop-blue0001", "v1"), counted())
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
	sets := blueAndGreen()
	s.services = []deploy.ServiceView{
		{Name: "checkout", Version: "v7", Production: "127.0.0.1:9080", Tasks: 1, Deployment: "d-000000499", DeploymentStatus: deploy.StatusSucceeded, RolledBack: "d-000000498"},
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
		{Service: "shop/live", Findings: []deploy.Finding{
			{
				Level: "error", Where: "hook AfterAllowTestTraffic",
				Message: "the role arn:aws:iam::000000000000:role/shop-check does not allow codedeploy:PutLifecycleEventHookExecutionStatus on arn:aws:codedeploy:us-east-1:000000000000:deploymentgroup:shop/live: the function could not report, and the deployment would wait for it in vain",
				Mend:    `aws iam put-role-policy --role-name 'shop-check' --policy-name greengate-putlifecycleeventhookexecutionstatus --policy-document '{"Statement":[{"Action":"codedeploy:PutLifecycleEventHookExecutionStatus","Effect":"Allow","Resource":"arn:aws:codedeploy:us-east-1:000000000000:deploymentgroup:shop/live"}],"Version":"2012-10-17"}'`,
			},
			{Level: "note", Where: "hook AfterAllowTraffic", Message: "at AfterAllowTraffic the new version has production traffic already; a hook before AllowTraffic keeps a bad one away from it"},
		}},
	}
	s.audit = []deploy.AuditEntry{
		{Seq: 3, At: at(-5), Principal: root, Source: "127.0.0.1", Agent: "console; Mozilla/5.0", Service: "codedeploy", Operation: "ContinueDeployment", Resource: "d-GOLDEN001", Outcome: "ok"},
		{Seq: 2, At: at(-9), Source: "10.1.2.3", Agent: "console; curl/8", Service: "greengate", Operation: "SignIn", Outcome: "AccessDenied"},
		{Seq: 1, At: at(-90), Principal: "arn:aws:iam::000000000000:user/ci", Source: "10.1.2.4", Agent: "aws-cli/1.45.11", Service: "codedeploy", Operation: "CreateDeployment", Resource: "shop production", Outcome: "AccessDeniedException"},
	}
}
