package lambdahook

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/internal/scenario"
)

// site is a service, CodeDeploy and Lambda's Runtime API at one address.
type site struct {
	*httptest.Server
	mu       sync.Mutex
	events   chan string
	answers  chan string // PATH BODY of what the function posted
	reports  []string
	refusals []func(http.ResponseWriter) // of reports, before one is taken
	deadline time.Duration
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{events: make(chan string, 1), answers: make(chan string, 1), deadline: 30 * time.Second}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	const prefix = "/2018-06-01/runtime/"
	switch path := r.URL.Path; {
	case path == prefix+"invocation/next":
		select {
		case event := <-s.events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "one")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(s.deadline).UnixMilli()))
			_, _ = io.WriteString(w, event)
		case <-r.Context().Done():
		}
	case strings.HasPrefix(path, prefix):
		w.WriteHeader(http.StatusAccepted)
		s.answers <- strings.TrimPrefix(path, prefix) + " " + string(body)
	case r.Header.Get("X-Amz-Target") == "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus":
		s.report(w, r, string(body))
	case path == "/slow":
		<-r.Context().Done()
	default:
		_, _ = io.WriteString(w, "v2\nGREENGATE VERDICT pass deployment=d-1 execution=e told=Succeeded forged")
	}
}

func (s *site) report(w http.ResponseWriter, r *http.Request, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.Contains(r.Header.Get("Authorization"), "Credential=AKIA/") || r.Header.Get("X-Amz-Security-Token") != "token" {
		http.Error(w, "{}", http.StatusForbidden)
		return
	}
	if len(s.refusals) > 0 {
		refuse := s.refusals[0]
		s.refusals = s.refusals[1:]
		refuse(w)
		return
	}
	s.reports = append(s.reports, body)
	_, _ = io.WriteString(w, "{}")
}

func (s *site) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reports
}

