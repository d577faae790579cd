package app

import (
	"context"
	"encoding/json"
	"fmt"
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
	"greengate/internal/deploy"
	"greengate/internal/notify"
	"greengate/internal/store"
)

// heard is what a subscriber got, in order.
type heard struct {
	mu       sync.Mutex
	statuses []int
	subjects []string
	ids      []string
	messages []map[string]any
}

func (h *heard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.statuses) > 0 {
		w.WriteHeader(h.statuses[0])
		h.statuses = h.statuses[1:]
		return
	}
	var e struct{ MessageId, Subject, Message string }
	var m map[string]any
	if json.Unmarshal(body, &e) != nil || json.Unmarshal([]byte(e.Message), &m) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.subjects, h.ids, h.messages = append(h.subjects, e.Subject), append(h.ids, e.MessageId), append(h.messages, m)
}

// past is a real store with a group whose triggers name every event, and one subscriber.
type past struct {
	dir   string
	db    *store.DB
	cloud *cloud.Cloud
	topic *topics
	stop  func()
}

func (p *past) open(t *testing.T) {
	t.Helper()
	var err error
	if p.db, err = store.Open(t.Context(), store.Config{Dir: p.dir, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	keep := resources{p.db}
	if p.cloud, err = cloud.Open(t.Context(), keep); err != nil {
		t.Fatal(err)
	}
	signer, err := topicSigner(Paths(p.dir).TopicKey())
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	outbox, err := notify.Open(t.Context(), notify.Config{
		Store: keep, State: p.cloud.State, Client: notify.NewClient(nil), Signer: signer, Endpoint: "http://127.0.0.1:1",
		Minute: 100 * time.Millisecond, Now: time.Now, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.topic = &topics{outbox: outbox, signer: signer, notices: &notices{
		db: p.db, keep: keep, cloud: p.cloud, outbox: outbox, judge: cloud.NewJudge("000000000000"), region: "us-east-1", account: "000000000000", log: log,
	}}
	if err := p.topic.notices.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.topic.run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("topics ended with %v", err)
		}
		if err := p.db.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(p.stop)
}

func (p *past) subscribe(t *testing.T, endpoint string) {
	t.Helper()
	err := p.cloud.Update(t.Context(), func(d *cloud.Draft) error {
		d.Put(cloud.Topic{Name: "t", Subscriptions: []cloud.Subscription{{ID: "s", Protocol: "http", Endpoint: endpoint, Confirmed: true, Token: "x"}}})
		d.Put(cloud.IAMRole{
			Name: "r", Path: "/", ID: "AROA1", Trust: trustsCodeDeploy,
			Grants: cloud.Grants{Attached: []string{forECS}},
		})
		d.Put(cloud.DeploymentGroup{Application: "a", Name: "g", ServiceRole: "arn:aws:iam::000000000000:role/r", Triggers: []cloud.Trigger{{
			Name: "all", Topic: "arn:aws:sns:us-east-1:000000000000:t",
			Events: []string{"DeploymentStart", "DeploymentSuccess", "DeploymentFailure", "DeploymentStop", "DeploymentRollback", "DeploymentReady"},
		}}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var born = time.Date(2022, 10, 13, 15, 50, 45, 0, time.UTC)

func (p *past) create(t *testing.T, id string, kind deploy.Kind) deploy.Deployment {
	t.Helper()
	d := deploy.Deployment{
		ID: id, Kind: kind, CreatedAt: born, UpdatedAt: born, Phase: deploy.PhaseCreated, Status: deploy.StatusCreated,
		Plan: deploy.Plan{Service: "s", Application: "a", Group: "g"},
	}
	if err := p.db.Create(t.Context(), d, deploy.Event{Kind: deploy.EventStart, At: born}); err != nil {
		t.Fatal(err)
	}
	return d
}

// step commits a deployment in a phase, with its records.
func (p *past) step(t *testing.T, d *deploy.Deployment, phase deploy.Phase, status deploy.Status, records ...deploy.Record) {
	t.Helper()
	d.Revno++
	d.Phase, d.Status, d.UpdatedAt = phase, status, born
	if phase.Terminal() {
		d.CompletedAt = born.Add(time.Minute)
	}
	for i := range records {
		records[i].At, records[i].Phase = born, phase
	}
	if err := p.db.Commit(t.Context(), deploy.Commit{Deployment: *d, Records: records}); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for give := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(give) {
			t.Fatalf("%s: not within 30 seconds", what)
		}
	}
}

// Each event of a deployment that fails and of its rollback is told once and in order, over controllers that end at every
// step, in the form that CodeDeploy sends.
func TestNotices(t *testing.T) {
	t.Parallel()
	h := &heard{}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	p := &past{dir: t.TempDir()}
	p.open(t)
	p.subscribe(t, srv.URL)
	again := func() { p.stop(); p.open(t) }

	failed := p.create(t, "d-FAILED111", deploy.KindDeploy)
	again()
	p.step(t, &failed, deploy.PhaseBeforeInstall, deploy.StatusInProgress, deploy.Record{Kind: deploy.RecordPhase})
	again()
	p.step(t, &failed, deploy.PhaseReadyWait, deploy.StatusReady, deploy.Record{Kind: deploy.RecordPhase}, deploy.Record{Kind: deploy.RecordNote, Reason: deploy.ReasonWaiting})
	again()
	failed.Cause = &deploy.Cause{Status: deploy.StatusFailed, Reason: deploy.ReasonTimeout, Message: "too late", Phase: deploy.PhaseReadyWait}
	p.step(t, &failed, deploy.PhaseFailed, deploy.StatusFailed, deploy.Record{Kind: deploy.RecordEnd})
	back := p.create(t, "d-BACK11111", deploy.KindRollback)
	back.Rollback = deploy.RollbackInfo{TriggeringID: failed.ID, Message: "rolled back"}
	again()
	p.step(t, &back, deploy.PhaseAllowTraffic, deploy.StatusInProgress, deploy.Record{Kind: deploy.RecordPhase})
	p.step(t, &back, deploy.PhaseSucceeded, deploy.StatusSucceeded, deploy.Record{Kind: deploy.RecordEnd})
	again()
	stopped := p.create(t, "d-STOPPED11", deploy.KindDeploy)
	p.step(t, &stopped, deploy.PhaseStopped, deploy.StatusStopped, deploy.Record{Kind: deploy.RecordPhase}, deploy.Record{Kind: deploy.RecordEnd})

	want := []string{
		"CREATED d-FAILED111", "READY d-FAILED111", "FAILED d-FAILED111", "CREATED d-BACK11111", "IN_PROGRESS d-BACK11111", "SUCCEEDED d-BACK11111",
		"CREATED d-STOPPED11", "STOPPED d-STOPPED11",
	}
	told := func() []string {
		h.mu.Lock()
		defer h.mu.Unlock()
		var list []string
		seen := map[string]bool{}
		for i, m := range h.messages {
			if !seen[h.ids[i]] { // a controller that ended before it forgot a delivery repeats it under the same id
				list = append(list, fmt.Sprintf("%s %s", m["status"], m["deploymentId"]))
			}
			seen[h.ids[i]] = true
		}
		return list
	}
	eventually(t, "all is told", func() bool { return len(told()) >= len(want) && p.topic.outbox.Waiting() == 0 })
	again()
	eventually(t, "nothing waits", func() bool { return p.topic.outbox.Waiting() == 0 })
	if got := told(); !slices.Equal(got, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	checkForm(t, h)
}

// checkForm compares with the observed form of the messages (spec: codedeploy-ecs 6).
func checkForm(t *testing.T, h *heard) {
	t.Helper()
	i := slices.Index(h.subjects, "FAILED: AWS CodeDeploy d-FAILED111 in us-east-1 to a")
	if i < 0 {
		t.Fatalf("subjects: %q", h.subjects)
	}
	for name, want := range map[string]any{
		"region": "us-east-1", "accountId": "000000000000", "eventTriggerName": "all", "applicationName": "a", "deploymentGroupName": "g",
		"createTime": "Thu Oct 13 15:50:45 UTC 2022", "completeTime": "Thu Oct 13 15:51:45 UTC 2022",
		"deploymentOverview":  `{"Succeeded":0,"Failed":1,"Skipped":0,"InProgress":0,"Pending":0}`,
		"errorInformation":    `{"ErrorCode":"TIMEOUT","ErrorMessage":"too late"}`,
		"rollbackInformation": "{}",
	} {
		if got := h.messages[i][name]; got != want && name != "deploymentOverview" {
			t.Errorf("%s is %v, want %v", name, got, want)
		} else if name == "deploymentOverview" && !strings.HasPrefix(fmt.Sprint(got), `{"Succeeded":0,`) {
			t.Errorf("%s is %v", name, got)
		}
	}
	i = slices.Index(h.subjects, "IN_PROGRESS: AWS CodeDeploy d-BACK11111 in us-east-1 to a")
	if i < 0 || h.messages[i]["rollbackInformation"] != `{"RollbackMessage":"rolled back","RollbackTriggeringDeploymentId":"d-FAILED111"}` {
		t.Errorf("rollback: %q %v", h.subjects, h.messages)
	}
	if v, there := h.messages[i]["completeTime"]; v != nil || !there {
		t.Errorf("completeTime of a running deployment is %v", v)
	}
}

// An installation that gets this does not tell of what is long past.
func TestNotices_beginWithNow(t *testing.T) {
	t.Parallel()
	h := &heard{}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	p := &past{dir: t.TempDir()}
	db, err := store.Open(t.Context(), store.Config{Dir: p.dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p.db = db
	old := p.create(t, "d-OLD111111", deploy.KindDeploy)
	p.step(t, &old, deploy.PhaseBeforeInstall, deploy.StatusInProgress, deploy.Record{Kind: deploy.RecordPhase})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	p.open(t)
	p.subscribe(t, srv.URL)
	p.step(t, &old, deploy.PhaseSucceeded, deploy.StatusSucceeded, deploy.Record{Kind: deploy.RecordEnd})
	eventually(t, "the end is told", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.subjects) > 0 })
	if h.subjects[0] != "SUCCEEDED: AWS CodeDeploy d-OLD111111 in us-east-1 to a" {
		t.Errorf("told %q", h.subjects)
	}
}

// A topic that the service role may not publish to is not told; what comes later is, once the role may.
func TestNotices_needPublish(t *testing.T) {
	t.Parallel()
	h := &heard{}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	p := &past{dir: t.TempDir()}
	p.open(t)
	p.subscribe(t, srv.URL)
	grant := func(policies ...string) {
		err := p.cloud.Update(t.Context(), func(d *cloud.Draft) error {
			d.Put(cloud.IAMRole{Name: "r", Path: "/", ID: "AROA1", Trust: trustsCodeDeploy, Grants: cloud.Grants{Attached: policies}})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	place := func() int64 {
		at, err := p.topic.notices.place(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return at.After
	}
	grant("arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited") // topics named CodeDeployTopic_* only
	first := p.create(t, "d-FIRST1111", deploy.KindDeploy)
	p.step(t, &first, deploy.PhaseStopped, deploy.StatusStopped, deploy.Record{Kind: deploy.RecordEnd})
	written, err := p.db.Records(t.Context(), first.ID, 0, 10)
	if err != nil || len(written) == 0 {
		t.Fatal(written, err)
	}
	eventually(t, "the first is read", func() bool { return place() >= written[len(written)-1].Seq })
	grant(forECS)
	second := p.create(t, "d-SECOND111", deploy.KindDeploy)
	p.step(t, &second, deploy.PhaseBeforeInstall, deploy.StatusInProgress, deploy.Record{Kind: deploy.RecordPhase})
	eventually(t, "the second is told", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.subjects) > 0 })
	if h.mu.Lock(); h.subjects[0] != "CREATED: AWS CodeDeploy d-SECOND111 in us-east-1 to a" {
		t.Errorf("told %q", h.subjects)
	}
	h.mu.Unlock()
}
