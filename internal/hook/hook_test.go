package hook_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
	"greengate/internal/hook"
	"greengate/internal/hook/hooktest"
	"greengate/internal/runner"
	"greengate/internal/runner/sandbox"
)

// machine is a runner with function sandboxes over its control socket.
type machine struct {
	t         *testing.T
	dir       string
	tag       string // in the environment of every hook of this machine
	hooks     *hook.Hooks
	units     *runner.Client
	functions *sandbox.Client
	endpoint  string
}

// units lets sandboxes be units of the runner, as the runner role does.
type units struct{ server *runner.Server }

func (u units) Start(ctx context.Context, p sandbox.Program) error {
	_, err := u.server.Ensure(ctx, runner.Spec{
		ID: p.ID, Group: "functions", Mode: runner.ModeOnce, Command: p.Command, Dir: p.Dir, Env: p.Env, Grace: -time.Second,
		LogFile: p.Output, LogKeep: -1, Digest: p.ID,
	})
	return err
}
func (u units) Stop(ctx context.Context, id string) error { return u.server.Stop(ctx, id) }
func (u units) Wait(ctx context.Context, id string) (sandbox.Exit, error) {
	st, err := u.server.Wait(ctx, id)
	if err != nil || st.Exit == nil {
		return sandbox.Exit{}, err
	}
	return sandbox.Exit{Known: st.Exit.Known, Code: st.Exit.Code, Signal: st.Exit.Signal}, nil
}

// caller is what the controller tells hooks, with addresses out of the resources.
type caller struct{ cloud *cloud.Cloud }

func (caller) ExecutionID(effect string) string { return strings.ReplaceAll(effect, "/", "_") }
func (caller) Credentials(deploy.HookCall, time.Duration) (sandbox.Credentials, error) {
	return sandbox.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "secret", Expires: time.Now().Add(time.Hour)}, nil
}

func (c caller) Addresses(service string) (production, test string) {
	l := c.cloud.State().Listeners
	return l[service+"/production"].Address, l[service+"/test"].Address
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "gg") //nolint:usetesting // short: a unix socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &machine{
		t: t, dir: dir, tag: "GG_TEST_DIR=" + dir, endpoint: "http://127.0.0.1:4566",
		units: runner.NewClient(filepath.Join(dir, "c.sock")), functions: sandbox.NewClient(filepath.Join(dir, "c.sock")),
	}
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	spec := deploy.Service{Name: "shop", Production: "0.0.0.0:8080", Test: "127.0.0.1:8081"}
	if _, err := c.Apply(t.Context(), spec, time.Now()); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m.hooks = hook.New(hook.Config{
		Executable: self, Runner: m.units, Functions: m.functions, Caller: caller{c}, EndpointURL: m.endpoint, Region: "us-east-1",
		AccountID: "000000000000", Dir: dir,
	})
	m.start()
	return m
}