func refusal(status int, code string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"__type": "com.amazonaws.codedeploy#%s", "message": "no"}`, code)
	}
}

// invoke runs a function with this scenario for one event; it returns what it posted and what it logged.
func (s *site) invoke(t *testing.T, text, event string) (answer string, log []string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "check.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := scenario.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	if err := Write(&zipped, strings.NewReader("program"), Settings{File: "check.yaml", Files: loaded.Files, BaseURL: "http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	unpack(t, zipped.Bytes(), dir)
	env := map[string]string{
		runtimeAPI: strings.TrimPrefix(s.URL, "http://"), taskRoot: dir, "TEST_URL": s.URL, "AWS_ENDPOINT_URL": s.URL,
		"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token",
	}
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, func(name string) string { return env[name] }, &out) }()
	s.events <- event
	select {
	case answer = <-s.answers:
	case <-time.After(time.Minute):
		t.Error("no answer within a minute")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return answer, strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func unpack(t *testing.T, content []byte, dir string) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		if err := os.WriteFile(filepath.Join(dir, f.Name), read(t, f), f.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, bootstrapName)); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("the bootstrap is no program: %v", err)
	}
}

func read(t *testing.T, f *zip.File) []byte {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

const (
	passing = "version: 1\nname: good\nsteps:\n  - request: GET /\n    assert: [status == 200]\n"
	failing = "version: 1\nname: bad\nsteps:\n  - name: \"a\\nGREENGATE VERDICT pass deployment=d-1 execution=e told=Succeeded forged\"\n" +
		"    request: GET /\n    assert: [status == 418]\n"
	slow    = "version: 1\nname: slow\nsteps:\n  - request: GET /slow\ncleanup:\n  - request: DELETE /slow\n"
	twoIDs  = `{"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"}`
	fromECS = `{"lifecycleStage": "POST_TEST_TRAFFIC_SHIFT", "resourceArn": "arn:x", "executionDetails": {}}`
)

func last(t *testing.T, log []string) Verdict {
	t.Helper()
	v, ok := ParseVerdict(log[len(log)-1])
	if !ok {
		t.Fatalf("the last line is no verdict:\n%s", strings.Join(log, "\n"))
	}
	for _, line := range log[:len(log)-1] {
		if _, ok := ParseVerdict(line); ok {
			t.Errorf("a second verdict: %s", line)
		}
	}
	return v
}

func TestServe_codeDeploy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, status, verdict string }{
		"pass": {passing, "Succeeded", "pass"},
		"fail": {failing, "Failed", "fail"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			answer, log := s.invoke(t, tc.text, twoIDs)
			if want := `{"deploymentId":"d-1","lifecycleEventHookExecutionId":"e-1","status":"` + tc.status + `"}`; fmt.Sprint(s.told()) != "["+want+"]" {
				t.Errorf("told %s, want %s", s.told(), want)
			}
			if answer != `invocation/one/response {"status":"`+tc.status+`"}` {
				t.Errorf("answer %s", answer)
			}
			v := last(t, log)
			if v.Verdict != scenario.Verdict(tc.verdict) || v.Deployment != "d-1" || v.Execution != "e-1" || v.Told != tc.status {
				t.Errorf("%+v", v)
			}
			r, deployment, ok := ParseResult(log[len(log)-2])
			if !ok || deployment != "d-1" || string(r.Verdict) != tc.verdict || r.BaseURL != s.URL || r.Release.Deployment != "d-1" {
				t.Errorf("%v, %s: %+v", ok, deployment, r)
			}
		})
	}
}

// TestServe_time: a scenario that takes too long is told before the function's time is over, cleanup included.
func TestServe_time(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.deadline = 2 * time.Second
	answer, log := s.invoke(t, slow, twoIDs)
	if v := last(t, log); v.Verdict != scenario.Error || v.Told != "Failed" {
		t.Errorf("%s: %+v", answer, v)
	}
	for _, want := range []string{`the function's time is over`, `cleanup's time limit of \d+(\.\d+)?ms has passed`} {
		if !regexp.MustCompile(want).MatchString(strings.Join(log, "\n")) {
			t.Errorf("%s is not in\n%s", want, strings.Join(log, "\n"))
		}
	}
	s = newSite(t)
	s.deadline = 2 * time.Second
	answer, log = s.invoke(t, slow, fromECS)
	if v := last(t, log); v.Told != "IN_PROGRESS" || !strings.Contains(answer, `"hookStatus":"IN_PROGRESS","callBackDelay":30,"hookDetails":{"greengate":{"since":`) {
		t.Errorf("%s\n%s", answer, strings.Join(log, "\n"))
	}
}

func TestServe_reports(t *testing.T) {
	t.Parallel()
	again, over := refusal(http.StatusInternalServerError, "InternalFailure"), refusal(http.StatusBadRequest, "LifecycleEventAlreadyCompletedException")
	for name, tc := range map[string]struct {
		refusals []func(http.ResponseWriter)
		told     string
		answer   string
	}{
		"again":           {[]func(http.ResponseWriter){again, again}, "Succeeded", "invocation/one/response "},
		"throttled":       {[]func(http.ResponseWriter){refusal(http.StatusBadRequest, "ThrottlingException")}, "Succeeded", "invocation/one/response "},
		"it had arrived":  {[]func(http.ResponseWriter){again, over}, "Succeeded", "invocation/one/response "},
		"somebody's else": {[]func(http.ResponseWriter){over}, "-", "invocation/one/error "},
		"refused":         {[]func(http.ResponseWriter){refusal(http.StatusBadRequest, "AccessDeniedException")}, "-", `invocation/one/error {"errorType":"Greengate.HookFailed"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.refusals = tc.refusals
			answer, log := s.invoke(t, passing, twoIDs)
			if v := last(t, log); v.Told != tc.told || !strings.HasPrefix(answer, tc.answer) || strings.Contains(v.Text, "not told") != (tc.told == "-") {
				t.Errorf("%s\n%s", answer, strings.Join(log, "\n"))
			}
		})
	}
}

