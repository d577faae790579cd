package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/trial"
)

// Report is the demo's outcome for machines.
type Report struct {
	Requests    trial.Requests `json:"requests"`
	Deployments []Deployment   `json:"deployments"`
	Seconds     float64        `json:"seconds"`
}

// Deployment is one deployment of the demo.
type Deployment struct {
	ID       string        `json:"id"`
	Version  string        `json:"version"`
	Status   deploy.Status `json:"status"`
	Reason   deploy.Reason `json:"reason,omitempty"`
	Verdicts []Verdict     `json:"verdicts"`
	// SwitchMS is the time from asking for the new weights to their confirmation, RollbackMS from the
	// verdict that failed to the confirmation of the old ones. 0: traffic did not move.
	SwitchMS   float64                `json:"switch_ms"`
	RollbackMS float64                `json:"rollback_ms"`
	Rollback   *Rollback              `json:"rollback,omitempty"`
	Ledger     []deploy.LedgerVersion `json:"ledger"`
}

// Rollback is the record of a deployment's rollback.
type Rollback struct {
	ID       string        `json:"id"`
	Status   deploy.Status `json:"status"`
	Verified bool          `json:"verified"`
	Verdicts []Verdict     `json:"verdicts"`
}

// Verdict is one verdict of a deployment.
type Verdict struct {
	Hook   string               `json:"hook"`
	Event  deploy.HookList      `json:"event"`
	Status deploy.VerdictStatus `json:"status"`
	Reason string               `json:"reason"`
}

// report collects what the controller knows of the deployments.
func (s *stage) report(ctx context.Context, requests trial.Requests) (Report, error) {
	r := Report{Requests: requests}
	var list deploy.ListDeploymentsOutput
	if err := s.ask(ctx, &list, "history", service); err != nil {
		return r, err
	}
	records := map[string]deploy.DeploymentView{}
	for _, v := range list.Deployments {
		if v.Kind == deploy.KindRollback {
			records[v.ID] = v
		}
	}
	for _, v := range slices.Backward(list.Deployments) { // oldest first
		if v.Kind == deploy.KindRollback {
			continue
		}
		d := Deployment{
			ID: v.ID, Version: v.To, Status: v.Status, Reason: v.Reason, Verdicts: verdicts(v),
			SwitchMS: milliseconds(v.Switch), RollbackMS: milliseconds(v.Back),
		}
		if !v.Moved {
			d.RollbackMS = 0
		}
		if rec, ok := records[v.Rollback.DeploymentID]; ok {
			d.Rollback = &Rollback{ID: rec.ID, Status: rec.Status, Verified: rec.Rollback.Verified, Verdicts: verdicts(rec)}
		}
		var ledger struct {
			Ledger []deploy.LedgerVersion `json:"ledger"`
		}
		if err := s.ask(ctx, &ledger, "status", v.ID); err != nil {
			return r, err
		}
		d.Ledger = ledger.Ledger
		r.Deployments = append(r.Deployments, d)
	}
	return r, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func verdicts(v deploy.DeploymentView) []Verdict {
	list := []Verdict{}
	for _, verdict := range v.Verdicts {
		list = append(list, Verdict{Hook: verdict.Hook, Event: verdict.Event, Status: verdict.Status, Reason: verdict.Message})
	}
	return list
}

// print shows the report to people and writes it for machines.
func (s *stage) print(r Report) error {
	s.say("\n== What happened")
	w := tabwriter.NewWriter(s.o.Out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "VERSION\tSTATUS\tSWITCH\tROLLBACK\tVERDICTS")
	for _, d := range r.Deployments {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.Version, d.Status, shown(d.SwitchMS), shown(d.RollbackMS), summary(d))
	}
	_ = w.Flush()
	s.say("\n== The ledger of production, by deployment")
	_, _ = fmt.Fprintln(w, "DURING\tVERSION\tREQUESTS\tSERVED\tFAILED\tRETRIED\tCUT\tP50\tP99")
	for _, d := range r.Deployments {
		for _, l := range d.Ledger {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", d.Version, l.Version, l.Requests, l.Served,
				l.Failed, l.Retried, l.Cut, l.P50.Round(10*time.Microsecond), l.P99.Round(10*time.Microsecond))
		}
	}
	_ = w.Flush()
	s.say("\n%d requests from outside, %d failed, in %.1f s", r.Requests.Total, r.Requests.Failed, r.Seconds)
	for _, e := range r.Requests.Errors {
		s.say("  %s", e)
	}
	if s.o.JSONFile == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(s.o.JSONFile, append(data, '\n'), 0o644); err != nil { //nolint:gosec // a report is for everybody
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func shown(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", ms)
}

func summary(d Deployment) string {
	parts := make([]string, 0, len(d.Verdicts)+1)
	for _, v := range d.Verdicts {
		parts = append(parts, fmt.Sprintf("%s/%s %s", v.Event, v.Hook, v.Status))
	}
	if d.Rollback != nil {
		word := "not verified"
		if d.Rollback.Verified {
			word = "verified"
		}
		parts = append(parts, fmt.Sprintf("rollback %s %s", d.Rollback.ID, word))
	}
	return strings.Join(parts, ", ")
}

// judge holds what happened against the story.
func (s *stage) judge(r Report) error {
	var errs []error
	for _, v := range s.violations {
		errs = append(errs, errors.New(v))
	}
	if r.Requests.Failed > 0 {
		errs = append(errs, fmt.Errorf("%d of %d requests failed", r.Requests.Failed, r.Requests.Total))
	}
	if r.Requests.Total < minRequests {
		errs = append(errs, fmt.Errorf("only %d of %d requests were sent", r.Requests.Total, minRequests))
	}
	told := chapters()
	if len(r.Deployments) != len(told) {
		return errors.Join(append(errs, fmt.Errorf("there were %d deployments instead of %d", len(r.Deployments), len(told)))...)
	}
	for i, c := range told {
		if err := c.verify(r.Deployments[i]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.version, err))
		}
	}
	return errors.Join(errs...)
}