func (m *machine) start() {
	t := m.t
	control, err := runner.Listen(t.Context(), filepath.Join(m.dir, "c.sock"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	server, err := runner.New(runner.Config{Dir: filepath.Join(m.dir, "runner"), Control: control, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	functions, err := sandbox.New(sandbox.Config{
		Dir: filepath.Join(m.dir, "functions"), Units: units{server}, Logger: log, SearchPath: "/usr/local/bin:/usr/bin:/bin",
		InitTimeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Handle("/functions/", functions.Handler())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop, end := context.WithTimeout(context.Background(), 30*time.Second)
		defer end()
		if err := functions.StopAll(stop); err != nil {
			t.Errorf("stop functions: %v", err)
		}
		if err := server.StopAll(stop); err != nil {
			t.Errorf("stop all: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		m.units.Close()
		m.functions.CloseIdle()
		if left := m.processes(); len(left) > 0 {
			t.Errorf("processes are left: %q", left)
		}
	})
}

// processes lists the living processes of this machine's hooks, from /proc.
func (m *machine) processes() []string {
	m.t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil || len(entries) == 0 {
		m.t.Skip("no /proc: who runs cannot be counted here")
	}
	return slices.DeleteFunc(entries, func(path string) bool {
		data, err := os.ReadFile(path)
		return err != nil || !slices.Contains(strings.Split(string(data), "\x00"), m.tag)
	})
}

// hook describes a hook of a kind that runs a program of this binary.
func (m *machine) hook(kind deploy.HookKind, program string) deploy.Hook {
	m.t.Helper()
	self, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	h := deploy.Hook{Name: "probe", Kind: kind, Env: map[string]string{programEnv: string(kind) + ":" + program, "GG_TEST_DIR": m.dir}}
	switch kind {
	case deploy.HookCommand, deploy.HookTask:
		h.Command = []string{self}
		return h
	case deploy.HookScenario:
		h.Env = map[string]string{"GG_TEST_DIR": m.dir}
		h.Scenario = m.scenario(`{version: 1, steps: [{run: {command: ["` + self + `"], env: {
			GG_TEST_PROGRAM: "scenario:` + program + `", GG_TEST_DIR: "` + m.dir + `", GREENGATE_HOOK_EXECUTION_ID: d-1_7}}}]}`)
		return h
	case deploy.HookFunction, deploy.HookShadow:
	}
	code := filepath.Join(m.dir, "code")
	if err := os.MkdirAll(code, 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(code, "bootstrap"), []byte("#!/bin/sh\nexec '"+self+"'\n"), 0o755); err != nil {
		m.t.Fatal(err)
	}
	h.Function = &deploy.Function{Name: "verify", Runtime: "provided.al2023", CodeDir: code, Digest: "1", MemoryMB: 256}
	return h
}

func TestHooks(t *testing.T) {
	t.Parallel()
	for _, kind := range []deploy.HookKind{deploy.HookCommand, deploy.HookTask, deploy.HookFunction, deploy.HookScenario} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			hooktest.Exercise(t, func(t *testing.T) hooktest.Harness {
				t.Helper()
				return newMachine(t).harness(kind)
			})
		})
	}
}

func (m *machine) harness(kind deploy.HookKind) hooktest.Harness {
	return hooktest.Harness{
		Hooks: m.hooks,
		Call: func(_ *testing.T, p hooktest.Program) (deploy.HookCall, bool) {
			h := m.hook(kind, string(p))
			function := kind == deploy.HookFunction
			switch p {
			case hooktest.Missing:
				h.Command = []string{filepath.Join(m.dir, "no such program")}
				if kind == deploy.HookScenario {
					h.Scenario = m.scenario(`{version: 1, steps: [{run: ["` + h.Command[0] + `"]}]}`)
				}
				if function { // a sandbox that cannot be started: no program can be run under this loader
					return deploy.HookCall{}, false
				}
			case hooktest.Passes, hooktest.Polite:
				if function {
					return deploy.HookCall{}, false
				}
			case hooktest.Returns:
				if !function {
					return deploy.HookCall{}, false
				}
			case hooktest.Fails, hooktest.Sleeps:
			}
			return deploy.HookCall{Hook: h, Service: "shop"}, true
		},
		Starts: func(t *testing.T, id string) int {
			t.Helper()
			data, err := os.ReadFile(filepath.Join(m.dir, "starts-"+caller{}.ExecutionID(id)))
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			return strings.Count(string(data), "\n")
		},
		Running: func(_ *testing.T, id string) bool { return m.running(id) },
	}
}

// running reports whether a program that has begun an effect's work, or a child of one, lives. A warm
// sandbox that was not given the work does not count.
func (m *machine) running(id string) bool {
	data, _ := os.ReadFile(filepath.Join(m.dir, "starts-"+caller{}.ExecutionID(id)))
	pids := strings.Fields(string(data))
	return slices.ContainsFunc(m.processes(), func(path string) bool {
		env, err := os.ReadFile(path)
		child := slices.Contains(strings.Split(string(env), "\x00"), programEnv+"=child:deaf")
		return err == nil && (child || slices.Contains(pids, filepath.Base(filepath.Dir(path))))
	})
}

func (m *machine) call(h deploy.Hook) deploy.HookCall {
	return deploy.HookCall{
		Hook: h, Service: "shop", List: deploy.HookList(deploy.PhaseAfterInstall), Attempt: 1, Until: time.Now().Add(time.Minute),
		TaskSet: deploy.TaskSet{ID: "green", Revision: deploy.Revision{Version: "v2", Workload: deploy.Workload{
			Env: map[string]string{"OF_THE_SERVICE": "1", "BOTH": "service", "DB_PASSWORD": "hunter2!"}, Dir: m.dir,
		}}},
	}
}

func (m *machine) verdict(c deploy.HookCall) deploy.Verdict {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 30*time.Second)
	defer cancel()
	if err := m.hooks.Start(ctx, "d-1/3", c); err != nil {
		m.t.Fatal(err)
	}
	v, err := m.hooks.Await(ctx, "d-1/3", c)
	if err != nil {
		m.t.Fatal(err)
	}
	return v
}

func TestHooks_environment(t *testing.T) {
	t.Parallel()
	common := map[string]string{
		"GREENGATE_SERVICE": "shop", "GREENGATE_DEPLOYMENT_ID": "d-1", "GREENGATE_LIFECYCLE_EVENT": "AfterInstall", "GREENGATE_VERSION": "v2",
		"GREENGATE_PRODUCTION_URL": "http://127.0.0.1:8080", "GREENGATE_TEST_URL": "http://127.0.0.1:8081",
		"GREENGATE_HOOK_EXECUTION_ID": "d-1_3", "GREENGATE_TASK_SET": "green", "BOTH": "hook",
	}
	for kind, service := range map[deploy.HookKind]string{deploy.HookCommand: "", deploy.HookTask: "1"} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			h := m.hook(kind, "environment")
			h.Env["BOTH"] = "hook"
			if v := m.verdict(m.call(h)); v.Status != deploy.VerdictPass || v.TestURL != common["GREENGATE_TEST_URL"] || v.Log == "" {
				t.Fatalf("verdict %+v", v)
			}
			data, err := os.ReadFile(filepath.Join(m.dir, "environment"))
			if err != nil {
				t.Fatal(err)
			}
			var list []string
			if err := json.Unmarshal(data, &list); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, kv := range list {
				k, v, _ := strings.Cut(kv, "=")
				got[k] = v
			}
			for k, want := range common {
				if got[k] != want {
					t.Errorf("%s is %q, want %q", k, got[k], want)
				}
			}
			if got["OF_THE_SERVICE"] != service {
				t.Errorf("the service's environment: OF_THE_SERVICE is %q, want %q", got["OF_THE_SERVICE"], service)
			}
			if got["GREENGATE_RESULTS"] == "" {
				t.Error("no $GREENGATE_RESULTS")
			}
		})
	}
}

