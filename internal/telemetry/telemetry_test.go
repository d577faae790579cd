package telemetry

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"greengate/internal/deploy"
)

// fixed is a source that answers the same always.
type fixed struct{ err error }

func (f fixed) Statuses(context.Context) (map[deploy.Status]int64, error) {
	return map[deploy.Status]int64{deploy.StatusReady: 2}, f.err
}

func (f fixed) Traffic(context.Context) ([]Traffic, error) {
	return []Traffic{{Service: "shop", Versions: []deploy.LedgerVersion{
		{Version: "v1", TaskSet: "a", Served: 10, Failed: 1, P50: time.Millisecond},
		{Version: "v1", TaskSet: "b", Served: 5, P50: 2 * time.Millisecond},
		{Version: "v2", TaskSet: "c", Served: 7, Cut: 3, ClientCut: 4},
	}}}, f.err
}

// TestText: what was counted, and what is read at the scrape; two task sets of one version are one series.
func TestText(t *testing.T) {
	t.Parallel()
	m, err := New(fixed{})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	m.Phase(deploy.PhaseInstall, 3*time.Second)
	m.Verdict(deploy.Verdict{Kind: deploy.HookCommand, Event: "AfterAllowTestTraffic", Status: deploy.VerdictError, Start: begin, End: begin.Add(2 * time.Second)})
	m.End(deploy.Deployment{Kind: deploy.KindRollback, Status: deploy.StatusSucceeded, Plan: deploy.Plan{Service: "shop"}})
	text, err := m.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`greengate_deployments{status="Ready"} 2`, `greengate_phase_duration_seconds_bucket{phase="Install",le="5"} 1`, `greengate_phase_duration_seconds_bucket{phase="Install",le="1"} 0`,
		`greengate_verdicts_total{event="AfterAllowTestTraffic",kind="command",status="error"} 1`, `greengate_hook_duration_seconds_sum{kind="command"} 2`,
		`greengate_deployments_ended_total{kind="rollback",service="shop",status="Succeeded"} 1`,
		`greengate_requests_total{outcome="served",service="shop",version="v1"} 15`, `greengate_requests_total{outcome="cut",service="shop",version="v2"} 3`,
		`greengate_request_latency_seconds{quantile="0.5",service="shop",version="v1"} 0.002`, "greengate_scrape_errors_total 0", "go_goroutines",
	} {
		if !strings.Contains(text, want+"\n") && !strings.Contains(text, want+" ") {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
}

// TestText_broken: what cannot be read is counted, and the rest is shown.
func TestText_broken(t *testing.T) {
	t.Parallel()
	m, err := New(fixed{errors.New("the data plane is away")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Text(); err != nil {
		t.Fatal(err)
	}
	text, err := m.Text()
	if err != nil || !strings.Contains(text, "greengate_scrape_errors_total") || strings.Contains(text, "greengate_scrape_errors_total 0\n") {
		t.Errorf("%v\n%s", err, text)
	}
}
