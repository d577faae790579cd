package ecs

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

// This file is about services with the ECS deployment controller: a task set each deployment, and the next steps of a
// rollout are taken by whoever watches the services.

func (s *Service) rolloutHandlers(h awsapi.Handlers) {
	h["ListServiceDeployments"] = awsapi.Handle(s.listServiceDeployments, func(in *shape.ListServiceDeploymentsRequest) []string {
		return []string{s.serviceARN(cloud.ServiceKey(in.Cluster, in.Service))}
	})
	h["DescribeServiceDeployments"] = awsapi.Handle(s.describeServiceDeployments, func(in *shape.DescribeServiceDeploymentsRequest) []string {
		return in.ServiceDeploymentARNs
	})
}

var errOneBalancer = awsapi.Fault("InvalidParameterException", "A service has at most one load balancer here.")

// Defaults of a rolling update (DeploymentConfiguration of the ECS model).
const (
	defaultMinHealthy = 100
	defaultMax        = 200
	maxPercent        = 200
)

// rolling reads how a service is to roll.
func rolling(in *shape.CreateServiceRequest) (cloud.RollingConfig, error) {
	c := cloud.RollingConfig{MinHealthy: defaultMinHealthy, Max: defaultMax}
	if in.HealthCheckGracePeriodSeconds != nil {
		c.Grace = int(*in.HealthCheckGracePeriodSeconds)
	}
	if d := in.DeploymentConfiguration; d != nil {
		if err := unguarded(d); err != nil {
			return c, err
		}
		c = configured(c, d)
	}
	switch {
	case c.MinHealthy < 0 || c.MinHealthy > 100:
		return c, awsapi.Fault("InvalidParameterException", "minimumHealthyPercent %d is not between 0 and 100.", c.MinHealthy)
	case c.Max < 100 || c.Max > maxPercent:
		return c, awsapi.Fault("InvalidParameterException", "maximumPercent %d is not between 100 and %d.", c.Max, maxPercent)
	case c.MinHealthy == 100 && c.Max == 100:
		return c, awsapi.Fault("InvalidParameterException", "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")
	}
	return c, nil
}

// unguarded refuses what would have to guard a deployment and is not there.
func unguarded(d *shape.DeploymentConfiguration) error {
	switch {
	case d.Alarms != nil && d.Alarms.Enable != nil && *d.Alarms.Enable, len(d.LifecycleHooks) > 0:
		return awsapi.Fault("InvalidParameterException", "Alarms and lifecycle hooks of ECS deployments are not served, and would not guard them; use the CODE_DEPLOY deployment controller.")
	case d.Strategy != "" && d.Strategy != shape.DeploymentStrategyRolling:
		return awsapi.Fault("InvalidParameterException", "The deployment strategy %s of ECS is not served; use ROLLING, or the CODE_DEPLOY deployment controller.", d.Strategy)
	}
	return nil
}

func configured(c cloud.RollingConfig, d *shape.DeploymentConfiguration) cloud.RollingConfig {
	if d.MinimumHealthyPercent != nil {
		c.MinHealthy = int(*d.MinimumHealthyPercent)
	}
	if d.MaximumPercent != nil {
		c.Max = int(*d.MaximumPercent)
	}
	if b := d.DeploymentCircuitBreaker; b != nil {
		c.Breaker, c.Rollback = b.Enable != nil && *b.Enable, b.Rollback != nil && *b.Rollback
	}
	return c
}

// roll notes that the primary task set of a service is being rolled out.
func (s *Service) roll(d *cloud.Draft, svc cloud.ECSService) {
	r, _ := cloud.Find[cloud.Rollouts](d.State(), svc.ResourceKey())
	r.Service = svc.ResourceKey()
	now := s.cfg.Now()
	d.Put(r.With(cloud.Rollout{TaskSet: svc.Primary, TaskDefinition: svc.TaskDefinition, State: cloud.RolloutInProgress, Created: now, Updated: now}))
}

// rollTo stores an update, and with it the task set that a service with the ECS controller is to move to, if any.
func (s *Service) rollTo(d *cloud.Draft, svc *cloud.ECSService, in *shape.UpdateServiceRequest) (*deploy.TaskSet, error) {
	if svc.Controller != cloud.ControllerECS {
		d.Put(*svc)
		return nil, nil //nolint:nilnil // nothing to move to is no error
	}
	var merged shape.CreateServiceRequest
	err := convert(svc.Input, &merged)
	if err == nil {
		svc.Rolling, err = rolling(&merged)
	}
	if err != nil {
		return nil, err
	}
	forced := in.ForceNewDeployment != nil && *in.ForceNewDeployment
	def, ok := cloud.FindTaskDefinition(d.State(), svc.TaskDefinition)
	if in.TaskDefinition != "" {
		def, ok = cloud.FindTaskDefinition(d.State(), in.TaskDefinition)
		ok = ok && def.Status == statusActive
	}
	if !ok {
		return nil, awsapi.Fault("ClientException", "TaskDefinition not found or not active: '%s'.", in.TaskDefinition)
	}
	if def.ResourceKey() == svc.TaskDefinition && !forced && len(in.LoadBalancers) == 0 {
		d.Put(*svc)
		return nil, nil //nolint:nilnil // as above
	}
	return s.newRollout(d, svc, def, in.LoadBalancers)
}

