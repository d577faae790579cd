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
	"greengate/internal/store"
	"greengate/internal/workload/process"
)

// wire answers what the CodeDeploy operations ask: it implements awsapi.Deployments, Catalog and Control.
type wire struct {
	db      *store.DB
	cloud   *cloud.Cloud
	engine  *engine.Engine
	runtime *process.Runtime
	logs    *logs
	key     []byte
	cluster string
	account string
	region  string
	minute  time.Duration // of the wire
	compat  string
	hooks   string // file of those that AppSpec files name
	objects objectStore

	sessions sessions
	recent   recent

	creating sync.Mutex // one new deployment at a time
}

// Deployment implements awsapi.Deployments.
func (w *wire) Deployment(ctx context.Context, id string) (awsapi.Deployment, error) {
	d, err := w.recent.deployment(ctx, w.db, id)
	if err != nil {
		return awsapi.Deployment{}, err
	}
	return awsapi.Deployment{Deployment: d, Target: w.target(d.Plan.Service)}, nil
}

func (w *wire) target(service string) awsapi.Target {
	if svc, ok := cloud.Find[cloud.ECSService](w.cloud.State(), service); ok {
		return w.serviceTarget(svc)
	}
	t := awsapi.Target{Cluster: w.cluster, Service: service}
	arn := func(role cloud.Role) string {
		return fmt.Sprintf("arn:aws:elasticloadbalancing:%s:%s:listener/app/%s/%s", w.region, w.account, service, role)
	}
	listeners := w.cloud.State().Listeners
	t.ProductionListener = arn(cloud.RoleProduction)
	if _, ok := listeners[cloud.Listener{Service: service, Role: cloud.RoleTest}.Name()]; ok {
		t.TestListener = arn(cloud.RoleTest)
	}
	t.TargetGroups = []string{service + "-1", service + "-2"}
	return t
}

// ListDeployments implements awsapi.Deployments.
func (w *wire) ListDeployments(ctx context.Context, q awsapi.DeploymentQuery) ([]string, error) {
	f := store.Filter{
		Application: q.Application, Group: q.Group, Statuses: q.Statuses, CreatedFrom: q.From, Limit: q.Limit, After: q.After,
	}
	if !q.To.IsZero() {
		f.CreatedTo = q.To.Add(time.Nanosecond) // ours is exclusive, theirs is not
	}
	list, err := w.db.List(ctx, f)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(list))
	for i, d := range list {
		ids[i] = d.ID
	}
	return ids, nil
}

// TaskSets implements awsapi.Deployments.
func (w *wire) TaskSets(ctx context.Context, id string) ([]awsapi.TaskSet, error) {
	d, err := w.db.Deployment(ctx, id)
	if err != nil {
		return nil, err
	}
	state := w.cloud.State()
	var sets []awsapi.TaskSet
	for _, side := range []struct {
		label deploy.Side
		ts    deploy.TaskSet
	}{{deploy.SideBlue, d.Blue}, {deploy.SideGreen, d.Green}} {
		known, ok := state.TaskSets[side.ts.ID]
		if !ok {
			continue
		}
		st, err := w.runtime.Observe(ctx, side.ts.ID)
		if err != nil {
			return nil, err
		}
		set := awsapi.TaskSet{
			ID: side.ts.ID, Label: side.label, TargetGroup: side.ts.TargetGroup,
			Desired: st.Desired, Running: st.Running, Pending: max(0, st.Desired-st.Running), Draining: known.Released(),
		}
		if set.TargetGroup == "" {
			set.TargetGroup = d.Plan.Service + "-1"
			if side.label == deploy.SideGreen {
				set.TargetGroup = d.Plan.Service + "-2"
			}
		}
		sets = append(sets, set)
	}
	return sets, nil
}

// Application implements awsapi.Catalog: a service of greengate.yaml is an application with one group.
func (w *wire) Application(_ context.Context, name string) (awsapi.Application, error) {
	st := w.cloud.State()
	if a, ok := cloud.Find[cloud.Application](st, name); ok {
		return awsapi.Application{ID: a.ID, Name: a.Name, Created: a.Created, Platform: a.Platform}, nil
	}
	s, ok := st.Services[name]
	if !ok {
		return awsapi.Application{}, deploy.Errorf(deploy.CodeNotFound, "application '%s' does not exist", name)
	}
	return awsapi.Application{ID: stableUUID("application", name), Name: name, Created: s.Created}, nil
}