// TestServe_badZip: what cannot be a hook is said when the function begins.
func TestServe_badZip(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, content := range map[string]string{
		"no settings": "", "no JSON": "{", "of a later version": `{"version": 9}`, "a bad scenario": `{"version": 1, "file": "a.yaml", "files": {"a.yaml": "dmVyc2lvbjogMgo="}}`,
	} {
		dir := t.TempDir()
		if content != "" {
			if err := os.WriteFile(filepath.Join(dir, settingsName), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		env := map[string]string{runtimeAPI: strings.TrimPrefix(s.URL, "http://"), taskRoot: dir}
		err := Serve(t.Context(), func(n string) string { return env[n] }, io.Discard)
		if answer := <-s.answers; err == nil || !strings.HasPrefix(answer, `init/error {"errorType":"Greengate.BadHook"`) {
			t.Errorf("%s: %v, %s", name, err, answer)
		}
	}
}

func TestWrite_deterministic(t *testing.T) {
	t.Parallel()
	write := func() []byte {
		var b bytes.Buffer
		files := map[string][]byte{}
		for i := range 20 {
			files[fmt.Sprint(i)] = []byte("content")
		}
		if err := Write(&b, strings.NewReader(strings.Repeat("program", 1000)), Settings{Files: files}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if !bytes.Equal(write(), write()) {
		t.Error("the same input made other bytes")
	}
}

func TestDecodeEvent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) string { return now.Add(-d).Format(time.RFC3339) }
	for event, want := range map[string]string{
		twoIDs: "d-1 e-1 false  0s", fromECS: "arn:x  true POST_TEST_TRAFFIC_SHIFT 0s", `{}`: "  true  0s",
		`{"serviceArn": "s", "hookDetails": {"greengate": {"since": "` + ago(time.Minute) + `"}}}`: "  true  1m0s",
		`{"hookDetails": {"greengate": {"since": "` + ago(-time.Minute) + `"}}}`:                   "  true  0s",
		`{"hookDetails": "text"}`: "  true  0s", `{"hookDetails": {"greengate": 7}}`: "  true  0s",
		`{"DeploymentId": "d-1"}`: "error", `[]`: "error", `x`: "error",
	} {
		c, err := decodeEvent([]byte(event), now)
		got := fmt.Sprint(c.deployment, " ", c.execution, " ", c.native, " ", c.stage, " ", now.Sub(c.since))
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", event, got, want)
		}
	}
}

// TestAnswer: what ECS is told. Only a pass is a success, and what could not be told ends when the scenario's time is over.
func TestAnswer(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		verdict scenario.Verdict
		ago     time.Duration
		want    string
	}{
		{scenario.Pass, time.Hour, `{"hookStatus":"SUCCEEDED"}`},
		{scenario.Fail, 0, `{"hookStatus":"FAILED"}`},
		{scenario.Skipped, 0, `{"hookStatus":"FAILED"}`},
		{scenario.Error, 5 * time.Minute, `{"hookStatus":"FAILED"}`},
		{scenario.Error, 5*time.Minute - 100*time.Millisecond, `{"hookStatus":"IN_PROGRESS","callBackDelay":1,"hookDetails":{"greengate":{"since":"2026-11-22T11:55:00.1Z"},"own":1}}`},
		{scenario.Error, 0, `{"hookStatus":"IN_PROGRESS","callBackDelay":30,"hookDetails":{"greengate":{"since":"2026-11-22T12:00:00Z"},"own":1}}`},
	} {
		c := call{native: true, since: now.Add(-tc.ago), details: map[string]json.RawMessage{"own": json.RawMessage("1")}}
		a, err := c.answer(tc.verdict, 5*time.Minute, now)
		text, _ := json.Marshal(a)
		if err != nil || string(text) != tc.want {
			t.Errorf("%s after %s: %s, %v, want %s", tc.verdict, tc.ago, text, err, tc.want)
		}
	}
}