func succeeded(d Deployment) error {
	if d.Status != deploy.StatusSucceeded {
		return fmt.Errorf("status %s instead of Succeeded", d.Status)
	}
	return expect(d.Verdicts, deploy.HookList(deploy.PhaseAfterAllowTestTraffic), deploy.VerdictPass)
}

func switched(d Deployment) error {
	if d.SwitchMS <= 0 {
		return errors.New("traffic did not move")
	}
	return succeeded(d)
}

func caughtByHook(d Deployment) error {
	switch {
	case d.Status != deploy.StatusFailed:
		return fmt.Errorf("status %s instead of Failed", d.Status)
	case d.SwitchMS > 0:
		return errors.New("it got production traffic")
	}
	for _, l := range d.Ledger {
		if l.Version == d.Version && l.Requests > 0 {
			return fmt.Errorf("it got %d production requests", l.Requests)
		}
	}
	return expect(d.Verdicts, deploy.HookList(deploy.PhaseAfterAllowTestTraffic), deploy.VerdictFail)
}

func rolledBack(d Deployment) error {
	switch {
	case d.Status != deploy.StatusFailed:
		return fmt.Errorf("status %s instead of Failed", d.Status)
	case d.SwitchMS <= 0 || d.RollbackMS <= 0:
		return errors.New("traffic did not move there and back")
	case d.Rollback == nil || !d.Rollback.Verified:
		return errors.New("the rollback is not verified")
	}
	return errors.Join(
		expect(d.Verdicts, deploy.HookList(deploy.PhaseAfterAllowTestTraffic), deploy.VerdictPass),
		expect(d.Verdicts, deploy.SmokeBefore, deploy.VerdictPass),
		expect(d.Verdicts, deploy.SmokeAfter, deploy.VerdictFail),
		expect(d.Rollback.Verdicts, deploy.SmokeRollback, deploy.VerdictPass),
	)
}

func expect(list []Verdict, event deploy.HookList, status deploy.VerdictStatus) error {
	for _, v := range list {
		if v.Event == event {
			if v.Status != status {
				return fmt.Errorf("the verdict in %s is %s instead of %s", event, v.Status, status)
			}
			return nil
		}
	}
	return fmt.Errorf("there is no verdict in %s", event)
}
