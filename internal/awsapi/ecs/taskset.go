package ecs

import (
	"context"
	"maps"
	"slices"
	"strings"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

func (s *Service) taskSetHandlers(h awsapi.Handlers) {
	h["CreateTaskSet"] = awsapi.Handle(s.createTaskSet, func(in *shape.CreateTaskSetRequest) []string { return s.setsOf(in.Cluster, in.Service) })
	h["DescribeTaskSets"] = awsapi.Handle(s.describeTaskSets, func(in *shape.DescribeTaskSetsRequest) []string { return s.setsOf(in.Cluster, in.Service) })
	h["UpdateTaskSet"] = awsapi.Handle(s.updateTaskSet, func(in *shape.UpdateTaskSetRequest) []string { return s.setsOf(in.Cluster, in.Service) })
	h["DeleteTaskSet"] = awsapi.Handle(s.deleteTaskSet, func(in *shape.DeleteTaskSetRequest) []string { return s.setsOf(in.Cluster, in.Service) })
	h["UpdateServicePrimaryTaskSet"] = awsapi.Handle(s.updatePrimary, func(in *shape.UpdateServicePrimaryTaskSetRequest) []string {
		return []string{s.serviceARN(cloud.ServiceKey(in.Cluster, in.Service))}
	})
}

func (s *Service) setsOf(cluster, service string) []string {
	return []string{s.arn("task-set/" + cloud.ServiceKey(cluster, service) + "/*")}
}

// external finds a service whose task sets are its owner's.
func (s *Service) external(st cloud.State, clusterRef, ref string) (cloud.ECSService, error) {
	svc, err := s.service(st, clusterRef, ref)
	if err == nil && svc.Controller != cloud.ControllerExternal {
		return svc, awsapi.Fault("InvalidParameterException", "Task sets can be changed only of services with the EXTERNAL deployment controller.")
	}
	svc.Sets = maps.Clone(svc.Sets)
	if svc.Sets == nil {
		svc.Sets = map[string]cloud.SetInfo{}
	}
	return svc, err
}

func scaleOf(in *shape.Scale) (float64, error) {
	if in == nil || in.Value == nil {
		return 0, nil
	}
	if *in.Value < 0 || *in.Value > 100 {
		return 0, awsapi.Fault("InvalidParameterException", "The scale %v is not between 0 and 100 per cent.", *in.Value)
	}
	return *in.Value, nil
}

func (s *Service) createTaskSet(ctx context.Context, _ awsapi.Principal, in *shape.CreateTaskSetRequest) (*shape.CreateTaskSetResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	scale, err := scaleOf(in.Scale)
	if err != nil {
		return nil, err
	}
	info := cloud.SetInfo{ExternalID: in.ExternalID, Token: in.ClientToken, Scale: scale, Created: s.cfg.Now(), Tags: tagMap(in.Tags)}
	if info.Input, err = encode(in); err != nil {
		return nil, err
	}
	var ts deploy.TaskSet
	err = s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		svc, err := s.external(d.State(), in.Cluster, in.Service)
		if err != nil {
			return err
		}
		for id, old := range svc.Sets {
			if info.Token != "" && old.Token == info.Token {
				ts = d.State().TaskSets[id].TaskSet
				return nil
			}
		}
		if ts, err = s.newTaskSet(d.State(), svc, &info, in); err != nil {
			return err
		}
		svc.Sets[ts.ID] = info
		ts.Tasks = computed(svc, ts.ID)
		d.Put(svc)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Runtime.Ensure(ctx, ts); err != nil {
		return nil, awsapi.Fault("InvalidParameterException", "The task set cannot be started: %v", err)
	}
	v, err := s.oneTaskSet(ctx, cloud.ServiceKey(in.Cluster, in.Service), ts.ID)
	return &shape.CreateTaskSetResponse{TaskSet: v}, err
}

func (s *Service) newTaskSet(st cloud.State, svc cloud.ECSService, info *cloud.SetInfo, in *shape.CreateTaskSetRequest) (deploy.TaskSet, error) {
	def, ok := cloud.FindTaskDefinition(st, in.TaskDefinition)
	if !ok || def.Status != statusActive {
		return deploy.TaskSet{}, awsapi.Fault("ClientException", "TaskDefinition not found or not active: '%s'.", in.TaskDefinition)
	}
	endpoints, err := s.endpoints(st, def, in.LoadBalancers)
	if err != nil {
		return deploy.TaskSet{}, err
	}
	if len(endpoints) > 1 {
		return deploy.TaskSet{}, awsapi.Fault("InvalidParameterException", "A task set has at most one load balancer.")
	}
	if len(endpoints) == 1 {
		info.Endpoint = endpoints[0]
	}
	ts, err := st.TaskSetOf(svc, def, info.Endpoint, NewTaskSetID())
	return ts, worded(err)
}

func (s *Service) oneTaskSet(ctx context.Context, service, id string) (*shape.TaskSet, error) {
	st := s.cfg.Resources.State()
	svc, _ := cloud.Find[cloud.ECSService](st, service)
	ts, ok := st.TaskSets[id]
	if !ok || ts.Service != service {
		return nil, awsapi.Fault("TaskSetNotFoundException", "TaskSet not found.")
	}
	return s.taskSetShape(ctx, st, svc, ts)
}

// setID is the id of a task set from its id, its digits or its ARN.
func setID(ref string) string {
	if i := strings.LastIndex(ref, "ecs-svc/"); i >= 0 {
		return ref[i:]
	}
	return ref
}

func (s *Service) describeTaskSets(ctx context.Context, _ awsapi.Principal, in *shape.DescribeTaskSetsRequest) (*shape.DescribeTaskSetsResponse, error) {
	st := s.cfg.Resources.State()
	svc, err := s.service(st, in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeTaskSetsResponse{TaskSets: []shape.TaskSet{}, Failures: []shape.Failure{}}
	for _, ts := range st.Sets(svc.ResourceKey()) {
		if len(in.TaskSets) > 0 && !slices.ContainsFunc(in.TaskSets, func(ref string) bool { return setID(ref) == ts.ID }) {
			continue
		}
		v, err := s.taskSetShape(ctx, st, svc, ts)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(in.Include, "TAGS") {
			v.Tags = nil
		}
		out.TaskSets = append(out.TaskSets, *v)
	}
	for _, ref := range in.TaskSets {
		if ts, ok := st.TaskSets[setID(ref)]; !ok || ts.Service != svc.ResourceKey() {
			out.Failures = append(out.Failures, shape.Failure{ARN: ref, Reason: reasonMissing})
		}
	}
	return out, nil
}

// editSet changes what is known of one task set.
func (s *Service) editSet(ctx context.Context, clusterRef, serviceRef, ref string, edit func(svc *cloud.ECSService, ts cloud.TaskSet) error) (cloud.ECSService, string, error) {
	id := setID(ref)
	var svc cloud.ECSService
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		var err error
		if svc, err = s.external(d.State(), clusterRef, serviceRef); err != nil {
			return err
		}
		ts, ok := d.State().TaskSets[id]
		if !ok || ts.Service != svc.ResourceKey() {
			return awsapi.Fault("TaskSetNotFoundException", "TaskSet not found.")
		}
		if err := edit(&svc, ts); err != nil {
			return err
		}
		d.Put(svc)
		return nil
	})
	return svc, id, err
}

