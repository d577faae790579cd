package ecs

import (
	"context"
	"slices"
	"strings"

	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/cloud"
)

// groupName is the name of a target group from its ARN.
func groupName(arn string) string {
	_, rest, ok := strings.Cut(arn, ":targetgroup/")
	if !ok {
		return arn
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func (s *Service) groupARN(st cloud.State, name string) string {
	g, _ := cloud.Find[cloud.TargetGroup](st, name)
	return "arn:aws:elasticloadbalancing:" + s.cfg.Region + ":" + s.cfg.AccountID + ":targetgroup/" + name + "/" + g.ID
}

func (s *Service) balancers(st cloud.State, endpoints ...cloud.ServiceEndpoint) []shape.LoadBalancer {
	out := []shape.LoadBalancer{}
	for _, e := range endpoints {
		if e.TargetGroup != "" {
			out = append(out, shape.LoadBalancer{TargetGroupARN: s.groupARN(st, e.TargetGroup), ContainerName: e.Container, ContainerPort: new(int32(e.Port))}) //nolint:gosec // a port
		}
	}
	return out
}

// serviceShape is a service as it is now: what it was made with, and what its primary task set runs.
func (s *Service) serviceShape(ctx context.Context, st cloud.State, svc cloud.ECSService) (*shape.Service, error) {
	out := &shape.Service{}
	if err := convert(svc.Input, out); err != nil {
		return nil, err
	}
	out.ServiceARN, out.ServiceName, out.ClusterARN = s.serviceARN(svc.ResourceKey()), svc.Name, s.clusterARN(svc.Cluster)
	out.Status, out.CreatedAt, out.CreatedBy = svc.Status, shapes.At(svc.Created), svc.By
	out.DesiredCount, out.RunningCount, out.PendingCount = new(int32(svc.Desired)), new(int32(0)), new(int32(0)) //nolint:gosec // at most 1000
	out.DeploymentController = &shape.DeploymentController{Type: shape.DeploymentControllerType(svc.Controller)}
	out.Tags, out.Events, out.SchedulingStrategy = tagList(svc.Tags), []shape.ServiceEvent{}, "REPLICA"
	out.LoadBalancers = s.balancers(st, svc.LoadBalancers...)
	out.TaskDefinition = ""
	if svc.TaskDefinition != "" {
		out.TaskDefinition = s.definitionARN(svc.TaskDefinition)
	}
	if info, ok := svc.Sets[svc.Primary]; ok && info.Endpoint.TargetGroup != "" {
		out.LoadBalancers = s.balancers(st, info.Endpoint)
	}
	sets := st.Sets(svc.ResourceKey())
	slices.SortStableFunc(sets, func(a, b cloud.TaskSet) int { // clients take the first for the primary one
		switch {
		case a.ID == svc.Primary:
			return -1
		case b.ID == svc.Primary:
			return 1
		}
		return 0
	})
	out.TaskSets, out.Deployments = []shape.TaskSet{}, []shape.Deployment{}
	for _, ts := range sets {
		v, err := s.taskSetShape(ctx, st, svc, ts)
		if err != nil {
			return nil, err
		}
		*out.RunningCount += *v.RunningCount
		*out.PendingCount += *v.PendingCount
		if svc.Controller != cloud.ControllerECS {
			out.TaskSets = append(out.TaskSets, *v)
		}
		if ts.ID == svc.Primary || svc.Controller == cloud.ControllerECS {
			out.Deployments = append(out.Deployments, rollout(v))
		}
	}
	if svc.Controller == cloud.ControllerECS {
		s.rollouts(st, svc, out)
	}
	return out, nil
}

// rollout is the one entry of deployments that waiters want: they compare its counts.
func rollout(v *shape.TaskSet) shape.Deployment {
	d := shape.Deployment{
		ID: v.ID, Status: v.Status, TaskDefinition: v.TaskDefinition, DesiredCount: v.ComputedDesiredCount, RunningCount: v.RunningCount,
		PendingCount: v.PendingCount, FailedTasks: new(int32(0)), CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt, RolloutState: "IN_PROGRESS",
		LaunchType: v.LaunchType, PlatformVersion: v.PlatformVersion, NetworkConfiguration: v.NetworkConfiguration,
	}
	if v.StabilityStatus == "STEADY_STATE" {
		d.RolloutState = "COMPLETED"
	}
	return d
}

// taskSetShape is a task set as it is now.
func (s *Service) taskSetShape(ctx context.Context, st cloud.State, svc cloud.ECSService, ts cloud.TaskSet) (*shape.TaskSet, error) {
	info := svc.Sets[ts.ID]
	if info.Endpoint.TargetGroup == "" && ts.TargetGroup != "" && len(svc.LoadBalancers) > 0 {
		info.Endpoint = svc.LoadBalancers[0]
		info.Endpoint.TargetGroup = ts.TargetGroup
	}
	out := &shape.TaskSet{}
	for _, input := range [][]byte{svc.Input, info.Input} { // a task set inherits what it does not say itself
		if err := convert(input, out); err != nil {
			return nil, err
		}
	}
	status, err := s.cfg.Runtime.Observe(ctx, ts.ID)
	if err != nil {
		return nil, err
	}
	out.ID, out.TaskSetARN = ts.ID, s.arn("task-set/"+svc.ResourceKey()+"/"+ts.ID)
	out.ServiceARN, out.ClusterARN = s.serviceARN(svc.ResourceKey()), s.clusterARN(svc.Cluster)
	out.TaskDefinition, out.ExternalID, out.StartedBy = s.definitionARN(cloud.ShortTaskDefinition(ts.Revision.TaskDefinition)), info.ExternalID, info.StartedBy
	out.ComputedDesiredCount, out.RunningCount = new(int32(ts.Tasks)), new(int32(status.Running)) //nolint:gosec // at most 1000
	out.PendingCount = new(int32(max(0, ts.Tasks-status.Running)))                                //nolint:gosec // at most 1000
	out.LoadBalancers, out.Tags = s.balancers(st, info.Endpoint), tagList(info.Tags)
	out.CreatedAt, out.UpdatedAt, out.StabilityStatusAt = shapes.At(ts.Created), shapes.At(ts.Created), shapes.At(ts.Created)
	scale := info.Scale
	if _, known := svc.Sets[ts.ID]; !known {
		scale = 100
	}
	out.Status, out.StabilityStatus = statusActive, "STABILIZING"
	switch {
	case ts.Released():
		out.Status, scale = statusDraining, 0
		*out.ComputedDesiredCount, *out.PendingCount = 0, 0
	case ts.ID == svc.Primary:
		out.Status = statusPrimary
	}
	out.Scale = &shape.Scale{Value: &scale, Unit: "PERCENT"}
	if !ts.Released() && status.Healthy >= ts.Tasks {
		out.StabilityStatus = "STEADY_STATE"
	}
	return out, nil
}
