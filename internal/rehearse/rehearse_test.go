package rehearse

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/scenario"
	"greengate/internal/trial"
)

func TestRelocation(t *testing.T) {
	var r relocation
	production, err := r.move(t.Context(), "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	test, err := r.move(t.Context(), "0.0.0.0:8081")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"http://127.0.0.1:80/":                   "http://" + production + "/",
		"http://127.0.0.1:8080/":                 "http://127.0.0.1:8080/", // another port
		"localhost:80":                           production,
		"http://localhost:8081 and 0.0.0.0:8081": "http://" + test + " and " + test,
		"127.0.0.1:8081":                         test,
		"127.0.0.2:8081":                         "127.0.0.2:8081",
		"127.0.0.1":                              "127.0.0.1",
	}
	for in, want := range tests {
		if got := r.text(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// shop is a service with one hook of every kind that names the production address.
func shop(t *testing.T) deploy.Service {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "check.yaml")
	content := "version: 1\nsteps: [{request: GET http://localhost:8080/}]\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("URL=http://127.0.0.1:8080\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := scenario.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := scenario.Pack(loaded.Files)
	if err != nil {
		t.Fatal(err)
	}
	s := deploy.DefaultService()
	s.Name, s.Production, s.Bake, s.Promotion = "shop", "127.0.0.1:8080", 10*time.Minute, deploy.PromoteAuto
	s.Workload.Command = []string{"server", "--public", "127.0.0.1:8080"}
	s.Workload.Env, s.Workload.EnvFile = map[string]string{"DB": "live"}, filepath.Join(dir, ".env")
	s.Workload.Health = &deploy.HealthCheck{Type: "http", Path: "/", Interval: time.Minute}
	s.Smoke = []deploy.Hook{
		{Name: "a", Kind: deploy.HookCommand, Command: []string{"curl", "http://127.0.0.1:8080"}, Env: map[string]string{"DB": "live"}},
		{Name: "b", Kind: deploy.HookScenario, Scenario: &deploy.Scenario{File: "check.yaml", Bundle: bundle, Digest: loaded.Digest}},
	}
	return s
}

func TestPrepare(t *testing.T) {
	given := shop(t)
	s := &stage{in: &trial.Installation{Dir: t.TempDir()}, o: Options{
		Executable: "greengate", Service: given, Env: map[string]string{"DB": "scratch"}, Minute: time.Second,
	}}
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	svc := s.version(fault{name: "hook", alter: withHook(programSilent)})
	if faults := svc.Validate(); len(faults) > 0 {
		t.Errorf("the service of the rehearsal is not valid: %v", faults)
	}
	if svc.Production == given.Production || svc.Workload.Command[2] != svc.Production {
		t.Errorf("production %s, command %q", svc.Production, svc.Workload.Command)
	}
	if svc.Bake != 10*time.Second || svc.Workload.Health.Interval != probePace {
		t.Errorf("bake %s, health every %s", svc.Bake, svc.Workload.Health.Interval)
	}
	if svc.Workload.Env["DB"] != "scratch" || svc.Smoke[0].Env["DB"] != "scratch" || svc.Workload.Env[marker] != "hook" {
		t.Errorf("environment %v and %v", svc.Workload.Env, svc.Smoke[0].Env)
	}
	env, err := os.ReadFile(svc.Workload.EnvFile)
	if err != nil || !strings.Contains(string(env), svc.Production) {
		t.Errorf("env_file %q, %v", env, err)
	}
	files, err := scenario.Unpack(svc.Smoke[1].Scenario.Bundle)
	if err != nil || !strings.Contains(string(files["check.yaml"]), svc.Production) {
		t.Errorf("scenario %q, %v", files, err)
	}
	if svc.Smoke[1].Scenario.Digest == given.Smoke[1].Scenario.Digest {
		t.Error("the altered scenario has the digest of the other")
	}
	if list := svc.Hooks[deploy.PhaseAfterInstall]; len(list) != 1 || list[0].Timeout != silentLimit {
		t.Errorf("without a test listener the hooks are %+v", svc.Hooks)
	}
	// What one deployment alters is not in the next one, nor in what was given.
	if next := s.version(fault{name: "none"}); len(next.Hooks[deploy.PhaseAfterInstall]) != 0 {
		t.Errorf("the next deployment has the hooks %+v", next.Hooks)
	}
	if given.Workload.Env["DB"] != "live" || given.Workload.Health.Interval != time.Minute {
		t.Errorf("the given service was altered: %+v", given.Workload)
	}
}

func TestOutcome(t *testing.T) {
	moved := deploy.DeploymentView{ID: "d-1", Moved: true, Status: deploy.StatusFailed}
	stayed := deploy.DeploymentView{ID: "d-1", Status: deploy.StatusFailed}
	halted := moved
	halted.Halted = true
	tests := []struct {
		e    ended
		want Outcome
	}{
		{ended{Deployment: deploy.DeploymentView{ID: "d-1", Status: deploy.StatusSucceeded}}, Promoted},
		{ended{Deployment: stayed, ExitCode: 4}, NeverMoved},
		{ended{Deployment: moved, ExitCode: 4}, RolledBack},
		{ended{Deployment: moved, ExitCode: 5}, LeftThere},
		{ended{Deployment: moved, Rollback: &stayed, ExitCode: 5}, "exit code 5"},
		{ended{Deployment: halted, ExitCode: 5}, "exit code 5"},
		{ended{Deployment: stayed, ExitCode: 0}, "exit code 0"}, // that fits nothing
		{ended{Deployment: stayed, ExitCode: 7}, "not ended in time"},
	}
	for _, tt := range tests {
		if got := outcome(tt.e, nil); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.e, got, tt.want)
		}
	}
	if got := outcome(ended{}, errors.New("refused")); got != "not deployed" {
		t.Errorf("without a deployment: %q", got)
	}
}

