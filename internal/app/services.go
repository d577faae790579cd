package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/engine"
	"greengate/internal/proxy"
	"greengate/internal/runner"
	"greengate/internal/store"
	"greengate/internal/traffic/l7"
	"greengate/internal/workload/process"
)

// services carries out Greengate's own actions on services.
type services struct {
	db      *store.DB
	cloud   *cloud.Cloud
	engine  *engine.Engine
	runtime *process.Runtime
	router  *l7.Router
	runner  *runner.Client
	down    func() error // asks the supervisor to end

	mu sync.Mutex // one change of services at a time
}

// apply is ApplyService.
func (s *services) apply(ctx context.Context, by awsapi.Principal, in deploy.ApplyServiceInput) (deploy.ApplyServiceOutput, error) {
	if err := invalid(in.Service); err != nil {
		return deploy.ApplyServiceOutput{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.cloud.State()
	out := deploy.ApplyServiceOutput{Changes: changes(state, in.Service)}
	_, known := state.Services[in.Service.Name]
	out.Created = !known
	if in.DryRun {
		return out, nil
	}
	if err := s.idle(ctx, in.Service.Name); err != nil {
		return deploy.ApplyServiceOutput{}, err
	}
	if err := s.configure(ctx, state, in.Service); err != nil {
		return deploy.ApplyServiceOutput{}, err
	}
	primary, running := state.Primary(in.Service.Name)
	if running && !in.Force && primary.Revision.Digest == in.Service.Revision().Digest {
		return out, s.scaleSet(ctx, primary.TaskSet, in.Service.Tasks)
	}
	id, err := s.start(ctx, by, in.Service, in.Service.Revision(), in.Description)
	out.DeploymentID = id
	return out, err
}

// invalid lists every fault of a service in one error.
func invalid(spec deploy.Service) error {
	faults := spec.Validate()
	if len(faults) == 0 {
		return nil
	}
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = f.String()
	}
	return &deploy.Error{Code: deploy.CodeInvalid, Field: faults[0].Field, Message: strings.Join(lines, "\n")}
}

// idle refuses while a deployment of the service is active.
func (s *services) idle(ctx context.Context, service string) error {
	active, err := s.db.List(ctx, store.Filter{Service: service, Limit: 1, Statuses: []deploy.Status{
		deploy.StatusCreated, deploy.StatusInProgress, deploy.StatusReady,
	}})
	if err != nil {
		return err
	}
	if len(active) > 0 {
		return deploy.Errorf(deploy.CodeActiveDeployment,
			"Deployment group '%s' of application '%s' already has an active Deployment '%s'", service, service, active[0].ID)
	}
	return nil
}

// configure makes the service wanted and its listeners open. Where an address cannot be opened,
// everything is as it was before: that is looked at first, so that no listener in use is touched.
func (s *services) configure(ctx context.Context, before cloud.State, spec deploy.Service) error {
	if findings := s.checkListeners(ctx, before, spec); len(findings) > 0 {
		f := findings[0]
		return &deploy.Error{Code: deploy.CodeRefusedByCheck, Field: f.Field, Message: f.Message + "; " + f.Mend}
	}
	if _, err := s.cloud.Apply(ctx, spec, time.Now()); err != nil {
		return err
	}
	err := s.sync(ctx, spec.Name)
	var listen *proxy.ListenError
	if !errors.As(err, &listen) {
		return err
	}
	if err := s.undo(ctx, before, spec.Name); err != nil {
		return fmt.Errorf("undo the change of service %s: %w", spec.Name, err)
	}
	return &deploy.Error{Code: deploy.CodeRefusedByCheck, Field: "listeners", Message: fmt.Sprintf("listener %s cannot be opened: %s; choose another address, or stop what uses it", listen.Listener, listen.Reason)}
}

// undo makes a service what it was before, and its listeners with it.
func (s *services) undo(ctx context.Context, before cloud.State, name string) error {
	if old, known := before.Services[name]; known {
		if _, err := s.cloud.Apply(ctx, old.Spec, time.Now()); err != nil {
			return err
		}
	} else if err := s.cloud.Delete(ctx, name); err != nil {
		return err
	}
	return s.sync(ctx, name)
}

// sync waits until the data plane serves what is wanted. A listener of another service that cannot be
// opened is not this one's fault.
func (s *services) sync(ctx context.Context, service string) error {
	err := s.router.Sync(ctx, s.cloud.State().Revision)
	if listen, ok := errors.AsType[*proxy.ListenError](err); ok && !strings.HasPrefix(listen.Listener, service+"/") {
		return nil
	}
	return err
}

// start begins a deployment of a revision of the service.
func (s *services) start(ctx context.Context, by awsapi.Principal, spec deploy.Service, rev deploy.Revision, description string) (string, error) {
	state := s.cloud.State()
	n := deploy.New{
		ID: newDeploymentID(), RollbackID: newDeploymentID(), Creator: "user", StartedBy: by.ARN, Description: description,
		At: time.Now(), Plan: spec.Plan(),
		Green: deploy.TaskSet{ID: newTaskSetID(spec.Name), Service: spec.Name, Revision: rev, Tasks: spec.Tasks},
	}
	if blue, ok := state.Primary(spec.Name); ok {
		n.Blue = blue.TaskSet
		if state.Tests(spec.Name, blue.ID) {
			n.TestSide = deploy.SideBlue
		}
	}
	if err := s.releaseStale(ctx, state, spec.Name, n.Blue.ID); err != nil {
		return "", err
	}
	d, err := s.engine.Create(ctx, n)
	if err != nil {
		return "", err
	}
	return d.ID, s.cloud.Started(ctx, spec.Name, d.ID)
}

// releaseStale ends what earlier deployments left behind: task sets without traffic.
func (s *services) releaseStale(ctx context.Context, state cloud.State, service, keep string) error {
	for _, ts := range state.Sets(service) {
		if ts.ID == keep || ts.Released() || state.Weight(service, ts.ID) > 0 {
			continue
		}
		if err := s.cloud.Release(ctx, ts.ID, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// scale is ScaleService.
func (s *services) scale(ctx context.Context, _ awsapi.Principal, in deploy.ScaleServiceInput) (deploy.ServiceView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.cloud.State()
	svc, ok := state.Services[in.Name]
	if !ok {
		return deploy.ServiceView{}, noService(in.Name)
	}
	if err := s.idle(ctx, in.Name); err != nil {
		return deploy.ServiceView{}, err
	}
	svc.Spec.Tasks = in.Tasks
	if err := invalid(svc.Spec); err != nil {
		return deploy.ServiceView{}, err
	}
	if _, err := s.cloud.Apply(ctx, svc.Spec, time.Now()); err != nil {
		return deploy.ServiceView{}, err
	}
	if primary, ok := state.Primary(in.Name); ok {
		if err := s.scaleSet(ctx, primary.TaskSet, in.Tasks); err != nil {
			return deploy.ServiceView{}, err
		}
	}
	return s.view(ctx, in.Name)
}

func (s *services) scaleSet(ctx context.Context, ts deploy.TaskSet, tasks int) error {
	if ts.Tasks == tasks {
		return nil
	}
	ts.Tasks = tasks
	return s.runtime.Ensure(ctx, ts)
}

func noService(name string) error {
	return deploy.Errorf(deploy.CodeNotFound, "service '%s' does not exist; `greengate list` shows those that do", name)
}

// restart is RestartService: the same revision once more, through the whole pipeline.
func (s *services) restart(ctx context.Context, by awsapi.Principal, in deploy.ServiceInput) (deploy.DeploymentStarted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.cloud.State()
	svc, ok := state.Services[in.Name]
	if !ok {
		return deploy.DeploymentStarted{}, noService(in.Name)
	}
	if err := s.idle(ctx, in.Name); err != nil {
		return deploy.DeploymentStarted{}, err
	}
	rev := svc.Spec.Revision()
	if primary, ok := state.Primary(in.Name); ok {
		rev = primary.Revision
	}
	id, err := s.start(ctx, by, svc.Spec, rev, "restart")
	return deploy.DeploymentStarted{DeploymentID: id}, err
}

// rollback is RollbackService.
func (s *services) rollback(ctx context.Context, by awsapi.Principal, in deploy.RollbackServiceInput) (deploy.DeploymentStarted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.cloud.State()
	svc, ok := state.Services[in.Name]
	if !ok {
		return deploy.DeploymentStarted{}, noService(in.Name)
	}
	if err := s.idle(ctx, in.Name); err != nil {
		return deploy.DeploymentStarted{}, err
	}
	primary, _ := state.Primary(in.Name)
	succeeded, err := s.db.List(ctx, store.Filter{
		Service: in.Name, Kind: deploy.KindDeploy, Statuses: []deploy.Status{deploy.StatusSucceeded}, Limit: 1000,
	})
	if err != nil {
		return deploy.DeploymentStarted{}, err
	}
	for _, d := range succeeded {
		rev := d.Green.Revision
		if rev.Digest == primary.Revision.Digest || (in.To != "" && rev.Version != in.To) {
			continue
		}
		id, err := s.start(ctx, by, svc.Spec, rev, "rollback to "+rev.Version)
		return deploy.DeploymentStarted{DeploymentID: id}, err
	}
	if in.To != "" {
		return deploy.DeploymentStarted{}, deploy.Errorf(deploy.CodeNothingToRollBack, "no deployment of version %q of service '%s' has succeeded; `greengate history %s` shows those that have", in.To, in.Name, in.Name)
	}
	return deploy.DeploymentStarted{}, deploy.Errorf(deploy.CodeNothingToRollBack, "service '%s' has no earlier version that succeeded", in.Name)
}

// remove is DeleteService: traffic ends, then the tasks.
func (s *services) remove(ctx context.Context, _ awsapi.Principal, in deploy.ServiceInput) (struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.cloud.State().Services[in.Name]; !ok {
		return struct{}{}, noService(in.Name)
	}
	if err := s.idle(ctx, in.Name); err != nil {
		return struct{}{}, err
	}
	if _, err := s.quiet(ctx, in.Name); err != nil {
		return struct{}{}, err
	}
	if err := s.cloud.Delete(ctx, in.Name); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.sync(ctx, in.Name)
}

// quiet takes a service's traffic away, drains and stops its task sets, and answers how many.
func (s *services) quiet(ctx context.Context, service string) (int, error) {
	state := s.cloud.State()
	if err := s.router.Shift(ctx, deploy.Route{Service: service, Force: true}); err != nil {
		return 0, err
	}
	limit := time.Now().Add(state.Services[service].Spec.Drain)
	sets := state.Sets(service)
	for _, ts := range sets {
		for {
			left, err := s.router.Drain(ctx, ts.ID, max(0, time.Until(limit)))
			if err != nil {
				return 0, err
			}
			if left == (deploy.InFlight{}) || !time.Now().Before(limit) {
				break
			}
			select {
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			case <-time.After(20 * time.Millisecond):
			}
		}
		if err := s.runtime.Stop(ctx, ts.ID); err != nil {
			return 0, err
		}
	}
	return len(sets), nil
}

// end is Down: every service is drained and stopped, then the whole installation ends.
func (s *services) end(ctx context.Context, _ awsapi.Principal, _ deploy.DownInput) (deploy.DownOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out deploy.DownOutput
	names := slices.Sorted(maps.Keys(s.cloud.State().Services))
	for _, name := range names {
		if err := s.idle(ctx, name); err != nil {
			return out, err
		}
	}
	for _, name := range names {
		n, err := s.quiet(ctx, name)
		if err != nil {
			return out, fmt.Errorf("stop service %s: %w", name, err)
		}
		out.Services++
		out.TaskSets += n
	}
	return out, s.down()
}
