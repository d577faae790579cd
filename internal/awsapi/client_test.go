package awsapi

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clientEnv is the environment of a client that knows this server and nothing else of AWS.
func clientEnv(t *testing.T, e *endpoint) []string {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(strings.ToLower(v), "http") {
			env = append(env, v)
		}
	}
	return append(env, "AWS_ENDPOINT_URL="+e.url, "AWS_ACCESS_KEY_ID=AKIAROOT", "AWS_SECRET_ACCESS_KEY=root-secret",
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_CONFIG_FILE="+none, "AWS_SHARED_CREDENTIALS_FILE="+none,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "NO_PROXY=127.0.0.1")
}

// run runs a program and returns what it printed and its exit code.
func run(t *testing.T, env []string, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var o, e bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &o, &e
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

func TestClient_boto3(t *testing.T) {
	t.Parallel()
	e := serve(t, nil)
	env := clientEnv(t, e)
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed: boto3 is not tried")
	}
	if _, why, code := run(t, env, "python3", "-c", "import boto3"); code != 0 {
		t.Skipf("boto3 is not installed and not tried: %s", why)
	}
	p := hookPrincipal()
	p.Scope.Group = "web"
	c, err := e.ring.Issue(p, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := run(t, env, "python3", "testdata/client.py", c.AccessKeyID, string(c.SecretAccessKey), c.SessionToken)
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	refused := func(name string) []any { return []any{name, name, 400.0, true, true} }
	want := map[string]any{
		"unknown_keys":   []any{},
		"answers":        18.0,
		"get_deployment": []any{"InProgress", "user", "ECS", 1795348800.123, true, false},
		"stopped":        []any{"Stopped", "ALARM_ACTIVE", idRollback},
		"target": []any{
			[]any{
				"BeforeInstall", "Install", "AfterInstall", "AllowTestTraffic", "AfterAllowTestTraffic", "BeforeAllowTraffic",
				"AllowTraffic", "AfterAllowTraffic",
			},
			[]any{90.0, 10.0},
			[]any{"ecs-svc/", "ecs-svc/"},
		},
		"batch":         []any{idReady, idStopped},
		"batch_targets": 1.0,
		"targets":       []any{"c:s"},
		"deployments":   []any{idShifting, idRolling, idCreated, idBake, idReady, idRollback, idStopped, idFirst},
		"group":         []any{0.0, 5.0, []any{map[string]any{"clusterName": "c", "serviceName": "s"}}},
		"groups":        []any{"web"},
		"application":   "ECS",
		"applications":  []any{"empty", "shop"},
		"config": map[string]any{
			"type": "TimeBasedCanary", "timeBasedCanary": map[string]any{"canaryPercentage": 10.0, "canaryInterval": 5.0},
		},
		"configs":      17.0,
		"put":          "execution-1",
		"put_again":    refused("LifecycleEventAlreadyCompletedException"),
		"denied":       []any{"AccessDeniedException", "ClientError", 400.0, true, true},
		"forged":       []any{"UnrecognizedClientException", "ClientError", 400.0, true, true},
		"continue":     200.0,
		"stop":         "Pending",
		"not_found":    refused("DeploymentDoesNotExistException"),
		"bad_id":       refused("InvalidDeploymentIdException"),
		"bad_status":   refused("InvalidDeploymentStatusException"),
		"wrong_secret": []any{"InvalidSignatureException", "ClientError", 400.0, true, true},
		"not_served":   []any{"UnknownOperationException", "ClientError", 400.0, true, true},
		"waiter":       idStopped,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(e.house.reports) != 1 || e.house.reports[0].By.ARN != p.ARN || e.house.reports[0].By.Scope.Function != "check" {
		t.Errorf("reports: %+v", e.house.reports)
	}
	if len(e.house.stops) != 1 || e.house.stops[0].GoBack == nil || !*e.house.stops[0].GoBack {
		t.Errorf("stops: %+v", e.house.stops)
	}
}

func TestClient_awsCLI(t *testing.T) {
	t.Parallel()
	e := serve(t, nil)
	env := clientEnv(t, e)
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the aws CLI is not installed and not tried")
	}
	version, _, code := run(t, env, "aws", "--version")
	if code != 0 {
		t.Skip("the aws CLI does not start and is not tried")
	}
	t.Log(strings.TrimSpace(version))
	for _, c := range []struct {
		args []string
		code int
		want string // in what it prints
	}{
		{[]string{"get-deployment", "--deployment-id", idShifting, "--query", "deploymentInfo.[status,creator]", "--output", "text"}, 0, "InProgress\tuser"},
		{[]string{"get-deployment-target", "--deployment-id", idShifting, "--target-id", "c:s", "--query", "deploymentTarget.ecsTarget.taskSetsInfo[].trafficWeight", "--output", "text"}, 0, "90\t10"},
		{[]string{"get-deployment", "--deployment-id", "d-NOBODY001"}, 255, "(DeploymentDoesNotExistException) when calling the GetDeployment operation"},
		{[]string{"put-lifecycle-event-hook-execution-status", "--deployment-id", idShifting, "--lifecycle-event-hook-execution-id", "execution-1", "--status", "Succeeded"}, 0, "execution-1"},
		{[]string{"wait", "deployment-successful", "--deployment-id", idStopped}, 255, "Waiter DeploymentSuccessful failed"},
		{[]string{"continue-deployment", "--deployment-id", idReady, "--deployment-wait-type", "READY_WAIT"}, 0, ""},
	} {
		stdout, stderr, code := run(t, env, "aws", append([]string{"deploy"}, c.args...)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("aws deploy %s: exit %d, want %d and %q\n%s%s", strings.Join(c.args, " "), code, c.code, c.want, stdout, stderr)
		}
	}
}
