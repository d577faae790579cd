package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"greengate/internal/appspec"
	"greengate/internal/awsapi"
	"greengate/internal/awsapi/ecs"
	"greengate/internal/cloud"
	"greengate/internal/config"
	"greengate/internal/deploy"
	"greengate/internal/store"
)

// This file begins deployments of services that were made over the wire.

// unhealthyMinutes is how long a service may lose its steady state (ECS guide, "Blue/Green deployment").
const unhealthyMinutes = 5

// defaultDrain is the deregistration delay of a target group that names none, in seconds.
const defaultDrain = 300

// refusal makes a deployment fail as soon as it begins.
func refusal(reason deploy.Reason, format string, args ...any) *deploy.Refusal {
	return &deploy.Refusal{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Create implements awsapi.Control.
func (w *wire) Create(ctx context.Context, r awsapi.CreateRequest) (string, error) {
	w.creating.Lock()
	defer w.creating.Unlock()
	if err := w.idleGroup(ctx, r.Group); err != nil {
		return "", err
	}
	n, info := w.newDeployment(w.cloud.State(), r)
	last, err := w.lastSuccessful(ctx, r.Group.Application, r.Group.Name)
	if err != nil {
		return "", err
	}
	if last != nil {
		n.Plan.Previous = last.Plan.Source
	}
	n.ID, n.RollbackID, n.At = newDeploymentID(), newDeploymentID(), time.Now()
	n.Creator, n.StartedBy, n.Description = "user", r.By.ARN, r.Description
	info.ExternalID = n.ID
	if n.Plan.Refused == nil {
		if err := w.claim(ctx, &n, r.Group, info); err != nil {
			return "", err
		}
	}
	d, err := w.engine.Create(ctx, n)
	if err != nil {
		return "", err
	}
	return d.ID, nil
}

// idleGroup refuses while a deployment of the group is active; clients read the id out of the message.
func (w *wire) idleGroup(ctx context.Context, g cloud.DeploymentGroup) error {
	active, err := w.db.List(ctx, store.Filter{Application: g.Application, Group: g.Name, Limit: 1, Statuses: []deploy.Status{
		deploy.StatusCreated, deploy.StatusInProgress, deploy.StatusReady,
	}})
	if err != nil || len(active) == 0 {
		return err
	}
	return deploy.Errorf(deploy.CodeActiveDeployment, "The Deployment Group '%s' already has an active Deployment '%s'", g.Name, active[0].ID)
}

func (w *wire) lastSuccessful(ctx context.Context, application, group string) (*deploy.Deployment, error) {
	list, err := w.db.List(ctx, store.Filter{Application: application, Group: group, Limit: 1, Statuses: []deploy.Status{deploy.StatusSucceeded}})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// newDeployment makes a deployment of what is stored and asked for. What does not fit together is its Plan.Refused.
func (w *wire) newDeployment(st cloud.State, r awsapi.CreateRequest) (deploy.New, cloud.SetInfo) {
	n := deploy.New{Plan: w.plan(r)}
	info := cloud.SetInfo{StartedBy: "CODE_DEPLOY", Scale: 100, Created: time.Now()}
	var spec appspec.Spec
	var svc cloud.ECSService
	steps := []func() *deploy.Refusal{
		func() *deploy.Refusal { return w.permitted(st, r) },
		func() (no *deploy.Refusal) { svc, n.Blue, no = original(st, r.Group); return no },
		func() (no *deploy.Refusal) { spec, no = w.spec(r.Revision); return no },
		func() (no *deploy.Refusal) { n.Green, no = replacement(st, svc, r.Group, spec, n.Blue); return no },
		func() (no *deploy.Refusal) { n.Plan.Hooks, no = w.functions(st, spec, r.Group); return no },
	}
	for _, step := range steps {
		if n.Plan.Refused = step(); n.Plan.Refused != nil {
			n.Green = deploy.TaskSet{}
			return n, info
		}
	}
	info.Endpoint = cloud.ServiceEndpoint{TargetGroup: n.Green.TargetGroup, Container: spec.ContainerName, Port: spec.ContainerPort}
	return n, info
}

// minutes are those of the wire, which last as long as the installation says.
func (w *wire) minutes(n int) time.Duration { return time.Duration(n) * w.minute }

func (w *wire) plan(r awsapi.CreateRequest) deploy.Plan {
	g, tags := r.Group, r.Group.Tags
	limits := deploy.DefaultLimits()
	limits.Install, limits.Hook = w.minutes(60), w.minutes(60)
	p := deploy.Plan{
		Service: g.ServiceKey(), Application: g.Application, Group: g.Name, ConfigName: r.Config.Name, TestListener: g.TestListener != "",
		StrictTestTraffic: w.compat == config.CompatAWS || tags[cloud.TagTestTraffic] == "strict",
		Traffic:           deploy.Traffic{Kind: r.Config.Kind, Percent: r.Config.Percent, Interval: w.minutes(r.Config.Minutes)},
		Promotion:         deploy.PromoteAuto, ReadyLimit: w.minutes(g.ReadyWait), WayBack: deploy.WayBackWarn, Bake: w.minutes(g.TerminationWait),
		UnhealthyGrace: w.minutes(unhealthyMinutes), Limits: limits,
		Source: deploy.Source{
			Type: r.Revision.Type, SHA256: r.Revision.SHA256, Bucket: r.Revision.Bucket, Key: r.Revision.Object,
			BundleType: r.Revision.BundleType, Version: r.Revision.Version, ETag: r.Revision.ETag,
		},
	}
	if g.ReadyAction == "STOP_DEPLOYMENT" {
		p.Promotion = deploy.PromoteManual
	}
	if promote := deploy.Promotion(tags[cloud.TagPromote]); promote == deploy.PromoteVerified || promote == deploy.PromoteManual || promote == deploy.PromoteAuto {
		p.Promotion = promote
		if p.ReadyLimit == 0 {
			p.ReadyLimit = w.minutes(60)
		}
	}
	if r.Rollback.Enabled {
		on := func(event string) bool { return slices.Contains(r.Rollback.Events, event) }
		p.Rollback = deploy.RollbackPolicy{
			OnFailure: on("DEPLOYMENT_FAILURE"), OnAlarm: on("DEPLOYMENT_STOP_ON_ALARM"), OnStop: on("DEPLOYMENT_STOP_ON_REQUEST"),
		}
	}
	if r.Alarms.Enabled {
		p.Alarms, p.IgnoreAlarmFaults = r.Alarms.Names, r.Alarms.IgnorePollFailure
	}
	if r.OverridesAlarms {
		p.AlarmOverride = &deploy.AlarmOverride{Enabled: r.Alarms.Enabled, IgnorePollFailure: r.Alarms.IgnorePollFailure, Names: r.Alarms.Names}
	}
	p.Drain = w.drain(w.cloud.State(), g)
	return p
}

// drain is the longest deregistration delay of the pair; the delay is counted in the minutes of the wire.
func (w *wire) drain(st cloud.State, g cloud.DeploymentGroup) time.Duration {
	seconds := 0
	for _, name := range g.TargetGroups {
		group, _ := cloud.Find[cloud.TargetGroup](st, name)
		n, err := strconv.Atoi(group.Attributes["deregistration_delay.timeout_seconds"])
		if err != nil {
			n = defaultDrain
		}
		seconds = max(seconds, n)
	}
	return time.Duration(seconds) * w.minute / 60
}

// original finds the service and the task set that serves it.
func original(st cloud.State, g cloud.DeploymentGroup) (cloud.ECSService, deploy.TaskSet, *deploy.Refusal) {
	svc, ok := cloud.Find[cloud.ECSService](st, g.ServiceKey())
	switch {
	case !ok || svc.Status != "ACTIVE":
		return svc, deploy.TaskSet{}, refusal(deploy.ReasonInvalidECSService, "The ECS service %s does not exist, or is not ACTIVE.", g.ServiceKey())
	case svc.Controller != cloud.ControllerCodeDeploy:
		return svc, deploy.TaskSet{}, refusal(deploy.ReasonInvalidECSService, "The ECS service %s must have the CODE_DEPLOY deployment controller.", g.ServiceKey())
	}
	ts, ok := st.TaskSets[svc.Primary]
	if !ok {
		return svc, deploy.TaskSet{}, refusal(deploy.ReasonInvalidECSService, "The ECS service %s has no primary task set.", g.ServiceKey())
	}
	if !slices.Contains(g.TargetGroups, ts.TargetGroup) {
		return svc, deploy.TaskSet{}, refusal(deploy.ReasonInvalidECSService, "The primary task set of %s is in target group %s, which is none of the deployment group's: %s.",
			g.ServiceKey(), ts.TargetGroup, strings.Join(g.TargetGroups, ", "))
	}
	return svc, ts.TaskSet, nil
}

// spec reads the AppSpec of a revision.
func (w *wire) spec(r cloud.Revision) (appspec.Spec, *deploy.Refusal) {
	if r.Type == "S3" {
		text, etag, err := w.objects.text(r.Bucket, r.Object)
		switch {
		case err != nil:
			return appspec.Spec{}, refusal(deploy.ReasonRevisionMissing, "The AppSpec file s3://%s/%s cannot be read: %v.", r.Bucket, r.Object, err)
		case r.ETag != "" && strings.Trim(r.ETag, `"`) != etag:
			return appspec.Spec{}, refusal(deploy.ReasonRevisionMissing, "The AppSpec file s3://%s/%s has the ETag %s, not %s.", r.Bucket, r.Object, etag, r.ETag)
		case r.Version != "":
			return appspec.Spec{}, refusal(deploy.ReasonRevisionMissing, "The AppSpec file s3://%s/%s has no versions: buckets here keep the newest only.", r.Bucket, r.Object)
		}
		r.Content = text
	}
	spec, faults := appspec.Parse([]byte(r.Content))
	if len(faults) > 0 {
		lines := make([]string, len(faults))
		for i, f := range faults {
			lines[i] = f.String()
		}
		return spec, refusal(deploy.ReasonInvalidRevision, "The AppSpec file is not valid: %s", strings.Join(lines, "; "))
	}
	return spec, nil
}

// replacement makes the new task set, in the target group of the pair that the original is not in.
func replacement(st cloud.State, svc cloud.ECSService, g cloud.DeploymentGroup, spec appspec.Spec, blue deploy.TaskSet) (deploy.TaskSet, *deploy.Refusal) {
	def, ok := cloud.FindTaskDefinition(st, spec.TaskDefinition)
	if !ok || def.Status != "ACTIVE" {
		return deploy.TaskSet{}, refusal(deploy.ReasonInvalidRevision, "The task definition '%s' of the AppSpec file does not exist, or is not ACTIVE.", spec.TaskDefinition)
	}
	endpoint := cloud.ServiceEndpoint{Container: spec.ContainerName, Port: spec.ContainerPort}
	for _, name := range g.TargetGroups {
		if name != blue.TargetGroup {
			endpoint.TargetGroup = name
		}
	}
	green, err := st.TaskSetOf(svc, def, endpoint, ecs.NewTaskSetID())
	if err != nil {
		return deploy.TaskSet{}, refusal(deploy.ReasonInvalidRevision, "The revision cannot run: %v", err)
	}
	green.Tasks = svc.Desired
	return green, nil
}

// functions makes the hooks of the AppSpec.
func (w *wire) functions(st cloud.State, spec appspec.Spec, g cloud.DeploymentGroup) (map[deploy.Phase][]deploy.Hook, *deploy.Refusal) {
	hooks := map[deploy.Phase][]deploy.Hook{}
	strict := w.compat == config.CompatAWS || g.Tags[cloud.TagHookReturn] == "strict"
	for _, h := range spec.Hooks {
		if h.Event == deploy.PhaseAfterAllowTestTraffic && g.TestListener == "" {
			continue // without a test listener the event does not take place
		}
		if h.Kind != deploy.HookFunction {
			own, err := w.registered(h, g.TestListener != "")
			if err != nil {
				return nil, refusal(deploy.ReasonInvalidRevision, "Hook %s: %v.", h.Event, err)
			}
			hooks[h.Event] = []deploy.Hook{own}
			continue
		}
		_, qualifier := cloud.FunctionName(h.Name)
		f, v, ok := cloud.FindFunction(st, h.Name, "")
		if !ok {
			return nil, refusal(deploy.ReasonHookFailed, "Hook %s: the function '%s' does not exist.", h.Event, h.Name)
		}
		hooks[h.Event] = []deploy.Hook{{
			Name: f.Name, Kind: deploy.HookFunction, Timeout: w.minutes(60), StrictReturn: strict,
			Function: &deploy.Function{
				Name: f.Name, Runtime: v.Runtime, Handler: v.Handler, CodeDir: v.CodeDir, Timeout: v.Timeout, MemoryMB: v.MemoryMB,
				Env: v.Env, Digest: v.CodeSHA256 + v.RevisionID + w.sessions.roleID(v.Role),
				ARN: w.functionARN(f.Name, qualifier), Role: v.Role, Invoker: g.ServiceRole,
			},
		}}
	}
	return hooks, nil
}

func (w *wire) functionARN(name, qualifier string) string {
	arn := "arn:aws:lambda:" + w.region + ":" + w.account + ":function:" + name
	if qualifier != "" {
		arn += ":" + qualifier
	}
	return arn
}

// claim points the service at the listeners of its group and makes room for the new task set.
func (w *wire) claim(ctx context.Context, n *deploy.New, g cloud.DeploymentGroup, info cloud.SetInfo) error {
	key := g.ServiceKey()
	err := w.cloud.Update(ctx, func(d *cloud.Draft) error {
		svc, _ := cloud.Find[cloud.ECSService](d.State(), key)
		svc.Routing = cloud.Routing{Production: listenerKey(g.ProductionListener), Test: listenerKey(g.TestListener), TargetGroups: g.TargetGroups}
		svc.Deployment = n.ID
		svc.Sets = cloned(svc.Sets)
		svc.Sets[n.Green.ID] = info
		d.Put(svc)
		if l, ok := cloud.Find[cloud.ELBListener](d.State(), svc.Routing.Production); ok && l.Shifted != nil {
			l.Shifted = nil // what was set between deployments is nobody's interference
			d.Put(l)
		}
		if err := d.State().CheckRouting(key); err != nil {
			n.Plan.Refused = refusal(deploy.ReasonInstallFailed, "%v", err)
		}
		if _, ok := cloud.Find[cloud.ELBListener](d.State(), svc.Routing.Test); !ok && g.TestListener != "" {
			n.Plan.Refused = refusal(deploy.ReasonInstallFailed, "The test listener %s does not exist.", g.TestListener)
		}
		return nil
	})
	if err != nil || n.Plan.Refused != nil {
		return err
	}
	st := w.cloud.State()
	if st.Tests(key, n.Blue.ID) {
		n.TestSide = deploy.SideBlue
	}
	for _, ts := range st.Sets(key) {
		if ts.ID == n.Blue.ID || ts.Released() {
			continue
		}
		if err := w.cloud.Release(ctx, ts.ID, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

func cloned(m map[string]cloud.SetInfo) map[string]cloud.SetInfo {
	n := map[string]cloud.SetInfo{}
	maps.Copy(n, m)
	return n
}

// listenerKey is the key of a listener from its ARN.
func listenerKey(arn string) string {
	_, rest, ok := strings.Cut(arn, ":listener/")
	if !ok {
		return ""
	}
	p := strings.Split(rest, "/")
	if len(p) != 4 {
		return ""
	}
	return p[1] + "/" + p[3]
}

// alarms are the states of the alarms that the installation keeps; it implements engine.Alarms.
type alarms struct{ cloud *cloud.Cloud }

// Changed implements engine.AlarmSignal.
func (a alarms) Changed() <-chan struct{} { return a.cloud.Changed() }

// Observe implements engine.Alarms.
func (a alarms) Observe(_ context.Context, names []string) ([]string, error) {
	st := a.cloud.State()
	var on []string
	var missing []error
	for _, name := range names {
		alarm, ok := cloud.Find[cloud.Alarm](st, name)
		switch {
		case !ok:
			missing = append(missing, deploy.Permanent(fmt.Errorf("alarm %s does not exist", name)))
		case alarm.State == cloud.AlarmInAlarm:
			on = append(on, name)
		}
	}
	return on, errors.Join(missing...)
}

// serviceTarget is where the deployments of a service of the wire go.
func (w *wire) serviceTarget(svc cloud.ECSService) awsapi.Target {
	t := awsapi.Target{Cluster: svc.Cluster, Service: svc.Name, TargetGroups: svc.Routing.TargetGroups}
	for _, g := range cloud.All[cloud.DeploymentGroup](w.cloud.State()) {
		if g.ServiceKey() == svc.ResourceKey() {
			t.ProductionListener, t.TestListener, t.TargetGroups = g.ProductionListener, g.TestListener, g.TargetGroups
		}
	}
	return t
}
