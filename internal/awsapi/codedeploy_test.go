package awsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/deploy"
)

// TestCodeDeploy_tableIsTheModel: what is served is what has shapes.
func TestCodeDeploy_tableIsTheModel(t *testing.T) {
	t.Parallel()
	var generated []string
	for _, op := range codedeploy.Operations() {
		generated = append(generated, op.Name)
	}
	slices.Sort(generated)
	if served := slices.Sorted(maps.Keys(newCodeDeploy(Config{}).operations())); !slices.Equal(served, generated) {
		t.Errorf("served:\n%v\ngenerated:\n%v", served, generated)
	}
}

// TestCodeDeploy_errors asks for every refusal and checks that the model lists it for its operation.
func TestCodeDeploy_errors(t *testing.T) {
	t.Parallel()
	modelled := map[string][]string{}
	for _, op := range codedeploy.Operations() {
		modelled[op.Name] = op.Errors
	}
	// Not in the model's list, but the documented equivalent is ContinueDeployment, which has it.
	modelled["SkipWaitTimeForInstanceTermination"] = append(modelled["SkipWaitTimeForInstanceTermination"], "DeploymentIsNotInReadyStateException")
	e := serve(t, nil)
	long := strings.Repeat("n", 101)
	id26 := `"d-AB12CD34E"` + strings.Repeat(`,"d-AB12CD34E"`, 25)
	for _, c := range []struct{ op, body, want string }{
		{"GetApplication", `{}`, "ApplicationNameRequired"},
		{"GetApplication", `{"applicationName":null}`, "ApplicationNameRequired"},
		{"GetApplication", `{"ApplicationName":"shop"}`, "ApplicationNameRequired"}, // keys are case-sensitive
		{"GetApplication", `{"applicationName":"a b"}`, "InvalidApplicationName"},
		{"GetApplication", `{"applicationName":"a/b"}`, "InvalidApplicationName"},
		{"GetApplication", `{"applicationName":"ä"}`, "InvalidApplicationName"},
		{"GetApplication", `{"applicationName":"` + long + `"}`, "InvalidApplicationName"},
		{"GetApplication", `{"applicationName":"nope"}`, "ApplicationDoesNotExist"},
		{"ListApplications", `{"nextToken":"garbage"}`, "InvalidNextToken"},
		{"ListApplications", `{"nextToken":"` + newPageToken(pageGroups, "x") + `"}`, "InvalidNextToken"},
		{"GetDeploymentGroup", `{"deploymentGroupName":"web"}`, "ApplicationNameRequired"},
		{"GetDeploymentGroup", `{"applicationName":"shop"}`, "DeploymentGroupNameRequired"},
		{"GetDeploymentGroup", `{"applicationName":"sh op","deploymentGroupName":"web"}`, "InvalidApplicationName"},
		{"GetDeploymentGroup", `{"applicationName":"shop","deploymentGroupName":"w/eb"}`, "InvalidDeploymentGroupName"},
		{"GetDeploymentGroup", `{"applicationName":"nope","deploymentGroupName":"web"}`, "ApplicationDoesNotExist"},
		{"GetDeploymentGroup", `{"applicationName":"shop","deploymentGroupName":"nope"}`, "DeploymentGroupDoesNotExist"},
		{"ListDeploymentGroups", `{}`, "ApplicationNameRequired"},
		{"ListDeploymentGroups", `{"applicationName":"nope"}`, "ApplicationDoesNotExist"},
		{"ListDeploymentGroups", `{"applicationName":"shop","nextToken":"x"}`, "InvalidNextToken"},
		{"GetDeployment", `{}`, "DeploymentIdRequired"},
		{"GetDeployment", `{"deploymentId":""}`, "DeploymentIdRequired"},
		{"GetDeployment", `{"deploymentId":"x"}`, "InvalidDeploymentId"},
		{"GetDeployment", `{"deploymentId":"d-ab12cd34e"}`, "InvalidDeploymentId"},
		{"GetDeployment", `{"deploymentId":"d-AB12CD34EF"}`, "InvalidDeploymentId"},
		{"GetDeployment", `{"deploymentId":"d-AB12/../E"}`, "InvalidDeploymentId"},
		{"GetDeployment", `{"deploymentId":"d-NOBODY001"}`, "DeploymentDoesNotExist"},
		{"BatchGetDeployments", `{}`, "DeploymentIdRequired"},
		{"BatchGetDeployments", `{"deploymentIds":["d-AB12CD34E",""]}`, "DeploymentIdRequired"},
		{"BatchGetDeployments", `{"deploymentIds":["d-AB12CD34E","x"]}`, "InvalidDeploymentId"},
		{"BatchGetDeployments", `{"deploymentIds":[` + id26 + `]}`, "BatchLimitExceeded"},
		{"ListDeployments", `{"applicationName":"shop"}`, "DeploymentGroupNameRequired"},
		{"ListDeployments", `{"deploymentGroupName":"web"}`, "ApplicationNameRequired"},
		{"ListDeployments", `{"applicationName":"sh op","deploymentGroupName":"web"}`, "InvalidApplicationName"},
		{"ListDeployments", `{"applicationName":"nope","deploymentGroupName":"web"}`, "ApplicationDoesNotExist"},
		{"ListDeployments", `{"applicationName":"shop","deploymentGroupName":"nope"}`, "DeploymentGroupDoesNotExist"},
		{"ListDeployments", `{"includeOnlyStatuses":["Nope"]}`, "InvalidDeploymentStatus"},
		{"ListDeployments", `{"createTimeRange":{"start":200,"end":100}}`, "InvalidTimeRange"},
		{"ListDeployments", `{"nextToken":"` + newPageToken(pageDeployments, "x") + `"}`, "InvalidNextToken"},
		{"ListDeploymentTargets", `{}`, "DeploymentIdRequired"},
		{"ListDeploymentTargets", `{"deploymentId":"d-CREATED01"}`, "DeploymentNotStarted"},
		{"ListDeploymentTargets", `{"deploymentId":"d-AB12CD34E","nextToken":"x"}`, "InvalidNextToken"},
		{"ListDeploymentTargets", `{"deploymentId":"d-AB12CD34E","targetFilters":{"Colour":["Blue"]}}`, "InvalidTargetFilterName"},
		{"ListDeploymentTargets", `{"deploymentId":"d-AB12CD34E","targetFilters":{"TargetStatus":["Nope"]}}`, "InvalidInstanceStatus"},
		{"ListDeploymentTargets", `{"deploymentId":"d-AB12CD34E","targetFilters":{"ServerInstanceLabel":["Red"]}}`, "InvalidInstanceType"},
		{"GetDeploymentTarget", `{"deploymentId":"d-CREATED01","targetId":"c:s"}`, "DeploymentNotStarted"},
		{"GetDeploymentTarget", `{"deploymentId":"d-AB12CD34E"}`, "DeploymentTargetIdRequired"},
		{"GetDeploymentTarget", `{"deploymentId":"d-AB12CD34E","targetId":"c"}`, "InvalidDeploymentTargetId"},
		{"GetDeploymentTarget", `{"deploymentId":"d-AB12CD34E","targetId":"c:s:x"}`, "InvalidDeploymentTargetId"},
		{"GetDeploymentTarget", `{"deploymentId":"d-AB12CD34E","targetId":":s"}`, "InvalidDeploymentTargetId"},
		{"GetDeploymentTarget", `{"deploymentId":"d-AB12CD34E","targetId":"c:other"}`, "DeploymentTargetDoesNotExist"},
		{"BatchGetDeploymentTargets", `{"deploymentId":"d-AB12CD34E"}`, "DeploymentTargetIdRequired"},
		{"BatchGetDeploymentTargets", `{"deploymentId":"d-AB12CD34E","targetIds":["c:s","c:t"]}`, "DeploymentTargetListSizeExceeded"},
		{"BatchGetDeploymentTargets", `{"deploymentId":"d-AB12CD34E","targetIds":["c"]}`, "InvalidDeploymentTargetId"},
		{"StopDeployment", `{}`, "DeploymentIdRequired"},
		{"StopDeployment", `{"deploymentId":"d-NOBODY001"}`, "DeploymentDoesNotExist"},
		{"StopDeployment", `{"deploymentId":"d-FAILED001"}`, "DeploymentAlreadyCompleted"},
		{"StopDeployment", `{"deploymentId":"d-ROLLING01"}`, "UnsupportedActionForDeploymentType"},
		{"ContinueDeployment", `{}`, "DeploymentIdRequired"},
		{"ContinueDeployment", `{"deploymentId":"d-READY0001","deploymentWaitType":"X"}`, "InvalidDeploymentWaitType"},
		{"ContinueDeployment", `{"deploymentId":"d-AB12CD34E","deploymentWaitType":"READY_WAIT"}`, "DeploymentIsNotInReadyState"},
		{"ContinueDeployment", `{"deploymentId":"d-AB12CD34E"}`, "DeploymentIsNotInReadyState"},
		{"ContinueDeployment", `{"deploymentId":"d-READY0001","deploymentWaitType":"TERMINATION_WAIT"}`, "DeploymentIsNotInReadyState"},
		{"ContinueDeployment", `{"deploymentId":"d-FIRST0001","deploymentWaitType":"READY_WAIT"}`, "DeploymentAlreadyCompleted"},
		{"SkipWaitTimeForInstanceTermination", `{}`, "DeploymentIdRequired"},
		{"SkipWaitTimeForInstanceTermination", `{"deploymentId":"d-CREATED01"}`, "DeploymentNotStarted"},
		{"SkipWaitTimeForInstanceTermination", `{"deploymentId":"d-READY0001"}`, "DeploymentIsNotInReadyState"},
		{"SkipWaitTimeForInstanceTermination", `{"deploymentId":"d-FIRST0001"}`, "DeploymentAlreadyCompleted"},
		{"PutLifecycleEventHookExecutionStatus", `{}`, "DeploymentIdRequired"},
		{"PutLifecycleEventHookExecutionStatus", `{"deploymentId":"d-NOBODY001","status":"Bogus"}`, "DeploymentDoesNotExist"},
		{"PutLifecycleEventHookExecutionStatus", `{"deploymentId":"d-AB12CD34E","lifecycleEventHookExecutionId":"execution-1"}`, "InvalidLifecycleEventHookExecutionStatus"},
		{"PutLifecycleEventHookExecutionStatus", `{"deploymentId":"d-AB12CD34E","lifecycleEventHookExecutionId":"garbage","status":"InProgress"}`, "InvalidLifecycleEventHookExecutionStatus"},
		{"PutLifecycleEventHookExecutionStatus", `{"deploymentId":"d-AB12CD34E","status":"Succeeded"}`, "InvalidLifecycleEventHookExecutionId"},
		{"PutLifecycleEventHookExecutionStatus", `{"deploymentId":"d-AB12CD34E","lifecycleEventHookExecutionId":"garbage","status":"Succeeded"}`, "InvalidLifecycleEventHookExecutionId"},
		{"PutLifecycleEventHookExecutionStatus", `{"deploymentId":"d-READY0001","lifecycleEventHookExecutionId":"execution-1","status":"Succeeded"}`, "InvalidLifecycleEventHookExecutionId"},
		{"GetDeploymentConfig", `{}`, "DeploymentConfigNameRequired"},
		{"GetDeploymentConfig", `{"deploymentConfigName":"a b"}`, "InvalidDeploymentConfigName"},
		{"GetDeploymentConfig", `{"deploymentConfigName":"CodeDeployDefault.ECSLinear10PercentEvery1Minute"}`, "DeploymentConfigDoesNotExist"},
		{"ListDeploymentConfigs", `{"nextToken":"x"}`, "InvalidNextToken"},
	} {
		a := e.call(t, cdPrefix+c.op, c.body)
		want := c.want + "Exception"
		if a.status != 400 || a.errorName() != want || a.message() == "" {
			t.Errorf("%s %s: %d %s, want %s", c.op, c.body, a.status, a.body, want)
		}
		if !slices.Contains(modelled[c.op], want) {
			t.Errorf("%s: the model does not list %s", c.op, want)
		}
	}
	if len(e.house.stops)+len(e.house.continues)+len(e.house.reports) != 0 {
		t.Errorf("a refused call reached the domain: %v %v %v", e.house.stops, e.house.continues, e.house.reports)
	}
}

