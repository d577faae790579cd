package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/runner"
	"greengate/internal/store"
)

// describe is DescribeService.
func (s *services) describe(ctx context.Context, _ awsapi.Principal, in deploy.ServiceInput) (deploy.ServiceView, error) {
	return s.view(ctx, in.Name)
}

// list is ListServices.
func (s *services) list(ctx context.Context, _ awsapi.Principal, _ struct{}) (deploy.ListServicesOutput, error) {
	out := deploy.ListServicesOutput{Services: []deploy.ServiceView{}}
	for _, name := range slices.Sorted(maps.Keys(s.cloud.State().Services)) {
		v, err := s.view(ctx, name)
		if err != nil {
			return out, err
		}
		out.Services = append(out.Services, v)
	}
	return out, nil
}

func (s *services) view(ctx context.Context, name string) (deploy.ServiceView, error) {
	state := s.cloud.State()
	svc, ok := state.Services[name]
	if !ok {
		return deploy.ServiceView{}, noService(name)
	}
	return s.complete(ctx, state, deploy.ServiceView{
		Name: name, Production: svc.Spec.Production, Test: svc.Spec.Test, Tasks: svc.Spec.Tasks, Deployment: svc.Deployment,
	})
}

// complete adds to a service what runs of it, and its last deployment.
func (s *services) complete(ctx context.Context, state cloud.State, v deploy.ServiceView) (deploy.ServiceView, error) {
	if primary, ok := state.Primary(v.Name); ok {
		v.Version, v.Digest = primary.Revision.Version, primary.Revision.Digest
	}
	last, err := s.db.List(ctx, store.Filter{Service: v.Name, Limit: 1})
	if err != nil {
		return v, err
	}
	if len(last) > 0 {
		v.Deployment, v.DeploymentStatus, v.RolledBack = last[0].ID, last[0].Status, last[0].Rollback.TriggeringID
	}
	for _, ts := range state.Sets(v.Name) {
		set, err := s.setView(ctx, state, ts)
		if err != nil {
			return v, err
		}
		v.TaskSets = append(v.TaskSets, set)
	}
	return v, nil
}

func (s *services) setView(ctx context.Context, state cloud.State, ts cloud.TaskSet) (deploy.TaskSetView, error) {
	set := deploy.TaskSetView{
		ID: ts.ID, Version: ts.Revision.Version, Weight: state.Weight(ts.Service, ts.ID),
		Test: state.Tests(ts.Service, ts.ID), Desired: ts.Tasks,
	}
	units, err := s.runner.List(ctx, ts.ID)
	if err != nil {
		return set, fmt.Errorf("list tasks of %s: %w", ts.ID, err)
	}
	for _, u := range units {
		if u.State == runner.StateRunning {
			set.Running++
		}
		if u.State == runner.StateRunning && u.Health == runner.HealthHealthy {
			set.Healthy++
		}
		task := deploy.TaskView{
			ID: u.ID, State: string(u.State), Health: u.Health, PID: u.PID, Restarts: u.Restarts, NotEnforced: u.NotEnforced,
			Reason: strings.TrimPrefix(u.Reason+"; "+u.HealthReason, "; "),
		}
		task.Reason = strings.TrimSuffix(task.Reason, "; ")
		if task.Reason == "" && u.LastEnd != "" {
			task.Reason = "started again: " + u.LastEnd
		}
		if u.Port != 0 {
			task.Address = net.JoinHostPort(u.Address, fmt.Sprint(u.Port))
		}
		set.Tasks = append(set.Tasks, task)
	}
	return set, nil
}

// deployment is DescribeDeployment.
func (w *wire) deployment(ctx context.Context, _ awsapi.Principal, in deploy.DeploymentInput) (deploy.DeploymentView, error) {
	d, err := w.db.Deployment(ctx, in.ID)
	if err != nil {
		return deploy.DeploymentView{}, err
	}
	return d.View(w.execution), nil
}

func (w *wire) execution(effect string) string { return executionID(w.key, effect) }

// deployments is ListDeployments.
func (w *wire) deployments(ctx context.Context, _ awsapi.Principal, in deploy.ListDeploymentsInput) (deploy.ListDeploymentsOutput, error) {
	out := deploy.ListDeploymentsOutput{Deployments: []deploy.DeploymentView{}}
	list, err := w.db.List(ctx, store.Filter{
		Service: in.Service, Limit: in.Limit, Statuses: in.Statuses, CreatedFrom: in.From, CreatedTo: in.To, After: in.After, Brief: in.Brief,
	})
	if err != nil {
		return out, err
	}
	for _, d := range list {
		out.Deployments = append(out.Deployments, d.View(w.execution))
	}
	return out, nil
}

// maxWait bounds long polls, below the idle limits of clients.
const maxWait = 30 * time.Second

// events is Events: the history after a cursor, waited for where there is none yet. It also returns
// when the deployment has ended.
func (w *wire) events(ctx context.Context, _ awsapi.Principal, in deploy.EventsInput) (deploy.EventsOutput, error) {
	out := deploy.EventsOutput{Events: []deploy.HistoryEvent{}, Next: in.After}
	until := time.NewTimer(min(in.Wait, maxWait))
	defer until.Stop()
	for {
		changed := w.db.Changed()
		if in.Deployment != "" {
			d, err := w.db.Deployment(ctx, in.Deployment)
			if err != nil {
				return out, err
			}
			out.Status = d.Status
		}
		records, err := w.db.Records(ctx, in.Deployment, in.After, in.Limit)
		if err != nil {
			return out, err
		}
		for _, r := range records {
			out.Events = append(out.Events, deploy.HistoryEvent{Seq: r.Seq, Deployment: r.Deployment, Record: r.Record})
			out.Next = r.Seq
		}
		if len(records) > 0 || in.Wait <= 0 || out.Status.Terminal() {
			return out, nil
		}
		select {
		case <-ctx.Done():
			return out, context.Cause(ctx)
		case <-until.C:
			return out, nil
		case <-changed:
		}
	}
}

