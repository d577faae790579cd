package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greengate/internal/deploy"
)

func hooksIn(t *testing.T, content string) ([]deploy.Hook, string, error) {
	t.Helper()
	dir := project(t)
	path := filepath.Join(dir, "hooks.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	hooks, err := LoadHooks(path)
	return hooks, dir, err
}

// TestLoadHooks: what AppSpec files name has absolute paths, and a scenario is taken in.
func TestLoadHooks(t *testing.T) {
	t.Parallel()
	hooks, dir, err := hooksIn(t, `hooks:
  - {name: e2e, scenario: writes.yaml, vars: {item: a}, timeout: 2m, retries: 1}
  - {name: e2e, command: ./e2e.sh, env: {A: b}}
  - {name: migrate, task: [./migrate, up]}
`)
	if err != nil || len(hooks) != 3 {
		t.Fatalf("%d hooks: %v", len(hooks), err)
	}
	e2e, command, task := hooks[0], hooks[1], hooks[2]
	if e2e.Kind != deploy.HookScenario || e2e.Scenario.Bundle == "" || e2e.Scenario.Digest == "" || e2e.Timeout != 2*time.Minute || e2e.Dir != dir {
		t.Errorf("scenario %+v", e2e)
	}
	if command.Kind != deploy.HookCommand || command.Dir != dir || command.Env["A"] != "b" {
		t.Errorf("command %+v", command)
	}
	if task.Kind != deploy.HookTask || task.Dir != "" || len(task.Command) != 2 {
		t.Errorf("task %+v", task)
	}
	for event, message := range map[deploy.Phase]string{
		deploy.PhaseAfterInstall:          "",
		deploy.PhaseAfterAllowTraffic:     `step "POST /orders" has the effect write, and only read is allowed`,
		deploy.PhaseBeforeAllowTraffic:    "",
		deploy.PhaseAfterAllowTestTraffic: "",
	} {
		if err := CheckPlace(e2e, event); (err == nil) != (message == "") || (err != nil && !strings.Contains(err.Error(), message)) {
			t.Errorf("%s: %v, want %q", event, err, message)
		}
	}
	e2e.Scenario.Allow = "write"
	if err := errors.Join(CheckPlace(e2e, deploy.PhaseAfterAllowTraffic), CheckPlace(command, deploy.PhaseAfterAllowTraffic)); err != nil {
		t.Errorf("what is allowed: %v", err)
	}
}

// TestLoadHooks_bad: every fault at once, each with its place.
func TestLoadHooks_bad(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"{}":                           `:1:1: hooks: is empty; list the hooks that AppSpec files may name`,
		"hooks: []":                    `:1:8: hooks: is empty; list the hooks that AppSpec files may name`,
		"hook: []":                     `:1:1: hook: is an unknown key (did you mean "hooks"?)`,
		"hooks: {a: b}":                `:1:8: hooks: must be a list of hooks`,
		"- a":                          `must be`,
		"hooks: [{name: a}]":           `:1:9: hooks[0]: has no kind`,
		"hooks: [{command: ./e2e.sh}]": `:1:9: hooks[0]: has no name; AppSpec files name it`,
		"hooks: [{name: a, task: []}]": `hooks[0].task: is empty`,
		"hooks: [{name: a, command: ./nothing.sh}]":                                              `:1:28: hooks[0].command: `,
		"hooks: [{name: a, scenario: misspelt.yaml}]":                                            `:4:5: unknown field "asert" (did you mean "assert"?)`,
		"hooks: [{name: a, scenario: writes.yaml}]":                                              `the var item has no value`,
		"hooks: [{name: a, scenario: writes.yaml, vars: {item: a}, allow: read}]":                `has the effect write, and only read is allowed; allow: in the hook allows more`,
		"hooks: [{name: a, function: {code: hooks, handler: verify.handler, runtime: python3}}]": `hooks[0].function: is named by AppSpec files by its own name`,
		"hooks: [{name: a, shadow: 10%}]":                                                        `hooks[0].shadow: compares what the listeners of a greengate.yaml service carry`,
		"hooks: [{name: a, command: ./e2e.sh}, {name: a, command: ./e2e.sh}]":                    `:1:46: hooks[1].name: there is another command:a`,
		"hooks: [{name: a, command: ./e2e.sh, timeout: 2h}]":                                     `hooks[0].timeout: is 2h0m0s; it must be between 0s and 1h0m0s`,
		"hooks: [{name: a, command: ./e2e.sh, dir: nowhere}]":                                    `hooks[0].dir: `,
	} {
		_, _, err := hooksIn(t, content+"\n")
		if bad, ok := errors.AsType[*FileError](err); !ok || !strings.Contains(bad.Error(), want) {
			t.Errorf("%s: %v, want %s", content, err, want)
		}
	}
	if _, err := LoadHooks(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// FuzzParseHooks: whatever the file holds, it is hooks or faults with a place.
func FuzzParseHooks(f *testing.F) {
	f.Add([]byte("hooks:\n  - {name: a, command: [sh, -c, x]}\n  - {name: b, task: x, env: {A: b}}\n"))
	f.Add([]byte("hooks: [{name: a, scenario: nothing.yaml, vars: {a: b}}]"))
	f.Add([]byte("hooks: [null, {}, [], {function: {}}]"))
	f.Fuzz(func(t *testing.T, content []byte) {
		hooks, faults := parseHooks(content, "/nonexistent")
		if len(faults) == 0 && len(hooks) == 0 {
			t.Error("no hook, and no fault")
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
				t.Errorf("fault %+v has no place or no message", fault)
			}
		}
	})
}