// TestHooks_failure: the verdict quotes the end of the output, without secrets.
func TestHooks_failure(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	h := m.hook(deploy.HookCommand, "fails")
	h.Env["API_TOKEN"] = "abcdef0123456789"
	v := m.verdict(m.call(h))
	for _, want := range []string{"exit code 7", "on stdout", "the home page has no title", "token is ***"} {
		if !strings.Contains(v.Message, want) {
			t.Errorf("message %q lacks %q", v.Message, want)
		}
	}
	if strings.Contains(v.Message, "abcdef0123456789") {
		t.Errorf("message %q quotes a secret", v.Message)
	}
}

// TestHooks_results: what a hook writes as JUnit XML can make its verdict worse, never better.
func TestHooks_results(t *testing.T) {
	t.Parallel()
	suite := func(cases string) string { return "<testsuite>" + cases + "</testsuite>" }
	for _, c := range []struct {
		name, program, results string
		status                 deploy.VerdictStatus
		reason                 deploy.Reason
		checks                 int
	}{
		{"no results", "passes", "", deploy.VerdictPass, deploy.ReasonNone, 0},
		{"a pass and a skip", "passes", suite(`<testcase name="a"/><testcase name="b"><skipped/></testcase>`), deploy.VerdictPass, deploy.ReasonNone, 2},
		{"a failure with exit code 0", "passes", suite(`<testcase name="a"/><testcase name="b"><failure/></testcase>`), deploy.VerdictFail, deploy.ReasonHookFailed, 2},
		{"an error with exit code 0", "passes", suite(`<testcase name="a"><error/></testcase>`), deploy.VerdictFail, deploy.ReasonHookFailed, 1},
		{"all skipped", "passes", suite(`<testcase name="a"><skipped/></testcase>`), deploy.VerdictError, deploy.ReasonInconclusive, 1},
		{"no case", "passes", suite(""), deploy.VerdictError, deploy.ReasonInconclusive, 0},
		{"cut off", "passes", "<testsuite><testcase", deploy.VerdictError, deploy.ReasonInconclusive, 0},
		{"a pipe", "passes", "fifo", deploy.VerdictError, deploy.ReasonInconclusive, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			h := m.hook(deploy.HookCommand, c.program)
			h.Env["GG_TEST_RESULTS"] = c.results
			v := m.verdict(m.call(h))
			if v.Status != c.status || v.Reason != c.reason || len(v.Checks) != c.checks {
				t.Errorf("verdict %s %s with %d checks (%s), want %s %s with %d", v.Status, v.Reason, len(v.Checks), v.Message, c.status, c.reason, c.checks)
			}
		})
	}
}