func TestChosen(t *testing.T) {
	all, err := chosen(nil)
	if err != nil || len(all) < 8 || all[0].name != firstName {
		t.Fatalf("%d faults, %v", len(all), err)
	}
	some, err := chosen([]string{"slow-step"})
	if err != nil || len(some) != 2 || some[0].name != firstName || some[1].name != "slow-step" {
		t.Errorf("--only slow-step: %d faults, %v", len(some), err)
	}
	if _, err := chosen([]string{"slow"}); err == nil || !strings.Contains(err.Error(), "slow-step") {
		t.Errorf("--only slow: %v", err)
	}
}

func TestCountLost(t *testing.T) {
	s := &stage{load: &trial.Load{}}
	var row Row
	if s.countLost(&row, 0, 0); len(row.Why) != 1 || row.Why[0] != "no request was answered while it ran" {
		t.Errorf("without requests: %q", row.Why)
	}
}

func TestReport(t *testing.T) {
	good := Row{Fault: firstName, Expected: Promoted, Outcome: Promoted, AsExpected: true}
	bad := Row{Fault: "none", Expected: Promoted, Outcome: NeverMoved, Why: []string{"3 of 10 requests were lost"}, Log: "boom\x1b"}
	left := Row{Fault: "slow-step", Expected: Promoted, Outcome: notRun, Why: []string{"no version is in production"}}
	if err := (Report{Rows: []Row{good}}).Err(); err != nil {
		t.Errorf("all as expected: %v", err)
	}
	if err := (Report{}).Err(); err == nil {
		t.Error("a rehearsal of nothing is as expected")
	}
	r := Report{Service: "shop", File: "greengate.yaml", Rows: []Row{good, bad, left}}
	err := r.Err()
	coded, ok := errors.AsType[*CodedError](err)
	if !ok || coded.ExitCode() != 4 || !strings.Contains(err.Error(), "2 of 3") {
		t.Errorf("judged %v", err)
	}
	var text, junit strings.Builder
	if err := errors.Join(r.WriteText(&text), r.WriteJUnit(&junit)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"none       promoted  ! refused", "none: 3 of 10 requests were lost", "boom"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	for _, want := range []string{`tests="3" failures="1" errors="0" skipped="1"`, `message="3 of 10 requests were lost"`, "greengate.yaml:1:1"} {
		if !strings.Contains(junit.String(), want) {
			t.Errorf("no %q in\n%s", want, junit.String())
		}
	}
}

func TestPrograms(t *testing.T) {
	getenv := func(event deploy.HookList) func(string) string {
		return func(string) string { return string(event) }
	}
	if err := RunProgram(t.Context(), getenv(deploy.SmokeBefore), []string{programUnhappy}); err != nil {
		t.Errorf("the smoke check before the switch: %v", err)
	}
	if err := RunProgram(t.Context(), getenv(deploy.SmokeRollback), []string{programUnhappy}); err != nil {
		t.Errorf("the smoke check after the rollback: %v", err)
	}
	if err := RunProgram(t.Context(), getenv(deploy.SmokeAfter), []string{programUnhappy}); err == nil {
		t.Error("the smoke check after the switch passes")
	}
	if err := RunProgram(t.Context(), getenv(""), []string{programHeld}); err == nil {
		t.Error("a held program without its files passes")
	}
	dir := t.TempDir()
	begun, goOn := filepath.Join(dir, "begun"), filepath.Join(dir, "go")
	end := make(chan error, 1)
	go func() { end <- RunProgram(t.Context(), getenv(""), []string{programHeld, begun, goOn}) }()
	if err := await(t.Context(), func() bool { return exists(begun) }); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-end:
		t.Fatalf("the held program ended before it was let go: %v", err)
	default:
	}
	if err := os.WriteFile(goOn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-end; err != nil {
		t.Errorf("the held program: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { end <- RunProgram(ctx, getenv(""), []string{programSilent}) }()
	cancel()
	if err := <-end; err != nil {
		t.Errorf("the silent program: %v", err)
	}
}
