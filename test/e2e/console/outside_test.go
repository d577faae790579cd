//go:build linux

package console

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	wire "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// outside is whoever is told of deployments: a webhook and an OTLP/HTTP receiver.
type outside struct {
	*httptest.Server
	t *testing.T

	mu     sync.Mutex
	seen   map[string]bool     // notices by their idempotency keys
	events map[string][]string // by deployment, in order
	spans  map[string][]*otlp.Span
	links  map[string]string // the trace that a trace's root is linked with
}

func listen(t *testing.T) *outside {
	t.Helper()
	o := &outside{t: t, seen: map[string]bool{}, events: map[string][]string{}, spans: map[string][]*otlp.Span{}, links: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /notices", o.notice)
	mux.HandleFunc("POST /v1/traces", o.trace)
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	return o
}

// settings are the environment and the flags with which a serve tells it.
func (o *outside) settings() (env, flags []string) {
	o.t.Helper()
	file := filepath.Join(o.t.TempDir(), "notify")
	if err := os.WriteFile(file, []byte("webhook "+o.URL+"/notices\n"), 0o600); err != nil {
		o.t.Fatal(err)
	}
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + o.URL}, []string{"--notify", file}
}

func (o *outside) notice(_ http.ResponseWriter, r *http.Request) {
	var n struct {
		ID, Event, Deployment string
		Attempt               int
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &n)
	}
	key := r.Header.Get("Idempotency-Key")
	if err != nil || key == "" || key != n.ID || n.Attempt < 1 || fmt.Sprint(n.Attempt) != r.Header.Get("Greengate-Attempt") {
		o.t.Errorf("a notice that cannot be read: %v: %v %s", err, r.Header, body)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	// What was heard when the controller died may come again, with the same id and marked as another attempt.
	if o.seen[key] && n.Attempt < 2 {
		o.t.Errorf("a notice came again as if for the first time: %s", body)
	}
	if !o.seen[key] {
		o.events[n.Deployment] = append(o.events[n.Deployment], n.Event)
	}
	o.seen[key] = true
}

func (o *outside) trace(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var req wire.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &req)
	}
	if err != nil {
		o.t.Errorf("a trace that cannot be read: %v", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, of := range req.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			spans := scope.GetSpans()
			id := deploymentOf(spans)
			o.spans[id] = spans // sent again it is the same
			for _, s := range spans {
				if len(s.GetParentSpanId()) == 0 && len(s.GetLinks()) == 1 {
					o.links[string(s.GetTraceId())] = string(s.GetLinks()[0].GetTraceId())
				}
			}
		}
	}
}

// deploymentOf is the deployment of a trace.
func deploymentOf(spans []*otlp.Span) string {
	for _, s := range spans {
		for _, a := range s.GetAttributes() {
			if a.GetKey() == "deployment.id" {
				return a.GetValue().GetStringValue()
			}
		}
	}
	return ""
}

// await waits until something is so of what was told.
func (o *outside) await(what string, so func() bool) {
	o.t.Helper()
	for give := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		o.mu.Lock()
		ok := so()
		o.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(give) {
			o.t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// hears waits for the notices of a deployment; there are no others.
func (o *outside) hears(id string, want ...string) {
	o.t.Helper()
	var got []string
	o.await(fmt.Sprintf("%s: the notices %q", id, want), func() bool {
		got = slices.Clone(o.events[id])
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		o.t.Errorf("%s: heard %q, not %q", id, got, want)
	}
}

// traced compares the trace of a deployment: a line a span with its status, children indented in the order of their begin.
// Whether it settles before the end depends on which effect ends first, and is left out; of errors the reason alone is in it.
func (o *outside) traced(id, want string) {
	o.t.Helper()
	var spans []*otlp.Span
	o.await(id+": its trace", func() bool { spans = o.spans[id]; return spans != nil })
	children := map[string][]*otlp.Span{}
	for _, s := range spans {
		children[string(s.GetParentSpanId())] = append(children[string(s.GetParentSpanId())], s)
		if string(s.GetTraceId()) != string(spans[0].GetTraceId()) || s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano() {
			o.t.Errorf("%s: the span %s is of another trace, or ends before it begins", id, s.GetName())
		}
	}
	var text strings.Builder
	drawn := 0
	var draw func(parent, indent string)
	draw = func(parent, indent string) {
		list := children[parent]
		slices.SortStableFunc(list, func(a, b *otlp.Span) int { return int(a.GetStartTimeUnixNano()) - int(b.GetStartTimeUnixNano()) })
		for _, s := range list {
			drawn++
			if s.GetName() == "Settle" {
				continue
			}
			reason, _, _ := strings.Cut(s.GetStatus().GetMessage(), ": ")
			status := map[otlp.Status_StatusCode]string{otlp.Status_STATUS_CODE_OK: " ok", otlp.Status_STATUS_CODE_ERROR: " error " + reason}
			text.WriteString(indent + s.GetName() + status[s.GetStatus().GetCode()] + "\n")
			draw(string(s.GetSpanId()), indent+"  ")
		}
	}
	draw("", "")
	if drawn != len(spans) {
		o.t.Errorf("%s: %d of %d spans have their parent", id, drawn, len(spans))
	}
	if diff := cmp.Diff(want, text.String()); diff != "" {
		o.t.Errorf("%s: trace (-want +got):\n%s", id, diff)
	}
}

// linked says whether the roots of two deployments' traces are linked with each other.
func (o *outside) linked(a, b string) {
	o.t.Helper()
	o.await("traces of "+a+" and "+b, func() bool { return o.spans[a] != nil && o.spans[b] != nil })
	o.mu.Lock()
	defer o.mu.Unlock()
	first, second := string(o.spans[a][0].GetTraceId()), string(o.spans[b][0].GetTraceId())
	if o.links[first] != second || o.links[second] != first {
		o.t.Errorf("the traces of %s and %s are not linked", a, b)
	}
}