// ask sends a call that must succeed and returns its answer.
func ask(t *testing.T, e *endpoint, op, body string) map[string]any {
	t.Helper()
	a := e.call(t, cdPrefix+op, body)
	var out map[string]any
	if err := json.Unmarshal(a.body, &out); err != nil || a.status != 200 {
		t.Fatalf("%s %s: %d %s", op, body, a.status, a.body)
	}
	return out
}

func TestCodeDeploy_lists(t *testing.T) {
	t.Parallel()
	e := serve(t, nil)
	group := `"applicationName":"shop","deploymentGroupName":"web"`
	newestFirst := []any{idShifting, idRolling, idCreated, idBake, idReady, idRollback, idStopped, idFirst}
	for _, c := range []struct {
		op, body, key string
		want          []any
	}{
		{"ListApplications", `{}`, "applications", []any{"empty", "shop"}},
		{"ListDeploymentGroups", `{"applicationName":"shop"}`, "deploymentGroups", []any{"web"}},
		{"ListDeploymentGroups", `{"applicationName":"empty"}`, "deploymentGroups", []any{}},
		{"ListDeployments", `{` + group + `}`, "deployments", newestFirst},
		{"ListDeployments", `{` + group + `,"includeOnlyStatuses":["Ready","Stopped"]}`, "deployments", []any{idReady, idStopped}},
		{"ListDeployments", `{` + group + `,"includeOnlyStatuses":["Baking"]}`, "deployments", []any{}},
		{"ListDeployments", fmt.Sprintf(`{%s,"createTimeRange":{"start":%d.5}}`, group, second(0).Unix()), "deployments", []any{idCreated}},
		{"ListDeployments", fmt.Sprintf(`{%s,"createTimeRange":{"start":null,"end":%d}}`, group, second(0).Unix()), "deployments", []any{}},
		{"ListDeploymentTargets", `{"deploymentId":"d-AB12CD34E"}`, "targetIds", []any{"c:s"}},
		{"ListDeploymentTargets", `{"deploymentId":"d-AB12CD34E","targetFilters":{"TargetStatus":["InProgress"],"ServerInstanceLabel":["Green"]}}`, "targetIds", []any{"c:s"}},
		{"ListDeploymentTargets", `{"deploymentId":"d-AB12CD34E","targetFilters":{"TargetStatus":["Failed"]}}`, "targetIds", []any{}},
	} {
		if diff := cmp.Diff(c.want, ask(t, e, c.op, c.body)[c.key]); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.op, c.body, diff)
		}
	}
	configs := ask(t, e, "ListDeploymentConfigs", `{}`)["deploymentConfigsList"].([]any)
	if len(configs) != 17 {
		t.Errorf("%d configurations, a fresh account shows 17", len(configs))
	}
	for _, name := range configs { // each can be got, with an id that stays
		body := fmt.Sprintf(`{"deploymentConfigName":%q}`, name)
		first, again := ask(t, e, "GetDeploymentConfig", body), ask(t, e, "GetDeploymentConfig", body)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("%s changed:\n%s", name, diff)
		}
	}
}

