package awsapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/deploy"
)

var update = flag.Bool("update", false, "write the answers in testdata/answers anew")

// answers are the calls whose whole answer is kept in testdata/answers, by file name.
func answers() map[string][2]string {
	return map[string][2]string{
		"get-deployment-shifting":    {"GetDeployment", `{"deploymentId":"d-AB12CD34E"}`},
		"get-deployment-stopped":     {"GetDeployment", `{"deploymentId":"d-FAILED001"}`},
		"get-deployment-rollback":    {"GetDeployment", `{"deploymentId":"d-ROLLBACK1"}`},
		"get-deployment-first":       {"GetDeployment", `{"deploymentId":"d-FIRST0001"}`},
		"get-deployment-created":     {"GetDeployment", `{"deploymentId":"d-CREATED01"}`},
		"batch-get-deployments":      {"BatchGetDeployments", `{"deploymentIds":["d-READY0001","d-NOBODY001","d-CREATED01"]}`},
		"get-target-shifting":        {"GetDeploymentTarget", `{"deploymentId":"d-AB12CD34E","targetId":"c:s"}`},
		"get-target-stopped":         {"GetDeploymentTarget", `{"deploymentId":"d-FAILED001","targetId":"c:s"}`},
		"batch-get-targets-baking":   {"BatchGetDeploymentTargets", `{"deploymentId":"d-BAKING001","targetIds":["c:s"]}`},
		"get-group":                  {"GetDeploymentGroup", `{"applicationName":"shop","deploymentGroupName":"web"}`},
		"get-application":            {"GetApplication", `{"applicationName":"shop"}`},
		"get-config-canary":          {"GetDeploymentConfig", `{"deploymentConfigName":"CodeDeployDefault.ECSCanary10Percent5Minutes"}`},
		"get-config-linear":          {"GetDeploymentConfig", `{"deploymentConfigName":"CodeDeployDefault.ECSLinear10PercentEvery3Minutes"}`},
		"get-config-all-at-once":     {"GetDeploymentConfig", `{"deploymentConfigName":"CodeDeployDefault.ECSAllAtOnce"}`},
		"list-deployments":           {"ListDeployments", `{"applicationName":"shop","deploymentGroupName":"web"}`},
		"list-deployment-targets":    {"ListDeploymentTargets", `{"deploymentId":"d-AB12CD34E"}`},
		"list-deployment-groups":     {"ListDeploymentGroups", `{"applicationName":"shop"}`},
		"put-hook-status":            {"PutLifecycleEventHookExecutionStatus", `{"deploymentId":"d-AB12CD34E","lifecycleEventHookExecutionId":"execution-1","status":"Succeeded"}`},
		"stop-deployment":            {"StopDeployment", `{"deploymentId":"d-BAKING001"}`},
		"continue-deployment":        {"ContinueDeployment", `{"deploymentId":"d-READY0001"}`},
		"skip-wait":                  {"SkipWaitTimeForInstanceTermination", `{"deploymentId":"d-BAKING001"}`},
		"list-applications":          {"ListApplications", `{}`},
		"list-deployment-configs":    {"ListDeploymentConfigs", `{}`},
		"list-deployments-one-state": {"ListDeployments", `{"includeOnlyStatuses":["Ready"]}`},
	}
}

func TestCodeDeploy_answers(t *testing.T) {
	t.Parallel()
	outputs := map[string]reflect.Type{}
	for _, op := range codedeploy.Operations() {
		outputs[op.Name] = op.Output
	}
	for name, call := range answers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := serve(t, nil) // one each: some calls change something
			a := e.call(t, cdPrefix+call[0], call[1])
			if a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if out := outputs[call[0]]; out != nil {
				into := reflect.New(out).Interface()
				if err := shapes.Decode(a.body, into); err != nil {
					t.Fatal(err)
				}
				if faults := shapes.Check(into); len(faults) > 0 {
					t.Errorf("against the model: %q", faults)
				}
			}
			var got bytes.Buffer
			if err := json.Indent(&got, a.body, "", "  "); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
			file := filepath.Join("testdata", "answers", name+".json")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("(-%s +got):\n%s", file, diff)
			}
		})
	}
	files, err := filepath.Glob("testdata/answers/*.json")
	if err != nil || len(files) != len(answers()) {
		t.Errorf("%d files for %d calls (%v)", len(files), len(answers()), err)
	}
}

// TestView_specSample compares with the reference payload of a linear shift, written by hand from the documentation.
func TestView_specSample(t *testing.T) {
	t.Parallel()
	e := serve(t, nil)
	var want, got any
	sample, err := os.ReadFile("testdata/target-sample.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(sample, &want); err != nil {
		t.Fatal(err)
	}
	a := e.call(t, cdPrefix+"GetDeploymentTarget", `{"deploymentId":"d-AB12CD34E","targetId":"c:s"}`)
	if err := json.Unmarshal(a.body, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-sample +got):\n%s", diff)
	}
}