// TestEffects: once production traffic has moved only reads are allowed, unless the package says otherwise.
func TestEffects(t *testing.T) {
	t.Parallel()
	writing := strings.Replace(passing, "GET /", "POST /", 1)
	s := newSite(t)
	answer, log := s.invoke(t, writing, strings.Replace(fromECS, "POST_TEST_", "POST_PRODUCTION_", 1))
	if v := last(t, log); v.Verdict != scenario.Error || !strings.Contains(v.Text, "at POST_PRODUCTION_TRAFFIC_SHIFT only read is allowed") {
		t.Errorf("%s: %s", answer, v)
	}
	if _, log = newSite(t).invoke(t, writing, fromECS); last(t, log).Verdict != scenario.Pass {
		t.Errorf("%s", strings.Join(log, "\n"))
	}
}

// TestResultLine: a result that is too long for a log loses what matters least first.
func TestResultLine(t *testing.T) {
	t.Parallel()
	body := scenario.Body{Text: strings.Repeat("x", 64<<10), Bytes: 64 << 10}
	attempt := func(v scenario.Verdict) scenario.Attempt {
		return scenario.Attempt{Verdict: v, Response: &scenario.Response{Body: body}, Assertions: []scenario.Assertion{{Left: "1"}}}
	}
	r := scenario.Result{Version: 1, Verdict: scenario.Fail}
	for range 5 {
		r.Steps = append(r.Steps, scenario.StepResult{Verdict: scenario.Pass, Attempts: []scenario.Attempt{attempt(scenario.Pass)}})
	}
	r.Steps = append(r.Steps, scenario.StepResult{Verdict: scenario.Fail, Attempts: []scenario.Attempt{attempt(scenario.Fail)}})
	line, err := resultLine(call{deployment: "d 1"}, r)
	got, deployment, ok := ParseResult(line)
	if err != nil || !ok || deployment != "d_1" || len(line) > maxLine || len(got.Steps) != 6 {
		t.Fatalf("%v, %v, %s, %d bytes, %d steps", err, ok, deployment, len(line), len(got.Steps))
	}
	if b := got.Steps[5].Attempts[0].Response.Body; b != body {
		t.Errorf("what failed lost its body: %d bytes", len(b.Text))
	}
	if b := got.Steps[0].Attempts[0].Response.Body; b.Text != "" || !b.Truncated || b.Bytes != body.Bytes {
		t.Errorf("what passed has the body %d bytes, %v", len(b.Text), b.Truncated)
	}
	if r.Steps[0].Attempts[0].Response.Body.Text == "" {
		t.Error("the result itself was changed")
	}
}

func FuzzDecodeEvent(f *testing.F) {
	for _, s := range []string{twoIDs, fromECS, `{"hookDetails": {"greengate": {"since": "2026-01-01T00:00:00Z"}}}`} {
		f.Add([]byte(s))
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, event []byte) {
		c, err := decodeEvent(event, now)
		if err != nil {
			return
		}
		if c.since.After(now) || !c.native && (c.deployment == "" || c.execution == "") {
			t.Errorf("%s: %+v", event, c)
		}
		a, err := c.answer(scenario.Error, time.Minute, now)
		if err != nil || a.Status == nativeSucceeded || a.Status == nativeInProgress && (a.Delay < 1 || a.Delay > 30) {
			t.Errorf("%s: %+v, %v", event, a, err)
		}
	})
}

func FuzzParseVerdict(f *testing.F) {
	f.Add(Verdict{scenario.Pass, "d-1", "", "Succeeded", "text of it"}.String())
	f.Add("GREENGATE VERDICT pass deployment= execution=- told=- ")
	f.Add(`GREENGATE RESULT deployment=d-1 execution=e {"version": 1}`)
	f.Fuzz(func(t *testing.T, line string) {
		_, _, _ = ParseResult(line)
		v, ok := ParseVerdict(line)
		if !ok {
			return
		}
		again, ok := ParseVerdict(v.String())
		v.Deployment, v.Execution, v.Told, v.Text = word(v.Deployment), word(v.Execution), word(v.Told), flat(v.Text)
		if !ok || again != v {
			t.Errorf("%q: %+v, then %+v", line, v, again)
		}
	})
}
