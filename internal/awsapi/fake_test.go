package awsapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
)

// house is an installation in memory: what stands behind the wire in these tests. It refuses what the real one refuses.
type house struct {
	mu          sync.Mutex
	deployments []Deployment // oldest first
	taskSets    map[string][]TaskSet
	apps        map[string]Application
	groups      map[groupName]Group
	executions  map[string]string // execution id -> deployment, removed when it was answered
	answered    map[string]bool
	stops       []StopRequest
	continues   []ContinueRequest
	reports     []HookReport
	denials     []HookDenial
	broken      error // answered to every read, when set
}

func newHouse() *house {
	return &house{
		taskSets: map[string][]TaskSet{}, apps: map[string]Application{}, groups: map[groupName]Group{},
		executions: map[string]string{}, answered: map[string]bool{},
	}
}

func (h *house) Deployment(_ context.Context, id string) (Deployment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken != nil {
		return Deployment{}, h.broken
	}
	for _, d := range h.deployments {
		if d.ID == id {
			return d, nil
		}
	}
	return Deployment{}, deploy.Errorf(deploy.CodeNotFound, "there is no deployment %s", id)
}

func (h *house) ListDeployments(_ context.Context, q DeploymentQuery) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var ids []string
	begun := q.After == ""
	for _, d := range slices.Backward(h.deployments) {
		switch {
		case !begun:
			begun = d.ID == q.After
		case q.Application != "" && (d.Plan.Application != q.Application || d.Plan.Group != q.Group):
		case len(q.Statuses) > 0 && !slices.Contains(q.Statuses, d.Status):
		case !q.From.IsZero() && d.CreatedAt.Before(q.From), !q.To.IsZero() && d.CreatedAt.After(q.To):
		case len(ids) < q.Limit:
			ids = append(ids, d.ID)
		}
	}
	return ids, nil
}

func (h *house) TaskSets(_ context.Context, id string) ([]TaskSet, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.taskSets[id], nil
}

func (h *house) Application(_ context.Context, name string) (Application, error) {
	if a, ok := h.apps[name]; ok {
		return a, nil
	}
	return Application{}, deploy.Errorf(deploy.CodeNotFound, "no application %s", name)
}

func (h *house) Applications(context.Context) ([]string, error) {
	var names []string
	for n := range h.apps {
		names = append(names, n)
	}
	slices.Sort(names)
	return names, nil
}

func (h *house) Group(_ context.Context, app, name string) (Group, error) {
	if g, ok := h.groups[groupName{app, name}]; ok {
		return g, nil
	}
	return Group{}, deploy.Errorf(deploy.CodeNotFound, "no group %s", name)
}

func (h *house) Groups(_ context.Context, app string) ([]string, error) {
	var names []string
	for n := range h.groups {
		if n.application == app {
			names = append(names, n.group)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (h *house) Stop(_ context.Context, r StopRequest) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stops = append(h.stops, r)
	for i := range h.deployments {
		if d := &h.deployments[i]; d.ID == r.DeploymentID {
			d.Cause = &deploy.Cause{Status: deploy.StatusStopped, Reason: deploy.ReasonStopRequested, Message: "stopped", Phase: d.Phase}
		}
	}
	return nil
}

func (h *house) Continue(_ context.Context, r ContinueRequest) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.continues = append(h.continues, r)
	return nil
}

func (h *house) Create(context.Context, CreateRequest) (string, error) { return "d-NEW000001", nil }

func (h *house) Denied(_ context.Context, r HookDenial) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.denials = append(h.denials, r)
	return nil
}

func (h *house) Report(_ context.Context, r HookReport) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.executions[r.ExecutionID] != r.DeploymentID {
		return deploy.Errorf(deploy.CodeHookUnknown, "no hook of %s has this execution id", r.DeploymentID)
	}
	if h.answered[r.ExecutionID] {
		return deploy.Errorf(deploy.CodeHookCompleted, "the hook has reported before")
	}
	h.answered[r.ExecutionID] = true
	h.reports = append(h.reports, r)
	return nil
}

func second(n int) time.Time {
	return time.Date(2026, time.November, 22, 12, 0, n, 123e6, time.UTC)
}

const (
	idShifting = "d-AB12CD34E"
	idStopped  = "d-FAILED001"
	idRollback = "d-ROLLBACK1"
	idReady    = "d-READY0001"
	idBake     = "d-BAKING001"
	idCreated  = "d-CREATED01"
	idFirst    = "d-FIRST0001"
	idRolling  = "d-ROLLING01"
	idForeign  = "d-FOREIGN01"
)