// TestView_everyReason: each reason of the domain becomes a code of the model, and none is lost.
func TestView_everyReason(t *testing.T) {
	t.Parallel()
	// Reasons that go with a transition, not with an end.
	never := []deploy.Reason{
		deploy.ReasonAdvanced, deploy.ReasonVerified, deploy.ReasonContinued, deploy.ReasonAutomatic, deploy.ReasonWaiting,
		deploy.ReasonRolledBack,
	}
	want := map[deploy.Reason]codedeploy.ErrorCode{
		deploy.ReasonHookFailed: "HOOK_EXECUTION_FAILURE", deploy.ReasonHookTimeout: "HOOK_EXECUTION_FAILURE",
		deploy.ReasonInconclusive: "HOOK_EXECUTION_FAILURE", deploy.ReasonSmokeFailed: "HOOK_EXECUTION_FAILURE",
		deploy.ReasonTimeout: "TIMEOUT", deploy.ReasonInstallFailed: "ECS_UPDATE_ERROR", deploy.ReasonUnhealthy: "ECS_UPDATE_ERROR",
		deploy.ReasonInvalidRevision: "INVALID_REVISION", deploy.ReasonAlarm: "ALARM_ACTIVE", deploy.ReasonStopRequested: "MANUAL_STOP",
		deploy.ReasonReadyWaitExpired: "TIMEOUT", deploy.ReasonPermissions: "IAM_ROLE_PERMISSIONS",
		deploy.ReasonInternal: "INTERNAL_ERROR", deploy.ReasonErrorBudget: "ECS_UPDATE_ERROR",
		deploy.ReasonRouteConflict: "ECS_UPDATE_ERROR", deploy.ReasonNone: "INTERNAL_ERROR", "SOMETHING_NEW": "INTERNAL_ERROR",
	}
	for _, r := range never {
		want[r] = "INTERNAL_ERROR"
	}
	for reason, code := range want {
		d := newDeployment(idStopped, 1)
		fail(&d, deploy.StatusFailed, reason, "what happened")
		got := errorInformation(&d.Deployment)
		if got.Code != code || !strings.HasPrefix(got.Message, "what happened") {
			t.Errorf("%q: %+v, want %s", reason, got, code)
		}
		if string(code) != string(reason) && !strings.Contains(got.Message, string(reason)) {
			t.Errorf("%q is lost in %+v", reason, got)
		}
	}
	running := newDeployment(idStopped, 1)
	running.Cause = &deploy.Cause{Reason: deploy.ReasonHookFailed, Message: "m"}
	if got := errorInformation(&running.Deployment); got != nil {
		t.Errorf("a deployment that still runs has %+v", got)
	}
}

func TestView_targetStatus(t *testing.T) {
	t.Parallel()
	at := func(phase deploy.Phase, status deploy.Status) Deployment {
		d := newDeployment(idStopped, 3)
		d.Phase, d.Status = phase, status
		return d
	}
	failedIn := func(phase deploy.Phase, status deploy.Status) Deployment {
		d := newDeployment(idStopped, 3)
		d.Phase = phase
		fail(&d, status, deploy.ReasonUnhealthy, "m")
		return d
	}
	unborn := failedIn(deploy.PhaseCreated, deploy.StatusStopped)
	for i := range unborn.Lifecycle {
		unborn.Lifecycle[i].Status = deploy.LifecycleSkipped
	}
	for _, c := range []struct {
		name string
		d    Deployment
		want codedeploy.TargetStatus
	}{
		{"created", at(deploy.PhaseCreated, deploy.StatusCreated), "Pending"},
		{"install", at(deploy.PhaseInstall, deploy.StatusInProgress), "InProgress"},
		{"ready", at(deploy.PhaseReadyWait, deploy.StatusReady), "Ready"},
		{"shift", at(deploy.PhaseAllowTraffic, deploy.StatusInProgress), "InProgress"},
		{"termination wait", at(deploy.PhaseTerminationWait, deploy.StatusInProgress), "Succeeded"},
		{"retire", at(deploy.PhaseRetire, deploy.StatusInProgress), "Succeeded"},
		{"done", at(deploy.PhaseSucceeded, deploy.StatusSucceeded), "Succeeded"},
		{"failed", failedIn(deploy.PhaseInstall, deploy.StatusFailed), "Failed"},
		{"stopped", failedIn(deploy.PhaseAllowTraffic, deploy.StatusStopped), "Failed"},
		{"failed in the termination wait", failedIn(deploy.PhaseTerminationWait, deploy.StatusFailed), "Succeeded"},
		{"stopped before anything began", unborn, "Skipped"},
	} {
		if got := targetStatus(&c.d); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		o := overview(&c.d)
		if !c.d.Status.Terminal() {
			if o != nil {
				t.Errorf("%s: an overview while it runs", c.name)
			}
			continue
		}
		counts := map[codedeploy.TargetStatus]int64{"Succeeded": *o.Succeeded, "Failed": *o.Failed, "Skipped": *o.Skipped}
		if counts[c.want] != 1 || *o.Succeeded+*o.Failed+*o.Skipped+*o.Pending+*o.InProgress+*o.Ready != 1 {
			t.Errorf("%s: overview %+v", c.name, counts)
		}
	}
}