func TestCodeDeploy_pages(t *testing.T) {
	t.Parallel()
	e := serve(t, nil)
	want := map[string]bool{}
	for i := range 250 {
		d := newDeployment(fmt.Sprintf("d-PAGE%05d", i), 1)
		d.Plan.Application, d.Plan.Group = "many", "many"
		e.house.deployments = append(e.house.deployments, d)
		e.house.apps[fmt.Sprintf("app-%03d", i)] = Application{}
		want[d.ID] = true
	}
	e.house.apps["many"], e.house.groups[groupName{"many", "many"}] = Application{}, Group{}
	var sizes []int
	token := ""
	for {
		out := ask(t, e, "ListDeployments", `{"applicationName":"many","deploymentGroupName":"many","nextToken":"`+token+`"}`)
		ids := out["deployments"].([]any)
		sizes = append(sizes, len(ids))
		for _, id := range ids {
			if !want[id.(string)] {
				t.Fatalf("%s came twice, or was not asked for", id)
			}
			delete(want, id.(string))
		}
		next, more := out["nextToken"].(string)
		if !more {
			break
		}
		token = next
	}
	if diff := cmp.Diff([]int{100, 100, 50}, sizes); diff != "" || len(want) != 0 {
		t.Errorf("pages %v, %d ids missing", sizes, len(want))
	}
	first := ask(t, e, "ListApplications", `{}`)
	rest := ask(t, e, "ListApplications", fmt.Sprintf(`{"nextToken":%q}`, first["nextToken"]))
	if a, b := first["applications"].([]any), rest["applications"].([]any); len(a) != 100 || len(b) != 100 || b[0] != "app-100" {
		t.Errorf("pages of applications: %d, %d beginning with %v", len(a), len(b), b[0])
	}
}

