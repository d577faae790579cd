package app

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/internal/cloud/cloudtest"
	"greengate/internal/config"
	"greengate/internal/deploy"
	"greengate/internal/store"

	"github.com/google/go-cmp/cmp"
)

// memoryPast is a history in memory.
type memoryPast struct {
	mu      sync.Mutex
	records []store.StoredRecord
	known   map[string]deploy.Deployment
	news    chan struct{}
}

func newMemoryPast() *memoryPast {
	return &memoryPast{known: map[string]deploy.Deployment{}, news: make(chan struct{})}
}

// add appends records of a deployment.
func (p *memoryPast) add(d deploy.Deployment, records ...deploy.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[d.ID] = d
	for _, r := range records {
		p.records = append(p.records, store.StoredRecord{Seq: int64(len(p.records) + 1), Deployment: d.ID, Record: r})
	}
	close(p.news)
	p.news = make(chan struct{})
}

func (p *memoryPast) Records(_ context.Context, id string, after int64, limit int) ([]store.StoredRecord, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []store.StoredRecord
	for _, r := range p.records {
		if r.Seq > after && (id == "" || r.Deployment == id) && len(list) < limit {
			list = append(list, r)
		}
	}
	return list, nil
}

func (p *memoryPast) Wait(ctx context.Context, id string, after int64, limit int) ([]store.StoredRecord, error) {
	for {
		p.mu.Lock()
		news := p.news
		p.mu.Unlock()
		if list, err := p.Records(ctx, id, after, limit); err != nil || len(list) > 0 {
			return list, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-news:
		}
	}
}

func (p *memoryPast) Deployment(_ context.Context, id string) (deploy.Deployment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[id], nil
}

// receiver takes what is posted, and answers as it is told.
type receiver struct {
	*httptest.Server
	got    chan string // the bodies that it answered 200
	answer func(n int) int
	mu     sync.Mutex
	n      int
	keys   []string
	tries  []string // the headers that count attempts
}