func (s *Service) newRollout(d *cloud.Draft, svc *cloud.ECSService, def cloud.TaskDefinition, balancers []shape.LoadBalancer) (*deploy.TaskSet, error) {
	if !svc.Rolling.Moves(svc.Desired) {
		return nil, awsapi.Fault("InvalidParameterException",
			"With minimumHealthyPercent %d, maximumPercent %d and a desired count of %d no task may be stopped and none started: the deployment could not begin.",
			svc.Rolling.MinHealthy, svc.Rolling.Max, svc.Desired)
	}
	if len(balancers) > 1 {
		return nil, errOneBalancer
	}
	if len(balancers) > 0 {
		var err error
		if svc.LoadBalancers, err = s.endpoints(d.State(), def, balancers); err != nil {
			return nil, err
		}
	}
	info := cloud.SetInfo{Scale: 100, Created: s.cfg.Now()}
	if len(svc.LoadBalancers) > 0 {
		info.Endpoint = svc.LoadBalancers[0]
	}
	ts, err := d.State().TaskSetOf(*svc, def, info.Endpoint, NewTaskSetID())
	if err != nil {
		return nil, worded(err)
	}
	ts.Tasks = 0 // the rollout gives it tasks
	svc.Sets = maps.Clone(svc.Sets)
	maps.DeleteFunc(svc.Sets, func(id string, _ cloud.SetInfo) bool { _, runs := d.State().TaskSets[id]; return !runs })
	svc.Sets[ts.ID] = info
	svc.Primary, svc.TaskDefinition = ts.ID, def.ResourceKey()
	d.Put(*svc)
	s.roll(d, *svc)
	return &ts, nil
}

// rollouts tells how the deployments of a service go, and what its scheduler said.
func (s *Service) rollouts(st cloud.State, svc cloud.ECSService, out *shape.Service) {
	r, _ := cloud.Find[cloud.Rollouts](st, svc.ResourceKey())
	current, ok := r.Find(svc.Primary)
	if ok && !slices.ContainsFunc(out.Deployments, func(d shape.Deployment) bool { return d.ID == svc.Primary }) {
		zero := int32(0)
		out.Deployments = append([]shape.Deployment{{
			ID: svc.Primary, Status: statusPrimary, TaskDefinition: s.definitionARN(svc.TaskDefinition), DesiredCount: &zero, RunningCount: &zero,
			PendingCount: &zero, CreatedAt: shapes.At(current.Created),
		}}, out.Deployments...)
	}
	for i := range out.Deployments {
		d := &out.Deployments[i]
		if d.Status != statusPrimary {
			d.Status = statusActive
		}
		o, ok := r.Find(d.ID)
		if !ok {
			continue
		}
		d.RolloutState, d.RolloutStateReason = shape.DeploymentRolloutState(o.State), o.Reason
		if o.State == cloud.RolloutReplaced {
			d.RolloutState = shape.DeploymentRolloutStateInProgress
		}
		if d.Status == statusPrimary {
			d.DesiredCount = out.DesiredCount
		}
		d.FailedTasks, d.UpdatedAt = new(int32(o.Failed)), shapes.At(o.Updated) //nolint:gosec // tasks of one service
	}
	for _, e := range r.Events {
		out.Events = append(out.Events, shape.ServiceEvent{ID: e.ID, CreatedAt: shapes.At(e.At), Message: e.Message})
	}
}

func (s *Service) rolloutARN(service, id string) string {
	return s.arn("service-deployment/" + service + "/" + strings.TrimPrefix(id, "ecs-svc/"))
}

// rolloutStatus is what ServiceDeployments call the state of a rollout.
func rolloutStatus(r cloud.Rollouts, o cloud.Rollout) shape.ServiceDeploymentStatus {
	switch {
	case o.State == cloud.RolloutInProgress:
		return shape.ServiceDeploymentStatusInProgress
	case o.State == cloud.RolloutCompleted:
		return shape.ServiceDeploymentStatusSuccessful
	case o.State == cloud.RolloutReplaced || o.To == "":
		return shape.ServiceDeploymentStatusStopped
	}
	switch to, _ := r.Find(o.To); to.State {
	case cloud.RolloutCompleted:
		return shape.ServiceDeploymentStatusRollbackSuccessful
	case cloud.RolloutFailed:
		return shape.ServiceDeploymentStatusRollbackFailed
	}
	return shape.ServiceDeploymentStatusRollbackInProgress
}

func finished(o cloud.Rollout) *shapes.Timestamp {
	if o.State == cloud.RolloutInProgress {
		return nil
	}
	return shapes.At(o.Updated)
}

