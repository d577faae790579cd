package awsapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/deploy"
)

// written is an audit in memory.
type written struct {
	mu      sync.Mutex
	entries []deploy.AuditEntry
}

func (a *written) add(_ context.Context, e deploy.AuditEntry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, e)
}

func (a *written) last(t *testing.T, n int) deploy.AuditEntry {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.entries) != n {
		t.Fatalf("%d entries, not %d: %+v", len(a.entries), n, a.entries)
	}
	return a.entries[n-1]
}

// TestAudit: changes over the wire are written down with who, what and how it ended; reading is not, and nothing of an
// input but names.
func TestAudit(t *testing.T) {
	t.Parallel()
	a := &written{}
	e := serve(t, func(c *Config) { c.Audit = a.add })
	ask(t, e, "GetDeployment", `{"deploymentId":"`+idReady+`"}`)
	ask(t, e, "StopDeployment", `{"deploymentId":"`+idReady+`"}`)
	got := a.last(t, 1)
	if got.Service != "codedeploy" || got.Operation != "StopDeployment" || got.Resource != idReady || got.Outcome != "ok" ||
		got.Principal != "arn:aws:iam::000000000000:root" || got.Source != "127.0.0.1" || got.At.IsZero() {
		t.Errorf("%+v", got)
	}
	e.call(t, cdPrefix+"ContinueDeployment", `{"deploymentId":"d-NOSUCHONE"}`)
	if got := a.last(t, 2); got.Outcome != "DeploymentDoesNotExistException" || got.Resource != "d-NOSUCHONE" {
		t.Errorf("%+v", got)
	}
}

func TestResourceOf(t *testing.T) {
	t.Parallel()
	raw := func(s string) any { r := []byte(s); return (*json.RawMessage)(&r) }
	for text, want := range map[string]string{
		`{"applicationName":"shop","deploymentGroupName":"web","secret":"x"}`:                "shop web",
		`{"service":{"name":"shop","workload":{"env":{"PASSWORD":"hunter2"}}},"force":true}`: "shop",
		`{"FunctionName":"verify","Environment":{"Variables":{"name":"hunter2"}}}`:           "verify",
		`{}`: "", `[]`: "", `{"name":3}`: "", `{"name":"` + strings.Repeat("n", 300) + `"}`: strings.Repeat("n", 200),
	} {
		if got := resourceOf(raw(text)); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
	if got := resourceOf(nil); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

func FuzzResourceOf(f *testing.F) {
	f.Add([]byte(`{"service":{"name":"shop"},"id":"d-1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got := resourceOf((*json.RawMessage)(&data)); len(got) > len(naming())*(maxNamed+1) {
			t.Errorf("%d bytes", len(got))
		}
	})
}

// TestDo: a call from inside is checked and written down as one of the wire, and carries what the caller has seen.
func TestDo(t *testing.T) {
	t.Parallel()
	a, server := &written{}, (*Server)(nil)
	e := serveWith(t, func(c *Config) { c.Audit = a.add }, func(s *Server) { server = s })
	root := Principal{ARN: "arn:aws:iam::000000000000:root", AccountID: "000000000000", Kind: KindRoot}
	call := InsideCall{
		By: root, Service: "codedeploy", Operation: "StopDeployment", Input: codedeploy.StopDeploymentInput{DeploymentID: idReady}, Seen: 12,
		Source: "10.0.0.7", Agent: "console",
	}
	if _, err := server.Do(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if len(e.house.stops) != 1 || e.house.stops[0].Revno != 12 || e.house.stops[0].By.ARN != root.ARN {
		t.Errorf("stops %+v", e.house.stops)
	}
	if got := a.last(t, 1); got.Source != "10.0.0.7" || got.Agent != "console" || got.Resource != idReady || got.Outcome != "ok" {
		t.Errorf("%+v", got)
	}
	call.By = Principal{ARN: "arn:aws:sts::000000000000:assumed-role/nobody/x", Kind: KindFunction}
	_, err := server.Do(t.Context(), call)
	if !named(err, "AccessDeniedException") || len(e.house.stops) != 1 {
		t.Errorf("somebody without the permission: %v", err)
	}
	if got := a.last(t, 2); got.Outcome != "AccessDeniedException" {
		t.Errorf("%+v", got)
	}
	call.By, call.Input = root, "not the operation's input"
	if _, err := server.Do(t.Context(), call); !named(err, "InternalFailure") {
		t.Errorf("a wrong input: %v", err)
	}
	call.Operation = "NoSuchOperation"
	if _, err := server.Do(t.Context(), call); !named(err, "UnknownOperationException") {
		t.Errorf("an unknown operation: %v", err)
	}
}

// TestReading: what is asked inside needs no signature but the permission, and changes nothing.
func TestReading(t *testing.T) {
	t.Parallel()
	a := &written{}
	var server *Server
	serveWith(t, func(c *Config) { c.Audit = a.add }, func(s *Server) { server = s })
	root := Principal{ARN: "arn:aws:iam::000000000000:root", AccountID: "000000000000", Kind: KindRoot}
	nobody := Principal{ARN: "arn:aws:sts::000000000000:assumed-role/hook/x", AccountID: "000000000000", Kind: KindFunction}
	for name, c := range map[string]struct {
		by     Principal
		target string
		status int
		says   string
	}{
		"read":        {root, "GetDeployment", 200, idReady},
		"not allowed": {nobody, "GetDeployment", 400, "AccessDenied"},
		"change":      {root, "StopDeployment", 400, "UnknownOperation"},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://inside/", strings.NewReader(`{"deploymentId":"`+idReady+`"}`))
		r.Header.Set("X-Amz-Target", cdPrefix+c.target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		w := httptest.NewRecorder()
		server.Reading(c.by).ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if len(a.entries) != 0 {
		t.Errorf("reading was written down: %+v", a.entries)
	}
}
