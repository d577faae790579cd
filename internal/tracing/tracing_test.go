package tracing

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	wire "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"greengate/internal/deploy"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func at(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }

// failed is a canary that its smoke set turned around, told as the engine tells it.
func failed() (deploy.Deployment, []deploy.Record) {
	d := deploy.Deployment{
		ID: "d-1", Kind: deploy.KindDeploy, Status: deploy.StatusFailed, CreatedAt: at(0), CompletedAt: at(60),
		Plan: deploy.Plan{
			Service: "shop", Application: "app", Group: "group",
			Traffic: deploy.Traffic{Kind: deploy.TrafficCanary, Percent: 10, Interval: 20 * time.Second},
		},
		Blue:     deploy.TaskSet{ID: "b", Revision: deploy.Revision{Version: "v1"}},
		Green:    deploy.TaskSet{ID: "g", Revision: deploy.Revision{Version: "v2"}},
		Cause:    &deploy.Cause{Status: deploy.StatusFailed, Reason: deploy.ReasonHookFailed, Message: "orders: fail", Phase: deploy.PhaseAfterAllowTraffic},
		Rollback: deploy.RollbackInfo{DeploymentID: "d-2"},
		Verdicts: []deploy.Verdict{
			{Hook: "home", Event: deploy.SmokeBefore, Attempt: 1, Status: deploy.VerdictPass, Start: at(5), End: at(7)},
			{Hook: "home", Event: deploy.SmokeAfter, Attempt: 1, Status: deploy.VerdictFail, Reason: deploy.ReasonHookFailed, Message: "503", Start: at(34), End: at(40)},
		},
		Lifecycle: []deploy.LifecycleEvent{{Name: deploy.PhaseAfterAllowTraffic, Status: deploy.LifecycleFailed}},
	}
	phase := func(second int, p deploy.Phase) deploy.Record {
		return deploy.Record{At: at(second), Kind: deploy.RecordPhase, Phase: p}
	}
	of := func(second int, kind string, p deploy.Phase, r deploy.Reason, message string) deploy.Record {
		return deploy.Record{At: at(second), Kind: kind, Phase: p, Reason: r, Message: message}
	}
	return d, []deploy.Record{
		phase(1, deploy.PhaseInstall), phase(3, deploy.PhaseAllowTestTraffic), phase(4, deploy.PhaseWayBack),
		of(7, deploy.RecordVerdict, deploy.PhaseWayBack, "", "home: pass"),
		phase(8, deploy.PhaseAllowTraffic),
		of(9, deploy.RecordWeights, deploy.PhaseAllowTraffic, deploy.ReasonAdvanced, "blue 90 green 10"),
		of(30, deploy.RecordWeights, deploy.PhaseAllowTraffic, deploy.ReasonAdvanced, "blue 0 green 100"),
		phase(30, deploy.PhaseAfterAllowTraffic),
		of(40, deploy.RecordVerdict, deploy.PhaseAfterAllowTraffic, deploy.ReasonHookFailed, "home: fail"),
		of(40, deploy.RecordNote, deploy.PhaseAfterAllowTraffic, deploy.ReasonHookFailed, "orders: fail"),
		phase(40, deploy.PhaseInspect), phase(41, deploy.PhaseRollback),
		of(42, deploy.RecordWeights, deploy.PhaseRollback, deploy.ReasonRolledBack, "blue 100 green 0"),
		phase(42, deploy.PhaseSettle),
		of(60, deploy.RecordEnd, deploy.PhaseFailed, deploy.ReasonHookFailed, ""),
	}
}

// want is the trace of failed: a line a span, children indented.
const want = `deploy 0-60 error HOOK_EXECUTION_FAILURE: orders: fail
  Install 1-3
    effect Install 1-3
  AllowTestTraffic 3-4
    effect Route 3-4
  WayBack 4-8
    effect Inspect 4-5
    hook home 5-7 ok
  AllowTraffic 8-30
    effect Route 8-9
    effect Route 29-30
  AfterAllowTraffic 30-40 error HOOK_EXECUTION_FAILURE: orders: fail
    hook home 34-40 error home in SmokeAfter: fail: 503
  Inspect 40-41
    effect Inspect 40-41
  Rollback 41-42
    effect Route 41-42
  Settle 42-60
`

// sink is an OTLP/HTTP receiver: it answers as told and keeps what it took.
type sink struct {
	*httptest.Server
	mu    sync.Mutex
	code  int
	auth  string
	taken []*wire.ExportTraceServiceRequest
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{code: http.StatusOK}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var req wire.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &req) != nil {
			t.Errorf("%s: %v: %d bytes", r.URL.Path, err, len(body))
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.auth = r.Header.Get("Authorization")
		if s.code == http.StatusOK {
			s.taken = append(s.taken, &req)
		}
		w.WriteHeader(s.code)
	}))
	t.Cleanup(s.Close)
	return s
}

// answer sets the status of answers from now on.
func (s *sink) answer(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = code
}

// got is what was taken, and by which authorization.
func (s *sink) got() (taken []*wire.ExportTraceServiceRequest, auth string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken, s.auth
}

