package config

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"greengate/internal/deploy"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// digests depend on the umask.
var digests = regexp.MustCompile(`"[0-9a-f]{64}"`)

// project makes a folder with everything that the service files of testdata name.
func project(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("server", "#!/bin/sh\n", 0o755)
	write("app/server", "#!/bin/sh\n", 0o755)
	write("e2e.sh", "#!/bin/sh\n", 0o755)
	write("app/e2e.sh", "#!/bin/sh\n", 0o755)
	write("plain.txt", "not a program\n", 0o644)
	write(".env", "# comment\nexport A=1\nB='two words'\nC=\"x\\ny\" # tail\nD=bare # tail\nE=\n", 0o600)
	write("bad.env", "A=1\nno equals\nB='open\n=x\n", 0o600)
	write("hooks/verify.py", "def handler(event, context): pass\n", 0o644)
	write("node/index.mjs", "export const handler = async () => {}\n", 0o644)
	write("go/bootstrap", "#!/bin/sh\n", 0o755)
	write("empty/keep", "", 0o644)
	write("reads.yaml", "{version: 1, vars: {path: /}, steps: [{request: \"GET ${{ vars.path }}\"}]}\n", 0o644)
	write("writes.yaml", "{version: 1, vars: {item: null}, steps: [{request: POST /orders, json: {item: \"${{ vars.item }}\"}}]}\n", 0o644)
	write("compares.yaml", "{version: 1, compare: blue, steps: [{request: GET /}]}\n", 0o644)
	write("misspelt.yaml", "version: 1\nsteps:\n  - request: GET /\n    asert: [status == 200]\n", 0o644)
	return dir
}

func loadIn(t *testing.T, dir, content string) (deploy.Service, error) {
	t.Helper()
	path := filepath.Join(dir, "greengate.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadService(path)
}

// TestLoadService_golden loads each testdata/*.yaml in a prepared folder. What comes out, the service or the faults,
// stands in the file of the same name with .out.
func TestLoadService_golden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			dir := project(t)
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := loadIn(t, dir, string(content))
			var got string
			if err != nil {
				if _, ok := errors.AsType[*FileError](err); !ok {
					t.Fatalf("error %v is not a FileError", err)
				}
				got = err.Error() + "\n"
			} else {
				indented, err := json.MarshalIndent(s, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				got = string(indented) + "\n"
			}
			got = digests.ReplaceAllString(strings.ReplaceAll(got, dir, "DIR"), `"DIGEST"`)
			golden := strings.TrimSuffix(file, ".yaml") + ".out"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run with -update after reading this (-want +got):\n%s", diff)
			}
			if strings.HasPrefix(filepath.Base(file), "good") != (err == nil && strings.HasPrefix(got, "{")) {
				t.Errorf("files named good load and the others do not; this one said:\n%s", got)
			}
		})
	}
}

const small = "name: a\ncommand: [./server]\nlisteners: {production: 127.0.0.1:8080, test: 127.0.0.1:8081}\npromote: auto\n"

