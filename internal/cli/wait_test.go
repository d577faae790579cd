package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

// screen is a terminal, or a file, that a test can look at while it is written.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *screen) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(s.String(), text) {
		if time.Now().After(deadline) {
			t.Fatalf("%q does not appear in:\n%s", text, s.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func testEnv(out, err io.Writer, vars map[string]string) Env {
	return Env{
		Stdin: strings.NewReader(""), Stdout: out, Stderr: err, Now: time.Now,
		Getenv: func(name string) string { return vars[name] },
	}
}

// knownController writes the keys of a controller at url and returns an environment that finds them.
func knownController(t *testing.T, url string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	c := testKeys
	c.Endpoint = url
	if err := writeKeys(dir, c); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"GREENGATE_DATA": dir}
}

func document(t *testing.T, v any) answer {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return answer{Body: body}
}

// TestWait_controllerRestarts kills the controller in the middle of a wait, lets connects be refused for a while, and
// starts another one on the same address.
func TestWait_controllerRestarts(t *testing.T) {
	running := deploy.DeploymentView{ID: "d-ONE111111", Service: "shop", Kind: deploy.KindDeploy, To: "v2", Status: deploy.StatusInProgress}
	ended := running
	ended.Status = deploy.StatusSucceeded
	phase := func(seq int64, p deploy.Phase) deploy.HistoryEvent {
		return deploy.HistoryEvent{Seq: seq, Record: deploy.Record{Kind: deploy.RecordPhase, Phase: p}}
	}
	first := &fakeController{script: map[string][]answer{
		"Events": {
			document(t, deploy.EventsOutput{Events: []deploy.HistoryEvent{phase(1, deploy.PhaseInstall)}, Next: 1}),
			document(t, deploy.EventsOutput{Next: 1}),
		},
		"DescribeDeployment": {document(t, running)},
	}}
	second := &fakeController{script: map[string][]answer{
		"Events": {
			document(t, deploy.EventsOutput{Events: []deploy.HistoryEvent{phase(2, deploy.PhaseAllowTraffic)}, Next: 2}),
			document(t, deploy.EventsOutput{Next: 2}),
		},
		"DescribeDeployment": {document(t, ended)},
	}}
	server := httptest.NewServer(first)
	address := server.Listener.Addr().String()
	vars := knownController(t, server.URL)

	var out, errs screen
	code := make(chan int, 1)
	go func() {
		code <- Execute(t.Context(), testEnv(&out, &errs, vars), Roles{}, []string{"wait", "d-ONE111111"})
	}()
	out.await(t, "Install")
	server.CloseClientConnections()
	server.Close()
	errs.await(t, "asking again for 1m0s")

	var listener net.Listener
	var err error
	for deadline := time.Now().Add(5 * time.Second); listener == nil && time.Now().Before(deadline); {
		listener, err = net.Listen("tcp", address)
	}
	if err != nil {
		t.Fatal(err)
	}
	restarted := httptest.NewUnstartedServer(second)
	restarted.Listener.Close()
	restarted.Listener = listener
	restarted.Start()
	defer restarted.Close()

	select {
	case got := <-code:
		if got != ExitDone {
			t.Errorf("exit code %d\n%s%s", got, out.String(), errs.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("the wait does not end:\n%s%s", out.String(), errs.String())
	}
	if text := out.String(); strings.Count(text, "Install") != 1 || strings.Count(text, "AllowTraffic") != 1 || !strings.Contains(text, "Succeeded") {
		t.Errorf("printed:\n%s", text)
	}
	if seen := second.seen(); !strings.Contains(seen, `"after":1`) {
		t.Errorf("the new controller was asked:\n%s", seen)
	}
}

func readyController(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(&fakeController{script: map[string][]answer{
		"Events": {document(t, deploy.EventsOutput{})},
		"DescribeDeployment": {document(t, deploy.DeploymentView{
			ID: "d-ONE111111", Service: "shop", Kind: deploy.KindDeploy, To: "v2", Status: deploy.StatusReady,
			Phase: deploy.PhaseReadyWait, Waiting: deploy.Waiting{For: deploy.WaitReady},
		})},
	}})
	t.Cleanup(server.Close)
	return server
}

func TestWait_interruptDetaches(t *testing.T) {
	vars := knownController(t, readyController(t).URL)
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs screen
	code := make(chan int, 1)
	go func() {
		code <- Execute(ctx, testEnv(&out, &errs, vars), Roles{}, []string{"wait", "d-ONE111111"})
	}()
	out.await(t, "READY_WAIT")
	cancel()
	select {
	case got := <-code:
		if got != ExitRunning {
			t.Errorf("exit code %d", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("an interrupt does not end the wait")
	}
	if text := errs.String(); !strings.Contains(text, "interrupted") || !strings.Contains(text, "greengate wait d-ONE111111") {
		t.Errorf("it says:\n%s", text)
	}
}

func TestWait_terminal(t *testing.T) {
	vars := knownController(t, readyController(t).URL)
	var out, errs screen
	env := testEnv(&out, &errs, vars)
	env.StdoutTerminal, env.Width = true, 50
	if code := Execute(t.Context(), env, Roles{}, []string{"wait", "d-ONE111111", "--timeout", "1500ms"}); code != ExitRunning {
		t.Errorf("exit code %d", code)
	}
	text := out.String()
	if !strings.Contains(text, "shop v2  ReadyWait") || strings.Contains(text, "detach") {
		t.Errorf("the status line is not there, or longer than the terminal:\n%q", text)
	}
	if !strings.HasSuffix(text, "\r\x1b[2K") {
		t.Errorf("the status line stays:\n%q", text)
	}
}

func TestColour(t *testing.T) {
	verdict := deploy.Verdict{Hook: "e2e", Event: "AfterInstall", Status: deploy.VerdictFail}
	for _, tt := range []struct {
		terminal bool
		vars     map[string]string
		want     bool
	}{
		{true, nil, true},
		{false, nil, false},
		{true, map[string]string{"NO_COLOR": "1"}, false},
		{true, map[string]string{"TERM": "dumb"}, false},
	} {
		env := testEnv(io.Discard, io.Discard, tt.vars)
		env.StdoutTerminal = tt.terminal
		line := newApp(env, Roles{}).verdictLines("d-1", verdict)[0]
		if got := strings.Contains(line, "\x1b["); got != tt.want {
			t.Errorf("terminal %v, %v: %q", tt.terminal, tt.vars, line)
		}
	}
}

func TestDelete_asks(t *testing.T) {
	fake := &fakeController{script: map[string][]answer{"DeleteService": {{}}}}
	server := httptest.NewServer(fake)
	defer server.Close()
	vars := knownController(t, server.URL)
	for typed, want := range map[string]int{"shop\n": ExitDone, "shop": ExitUsage, "yes\n": ExitUsage, "": ExitUsage} {
		var errs screen
		env := testEnv(io.Discard, &errs, vars)
		env.StdinTerminal, env.Stdin = true, strings.NewReader(typed)
		if code := Execute(t.Context(), env, Roles{}, []string{"delete", "shop"}); code != want {
			t.Errorf("%q gives %d:\n%s", typed, code, errs.String())
		}
	}
	if seen := fake.seen(); strings.Count(seen, "DeleteService") != 1 {
		t.Errorf("asked:\n%s", seen)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestOutput_fullDiskIsAnError(t *testing.T) {
	server := httptest.NewServer(&fakeController{script: map[string][]answer{
		"ListServices":    {document(t, deploy.ListServicesOutput{Services: []deploy.ServiceView{{Name: "shop"}}})},
		"ListDeployments": {document(t, deploy.ListDeploymentsOutput{Deployments: []deploy.DeploymentView{{ID: "d-1"}}})},
		"Events":          {document(t, deploy.EventsOutput{Events: []deploy.HistoryEvent{{Seq: 1}}, Next: 1})},
		"Logs":            {document(t, deploy.LogsOutput{Lines: []string{"x"}, Next: 1})},
	}})
	defer server.Close()
	vars := knownController(t, server.URL)
	for _, args := range [][]string{
		{"list"}, {"list", "--json"}, {"history"}, {"events"}, {"events", "--json", "--follow"}, {"logs", "--task", "t"}, {"version"}, {"env"},
	} {
		var errs screen
		code := Execute(t.Context(), testEnv(fullDisk{}, &errs, vars), Roles{}, args)
		if code != ExitOther || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%v: exit code %d:\n%s", args, code, errs.String())
		}
	}
}

func TestClient_strangers(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"html": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusNotFound) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
	} {
		server := httptest.NewServer(handler)
		var errs screen
		code := Execute(t.Context(), testEnv(io.Discard, &errs, knownController(t, server.URL)), Roles{}, []string{"list"})
		if code != ExitOther || !strings.Contains(errs.String(), "no greengate controller") {
			t.Errorf("%s: exit code %d:\n%s", name, code, errs.String())
		}
		server.Close()
	}
}

// TestHelp_golden keeps the help of every command in one file, and wants it to be whole.
func TestHelp_golden(t *testing.T) {
	root := New(testEnv(io.Discard, io.Discard, nil), fakeRoles())
	root.InitDefaultHelpCmd()
	var all strings.Builder
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		switch {
		case c.Name() == "help" || c.Name() == "completion":
			return
		case c.Long == "" || c.Short == "" || (c.Runnable() && c.Example == ""):
			t.Errorf("%s lacks a text or examples", c.CommandPath())
		}
		var b bytes.Buffer
		c.SetOut(&b)
		if err := c.Help(); err != nil {
			t.Error(err)
		}
		all.WriteString("==== " + c.CommandPath() + "\n\n" + b.String() + "\n")
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
	golden := filepath.Join("testdata", "help.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != all.String() {
		t.Errorf("the help has changed: read it, then run with -update")
	}
}