func (s *Service) updateTaskSet(ctx context.Context, _ awsapi.Principal, in *shape.UpdateTaskSetRequest) (*shape.UpdateTaskSetResponse, error) {
	scale, err := scaleOf(in.Scale)
	if err != nil {
		return nil, err
	}
	svc, id, err := s.editSet(ctx, in.Cluster, in.Service, in.TaskSet, func(svc *cloud.ECSService, ts cloud.TaskSet) error {
		info := svc.Sets[ts.ID]
		info.Scale = scale
		svc.Sets[ts.ID] = info
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.scale(ctx, svc); err != nil {
		return nil, err
	}
	v, err := s.oneTaskSet(ctx, svc.ResourceKey(), id)
	return &shape.UpdateTaskSetResponse{TaskSet: v}, err
}

func (s *Service) deleteTaskSet(ctx context.Context, _ awsapi.Principal, in *shape.DeleteTaskSetRequest) (*shape.DeleteTaskSetResponse, error) {
	forced := in.Force != nil && *in.Force
	svc, id, err := s.editSet(ctx, in.Cluster, in.Service, in.TaskSet, func(svc *cloud.ECSService, ts cloud.TaskSet) error {
		// A set that was the primary one once may go without force: clients that shift traffic rely on it.
		if ts.ID == svc.Primary && !forced {
			return awsapi.Fault("InvalidParameterException", "The primary task set cannot be deleted without force.")
		}
		if ts.ID == svc.Primary {
			svc.Primary, svc.TaskDefinition = "", ""
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Runtime.Release(ctx, id, s.cfg.Now().Add(drainLimit)); err != nil {
		return nil, err
	}
	v, err := s.oneTaskSet(ctx, svc.ResourceKey(), id)
	return &shape.DeleteTaskSetResponse{TaskSet: v}, err
}

func (s *Service) updatePrimary(ctx context.Context, _ awsapi.Principal, in *shape.UpdateServicePrimaryTaskSetRequest) (*shape.UpdateServicePrimaryTaskSetResponse, error) {
	svc, id, err := s.editSet(ctx, in.Cluster, in.Service, in.PrimaryTaskSet, func(svc *cloud.ECSService, ts cloud.TaskSet) error {
		svc.Primary = ts.ID
		svc.TaskDefinition = cloud.ShortTaskDefinition(ts.Revision.TaskDefinition)
		return nil
	})
	if err != nil {
		return nil, err
	}
	v, err := s.oneTaskSet(ctx, svc.ResourceKey(), id)
	return &shape.UpdateServicePrimaryTaskSetResponse{TaskSet: v}, err
}