func TestLoadService_everyKey(t *testing.T) {
	dir := project(t)
	s, err := loadIn(t, dir, `
name: checkout
version: 2.10
command: ./server --greeting 'hello world' ""
dir: app
port: 8080
network: namespace
tasks: 2
env: {KEY: value, NUMBER: 010, FLAG: yes, ON: true, EMPTY: ""}
env_file: .env
protocol: h2c
health: {path: /healthz, status: 200,
  interval: 3s, timeout: 2s, healthy_threshold: 4, unhealthy_threshold: 5, start_period: 1m30s}
limits: {cpu: 0.5, memory: 256MiB, pids: 100}
grace: 11s
listeners: {production: "127.0.0.1:8080", test: 127.0.0.1:8081}
traffic: {canary: 10%, interval: 5m}
hooks:
  AfterAllowTestTraffic:
    - {name: e2e, command: [./e2e.sh, 5, true], timeout: 5m, retries: 1, env: {A: b}}
    - function: {code: ./hooks, handler: verify.handler, runtime: python3.12, timeout: 50s, memory: 128MiB, env: {T: "1"}}
    - task: [./server, migrate]
smoke:
  - command: ./e2e.sh --fast
    dir: .
promote: {policy: manual, limit: 2h}
way_back: require
bake: {for: 10m, max_error_rate: 0.5%}
rollback: [failure, stop]
drain: 31s
unhealthy_grace: 12s
install_limit: 13m
`)
	if err != nil {
		t.Fatal(err)
	}
	digest := s.Hooks[deploy.PhaseAfterAllowTestTraffic][1].Function.Digest
	if len(digest) != 64 {
		t.Errorf("function digest is %q", digest)
	}
	app := filepath.Join(dir, "app")
	want := deploy.Service{
		Name: "checkout", Version: "2.10", Tasks: 2,
		Workload: deploy.Workload{
			Command: []string{"./server", "--greeting", "hello world", ""}, Dir: app,
			Env:     map[string]string{"KEY": "value", "NUMBER": "010", "FLAG": "yes", "ON": "true", "EMPTY": ""},
			EnvFile: filepath.Join(dir, ".env"), Port: 8080, Network: "namespace", CPU: 0.5, MemoryBytes: 256 << 20, PIDs: 100,
			Health: &deploy.HealthCheck{
				Type: "http", Path: "/healthz", Statuses: "200", Interval: 3 * time.Second, Timeout: 2 * time.Second,
				HealthyThreshold: 4, UnhealthyThreshold: 5, StartPeriod: 90 * time.Second,
			},
			Grace: 11 * time.Second, Protocol: "h2c",
		},
		Production: "127.0.0.1:8080", Test: "127.0.0.1:8081",
		Traffic: deploy.Traffic{Kind: deploy.TrafficCanary, Percent: 10, Interval: 5 * time.Minute},
		Hooks: map[deploy.Phase][]deploy.Hook{deploy.PhaseAfterAllowTestTraffic: {
			{
				Name: "e2e", Kind: deploy.HookCommand, Command: []string{"./e2e.sh", "5", "true"}, Dir: app,
				Env: map[string]string{"A": "b"}, Timeout: 5 * time.Minute, Retries: 1,
			},
			{Name: "function-1", Kind: deploy.HookFunction, Function: &deploy.Function{
				Name: "checkout-function-1", Runtime: "python3.12", Handler: "verify.handler", CodeDir: filepath.Join(dir, "hooks"),
				Timeout: 50 * time.Second, MemoryMB: 128, Env: map[string]string{"T": "1"}, Digest: digest,
			}},
			{Name: "task-1", Kind: deploy.HookTask, Command: []string{"./server", "migrate"}},
		}},
		Smoke:     []deploy.Hook{{Name: "smoke-1", Kind: deploy.HookCommand, Command: []string{"./e2e.sh", "--fast"}, Dir: dir}},
		Promotion: deploy.PromoteManual, ReadyLimit: 2 * time.Hour, WayBack: deploy.WayBackRequire, Bake: 10 * time.Minute,
		MaxErrorRate: 0.005, Rollback: deploy.RollbackPolicy{OnFailure: true, OnStop: true},
		Drain: 31 * time.Second, UnhealthyGrace: 12 * time.Second, InstallLimit: 13 * time.Minute,
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("service (-want +got):\n%s", diff)
	}
}

func TestLoadService_shorthands(t *testing.T) {
	dir := project(t)
	tests := []struct {
		yaml string
		get  func(deploy.Service) any
		want any
	}{
		{"health: /up", func(s deploy.Service) any { return s.Workload.Health.Type + s.Workload.Health.Path }, "http/up"},
		{"health: {tcp: true}", func(s deploy.Service) any { return s.Workload.Health.Type + s.Workload.Health.Statuses }, "tcp"},
		{"rollback: false", func(s deploy.Service) any { return s.Rollback }, deploy.RollbackPolicy{}},
		{"rollback: []", func(s deploy.Service) any { return s.Rollback }, deploy.RollbackPolicy{}},
		{"rollback: true", func(s deploy.Service) any { return s.Rollback }, deploy.RollbackPolicy{OnFailure: true, OnAlarm: true, OnStop: true}},
		{"rollback: [alarm]", func(s deploy.Service) any { return s.Rollback }, deploy.RollbackPolicy{OnAlarm: true}},
		{"bake: 90s", func(s deploy.Service) any { return s.Bake }, 90 * time.Second},
		{"traffic: all-at-once", func(s deploy.Service) any { return s.Traffic }, deploy.Traffic{Kind: deploy.TrafficAllAtOnce}},
		{
			"traffic: {linear: 20%, interval: 1m}", func(s deploy.Service) any { return s.Traffic },
			deploy.Traffic{Kind: deploy.TrafficLinear, Percent: 20, Interval: time.Minute},
		},
		{"limits: {memory: 1GB}", func(s deploy.Service) any { return s.Workload.MemoryBytes }, int64(1e9)},
		{"limits: {memory: 0.5 GiB}", func(s deploy.Service) any { return s.Workload.MemoryBytes }, int64(1 << 29)},
		{"version: v2", func(s deploy.Service) any { return s.Version }, "v2"},
		{"x: &anchor", nil, nil},
	}
	for _, tt := range tests {
		s, err := loadIn(t, dir, small+tt.yaml+"\n")
		if tt.get == nil {
			if err == nil {
				t.Errorf("%s: is accepted", tt.yaml)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.yaml, err)
			continue
		}
		if diff := cmp.Diff(tt.want, tt.get(s)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.yaml, diff)
		}
	}
}

