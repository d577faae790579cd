package hook_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
	"greengate/internal/hook"
	"greengate/internal/scenario"
)

// scenario takes a scenario file as a service file would.
func (m *machine) scenario(content string) *deploy.Scenario {
	m.t.Helper()
	path := filepath.Join(m.t.TempDir(), "check.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		m.t.Fatal(err)
	}
	s, err := scenario.Load(path)
	if err != nil {
		m.t.Fatal(err)
	}
	bundle, err := scenario.Pack(s.Files)
	if err != nil {
		m.t.Fatal(err)
	}
	return &deploy.Scenario{File: "check.yaml", Bundle: bundle, Digest: s.Digest}
}

// listening gives the machine's service two listeners that answer which one they are. The one for tests says that the
// task set green answers, or what it is told to say.
func (m *machine) listening(taskSet ...string) {
	m.t.Helper()
	if len(taskSet) == 0 {
		taskSet = []string{"green"}
	}
	serve := func(side string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if side == "test" && taskSet[0] != "" {
				w.Header().Set(scenario.HeaderTaskSet, taskSet[0])
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"side": side, "version": "v2", "method": r.Method, "key": "s3cr3t-value"})
		}))
		m.t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	c, err := cloud.Open(m.t.Context(), &cloudtest.Memory{})
	if err != nil {
		m.t.Fatal(err)
	}
	spec := deploy.Service{Name: "shop", Production: serve("production"), Test: serve("test")}
	for _, a := range []string{spec.Production, spec.Test} {
		if _, err := netip.ParseAddrPort(a); err != nil {
			m.t.Fatal(err)
		}
	}
	if _, err := c.Apply(m.t.Context(), spec, time.Now()); err != nil {
		m.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	m.hooks = hook.New(hook.Config{Executable: self, Runner: m.units, Functions: m.functions, Caller: caller{c}, Dir: m.dir})
}

func (m *machine) scenarioCall(content string, list deploy.HookList) deploy.HookCall {
	c := m.call(deploy.Hook{Name: "e2e", Kind: deploy.HookScenario, Scenario: m.scenario(content), Env: map[string]string{"API_KEY": "s3cr3t-value"}})
	c.List = list
	return c
}