func TestCodeDeploy_control(t *testing.T) {
	t.Parallel()
	e := serve(t, nil)
	put := func(execution, status string) answer {
		return e.call(t, cdPrefix+"PutLifecycleEventHookExecutionStatus",
			fmt.Sprintf(`{"deploymentId":%q,"lifecycleEventHookExecutionId":%q,"status":%q}`, idShifting, execution, status))
	}
	if a := put("execution-1", "Succeeded"); a.status != 200 || string(a.body) != `{"lifecycleEventHookExecutionId":"execution-1"}` {
		t.Errorf("callback: %d %s", a.status, a.body)
	}
	if a := put("execution-1", "Succeeded"); a.errorName() != "LifecycleEventAlreadyCompletedException" {
		t.Errorf("second callback: %d %s", a.status, a.body)
	}
	if a := put("execution-2", "Failed"); a.status != 200 {
		t.Errorf("callback: %d %s", a.status, a.body)
	}
	if a := e.call(t, cdPrefix+"ContinueDeployment", `{"deploymentId":"d-READY0001"}`); a.status != 200 || string(a.body) != "{}" {
		t.Errorf("continue: %d %s", a.status, a.body)
	}
	if a := e.call(t, cdPrefix+"SkipWaitTimeForInstanceTermination", `{"deploymentId":"d-BAKING001"}`); a.status != 200 || string(a.body) != "{}" {
		t.Errorf("skip: %d %s", a.status, a.body)
	}
	stop := `{"deploymentId":"d-AB12CD34E","autoRollbackEnabled":false}`
	if got := ask(t, e, "StopDeployment", stop)["status"]; got != "Pending" {
		t.Errorf("first stop: %v", got)
	}
	if got := ask(t, e, "StopDeployment", stop)["status"]; got != "Succeeded" {
		t.Errorf("second stop: %v", got)
	}
	if got := ask(t, e, "StopDeployment", `{"deploymentId":"d-READY0001"}`)["status"]; got != "Pending" {
		t.Errorf("stop: %v", got)
	}
	root := Principal{ARN: "arn:aws:iam::000000000000:root", AccountID: "000000000000", Kind: KindRoot}
	if diff := cmp.Diff([]HookReport{
		{idShifting, "execution-1", deploy.VerdictPass, root}, {idShifting, "execution-2", deploy.VerdictFail, root},
	}, e.house.reports); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]ContinueRequest{{DeploymentID: idReady, Wait: "READY_WAIT", By: root}, {DeploymentID: idBake, Wait: "TERMINATION_WAIT", By: root}}, e.house.continues); diff != "" {
		t.Errorf("continues (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]StopRequest{{DeploymentID: idShifting, GoBack: new(false), By: root}, {DeploymentID: idReady, By: root}}, e.house.stops); diff != "" {
		t.Errorf("stops (-want +got):\n%s", diff)
	}
}