func testPlan() deploy.Plan {
	return deploy.Plan{
		Service: "shop", Application: "shop", Group: "web", TestListener: true,
		ConfigName: "CodeDeployDefault.ECSLinear10PercentEvery1Minutes",
		Traffic:    deploy.Traffic{Kind: deploy.TrafficLinear, Percent: 10, Interval: time.Minute},
		Promotion:  deploy.PromoteAuto, Bake: 5 * time.Minute,
		Rollback: deploy.RollbackPolicy{OnFailure: true, OnAlarm: true}, Alarms: []string{"errors"},
		AlarmOverride: &deploy.AlarmOverride{Enabled: true, IgnorePollFailure: true, Names: []string{"errors"}},
	}
}

func testTarget() Target {
	return Target{
		Cluster: "c", Service: "s", TargetGroups: []string{"t1", "t2"},
		ProductionListener: "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/lb/1/1",
		TestListener:       "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/lb/1/2",
	}
}

// newDeployment is a deployment of shop/web whose first n lifecycle events have succeeded; the next is in progress.
func newDeployment(id string, n int) Deployment {
	d := deploy.Create(deploy.New{
		ID: id, RollbackID: "d-RESERVED1", Creator: "user", At: second(0), Plan: testPlan(), Description: "release",
		Blue:  deploy.TaskSet{ID: "shop-1", Tasks: 2, Revision: deploy.Revision{Digest: strings.Repeat("b", 64)}},
		Green: deploy.TaskSet{ID: "shop-2", Tasks: 2, Revision: deploy.Revision{Digest: strings.Repeat("a", 64)}},
	})
	d.Status, d.StartedAt, d.UpdatedAt = deploy.StatusInProgress, second(1), second(30)
	for i := range d.Lifecycle {
		e := &d.Lifecycle[i]
		switch {
		case i < n:
			e.Status, e.Start, e.End = deploy.LifecycleSucceeded, second(2*i+1), second(2*i+2)
		case i == n:
			e.Status, e.Start = deploy.LifecycleInProgress, second(2*i+1)
			d.Phase = e.Name
		}
	}
	return Deployment{Deployment: d, Target: testTarget()}
}

// fail ends the deployment in its phase.
func fail(d *Deployment, status deploy.Status, reason deploy.Reason, message string) {
	d.Cause = &deploy.Cause{Status: status, Reason: reason, Message: message, Phase: d.Phase}
	d.Status, d.Phase, d.CompletedAt = status, deploy.Phase(status), second(40)
	for i := range d.Lifecycle {
		e := &d.Lifecycle[i]
		switch e.Status {
		case deploy.LifecycleInProgress:
			e.Status, e.End, e.Reason, e.Message = deploy.LifecycleFailed, second(40), reason, message
		case deploy.LifecyclePending:
			e.Status = deploy.LifecycleSkipped
		case deploy.LifecycleSucceeded, deploy.LifecycleFailed, deploy.LifecycleSkipped:
		}
	}
}