// TestHooks_scenario: which address is asked, what may be done there, and what the verdict holds.
func TestHooks_scenario(t *testing.T) {
	t.Parallel()
	const (
		onTest       = deploy.HookList(deploy.PhaseAfterAllowTestTraffic)
		onProduction = deploy.HookList(deploy.PhaseAfterAllowTraffic)
	)
	step := func(request, assert string) string {
		return fmt.Sprintf("version: 1\nsteps:\n- name: look\n  request: %s\n  assert: [%q]\n", request, assert)
	}
	for _, c := range []struct {
		name, content string
		list          deploy.HookList
		status        deploy.VerdictStatus
		reason        deploy.Reason
		holds         string // a check of the verdict, as JSON
	}{
		{"test address", step("GET /", "body.side == 'test'"), onTest, deploy.VerdictPass, deploy.ReasonNone, `"actual":"\"test\""`},
		{"production", step("GET /", "body.side == 'production'"), onProduction, deploy.VerdictPass, deploy.ReasonNone, `"status":"pass"`},
		{"smoke", step("GET /", "body.side == 'production'"), deploy.SmokeAfter, deploy.VerdictPass, deploy.ReasonNone, `"status":"pass"`},
		{"release", step("GET /", "body.version == release.version"), onTest, deploy.VerdictPass, deploy.ReasonNone, `"expected":"\"v2\""`},
		{"false", step("GET /", "body.version == 'v3'"), onTest, deploy.VerdictFail, deploy.ReasonHookFailed, `"expected":"\"v3\"","actual":"\"v2\"","message":"check.yaml:5:13"`},
		{"evidence", step("GET /", "body.version == 'v3'"), onTest, deploy.VerdictFail, deploy.ReasonHookFailed, `GET http://127.0.0.1`},
		{"write before", step("POST /", "body.method == 'POST'"), onTest, deploy.VerdictPass, deploy.ReasonNone, `"status":"pass"`},
		{"no answer", step("GET http://127.0.0.1:1/", "status == 200"), onTest, deploy.VerdictError, deploy.ReasonInconclusive, `"status":"error"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.listening()
			v := m.verdict(m.scenarioCall(c.content, c.list))
			if v.Status != c.status || v.Reason != c.reason {
				t.Errorf("verdict %s %s: %s, want %s %s", v.Status, v.Reason, v.Message, c.status, c.reason)
			}
			got, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(got), c.holds) {
				t.Errorf("the verdict lacks %s: %s", c.holds, got)
			}
			if strings.Contains(string(got), "s3cr3t-value") {
				t.Errorf("a secret is in the verdict: %s", got)
			}
		})
	}
}

// TestHooks_scenarioCompares: before the switch the production address is that of the old version.
func TestHooks_scenarioCompares(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.listening()
	c := m.scenarioCall("{version: 1, compare: {with: blue, ignore: [body.method]}, steps: [{name: look, request: GET /}]}",
		deploy.HookList(deploy.PhaseAfterAllowTestTraffic))
	v := m.verdict(c)
	got, err := json.Marshal(v.Checks)
	if err != nil {
		t.Fatal(err)
	}
	if v.Status != deploy.VerdictFail || !strings.Contains(string(got), `"expected":"\"production\"","actual":"\"test\""`) {
		t.Errorf("verdict %s %s: %s", v.Status, v.Message, got)
	}
	c.First = true
	if err := m.hooks.Start(t.Context(), "d-1/4", c); err != nil {
		t.Fatal(err)
	}
	v, err = m.hooks.Await(t.Context(), "d-1/4", c)
	if err != nil || v.Status != deploy.VerdictPass || !strings.Contains(fmt.Sprint(v.Checks), "there is no old version") {
		t.Errorf("the first version: %+v, %v", v, err)
	}
}

// TestHooks_scenarioIdentity: where the test listener says that another task set answers, or says nothing, the scenario
// could not tell, whatever it asserts; the production address names nobody.
func TestHooks_scenarioIdentity(t *testing.T) {
	t.Parallel()
	const onTest = deploy.HookList(deploy.PhaseAfterAllowTestTraffic)
	for _, c := range []struct {
		taskSet, content string
		list             deploy.HookList
		status           deploy.VerdictStatus
		message          string
	}{
		{"green", "{version: 1, expect_release: {header: X-Greengate-Task-Set, is: task_set}, steps: [{request: GET /}]}", onTest, deploy.VerdictPass, ""},
		{"blue", "{version: 1, steps: [{request: GET /}]}", onTest, deploy.VerdictError, `another task set answered: the listener says X-Greengate-Task-Set: "blue", and "green" is under test`},
		{"", "{version: 1, steps: [{request: GET /}]}", onTest, deploy.VerdictError, "no answer had the header X-Greengate-Task-Set"},
		{"blue", "{version: 1, steps: [{request: GET /}]}", deploy.SmokeAfter, deploy.VerdictPass, ""},
	} {
		m := newMachine(t)
		m.listening(c.taskSet)
		v := m.verdict(m.scenarioCall(c.content, c.list))
		if v.Status != c.status || !strings.Contains(v.Message, c.message) {
			t.Errorf("%q, %s: verdict %s: %s, want %s: %s", c.taskSet, c.content, v.Status, v.Message, c.status, c.message)
		}
	}
}

// TestHooks_scenarioRefused: a step that writes is an error on the production address, and nothing of the scenario is run.
func TestHooks_scenarioRefused(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.listening()
	c := m.scenarioCall("{version: 1, steps: [{name: look, request: GET /}, {name: buy, request: POST /}]}", deploy.SmokeAfter)
	v := m.verdict(c)
	if v.Status != deploy.VerdictError || v.Reason != deploy.ReasonInconclusive || len(v.Checks) != 0 || !strings.Contains(v.Message, "only read is allowed") {
		t.Errorf("verdict %+v", v)
	}
	c.Hook.Scenario.Allow = "write"
	if err := m.hooks.Start(t.Context(), "d-1/4", c); err != nil {
		t.Fatal(err)
	}
	if v, err := m.hooks.Await(t.Context(), "d-1/4", c); err != nil || v.Status != deploy.VerdictPass {
		t.Errorf("where the service allows it: %+v, %v", v, err)
	}
}

// TestHooks_scenarioResult: only a result of the scenario that was asked for, which says what the exit code says, counts.
func TestHooks_scenarioResult(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.listening()
	c := m.scenarioCall("{version: 1, steps: [{name: look, request: GET /}]}", deploy.HookList(deploy.PhaseAfterInstall))
	if v := m.verdict(c); v.Status != deploy.VerdictPass {
		t.Fatalf("verdict %+v", v)
	}
	path := filepath.Join(m.dir, "d-1-3.result.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"another scenario": strings.ReplaceAll(string(good), c.Hook.Scenario.Digest, strings.Repeat("0", 64)),
		"a fail":           strings.Replace(string(good), `"verdict":"pass"`, `"verdict":"fail"`, 1),
		"no steps":         `{"verdict":"pass","digest":"` + c.Hook.Scenario.Digest + `"}`,
		"cut off":          string(good[:len(good)/2]),
		"empty":            "",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if v, err := m.hooks.Await(t.Context(), "d-1/3", c); err != nil || v.Status != deploy.VerdictError || v.Reason != deploy.ReasonInconclusive {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if v, err := m.hooks.Await(t.Context(), "d-1/3", c); err != nil || v.Status != deploy.VerdictError {
		t.Errorf("no result: %+v, %v", v, err)
	}
}

// TestHooks_scenarioMissing: a service without its scenario is refused for good.
func TestHooks_scenarioMissing(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	c := m.call(deploy.Hook{Name: "e2e", Kind: deploy.HookScenario})
	if err := m.hooks.Start(t.Context(), "d-1/3", c); err == nil || !isPermanent(err) {
		t.Errorf("no scenario: %v, want a permanent fault", err)
	}
	c.Hook.Scenario = &deploy.Scenario{File: "check.yaml", Bundle: "!"}
	if err := m.hooks.Start(t.Context(), "d-1/3", c); err == nil || !isPermanent(err) {
		t.Errorf("a bundle that is none: %v, want a permanent fault", err)
	}
}