// TestCodeDeploy_scopes: the credentials of a hook may report for their own group and nothing else.
func TestCodeDeploy_scopes(t *testing.T) {
	t.Parallel()
	e := serve(t, func(c *Config) {
		c.Operations = map[string]Operation{"Open": Typed(func(_ context.Context, _ Principal, _ struct{}) (string, error) { return "in", nil })}
	})
	issue := func(application, group string, actions ...string) Credentials {
		p := hookPrincipal()
		p.Scope = Scope{Actions: actions, Application: application, Group: group, Function: "check"}
		c, err := e.ring.Issue(p, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const put, get, list = "codedeploy:PutLifecycleEventHookExecutionStatus", "codedeploy:GetDeployment", "codedeploy:ListDeployments"
	report := func(id string) string {
		return fmt.Sprintf(`{"deploymentId":%q,"lifecycleEventHookExecutionId":"execution-1","status":"Succeeded"}`, id)
	}
	for _, c := range []struct {
		name     string
		who      Credentials
		op, body string
		denied   string // what the message must name, empty where allowed
	}{
		{"own group", issue("shop", "web", put), "PutLifecycleEventHookExecutionStatus", report(idShifting), ""},
		{"other group", issue("shop", "web", put), "PutLifecycleEventHookExecutionStatus", report(idForeign), "deploymentgroup:other/other"},
		{"no group", issue("", "", put), "PutLifecycleEventHookExecutionStatus", report(idShifting), "deploymentgroup:shop/web"},
		{"no action", issue("shop", "web"), "PutLifecycleEventHookExecutionStatus", report(idShifting), put},
		{"no wildcard", issue("shop", "web", "codedeploy:*", "*"), "GetDeployment", `{"deploymentId":"d-AB12CD34E"}`, get},
		{"existence is no secret to its owner only", issue("shop", "web", put), "GetDeployment", `{"deploymentId":"d-NOBODY001"}`, get},
		{"stop", issue("shop", "web", put, get), "StopDeployment", `{"deploymentId":"d-AB12CD34E"}`, "codedeploy:StopDeployment"},
		{"get own", issue("shop", "web", get), "GetDeployment", `{"deploymentId":"d-AB12CD34E"}`, ""},
		{"get foreign", issue("shop", "web", get), "GetDeployment", `{"deploymentId":"d-FOREIGN01"}`, get},
		{"batch", issue("shop", "web", "codedeploy:BatchGetDeployments"), "BatchGetDeployments", `{"deploymentIds":["d-AB12CD34E","d-FOREIGN01"]}`, "deploymentgroup:other/other"},
		{"list own", issue("shop", "web", list), "ListDeployments", `{"applicationName":"shop","deploymentGroupName":"web"}`, ""},
		{"list all", issue("shop", "web", list), "ListDeployments", `{}`, list},
		{"own application", issue("shop", "web", "codedeploy:GetApplication"), "GetApplication", `{"applicationName":"shop"}`, ""},
		{"other application", issue("shop", "web", "codedeploy:GetApplication"), "GetApplication", `{"applicationName":"empty"}`, "application:empty"},
	} {
		a := e.callAs(t, c.who, cdPrefix+c.op, c.body)
		checkAccess(t, c.name, a, c.denied)
	}
	checkAccess(t, "own operation", e.callAs(t, issue("", "", "greengate:Open"), deploy.TargetPrefix+"Open", "{}"), "")
	checkAccess(t, "own operation, not in scope", e.callAs(t, issue("shop", "web", put), deploy.TargetPrefix+"Open", "{}"), "greengate:Open")
}

func checkAccess(t *testing.T, name string, a answer, denied string) {
	t.Helper()
	if denied == "" {
		if a.status != 200 {
			t.Errorf("%s: %d %s, want 200", name, a.status, a.body)
		}
		return
	}
	if a.status != 400 || a.errorName() != "AccessDeniedException" ||
		!strings.Contains(a.message(), denied) || !strings.Contains(a.message(), hookPrincipal().ARN) {
		t.Errorf("%s: %d %s, want AccessDeniedException that names %s and the caller", name, a.status, a.body, denied)
	}
}

func TestCodeDeploy_brokenStore(t *testing.T) {
	t.Parallel()
	e := serve(t, nil)
	e.house.broken = errors.New("database is locked")
	a := e.call(t, cdPrefix+"GetDeployment", `{"deploymentId":"d-AB12CD34E"}`)
	if a.status != 500 || a.errorName() != "InternalFailure" || strings.Contains(string(a.body), "locked") {
		t.Errorf("%d %s", a.status, a.body)
	}
	e.house.broken = deploy.Errorf(deploy.CodeServiceUnavailable, "starting")
	if a := e.call(t, cdPrefix+"GetDeployment", `{"deploymentId":"d-AB12CD34E"}`); a.status != 503 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func FuzzPageToken(f *testing.F) {
	f.Add(newPageToken(pageDeployments, "d-AB12CD34E"), pageDeployments)
	f.Add(newPageToken(pageGroups, "web"), pageGroups)
	f.Add("MTpncm91cHM6", pageGroups)
	f.Add("", pageConfigs)
	f.Fuzz(func(t *testing.T, token, kind string) {
		last, err := readPageToken(kind, token)
		if err != nil {
			if last != "" || !named(err, "InvalidNextTokenException") {
				t.Fatalf("%q: %q, %v", token, last, err)
			}
			return
		}
		if token != "" && newPageToken(kind, last) != token {
			t.Fatalf("%q was read as %q, which is %q", token, last, newPageToken(kind, last))
		}
	})
}