// furnishedHouse has a deployment of every sort, the newest last.
func furnishedHouse() *house {
	h := newHouse()
	first := newDeployment(idFirst, 8)
	first.Blue, first.Status, first.Phase, first.CompletedAt = deploy.TaskSet{}, deploy.StatusSucceeded, deploy.PhaseSucceeded, second(50)
	first.Weights = deploy.Weights{Green: 100}

	stopped := newDeployment(idStopped, 6)
	fail(&stopped, deploy.StatusStopped, deploy.ReasonAlarm, "One or more alarms have been activated: <errors>")
	stopped.Rollback = deploy.RollbackInfo{DeploymentID: idRollback, Message: "rolled back", ReservedID: idRollback}

	rollback := newDeployment(idRollback, 8)
	rollback.Kind, rollback.Creator = deploy.KindRollback, deploy.CreatorRollback
	rollback.Status, rollback.Phase, rollback.CompletedAt = deploy.StatusSucceeded, deploy.PhaseSucceeded, second(45)
	rollback.Rollback = deploy.RollbackInfo{TriggeringID: idStopped, Message: "rolls back"}

	ready := newDeployment(idReady, 5)
	ready.Lifecycle[5].Status, ready.Lifecycle[5].Start = deploy.LifecyclePending, time.Time{}
	ready.Phase, ready.Status, ready.Waiting = deploy.PhaseReadyWait, deploy.StatusReady, deploy.Waiting{For: deploy.WaitReady}

	bake := newDeployment(idBake, 8)
	bake.Phase, bake.Waiting, bake.Weights = deploy.PhaseTerminationWait, deploy.Waiting{For: deploy.WaitTermination}, deploy.Weights{Green: 100}

	created := newDeployment(idCreated, 8)
	created.Deployment = deploy.Create(deploy.New{ID: idCreated, Creator: "user", At: second(1), Plan: testPlan()})

	rolling := newDeployment(idRolling, 7)
	rolling.Kind = deploy.KindRollback

	foreign := newDeployment(idForeign, 1)
	foreign.Plan.Application, foreign.Plan.Group = "other", "other"

	shifting := newDeployment(idShifting, 6)
	shifting.Weights = deploy.Weights{Blue: 90, Green: 10}

	h.deployments = []Deployment{first, stopped, rollback, ready, bake, created, rolling, foreign, shifting}
	sets := []TaskSet{
		{ID: "shop-2", Label: deploy.SideGreen, TargetGroup: "t2", Desired: 2, Pending: 1, Running: 1},
		{ID: "ecs-svc/1111111111111111111", Label: deploy.SideBlue, TargetGroup: "t1", Desired: 2, Running: 2},
	}
	h.taskSets[idShifting], h.taskSets[idBake] = sets, sets
	h.executions["execution-1"] = idShifting
	h.executions["execution-2"] = idShifting

	h.apps["shop"] = Application{ID: "11111111-2222-4333-8444-555555555555", Name: "shop", Created: second(0)}
	h.apps["empty"] = Application{ID: "11111111-2222-4333-8444-666666666666", Name: "empty", Created: second(0)}
	h.groups[groupName{"shop", "web"}] = Group{
		ID: "21111111-2222-4333-8444-555555555555", Application: "shop", Name: "web", Target: testTarget(), Plan: testPlan(),
		ServiceRoleARN: "arn:aws:iam::000000000000:role/codedeploy", Revision: first.Green.Revision,
		LastSuccessful: &rollback.Deployment, LastAttempted: &shifting.Deployment,
	}
	return h
}

// endpoint is a server over real sockets.
type endpoint struct {
	url   string
	house *house
	ring  *KeyRing
	log   *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func rootKey() RootKey { return RootKey{"AKIAROOT", "root-secret"} }

// serve starts a server on a port of its own. Its clock is the real one: real clients sign with theirs.
func serve(t *testing.T, change func(*Config)) *endpoint {
	t.Helper()
	return serveWith(t, change, nil)
}

// serveWith lets prepare alter the server before it listens: afterwards it is read by others without a lock.
func serveWith(t *testing.T, change func(*Config), prepare func(*Server)) *endpoint {
	t.Helper()
	ring, err := NewKeyRing(KeyRingConfig{
		AccountID: "000000000000", MasterKey: bytes.Repeat([]byte{1}, 32), Root: []RootKey{rootKey()}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{house: furnishedHouse(), ring: ring, log: &lockedBuffer{}}
	cfg := Config{
		Region: "us-east-1", AccountID: "000000000000", Keys: ring, Now: time.Now,
		Log:         slog.New(slog.NewJSONHandler(e.log, nil)),
		Deployments: e.house, Catalog: e.house, Control: e.house, Resources: noResources(t),
	}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(s)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

// answer is what came back.
type answer struct {
	status    int
	requestID string
	header    http.Header
	body      []byte
}

// errorName is the __type of an error's body.
func (a answer) errorName() string {
	var e struct {
		Type string `json:"__type"`
	}
	_ = json.Unmarshal(a.body, &e)
	return e.Type
}

func (a answer) message() string {
	var e struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(a.body, &e)
	return e.Message
}

// call signs and sends one request as root.
func (e *endpoint) call(t *testing.T, target, body string) answer {
	t.Helper()
	return e.callAs(t, Credentials{AccessKeyID: rootKey().AccessKeyID, SecretAccessKey: rootKey().SecretAccessKey}, target, body)
}

func (e *endpoint) callAs(t *testing.T, c Credentials, target, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", target)
	signer{RootKey{c.AccessKeyID, c.SecretAccessKey}, c.SessionToken, "codedeploy", "eu-west-1", time.Now()}.sign(r, body)
	return send(t, r)
}

func send(t *testing.T, r *http.Request) answer {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header.Get("x-amzn-RequestId"), resp.Header, body}
}

// noResources is an account in which nothing was made.
func noResources(t *testing.T) *cloud.Cloud {
	t.Helper()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