func TestLoadService_aliases(t *testing.T) {
	dir := project(t)
	s, err := loadIn(t, dir, small+"env: &e {A: b}\nsmoke: [{command: [./server], env: *e}]\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Workload.Env, s.Smoke[0].Env); diff != "" {
		t.Errorf("the alias differs:\n%s", diff)
	}
	// Each line stands for ten of the one before: a thousand million values in a small file.
	var bomb strings.Builder
	bomb.WriteString("a: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 8 {
		fmt.Fprintf(&bomb, "b%d: &a%d [%s]\n", i, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	begin := time.Now()
	_, err = loadIn(t, dir, small+bomb.String())
	if err == nil || !strings.Contains(err.Error(), "too many values") {
		t.Errorf("an alias bomb gives %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("refusing an alias bomb took %s", took)
	}
	if _, err = loadIn(t, dir, small+"env: &e {A: *e}\n"); err == nil || !strings.Contains(err.Error(), "contains itself") {
		t.Errorf("a circle gives %v", err)
	}
}

func TestLoadService_unreadable(t *testing.T) {
	dir := project(t)
	if _, err := LoadService(filepath.Join(dir, "absent.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file gives %v", err)
	}
	if _, err := loadIn(t, dir, strings.Repeat("# long\n", maxFileSize/6)); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("a huge file gives %v", err)
	}
}

func TestFunctionDigest(t *testing.T) {
	dir := project(t)
	code := filepath.Join(dir, "hooks")
	f := deploy.Function{Name: "f", CodeDir: code, Handler: "verify.handler", Runtime: "python3"}
	digest := func() string {
		t.Helper()
		d, err := functionDigest(f)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := digest()
	if digest() != first {
		t.Error("the digest is not stable")
	}
	if err := os.MkdirAll(filepath.Join(code, "__pycache__"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(code, "__pycache__", "verify.pyc"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if digest() != first {
		t.Error("what Python caches changes the digest")
	}
	changes := map[string]func() error{
		"content": func() error { return os.WriteFile(filepath.Join(code, "verify.py"), []byte("other"), 0o644) },
		"name":    func() error { return os.Rename(filepath.Join(code, "verify.py"), filepath.Join(code, "w.py")) },
		"mode":    func() error { return os.Chmod(filepath.Join(code, "w.py"), 0o755) },
		"link":    func() error { return os.Symlink("w.py", filepath.Join(code, "l.py")) },
	}
	before := first
	for _, name := range []string{"content", "name", "mode", "link"} {
		if err := changes[name](); err != nil {
			t.Fatal(err)
		}
		after := digest()
		if after == before {
			t.Errorf("a changed %s does not change the digest", name)
		}
		before = after
	}
	f.Handler = "w.handler"
	if digest() == before {
		t.Error("a changed handler does not change the digest")
	}
	for i := range maxCodeFiles {
		if err := os.WriteFile(filepath.Join(code, fmt.Sprintf("f%d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := functionDigest(f); err == nil || !strings.Contains(err.Error(), "more than 10000 files") {
		t.Errorf("too many files give %v", err)
	}
	f.CodeDir = filepath.Join(dir, "empty")
	if err := os.Truncate(filepath.Join(f.CodeDir, "keep"), maxCodeBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := functionDigest(f); err == nil || !strings.Contains(err.Error(), "50 MiB") {
		t.Errorf("too much code gives %v", err)
	}
}

func TestTemplate_loads(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, DefaultFile)
	if err := WriteTemplate(path, ServiceName("My Shop!")); err != nil {
		t.Fatal(err)
	}
	s, err := LoadService(path)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "my-shop" || s.Test == "" || len(s.Hooks) != 1 {
		t.Errorf("the template gives %+v", s)
	}
	if err := WriteTemplate(path, "other"); !errors.Is(err, os.ErrExist) {
		t.Errorf("writing over a file gives %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

// TestTemplate_everyKey takes the comment signs away from the keys of the template: each must be a key of the loader.
func TestTemplate_everyKey(t *testing.T) {
	var lines []string
	for line := range strings.SplitSeq(string(Template("demo")), "\n") {
		if rest, ok := strings.CutPrefix(strings.TrimLeft(line, " "), "# "); ok && templateKey(rest) {
			line = line[:strings.Index(line, "#")] + rest
		}
		lines = append(lines, line)
	}
	content := strings.Join(lines, "\n")
	s, faults := parseService([]byte(content), "/srv", false)
	if len(faults) > 0 {
		t.Errorf("faults %v in\n%s", faults, content)
	}
	if s.Workload.Health.StartPeriod == 0 || len(s.Smoke) == 0 || s.Hooks[deploy.PhaseBeforeInstall] == nil || s.Bake == 0 {
		t.Errorf("the comments hold too little: %+v", s)
	}
}

func templateKey(line string) bool {
	if strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "  ") {
		return true
	}
	key, rest, ok := strings.Cut(line, ":")
	return ok && !strings.Contains(key, " ") && key == strings.TrimSpace(key) &&
		(rest == "" || strings.HasPrefix(rest, " ")) && key != "Try"
}