// TestHooks_functionEnds: a function that ends without having called back fails at once, or is waited
// for where the group wants AWS's way.
func TestHooks_functionEnds(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"fails", "exits"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			h := m.hook(deploy.HookFunction, program)
			v := m.verdict(m.call(h))
			if v.Status != deploy.VerdictFail || v.Reason != deploy.ReasonHookFailed || !strings.HasPrefix(v.Log, "/aws/lambda/verify/") {
				t.Errorf("verdict %+v", v)
			}
			h.StrictReturn = true
			c := m.call(h)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if v, err := m.hooks.Await(ctx, "d-1/3", c); err == nil {
				t.Errorf("AWS's way waits for the callback, got %+v", v)
			}
		})
	}
}

// TestHooks_functionMissing: code that is not there, and input that can never be accepted.
func TestHooks_functionMissing(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	h := m.hook(deploy.HookFunction, "returns")
	h.Function.CodeDir = filepath.Join(m.dir, "nothing")
	if v := m.verdict(m.call(h)); v.Status == deploy.VerdictPass || v.Message == "" {
		t.Errorf("a function without code: %+v", v)
	}
	h.Function.Runtime = "cobol"
	err := m.hooks.Start(t.Context(), "d-1/4", m.call(h))
	if err == nil || !isPermanent(err) {
		t.Errorf("a runtime that does not exist: %v, want a permanent fault", err)
	}
}

// TestHooks_runnerAway: without a runner nothing is known, and nothing is decided.
func TestHooks_runnerAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, dir: dir}
	hooks := hook.New(hook.Config{
		Runner: runner.NewClient(filepath.Join(dir, "no.sock")), Functions: sandbox.NewClient(filepath.Join(dir, "no.sock")),
		Caller: caller{c}, Dir: dir, Region: "us-east-1", AccountID: "000000000000",
	})
	for _, kind := range []deploy.HookKind{deploy.HookCommand, deploy.HookFunction} {
		call := m.call(m.hook(kind, "passes"))
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, awaited := hooks.Await(ctx, "d-1/3", call)
		for name, err := range map[string]error{
			"start": hooks.Start(ctx, "d-1/3", call), "await": awaited, "cancel": hooks.Cancel(ctx, "d-1/3", call),
		} {
			if err == nil || isPermanent(err) {
				t.Errorf("%s of a %s without a runner: %v, want a passing fault", name, kind, err)
			}
		}
	}
}

func TestInvocationID(t *testing.T) {
	t.Parallel()
	a, b := hook.InvocationID("d-1/3"), hook.InvocationID("d-1/4")
	if a == b || a != hook.InvocationID("d-1/3") || len(a) != 36 {
		t.Errorf("ids %q and %q", a, b)
	}
}