// ledger is DescribeLedger.
func (s *services) ledger(ctx context.Context, _ awsapi.Principal, in deploy.DeploymentInput) (deploy.LedgerOutput, error) {
	out := deploy.LedgerOutput{Versions: []deploy.LedgerVersion{}}
	d, err := s.db.Deployment(ctx, in.ID)
	if err != nil {
		return out, err
	}
	name := func(taskSet string) string {
		switch taskSet {
		case d.Green.ID:
			return d.Green.Revision.Version
		case d.Blue.ID:
			return d.Blue.Revision.Version
		}
		return ""
	}
	versions, err := s.router.Versions(ctx, d.LedgerName(), name)
	if err != nil {
		return out, err
	}
	for _, v := range versions {
		if v.TaskSet != "" || v.Requests > 0 { // the nameless row has the requests that reached no task set
			out.Versions = append(out.Versions, v)
		}
	}
	return out, nil
}

// check is CheckService: what would go wrong, without changing anything.
func (s *services) check(ctx context.Context, _ awsapi.Principal, in deploy.CheckServiceInput) (deploy.CheckServiceOutput, error) {
	out := deploy.CheckServiceOutput{Findings: []deploy.Finding{}}
	for _, f := range in.Service.Validate() {
		out.Findings = append(out.Findings, deploy.Finding{Level: "error", Field: f.Field, Message: f.Message})
	}
	if len(out.Findings) > 0 {
		return out, nil
	}
	state := s.cloud.State()
	out.Findings = append(out.Findings, s.checkListeners(ctx, state, in.Service)...)
	out.Findings = append(out.Findings, movedListeners(state, in.Service)...)
	if len(in.Service.Smoke) == 0 {
		out.Findings = append(out.Findings, deploy.Finding{
			Level: "warning", Field: "smoke", Message: "there is no smoke set: after the switch, and after a rollback, production is not verified",
			Mend: "add a smoke list with at least one command that calls $GREENGATE_PRODUCTION_URL",
		})
	}
	if in.Service.Test == "" && len(in.Service.Hooks) > 0 {
		out.Findings = append(out.Findings, deploy.Finding{
			Level: "warning", Field: "listeners.test", Message: "there is no test listener: hooks cannot reach the new version before it has production traffic",
			Mend: "add listeners.test with an address of its own",
		})
	}
	if in.Service.Workload.Health == nil {
		out.Findings = append(out.Findings, deploy.Finding{
			Level: "warning", Field: "health", Message: "there is no health check: a task counts as healthy as soon as its port accepts connections",
			Mend: "add health: /healthz, or the path at which your service says that it is well",
		})
	}
	if err := s.idle(ctx, in.Service.Name); err != nil {
		out.Findings = append(out.Findings, deploy.Finding{
			Level: "warning", Message: err.Error(), Mend: "wait for it, or stop it with `greengate stop`",
		})
	}
	return out, nil
}

// movedListeners warns of the addresses that a deployment closes. Listeners belong to the service and not to a version: they
// move when the deployment begins, before anything is verified, and do not come back with a rollback.
func movedListeners(state cloud.State, want deploy.Service) []deploy.Finding {
	have := state.Services[want.Name].Spec
	var findings []deploy.Finding
	for _, l := range []struct{ field, from, to string }{
		{"listeners.production", have.Production, want.Production}, {"listeners.test", have.Test, want.Test},
	} {
		if l.from == "" || l.from == l.to {
			continue
		}
		findings = append(findings, deploy.Finding{
			Level: "warning", Field: l.field,
			Message: l.from + " is closed when a deployment begins, also where that fails later; then it is " + cmp.Or(l.to, "no address"),
			Mend:    "be sure that no client uses " + l.from + " any more",
		})
	}
	return findings
}

// checkListeners tries whether the addresses could be opened.
func (s *services) checkListeners(ctx context.Context, state cloud.State, spec deploy.Service) []deploy.Finding {
	var findings []deploy.Finding
	ours := map[string]string{}
	for _, l := range state.Listeners {
		ours[l.Address] = l.Service
	}
	for field, address := range map[string]string{"listeners.production": spec.Production, "listeners.test": spec.Test} {
		if address == "" || ours[address] == spec.Name {
			continue
		}
		if other := ours[address]; other != "" {
			findings = append(findings, deploy.Finding{Level: "error", Field: field, Message: address + " is a listener of service " + other, Mend: "choose another address"})
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			findings = append(findings, deploy.Finding{Level: "error", Field: field, Message: address + " cannot be opened: " + err.Error(), Mend: "choose another address, or stop what uses it"})
			continue
		}
		_ = l.Close() // it was opened only to see whether it can be
	}
	slices.SortFunc(findings, func(a, b deploy.Finding) int { return strings.Compare(a.Field, b.Field) })
	return findings
}