// Applications implements awsapi.Catalog.
func (w *wire) Applications(context.Context) ([]string, error) {
	st := w.cloud.State()
	names := slices.Collect(maps.Keys(st.Services))
	for _, a := range cloud.All[cloud.Application](st) {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return names, nil
}

// Group implements awsapi.Catalog.
func (w *wire) Group(ctx context.Context, application, name string) (awsapi.Group, error) {
	state := w.cloud.State()
	if stored, ok := cloud.Find[cloud.DeploymentGroup](state, application+"/"+name); ok {
		g := awsapi.Group{ID: stored.ID, Application: application, Name: name, Stored: &stored}
		return g, w.history(ctx, &g)
	}
	s, ok := state.Services[application]
	if !ok || name != application {
		return awsapi.Group{}, deploy.Errorf(deploy.CodeNotFound, "deployment group '%s' of application '%s' does not exist", name, application)
	}
	g := awsapi.Group{
		ID: stableUUID("group", application+"/"+name), Application: application, Name: name,
		ServiceRoleARN: fmt.Sprintf("arn:aws:iam::%s:role/greengate", w.account), Target: w.target(application), Plan: s.Spec.Plan(),
	}
	if ts, ok := state.Primary(application); ok {
		g.Revision = ts.Revision
	}
	return g, w.history(ctx, &g)
}

// history fills in what a group deployed last.
func (w *wire) history(ctx context.Context, g *awsapi.Group) error {
	application, name := g.Application, g.Name
	attempted, err := w.db.List(ctx, store.Filter{Application: application, Group: name, Limit: 1})
	if err != nil {
		return err
	}
	if len(attempted) > 0 {
		g.LastAttempted = &attempted[0]
	}
	succeeded, err := w.db.List(ctx, store.Filter{
		Application: application, Group: name, Limit: 1, Statuses: []deploy.Status{deploy.StatusSucceeded},
	})
	if err != nil {
		return err
	}
	if len(succeeded) > 0 {
		g.LastSuccessful = &succeeded[0]
	}
	return nil
}

// Groups implements awsapi.Catalog.
func (w *wire) Groups(_ context.Context, application string) ([]string, error) {
	st := w.cloud.State()
	if _, ok := cloud.Find[cloud.Application](st, application); ok {
		names := []string{}
		for _, g := range cloud.All[cloud.DeploymentGroup](st) {
			if g.Application == application {
				names = append(names, g.Name)
			}
		}
		return names, nil
	}
	if _, ok := st.Services[application]; !ok {
		return nil, deploy.Errorf(deploy.CodeNotFound, "application '%s' does not exist", application)
	}
	return []string{application}, nil
}

// Stop implements awsapi.Control.
func (w *wire) Stop(ctx context.Context, r awsapi.StopRequest) error {
	d, err := w.db.Deployment(ctx, r.DeploymentID)
	if err != nil {
		return err
	}
	if err := current(d, r.Revno); err != nil {
		return err
	}
	if err := d.CanStop(); err != nil {
		return err
	}
	_, err = w.engine.Post(ctx, r.DeploymentID, "", deploy.Event{
		Kind: deploy.EventStop, At: time.Now(), By: r.By.ARN, GoBack: r.GoBack, Revno: r.Revno,
	})
	return err
}

// Continue implements awsapi.Control.
func (w *wire) Continue(ctx context.Context, r awsapi.ContinueRequest) error {
	d, err := w.db.Deployment(ctx, r.DeploymentID)
	if err != nil {
		return err
	}
	if err := current(d, r.Revno); err != nil {
		return err
	}
	if err := d.CanContinue(r.Wait); err != nil {
		return err
	}
	_, err = w.engine.Post(ctx, r.DeploymentID, "", deploy.Event{
		Kind: deploy.EventContinue, At: time.Now(), By: r.By.ARN, Wait: r.Wait, Revno: r.Revno,
	})
	return err
}

// Report implements awsapi.Control. The inbox takes one report an execution id, so of two that come
// at the same time one is refused.
func (w *wire) Report(ctx context.Context, r awsapi.HookReport) error {
	deployment, seq, err := parseExecutionID(w.key, r.ExecutionID)
	if err != nil {
		return err
	}
	if deployment != r.DeploymentID {
		return deploy.Errorf(deploy.CodeHookUnknown, "the execution id belongs to another deployment than %s", r.DeploymentID)
	}
	d, err := w.db.Deployment(ctx, deployment)
	if err != nil {
		return err
	}
	if err := d.CanReport(seq); err != nil {
		return err
	}
	ev := deploy.Event{Kind: deploy.EventReported, At: time.Now(), Seq: seq, Report: r.Status, By: r.By.ARN}
	if r.Status != deploy.VerdictPass {
		ev.Message = w.logs.lastWords(ctx, d)
	}
	added, err := w.engine.Post(ctx, deployment, fmt.Sprintf("report/%d", seq), ev)
	if errors.Is(err, &deploy.Error{Code: deploy.CodeAlreadyCompleted}) || (err == nil && !added) {
		return deploy.Errorf(deploy.CodeHookCompleted, "the hook of deployment %s has reported already, or its event has ended", deployment)
	}
	return err
}

// Denied implements awsapi.Control. Only who has the execution id of the hook in progress can have it noted, and once.
func (w *wire) Denied(ctx context.Context, r awsapi.HookDenial) error {
	deployment, seq, unknown := parseExecutionID(w.key, r.ExecutionID)
	if unknown != nil || deployment != r.DeploymentID {
		return nil //nolint:nilerr // it is nobody's callback
	}
	d, err := w.db.Deployment(ctx, deployment)
	if err != nil {
		return err
	}
	if d.CanReport(seq) != nil {
		return nil //nolint:nilerr // nobody waits for it any more
	}
	message := r.Message
	if r.By.Role != "" {
		group := "arn:aws:codedeploy:" + w.region + ":" + w.account + ":deploymentgroup:" + d.Plan.Application + "/" + d.Plan.Group
		_, session, _ := strings.Cut(r.By.UserID, ":")
		if lack := w.sessions.lacks(cloud.ServiceLambda, r.By.Role, session, r.Action, group); lack != nil {
			message = lack.Error()
		}
	}
	_, err = w.engine.Post(ctx, deployment, fmt.Sprintf("denied/%d", seq), deploy.Event{
		Kind: deploy.EventDenied, At: time.Now(), Seq: seq, By: r.By.ARN, Message: message,
	})
	if errors.Is(err, &deploy.Error{Code: deploy.CodeAlreadyCompleted}) {
		return nil
	}
	return err
}