func (s *Service) listServiceDeployments(_ context.Context, _ awsapi.Principal, in *shape.ListServiceDeploymentsRequest) (*shape.ListServiceDeploymentsResponse, error) {
	st := s.cfg.Resources.State()
	svc, err := s.service(st, in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	r, _ := cloud.Find[cloud.Rollouts](st, svc.ResourceKey())
	briefs := map[string]shape.ServiceDeploymentBrief{}
	arns := []string{}
	for _, o := range slices.Backward(r.List) {
		status := rolloutStatus(r, o)
		if len(in.Status) > 0 && !slices.Contains(in.Status, status) || !within(o.Created, in.CreatedAt) {
			continue
		}
		arn := s.rolloutARN(r.Service, o.TaskSet)
		arns = append(arns, arn)
		briefs[arn] = shape.ServiceDeploymentBrief{
			ServiceDeploymentARN: arn, ServiceARN: s.serviceARN(r.Service), ClusterARN: s.clusterARN(svc.Cluster), Status: status, StatusReason: o.Reason,
			CreatedAt: shapes.At(o.Created), StartedAt: shapes.At(o.Created), FinishedAt: finished(o),
		}
	}
	items, next, err := page(arns, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &shape.ListServiceDeploymentsResponse{ServiceDeployments: []shape.ServiceDeploymentBrief{}, NextToken: next}
	for _, arn := range items {
		out.ServiceDeployments = append(out.ServiceDeployments, briefs[arn])
	}
	return out, nil
}

func within(t time.Time, span *shape.CreatedAt) bool {
	return span == nil || (span.After == nil || t.After(span.After.Time)) && (span.Before == nil || t.Before(span.Before.Time))
}

func (s *Service) describeServiceDeployments(_ context.Context, _ awsapi.Principal, in *shape.DescribeServiceDeploymentsRequest) (*shape.DescribeServiceDeploymentsResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	st := s.cfg.Resources.State()
	out := &shape.DescribeServiceDeploymentsResponse{ServiceDeployments: []shape.ServiceDeployment{}, Failures: []shape.Failure{}}
	for _, arn := range in.ServiceDeploymentARNs {
		_, rest, _ := strings.Cut(arn, ":service-deployment/")
		p := strings.Split(rest, "/")
		var r cloud.Rollouts
		var o cloud.Rollout
		known := len(p) == 3
		if known {
			r, _ = cloud.Find[cloud.Rollouts](st, p[0]+"/"+p[1])
			o, known = r.Find("ecs-svc/" + p[2])
		}
		if !known {
			out.Failures = append(out.Failures, shape.Failure{ARN: arn, Reason: reasonMissing})
			continue
		}
		svc, _ := cloud.Find[cloud.ECSService](st, r.Service)
		out.ServiceDeployments = append(out.ServiceDeployments, s.serviceDeployment(svc, r, o))
	}
	return out, nil
}

func (s *Service) serviceDeployment(svc cloud.ECSService, r cloud.Rollouts, o cloud.Rollout) shape.ServiceDeployment {
	v := shape.ServiceDeployment{
		ServiceDeploymentARN: s.rolloutARN(r.Service, o.TaskSet), ServiceARN: s.serviceARN(r.Service), ClusterARN: s.clusterARN(svc.Cluster),
		Status: rolloutStatus(r, o), StatusReason: o.Reason, CreatedAt: shapes.At(o.Created), StartedAt: shapes.At(o.Created),
		UpdatedAt: shapes.At(o.Updated), FinishedAt: finished(o),
		DeploymentConfiguration: &shape.DeploymentConfiguration{
			MinimumHealthyPercent: new(int32(svc.Rolling.MinHealthy)), MaximumPercent: new(int32(svc.Rolling.Max)), //nolint:gosec // per cent
			DeploymentCircuitBreaker: &shape.DeploymentCircuitBreaker{Enable: &svc.Rolling.Breaker, Rollback: &svc.Rolling.Rollback},
		},
	}
	breaker := shape.ServiceDeploymentCircuitBreaker{
		Status: shape.ServiceDeploymentRollbackMonitorsStatusDisabled, FailureCount: new(int32(o.Failed)), Threshold: new(int32(svc.Rolling.Threshold(svc.Desired))), //nolint:gosec // tasks
	}
	switch {
	case !svc.Rolling.Breaker:
	case o.State == cloud.RolloutFailed:
		breaker.Status = shape.ServiceDeploymentRollbackMonitorsStatusTriggered
	case o.State == cloud.RolloutInProgress:
		breaker.Status = shape.ServiceDeploymentRollbackMonitorsStatusMonitoring
	default:
		breaker.Status = shape.ServiceDeploymentRollbackMonitorsStatusMonitoringComplete
	}
	v.DeploymentCircuitBreaker = &breaker
	if o.To != "" {
		v.Rollback = &shape.Rollback{Reason: o.Reason, StartedAt: shapes.At(o.Updated)}
	}
	return v
}