func TestView_diagnostics(t *testing.T) {
	t.Parallel()
	for reason, want := range map[deploy.Reason]codedeploy.LifecycleErrorCode{
		deploy.ReasonHookFailed: "ScriptFailed", deploy.ReasonHookTimeout: "ScriptTimedOut", deploy.ReasonInstallFailed: "UnknownError",
	} {
		d := newDeployment(idStopped, 4)
		d.Verdicts = []deploy.Verdict{{Hook: "other", Event: "Install", Status: deploy.VerdictFail}, {Hook: "check", Event: "AfterAllowTestTraffic", Status: deploy.VerdictFail}}
		fail(&d, deploy.StatusFailed, reason, "m")
		target := view{}.ecsTarget(&d, nil)
		var failed []codedeploy.Diagnostics
		for _, e := range target.LifecycleEvents {
			if e.Diagnostics != nil {
				failed = append(failed, *e.Diagnostics)
			}
		}
		if diff := cmp.Diff([]codedeploy.Diagnostics{{ErrorCode: want, Message: "m", ScriptName: "check"}}, failed); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
}

func TestView_waits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		promote     deploy.Promotion
		ready, bake time.Duration
		minute      time.Duration
		want        [3]any
	}{
		{deploy.PromoteAuto, time.Hour, 0, time.Minute, [3]any{"CONTINUE_DEPLOYMENT", 0, 0}},
		{deploy.PromoteManual, time.Hour, 5 * time.Minute, time.Minute, [3]any{"STOP_DEPLOYMENT", 60, 5}},
		{deploy.PromoteVerified, 90 * time.Second, 30 * time.Second, time.Minute, [3]any{"STOP_DEPLOYMENT", 2, 1}},
		{deploy.PromoteManual, 10 * time.Second, 5 * time.Second, time.Second, [3]any{"STOP_DEPLOYMENT", 10, 5}},
	} {
		b := view{minute: c.minute}.blueGreen(&deploy.Plan{Promotion: c.promote, ReadyLimit: c.ready, Bake: c.bake})
		got := [3]any{
			string(b.DeploymentReadyOption.ActionOnTimeout), int(*b.DeploymentReadyOption.WaitTimeInMinutes),
			int(*b.TerminateBlueInstancesOnDeploymentSuccess.TerminationWaitTimeInMinutes),
		}
		if got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestView_configNames(t *testing.T) {
	t.Parallel()
	linear := deploy.Traffic{Kind: deploy.TrafficLinear, Percent: 10, Interval: time.Minute}
	for _, c := range []struct {
		v       view
		name    string
		traffic deploy.Traffic
		want    string
	}{
		{view{minute: time.Minute}, "mine", linear, "mine"},
		{view{minute: time.Minute}, "", linear, "CodeDeployDefault.ECSLinear10PercentEvery1Minutes"},
		{view{minute: time.Second}, "", linear, ""},
		{view{minute: time.Minute}, "", deploy.Traffic{Kind: deploy.TrafficAllAtOnce}, "CodeDeployDefault.ECSAllAtOnce"},
		{view{minute: time.Minute}, "", deploy.Traffic{Kind: deploy.TrafficCanary, Percent: 5, Interval: time.Minute}, ""},
	} {
		if got := c.v.configName(c.name, c.traffic); got != c.want {
			t.Errorf("%q %+v: %q, want %q", c.name, c.traffic, got, c.want)
		}
	}
}

func TestTaskSetIdentifier(t *testing.T) {
	t.Parallel()
	var seen []string
	for _, id := range []string{"shop-1", "shop-2", "", strings.Repeat("x", 1000)} {
		got := taskSetIdentifier(id)
		digits, ok := strings.CutPrefix(got, "ecs-svc/")
		if !ok || len(digits) != 19 || strings.Trim(digits, "0123456789") != "" {
			t.Errorf("%q: %s", id, got)
		}
		if slices.Contains(seen, got) || got != taskSetIdentifier(id) {
			t.Errorf("%q: %s is not its own", id, got)
		}
		if taskSetIdentifier(got) != got {
			t.Errorf("%s was changed again", got)
		}
		seen = append(seen, got)
	}
}
