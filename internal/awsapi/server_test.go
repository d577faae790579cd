package awsapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"greengate/internal/deploy"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

const cdPrefix = "CodeDeploy_20141006."

func TestServer_door(t *testing.T) {
	t.Parallel()
	e := serve(t, func(c *Config) { c.MaxBody = 1000 })
	unsigned, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	unsigned.Header.Set("X-Amz-Target", cdPrefix+"ListApplications")
	get, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	stranger := Credentials{AccessKeyID: "AKIANOBODY", SecretAccessKey: "x"}
	impostor := Credentials{AccessKeyID: "AKIAROOT", SecretAccessKey: "guess"}
	big := `{"x":"` + strings.Repeat("x", 1000) + `"}`
	for _, c := range []struct {
		name   string
		got    answer
		status int
		want   string
	}{
		{"good", e.call(t, cdPrefix+"ListApplications", "{}"), 200, ""},
		{"empty body", e.call(t, cdPrefix+"ListApplications", ""), 200, ""},
		{"unknown members", e.call(t, cdPrefix+"ListApplications", `{"nope":[{"x":1}]}`), 200, ""},
		{"unsigned", send(t, unsigned), 400, "MissingAuthenticationTokenException"},
		{"browser", send(t, get), 400, "MissingAuthenticationTokenException"},
		{"stranger", e.callAs(t, stranger, cdPrefix+"ListApplications", "{}"), 400, "UnrecognizedClientException"},
		{"impostor", e.callAs(t, impostor, cdPrefix+"ListApplications", "{}"), 400, "InvalidSignatureException"},
		{"stranger, unknown operation", e.callAs(t, stranger, cdPrefix+"Nope", "{}"), 400, "UnrecognizedClientException"},
		{"unknown operation", e.call(t, cdPrefix+"Nope", "{}"), 400, "UnknownOperationException"},
		{"unknown service", e.call(t, "DynamoDB_20120810.ListTables", "{}"), 400, "UnknownOperationException"},
		{"no target", e.call(t, "", "{}"), 400, "UnknownOperationException"},
		{"bad JSON", e.call(t, cdPrefix+"ListApplications", "{"), 400, "SerializationException"},
		{"two values", e.call(t, cdPrefix+"ListApplications", "{}{}"), 400, "SerializationException"},
		{"a list", e.call(t, cdPrefix+"ListApplications", "[]"), 400, "SerializationException"},
		{"wrong type", e.call(t, cdPrefix+"GetDeployment", `{"deploymentId":7}`), 400, "SerializationException"},
		{"too big", e.call(t, cdPrefix+"ListApplications", big), 413, "RequestEntityTooLargeException"},
	} {
		if c.got.status != c.status || c.got.errorName() != c.want {
			t.Errorf("%s: %d %s, want %d %q", c.name, c.got.status, c.got.body, c.status, c.want)
		}
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(c.got.requestID) {
			t.Errorf("%s: request id %q", c.name, c.got.requestID)
		}
		if got := c.got.header.Get("Content-Type"); got != "application/x-amz-json-1.1" {
			t.Errorf("%s: content type %q", c.name, got)
		}
		if c.want != "" && c.got.message() == "" {
			t.Errorf("%s: no message", c.name)
		}
	}
}

func TestServer_healthz(t *testing.T) {
	t.Parallel()
	e := serve(t, nil)
	for method, want := range map[string]int{http.MethodGet: 200, http.MethodHead: 200, http.MethodPost: 405} {
		r, err := http.NewRequestWithContext(t.Context(), method, e.url+"/healthz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if a := send(t, r); a.status != want || method == http.MethodGet && string(a.body) != "ok\n" {
			t.Errorf("%s: %d %q, want %d", method, a.status, a.body, want)
		}
	}
}