// tell draws a trace as want does; a parent that is not there is an error.
func tell(t *testing.T, spans []*otlp.Span) string {
	t.Helper()
	children := map[string][]*otlp.Span{}
	for _, s := range spans {
		children[string(s.GetParentSpanId())] = append(children[string(s.GetParentSpanId())], s)
	}
	var out strings.Builder
	drawn := 0
	var draw func(parent, indent string)
	draw = func(parent, indent string) {
		for _, s := range children[parent] {
			drawn++
			second := func(nano uint64) float64 { return time.Unix(0, int64(nano)).Sub(start).Seconds() }
			status := map[otlp.Status_StatusCode]string{otlp.Status_STATUS_CODE_OK: " ok", otlp.Status_STATUS_CODE_ERROR: " error " + s.GetStatus().GetMessage()}
			fmt.Fprintf(&out, "%s%s %v-%v%s\n", indent, s.GetName(), second(s.GetStartTimeUnixNano()), second(s.GetEndTimeUnixNano()), status[s.GetStatus().GetCode()])
			draw(string(s.GetSpanId()), indent+"  ")
		}
	}
	draw("", "")
	if drawn != len(spans) {
		t.Errorf("%d of %d spans have their parent", drawn, len(spans))
	}
	return out.String()
}

func exporter(t *testing.T, to *sink) *Exporter {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", to.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20secret")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=gate-of-shop")
	e, err := New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestExport: a receiver gets the whole trace in one request, and the same one when it is sent again.
func TestExport(t *testing.T) {
	to := newSink(t)
	e := exporter(t, to)
	d, records := failed()
	to.answer(http.StatusServiceUnavailable)
	if err := e.Export(t.Context(), d, records); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a receiver that answers 503 gives %v", err)
	}
	to.answer(http.StatusOK)
	for range 2 {
		if err := e.Export(t.Context(), d, records); err != nil {
			t.Fatal(err)
		}
	}
	taken, auth := to.got()
	if len(taken) != 2 || !proto.Equal(taken[0], taken[1]) || auth != "Bearer secret" {
		t.Fatalf("%d traces by %q, the same: %t", len(taken), auth, len(taken) == 2 && proto.Equal(taken[0], taken[1]))
	}
	got := taken[0].GetResourceSpans()[0]
	if text := fmt.Sprint(got.GetResource()); !strings.Contains(text, "gate-of-shop") {
		t.Errorf("the resource is %s", text)
	}
	// The SDK sends spans as they ended; they end in the order in which they began.
	if diff := cmp.Diff(want, tell(t, got.GetScopeSpans()[0].GetSpans())); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}

// TestExport_attributes: a span says what it is of, and the two traces of a way back are linked.
func TestExport_attributes(t *testing.T) {
	to := newSink(t)
	e := exporter(t, to)
	d, records := failed()
	back := deploy.Deployment{ID: "d-2", Kind: deploy.KindRollback, Status: deploy.StatusSucceeded, CreatedAt: at(60), Rollback: deploy.RollbackInfo{TriggeringID: "d-1", Verified: true}}
	for _, err := range []error{
		e.Export(t.Context(), d, records),
		e.Export(t.Context(), back, []deploy.Record{{At: at(70), Kind: deploy.RecordEnd, Phase: deploy.PhaseSucceeded}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	taken, _ := to.got()
	spans := taken[0].GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()
	root := spans[0]
	record := taken[1].GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0]
	for i, pair := range [][2]*otlp.Span{{root, record}, {record, root}} {
		links := pair[0].GetLinks()
		if len(links) != 1 || string(links[0].GetTraceId()) != string(pair[1].GetTraceId()) || string(links[0].GetSpanId()) != string(pair[1].GetSpanId()) {
			t.Errorf("links of %d are %v", i, links)
		}
	}
	attributes := func(s *otlp.Span) map[string]string {
		all := map[string]string{}
		for _, a := range s.GetAttributes() {
			all[a.GetKey()] = a.GetValue().GetStringValue()
		}
		return all
	}
	wantRoot := map[string]string{
		"deployment.id": "d-1", "greengate.kind": "deploy", "greengate.service": "shop", "greengate.application": "app", "greengate.deployment_group": "group",
		"greengate.version": "v2", "greengate.version.before": "v1", "greengate.status": "Failed", "greengate.reason": "HOOK_EXECUTION_FAILURE",
		"greengate.failed_in": "AfterAllowTraffic",
	}
	if diff := cmp.Diff(wantRoot, attributes(root)); diff != "" {
		t.Errorf("attributes of the deployment (-want +got):\n%s", diff)
	}
	byName := map[string]*otlp.Span{}
	for _, s := range spans {
		byName[s.GetName()] = s // the last one of a name
	}
	if got := attributes(byName["hook home"]); got["greengate.verdict"] != "fail" || got["greengate.hook.list"] != "SmokeAfter" {
		t.Errorf("the hook has %v", got)
	}
	if got := attributes(byName["effect Route"]); got["greengate.weights"] != "blue 100 green 0" {
		t.Errorf("the way back has %v", got)
	}
	after := byName["AfterAllowTraffic"]
	if got := attributes(after); got["greengate.lifecycle.status"] != "Failed" || len(after.GetEvents()) != 1 {
		t.Errorf("the event has %v and %d notes", got, len(after.GetEvents()))
	}
}

// TestHistory_stopped: a shift that was not due when a deployment turned around was never asked for.
func TestHistory_stopped(t *testing.T) {
	t.Parallel()
	d, records := failed()
	records[6].At, records[6].Kind = at(10), deploy.RecordNote
	records[7] = deploy.Record{At: at(10), Kind: deploy.RecordPhase, Phase: deploy.PhaseInspect}
	var names []string
	for _, s := range history(d, records[:8]) {
		names = append(names, s.name)
	}
	want := []string{"deploy", "Install", "effect Install", "AllowTestTraffic", "effect Route", "WayBack", "effect Inspect", "hook home", "AllowTraffic", "effect Route", "Inspect", "effect Inspect"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}