func newReceiver(t *testing.T, answer func(n int) int) *receiver {
	t.Helper()
	r := &receiver{got: make(chan string, 100), answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.n++
		code := r.answer(r.n)
		r.keys = append(r.keys, req.Header.Get("Idempotency-Key"))
		r.tries = append(r.tries, req.Header.Get("Greengate-Attempt"))
		r.mu.Unlock()
		w.WriteHeader(code)
		if code == http.StatusOK {
			r.got <- string(body)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) next(t *testing.T) string {
	t.Helper()
	select {
	case body := <-r.got:
		return body
	case <-time.After(40 * time.Second):
		t.Fatal("the receiver was told nothing")
		return ""
	}
}

func fine(int) int { return http.StatusOK }

// following runs what follows the history until stop is called, as a controller does.
func following(t *testing.T, f interface {
	begin(ctx context.Context) error
	run(ctx context.Context) error
},
) (stop func()) {
	t.Helper()
	if err := f.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// announcing runs an announcer until stop is called, as a controller does.
func announcing(t *testing.T, p *memoryPast, keep *cloudtest.Memory, sinks ...config.Sink) (stop func()) {
	t.Helper()
	a := &announcer{
		sinks: sinks, db: p, keep: keep, client: http.DefaultClient, endpoint: "http://127.0.0.1:4566", log: slog.New(slog.DiscardHandler),
		pause: time.Millisecond, patience: time.Minute,
	}
	return following(t, a)
}

func deploymentOf(id string, status deploy.Status) deploy.Deployment {
	return deploy.Deployment{
		ID: id, Kind: deploy.KindDeploy, Status: status, Plan: deploy.Plan{Service: "shop"},
		Blue: deploy.TaskSet{ID: "b", Revision: deploy.Revision{Version: "v1"}}, Green: deploy.TaskSet{ID: "g", Revision: deploy.Revision{Version: "v2"}},
	}
}

var (
	began = deploy.Record{Kind: deploy.RecordPhase, Phase: deploy.PhaseBeforeInstall}
	ready = deploy.Record{Kind: deploy.RecordNote, Phase: deploy.PhaseReadyWait, Reason: deploy.ReasonWaiting, Message: "waiting until 12:00:00 for somebody to continue"}
)

func endedIn(p deploy.Phase) deploy.Record { return deploy.Record{Kind: deploy.RecordEnd, Phase: p} }

// TestAnnouncer_events: every end of a deployment is told, and its start and its wait.
func TestAnnouncer_events(t *testing.T) {
	t.Parallel()
	p, r := newMemoryPast(), newReceiver(t, fine)
	old := deploymentOf("d-OLD", deploy.StatusFailed)
	p.add(old, began, endedIn(deploy.PhaseFailed)) // before anybody was told: not news
	announcing(t, p, &cloudtest.Memory{}, config.Sink{URL: r.URL})
	good := deploymentOf("d-GOOD", deploy.StatusSucceeded)
	p.add(good, began, deploy.Record{Kind: deploy.RecordPhase, Phase: deploy.PhaseInstall}, ready, endedIn(deploy.PhaseSucceeded))
	bad := deploymentOf("d-BAD", deploy.StatusFailed)
	bad.Cause = &deploy.Cause{Reason: deploy.ReasonHookFailed, Message: "orders: fail"}
	p.add(bad, endedIn(deploy.PhaseFailed))
	p.add(deploymentOf("d-STOP", deploy.StatusStopped), endedIn(deploy.PhaseStopped))
	stuck := deploymentOf("d-HALT", deploy.StatusFailed)
	stuck.Halted, stuck.Rollback.Message = true, "halted with blue 40 green 60"
	p.add(stuck, endedIn(deploy.PhaseFailed))
	back := deploymentOf("d-BACK", deploy.StatusSucceeded)
	back.Kind, back.Rollback.Verified = deploy.KindRollback, true
	p.add(back, endedIn(deploy.PhaseSucceeded))
	lost := deploymentOf("d-LOST", deploy.StatusFailed)
	lost.Kind = deploy.KindRollback
	p.add(lost, endedIn(deploy.PhaseFailed))
	var got []string
	for range 8 {
		var n notice
		if err := json.Unmarshal([]byte(r.next(t)), &n); err != nil {
			t.Fatal(err)
		}
		if n.ID == "" || n.Service != "shop" || n.URL != "http://127.0.0.1:4566/console/deployments/"+n.Deployment {
			t.Errorf("%+v", n)
		}
		got = append(got, strings.TrimSpace(n.Deployment+" "+n.Event+" "+string(n.Reason)))
	}
	want := []string{
		"d-GOOD started", "d-GOOD ready", "d-GOOD succeeded", "d-BAD failed HOOK_EXECUTION_FAILURE", "d-STOP stopped", "d-HALT halted",
		"d-BACK rolled-back", "d-LOST failed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

// TestAnnouncer_retry: a receiver that fails gets the notice again with the same id, one that refuses does not, and
// nobody waits for another's.
func TestAnnouncer_retry(t *testing.T) {
	t.Parallel()
	p := newMemoryPast()
	shaky := newReceiver(t, func(n int) int { return []int{503, 500, 429, 200}[min(n-1, 3)] })
	picky := newReceiver(t, func(n int) int { return []int{404, 200}[min(n-1, 1)] })
	announcing(t, p, &cloudtest.Memory{}, config.Sink{URL: shaky.URL}, config.Sink{URL: picky.URL, Slack: true})
	p.add(deploymentOf("d-ONE", deploy.StatusSucceeded), began, endedIn(deploy.PhaseSucceeded))
	shaky.next(t)
	shaky.next(t)
	if keys := shaky.keys; len(keys) != 5 || keys[0] != keys[3] || keys[3] == keys[4] {
		t.Errorf("the ids of the attempts are %q", keys)
	}
	if diff := cmp.Diff([]string{"1", "2", "3", "4", "1"}, shaky.tries); diff != "" {
		t.Errorf("the attempts (-want +got):\n%s", diff)
	}
	var slack struct{ Text string }
	if err := json.Unmarshal([]byte(picky.next(t)), &slack); err != nil || slack.Text != "*shop* v1 → v2: succeeded (<http://127.0.0.1:4566/console/deployments/d-ONE|d-ONE>)" {
		t.Errorf("%q %v", slack.Text, err)
	}
}

// TestAnnouncer_restart: the next controller tells what was not told yet, and nothing twice.
func TestAnnouncer_restart(t *testing.T) {
	t.Parallel()
	p, keep, r := newMemoryPast(), &cloudtest.Memory{}, newReceiver(t, fine)
	sink := config.Sink{URL: r.URL}
	stop := announcing(t, p, keep, sink)
	p.add(deploymentOf("d-ONE", deploy.StatusInProgress), began)
	r.next(t)
	for { // until it is stored that the receiver was told
		list, err := keep.List(t.Context(), kindAnnounced)
		if err != nil {
			t.Fatal(err)
		}
		if string(list[0].Data) == `{"after":1}` {
			break
		}
	}
	stop()
	p.add(deploymentOf("d-ONE", deploy.StatusFailed), endedIn(deploy.PhaseFailed))
	announcing(t, p, keep, sink)
	if body := r.next(t); !strings.Contains(body, `"event":"failed"`) {
		t.Errorf("the next controller tells %s", body)
	}
	if n := len(r.keys); n != 2 {
		t.Errorf("%d notices of 2 events", n)
	}
}

// TestAnnouncer_killed: a controller that dies after a notice was sent and before that is stored leaves it to the next one,
// which sends it with the same id and says that it is another attempt.
func TestAnnouncer_killed(t *testing.T) {
	t.Parallel()
	p, keep, r := newMemoryPast(), &cloudtest.Memory{}, newReceiver(t, fine)
	sink := config.Sink{URL: r.URL}
	dying := &announcer{sinks: []config.Sink{sink}, db: p, keep: keep, client: http.DefaultClient, endpoint: "http://127.0.0.1:4566", log: slog.New(slog.DiscardHandler)}
	if err := dying.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.add(deploymentOf("d-ONE", deploy.StatusFailed), endedIn(deploy.PhaseFailed))
	known, err := places(t.Context(), keep)
	if err != nil {
		t.Fatal(err)
	}
	at, record := known[sinkName(sink)], store.StoredRecord{Seq: 1, Deployment: "d-ONE", Record: endedIn(deploy.PhaseFailed)}
	if err := dying.tell(t.Context(), sink, &at, record); err != nil { // and no more: the place does not move
		t.Fatal(err)
	}
	announcing(t, p, keep, sink)
	var first, second notice
	for _, n := range []*notice{&first, &second} {
		if err := json.Unmarshal([]byte(r.next(t)), n); err != nil {
			t.Fatal(err)
		}
	}
	if first.Attempt != 1 || second.Attempt != 2 || first.ID != second.ID || r.keys[0] != first.ID || r.keys[1] != first.ID || r.tries[1] != "2" {
		t.Errorf("told %+v, then %+v, with keys %q and attempts %q", first, second, r.keys, r.tries)
	}
	first.Attempt = second.Attempt
	if first != second {
		t.Errorf("the second try says something else: %+v, %+v", first, second)
	}
}

// TestNotice_text: what Slack would read as markup is escaped.
func TestNotice_text(t *testing.T) {
	t.Parallel()
	n := notice{Service: "shop", To: "<!channel>", Event: "rolled-back", Deployment: "d-1", URL: "http://x", Message: "a & b <script>"}
	if got, want := n.text(), "*shop* &lt;!channel&gt;: rolled back, NOT verified: look at it (<http://x|d-1>)\na &amp; b &lt;script&gt;"; got != want {
		t.Errorf("got %q", got)
	}
}