func TestServer_operationsOfOurOwn(t *testing.T) {
	t.Parallel()
	type input struct {
		Name string `json:"name"`
	}
	e := serve(t, func(c *Config) {
		c.Operations = map[string]Operation{
			"Echo": Typed(func(_ context.Context, by Principal, in input) (map[string]string, error) {
				return map[string]string{"name": in.Name, "by": by.ARN}, nil
			}),
			"Nothing": func(context.Context, Principal, json.RawMessage) (any, error) { return nil, nil },
			"Fail": Typed(func(_ context.Context, _ Principal, in input) (any, error) {
				return nil, &deploy.Error{Code: deploy.Code(in.Name), Message: "because", Field: "name"}
			}),
			"Stale":    func(context.Context, Principal, json.RawMessage) (any, error) { return nil, deploy.ErrStale },
			"Internal": func(context.Context, Principal, json.RawMessage) (any, error) { return nil, errors.New("disk on fire") },
			"Panic":    func(context.Context, Principal, json.RawMessage) (any, error) { panic("the secret of the house") },
			"BadOut":   func(context.Context, Principal, json.RawMessage) (any, error) { return func() {}, nil },
		}
	})
	for _, c := range []struct {
		op, body string
		status   int
		want     string
	}{
		{"Echo", `{"name":"x"}`, 200, `{"by":"arn:aws:iam::000000000000:root","name":"x"}`},
		{"Echo", ``, 200, `{"by":"arn:aws:iam::000000000000:root","name":""}`},
		{"Echo", `{"nam":"x"}`, 400, `SerializationException`},
		{"Echo", `[]`, 400, `SerializationException`},
		{"Nothing", `{}`, 200, `{}`},
		{"Nope", `{}`, 400, `UnknownOperationException`},
		{"Stale", `{}`, 400, `ConflictException`},
		{"Internal", `{}`, 500, `InternalFailure`},
		{"Panic", `{}`, 500, `InternalFailure`},
		{"BadOut", `{}`, 500, `InternalFailure`},
		{"Fail", `{"name":"Invalid"}`, 400, `{"__type":"ValidationException","message":"because","field":"name"}`},
		{"Fail", `{"name":"NotFound"}`, 400, `ResourceNotFoundException`},
		{"Fail", `{"name":"Exists"}`, 400, `ResourceAlreadyExistsException`},
		{"Fail", `{"name":"ActiveDeployment"}`, 400, `DeploymentLimitExceededException`},
		{"Fail", `{"name":"AlreadyCompleted"}`, 400, `DeploymentAlreadyCompletedException`},
		{"Fail", `{"name":"NotInReadyState"}`, 400, `DeploymentIsNotInReadyStateException`},
		{"Fail", `{"name":"HookCompleted"}`, 400, `LifecycleEventAlreadyCompletedException`},
		{"Fail", `{"name":"HookUnknown"}`, 400, `InvalidLifecycleEventHookExecutionIdException`},
		{"Fail", `{"name":"Conflict"}`, 400, `ConflictException`},
		{"Fail", `{"name":"RefusedByCheck"}`, 400, `RefusedByCheckException`},
		{"Fail", `{"name":"NothingToRollBack"}`, 400, `NothingToRollBackException`},
		{"Fail", `{"name":"ServiceUnavailable"}`, 503, `ServiceUnavailableException`},
		{"Fail", `{"name":"Bogus"}`, 500, `InternalFailure`},
	} {
		a := e.call(t, deploy.TargetPrefix+c.op, c.body)
		if a.status != c.status || !strings.Contains(string(a.body), c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.op, c.body, a.status, a.body, c.status, c.want)
		}
		if strings.Contains(string(a.body), "fire") || strings.Contains(string(a.body), "secret of") {
			t.Errorf("%s: the cause of an internal error reached the client: %s", c.op, a.body)
		}
		if a.status == 500 && !strings.Contains(a.message(), a.requestID) {
			t.Errorf("%s: the message does not name request id %s: %s", c.op, a.requestID, a.message())
		}
	}
	log := e.log.String()
	for _, want := range []string{"disk on fire", "the secret of the house", "server_test.go"} { // the last is the stack's
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

func TestServer_accessLog(t *testing.T) {
	t.Parallel()
	e := serve(t, nil)
	a := e.call(t, cdPrefix+"GetDeployment", `{"deploymentId":"d-AB12CD34E","extra":"PRIVATE-BODY"}`)
	e.call(t, "Evil\u00a0Target.PRIVATE-TARGET", `{}`)
	var entry struct {
		Msg, Service, Operation, Principal string
		Status                             int
		Took                               int64
		RequestID                          string `json:"request_id"`
	}
	line, _, _ := strings.Cut(e.log.String(), "\n")
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		t.Fatal(err)
	}
	if entry.Msg != "request" || entry.Service != "codedeploy" || entry.Operation != "GetDeployment" || entry.Status != 200 ||
		entry.Principal != "arn:aws:iam::000000000000:root" || entry.RequestID != a.requestID || entry.Took <= 0 {
		t.Errorf("log line %s", line)
	}
	if !strings.Contains(e.log.String(), `"code":"UnknownOperationException"`) {
		t.Errorf("the refusal is not in the log:\n%s", e.log.String())
	}
	for _, never := range []string{"PRIVATE", "root-secret", "Signature", "AKIAROOT"} {
		if strings.Contains(e.log.String(), never) {
			t.Errorf("%q is in the log:\n%s", never, e.log.String())
		}
	}
}

// TestServer_longPoll: an operation may wait, and learns when its client has gone.
func TestServer_longPoll(t *testing.T) {
	t.Parallel()
	waiting, gone := make(chan struct{}), make(chan struct{})
	e := serve(t, func(c *Config) {
		c.Operations = map[string]Operation{"Wait": func(ctx context.Context, _ Principal, _ json.RawMessage) (any, error) {
			close(waiting)
			<-ctx.Done()
			close(gone)
			return nil, ctx.Err()
		}}
	})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", deploy.TargetPrefix+"Wait")
	signer{rootKey(), "", "greengate", "us-east-1", time.Now()}.sign(r, "{}")
	done := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	<-waiting
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("client: %v", err)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Fatal("the operation did not learn that its client left")
	}
	eventually(t, func() bool { return strings.Contains(e.log.String(), `"status":499`) })
	if strings.Contains(e.log.String(), "request failed") {
		t.Errorf("a client that left was logged as a failure:\n%s", e.log.String())
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("condition was not met in 10 s")
		}
	}
}

func TestNew_refusesHoles(t *testing.T) {
	t.Parallel()
	h := newHouse()
	good := Config{
		Region: "us-east-1", AccountID: "000000000000", Keys: exampleKeys{}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Deployments: h, Catalog: h, Control: h, Resources: noResources(t),
	}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, dig := range map[string]func(*Config){
		"Region": func(c *Config) { c.Region = "" }, "AccountID": func(c *Config) { c.AccountID = "" },
		"Keys": func(c *Config) { c.Keys = nil }, "Now": func(c *Config) { c.Now = nil }, "Log": func(c *Config) { c.Log = nil },
		"Deployments": func(c *Config) { c.Deployments = nil }, "Catalog": func(c *Config) { c.Catalog = nil },
		"Control": func(c *Config) { c.Control = nil }, "Resources": func(c *Config) { c.Resources = nil },
	} {
		c := good
		dig(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), "Config."+name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
