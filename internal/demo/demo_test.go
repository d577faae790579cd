package demo

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"greengate/internal/deploy"
	"greengate/internal/scenario"
	"greengate/internal/trial"
)

// verify runs the demo's check against a version of the sample service, by its production address or another.
func verify(t *testing.T, fault, release string, production bool) scenario.Result {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	s := sample{version: "v9", fault: fault, production: server.Listener.Addr().String()}
	server.Config.Handler = s.routes()
	server.Start()
	t.Cleanup(server.Close)
	base := server.URL
	if !production {
		base = strings.Replace(base, "127.0.0.1", "localhost", 1)
	}
	c, err := scenario.LoadFiles("check.yaml", map[string][]byte{"check.yaml": []byte(check)})
	if err != nil {
		t.Fatal(err)
	}
	return c.Run(t.Context(), scenario.Options{BaseURL: base, Release: scenario.Release{Version: release}})
}

func TestCheck(t *testing.T) {
	tests := []struct {
		fault, release string
		production     bool
		want           scenario.Verdict
	}{
		{"", "v9", false, scenario.Pass},
		{"", "v9", true, scenario.Pass},
		{faultTotals, "v9", false, scenario.Fail},
		{faultTotals, "v9", true, scenario.Fail},
		{faultProduction, "v9", false, scenario.Pass}, // what the demo's v4 is about
		{faultProduction, "v9", true, scenario.Fail},
		{"", "v10", false, scenario.Fail}, // another version answers
	}
	for _, tt := range tests {
		if r := verify(t, tt.fault, tt.release, tt.production); r.Verdict != tt.want {
			t.Errorf("%+v: the check says %s: %s", tt, r.Verdict, r.Message)
		}
	}
}

func TestLoad(t *testing.T) {
	server := httptest.NewServer((&sample{version: "v9"}).routes())
	defer server.Close()
	l := startLoad(t.Context(), server.URL)
	for total, _ := l.Counted(); total < 200; total, _ = l.Counted() {
		if t.Context().Err() != nil {
			t.Fatal(context.Cause(t.Context()))
		}
	}
	if r := l.Stop(); r.Failed != 0 || r.Versions["v9"] != r.Total {
		t.Errorf("counted %+v", r)
	}
}

// story is what the demo expects to be told.
func story() []Deployment {
	test, smoke := deploy.HookList(deploy.PhaseAfterAllowTestTraffic), deploy.SmokeAfter
	pass, fail := deploy.VerdictPass, deploy.VerdictFail
	return []Deployment{
		{Version: "v1", Status: deploy.StatusSucceeded, SwitchMS: 1, Verdicts: []Verdict{{Event: test, Status: pass}}},
		{Version: "v2", Status: deploy.StatusSucceeded, SwitchMS: 1, Verdicts: []Verdict{{Event: test, Status: pass}}},
		{Version: "v3", Status: deploy.StatusFailed, Verdicts: []Verdict{{Event: test, Status: fail}}},
		{Version: "v4", Status: deploy.StatusFailed, SwitchMS: 1, RollbackMS: 1, Verdicts: []Verdict{
			{Event: test, Status: pass}, {Event: deploy.SmokeBefore, Status: pass}, {Event: smoke, Status: fail},
		}, Rollback: &Rollback{Verified: true, Verdicts: []Verdict{{Event: deploy.SmokeRollback, Status: pass}}}},
	}
}

func TestJudge(t *testing.T) {
	good := trial.Requests{Total: minRequests}
	tests := []struct {
		name  string
		alter func(*Report)
		want  string // empty: as told
	}{
		{"as told", func(*Report) {}, ""},
		{"a failed request", func(r *Report) { r.Requests.Failed = 1 }, "1 of 20000 requests failed"},
		{"too few requests", func(r *Report) { r.Requests.Total = 5 }, "only 5"},
		{"a deployment is missing", func(r *Report) { r.Deployments = r.Deployments[:3] }, "3 deployments"},
		{"v2 failed", func(r *Report) { r.Deployments[1].Status = deploy.StatusFailed }, "v2: status Failed"},
		{"v2 did not move", func(r *Report) { r.Deployments[1].SwitchMS = 0 }, "v2: traffic did not move"},
		{"v3 was served", func(r *Report) {
			r.Deployments[2].Ledger = []deploy.LedgerVersion{{Version: "v3", Requests: 2}}
		}, "v3: it got 2 production requests"},
		{"v3 passed", func(r *Report) { r.Deployments[2].Verdicts[0].Status = deploy.VerdictPass }, "v3: the verdict"},
		{"v4 is not verified", func(r *Report) { r.Deployments[3].Rollback.Verified = false }, "v4: the rollback is not verified"},
		{"v4 has no smoke verdict", func(r *Report) { r.Deployments[3].Verdicts = r.Deployments[3].Verdicts[:2] }, "v4: there is no verdict in SmokeAfter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Report{Requests: good, Deployments: story()}
			tt.alter(&r)
			err := (&stage{}).judge(r)
			if tt.want == "" && err != nil {
				t.Fatalf("judged %v", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("judged %v, want %q", err, tt.want)
			}
		})
	}
}
