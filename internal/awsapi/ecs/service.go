package ecs

import (
	"context"
	"slices"
	"time"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

func (s *Service) serviceHandlers(h awsapi.Handlers) {
	h["CreateService"] = awsapi.Handle(s.createService, func(in *shape.CreateServiceRequest) []string {
		return []string{s.serviceARN(cloud.ServiceKey(in.Cluster, in.ServiceName))}
	})
	h["UpdateService"] = awsapi.Handle(s.updateService, func(in *shape.UpdateServiceRequest) []string {
		return []string{s.serviceARN(cloud.ServiceKey(in.Cluster, in.Service))}
	})
	h["DeleteService"] = awsapi.Handle(s.deleteService, func(in *shape.DeleteServiceRequest) []string {
		return []string{s.serviceARN(cloud.ServiceKey(in.Cluster, in.Service))}
	})
	h["DescribeServices"] = awsapi.Handle(s.describeServices, func(in *shape.DescribeServicesRequest) []string {
		var arns []string
		for _, ref := range in.Services {
			arns = append(arns, s.serviceARN(cloud.ServiceKey(in.Cluster, ref)))
		}
		return arns
	})
	h["ListServices"] = awsapi.Handle(s.listServices, nil)
}

// drainLimit is how long streams may stay on a task set that ends (the default deregistration delay of a target group).
const drainLimit = 300 * time.Second

func (s *Service) createService(ctx context.Context, by awsapi.Principal, in *shape.CreateServiceRequest) (*shape.CreateServiceResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	if err := validName("Service", in.ServiceName); err != nil {
		return nil, err
	}
	svc := cloud.ECSService{
		Cluster: cloud.ClusterName(in.Cluster), Name: in.ServiceName, Controller: cloud.ControllerECS, Status: statusActive,
		Created: s.cfg.Now(), By: by.ARN, Tags: tagMap(in.Tags), Sets: map[string]cloud.SetInfo{},
	}
	if in.DeploymentController != nil && in.DeploymentController.Type != "" {
		svc.Controller = string(in.DeploymentController.Type)
	}
	if in.DesiredCount != nil {
		svc.Desired = int(*in.DesiredCount)
	}
	if svc.Desired < 0 || svc.Desired > 1000 {
		return nil, awsapi.Fault("InvalidParameterException", "The desired count %d is not between 0 and 1000.", svc.Desired)
	}
	if in.SchedulingStrategy == "DAEMON" {
		return nil, awsapi.Fault("InvalidParameterException", "The scheduling strategy DAEMON is not served; use REPLICA.")
	}
	var err error
	if svc.Input, err = encode(in); err != nil {
		return nil, err
	}
	if svc.Controller == cloud.ControllerECS {
		if svc.Rolling, err = rolling(in); err != nil {
			return nil, err
		}
	}
	var first deploy.TaskSet
	err = s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		first, err = s.newService(d.State(), &svc, in)
		if err != nil {
			return err
		}
		d.Put(svc)
		if svc.Controller == cloud.ControllerECS {
			s.roll(d, svc)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if first.ID != "" {
		if err := s.cfg.Runtime.Ensure(ctx, first); err != nil {
			return nil, s.failed(ctx, svc, err)
		}
	}
	out, err := s.serviceShape(ctx, s.cfg.Resources.State(), svc)
	return &shape.CreateServiceResponse{Service: out}, err
}

// failed takes a service back whose first task set could not be started.
func (s *Service) failed(ctx context.Context, svc cloud.ECSService, cause error) error {
	for id := range svc.Sets {
		if err := s.cfg.Runtime.Release(ctx, id, s.cfg.Now()); err != nil {
			return err
		}
	}
	remove := func(d *cloud.Draft) error {
		d.Remove(svc)
		d.Remove(cloud.Rollouts{Service: svc.ResourceKey()})
		return nil
	}
	if err := s.cfg.Resources.Update(ctx, remove); err != nil {
		return err
	}
	return awsapi.Fault("InvalidParameterException", "The first task set cannot be started: %v", cause)
}

// newService checks what the state says of a new service, and makes its first task set.
func (s *Service) newService(st cloud.State, svc *cloud.ECSService, in *shape.CreateServiceRequest) (deploy.TaskSet, error) {
	if _, err := cluster(st, in.Cluster); err != nil {
		return deploy.TaskSet{}, err
	}
	if old, ok := cloud.Find[cloud.ECSService](st, svc.ResourceKey()); ok && old.Status != statusInactive {
		return deploy.TaskSet{}, awsapi.Fault("InvalidParameterException", "Creation of service was not idempotent.")
	}
	if svc.Controller == cloud.ControllerExternal {
		if in.TaskDefinition != "" || len(in.LoadBalancers) > 0 || in.LaunchType != "" {
			return deploy.TaskSet{}, awsapi.Fault("InvalidParameterException", "taskDefinition, loadBalancers and launchType belong to the task sets of a service with the EXTERNAL deployment controller.")
		}
		return deploy.TaskSet{}, nil
	}
	def, ok := cloud.FindTaskDefinition(st, in.TaskDefinition)
	if !ok || def.Status != statusActive {
		return deploy.TaskSet{}, awsapi.Fault("ClientException", "TaskDefinition not found or not active: '%s'.", in.TaskDefinition)
	}
	svc.TaskDefinition = def.ResourceKey()
	var err error
	if svc.LoadBalancers, err = s.endpoints(st, def, in.LoadBalancers); err != nil {
		return deploy.TaskSet{}, err
	}
	if svc.Controller == cloud.ControllerCodeDeploy && len(svc.LoadBalancers) != 1 {
		return deploy.TaskSet{}, awsapi.Fault("InvalidParameterException", "A service with the CODE_DEPLOY deployment controller needs exactly one load balancer.")
	}
	if len(svc.LoadBalancers) > 1 {
		return deploy.TaskSet{}, errOneBalancer
	}
	var endpoint cloud.ServiceEndpoint
	if len(svc.LoadBalancers) > 0 {
		endpoint = svc.LoadBalancers[0]
	}
	ts, err := st.TaskSetOf(*svc, def, endpoint, NewTaskSetID())
	if err != nil {
		return deploy.TaskSet{}, worded(err)
	}
	svc.Primary = ts.ID
	svc.Sets[ts.ID] = cloud.SetInfo{Scale: 100, Endpoint: endpoint, Created: s.cfg.Now()}
	return ts, nil
}

// endpoints reads loadBalancers; each target group must be behind a listener (the wording is AWS's: Terraform waits on it).
func (s *Service) endpoints(st cloud.State, def cloud.TaskDefinition, list []shape.LoadBalancer) ([]cloud.ServiceEndpoint, error) {
	var out []cloud.ServiceEndpoint
	for _, lb := range list {
		name := groupName(lb.TargetGroupARN)
		if _, ok := cloud.Find[cloud.TargetGroup](st, name); !ok {
			return nil, awsapi.Fault("InvalidParameterException", "The target group %s does not exist.", lb.TargetGroupARN)
		}
		if !slices.ContainsFunc(cloud.All[cloud.ELBListener](st), func(l cloud.ELBListener) bool { return l.ForwardsTo(name) }) {
			return nil, awsapi.Fault("InvalidParameterException", "The target group with targetGroupArn %s does not have an associated load balancer.", lb.TargetGroupARN)
		}
		c, ok := def.Container(lb.ContainerName)
		if !ok || lb.ContainerName == "" {
			return nil, awsapi.Fault("InvalidParameterException", "The container %s does not exist in the task definition.", lb.ContainerName)
		}
		if lb.ContainerPort == nil || !slices.Contains(c.Ports, int(*lb.ContainerPort)) {
			return nil, awsapi.Fault("InvalidParameterException", "The container %s does not map the port of the load balancer.", c.Name)
		}
		out = append(out, cloud.ServiceEndpoint{TargetGroup: name, Container: c.Name, Port: int(*lb.ContainerPort)})
	}
	return out, nil
}

// service finds an active service.
func (s *Service) service(st cloud.State, clusterRef, ref string) (cloud.ECSService, error) {
	if _, err := cluster(st, clusterRef); err != nil {
		return cloud.ECSService{}, err
	}
	svc, ok := cloud.Find[cloud.ECSService](st, cloud.ServiceKey(clusterRef, ref))
	switch {
	case !ok:
		return svc, awsapi.Fault("ServiceNotFoundException", "Service not found.")
	case svc.Status != statusActive:
		return svc, awsapi.Fault("ServiceNotActiveException", "Service was not ACTIVE.")
	}
	return svc, nil
}

func (s *Service) updateService(ctx context.Context, _ awsapi.Principal, in *shape.UpdateServiceRequest) (*shape.UpdateServiceResponse, error) {
	var svc cloud.ECSService
	var next *deploy.TaskSet
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		var err error
		if svc, err = s.service(d.State(), in.Cluster, in.Service); err != nil {
			return err
		}
		if err := updatable(svc, in); err != nil {
			return err
		}
		if in.DesiredCount != nil {
			if *in.DesiredCount < 0 || *in.DesiredCount > 1000 {
				return awsapi.Fault("InvalidParameterException", "The desired count %d is not between 0 and 1000.", *in.DesiredCount)
			}
			svc.Desired = int(*in.DesiredCount)
		}
		if svc.Input, err = s.merge(svc, in); err != nil {
			return err
		}
		next, err = s.rollTo(d, &svc, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	if next != nil {
		err = s.cfg.Runtime.Ensure(ctx, *next)
	} else {
		err = s.scale(ctx, svc)
	}
	if err != nil {
		return nil, err
	}
	out, err := s.serviceShape(ctx, s.cfg.Resources.State(), svc)
	return &shape.UpdateServiceResponse{Service: out}, err
}

// updatable refuses what the deployment controller of a service does not let change.
func updatable(svc cloud.ECSService, in *shape.UpdateServiceRequest) error {
	forced := in.ForceNewDeployment != nil && *in.ForceNewDeployment
	switch {
	case svc.Controller == cloud.ControllerCodeDeploy && in.TaskDefinition != "":
		return awsapi.Fault("InvalidParameterException", "Unable to update task definition on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment.")
	case svc.Controller == cloud.ControllerCodeDeploy && forced:
		return awsapi.Fault("InvalidParameterException", "Cannot force a new deployment on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment.")
	case svc.Controller == cloud.ControllerCodeDeploy && (in.NetworkConfiguration != nil || len(in.LoadBalancers) > 0 || in.PlatformVersion != ""):
		return awsapi.Fault("InvalidParameterException", "Unable to update network parameters, load balancers and platform version on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment.")
	case svc.Controller == cloud.ControllerExternal && (in.TaskDefinition != "" || forced || in.NetworkConfiguration != nil || len(in.LoadBalancers) > 0):
		return awsapi.Fault("InvalidParameterException", "Unable to update a task definition, network parameters or load balancers on services with an EXTERNAL deployment controller; they belong to its task sets.")
	}
	return nil
}

// merge lets the given members of an update win over what the service was made with.
func (s *Service) merge(svc cloud.ECSService, in *shape.UpdateServiceRequest) ([]byte, error) {
	var merged shape.CreateServiceRequest
	if err := convert(svc.Input, &merged); err != nil {
		return nil, err
	}
	update, err := encode(in)
	if err != nil {
		return nil, err
	}
	if err := convert(update, &merged); err != nil {
		return nil, err
	}
	return encode(merged)
}

// scale makes every task set of a service as large as its share of the desired count. While a rollout goes on, its next
// steps do that.
func (s *Service) scale(ctx context.Context, svc cloud.ECSService) error {
	sets := s.cfg.Resources.State().Sets(svc.ResourceKey())
	if svc.Controller == cloud.ControllerECS && len(sets) > 1 {
		return nil
	}
	for _, ts := range sets {
		want := computed(svc, ts.ID)
		if ts.Released() || ts.Tasks == want {
			continue
		}
		ts.Tasks = want
		if err := s.cfg.Runtime.Ensure(ctx, ts.TaskSet); err != nil {
			return err
		}
	}
	return nil
}

// computed is the desired count of a task set: its scale in per cent of the service's, rounded up.
func computed(svc cloud.ECSService, id string) int {
	scale := 100.0
	if info, ok := svc.Sets[id]; ok {
		scale = info.Scale
	}
	n := float64(svc.Desired) * scale / 100
	if float64(int(n)) < n {
		return int(n) + 1
	}
	return int(n)
}

func (s *Service) deleteService(ctx context.Context, _ awsapi.Principal, in *shape.DeleteServiceRequest) (*shape.DeleteServiceResponse, error) {
	var svc cloud.ECSService
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		var err error
		if svc, err = s.service(d.State(), in.Cluster, in.Service); err != nil {
			return err
		}
		forced := in.Force != nil && *in.Force
		if !forced && svc.Desired > 0 && len(d.State().Sets(svc.ResourceKey())) > 0 {
			return awsapi.Fault("InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
		}
		svc.Status = statusInactive
		d.Put(svc)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, ts := range s.cfg.Resources.State().Sets(svc.ResourceKey()) {
		if err := s.cfg.Runtime.Release(ctx, ts.ID, s.cfg.Now().Add(drainLimit)); err != nil {
			return nil, err
		}
	}
	out, err := s.serviceShape(ctx, s.cfg.Resources.State(), svc)
	if err == nil {
		out.Status = statusDraining
	}
	return &shape.DeleteServiceResponse{Service: out}, err
}

func (s *Service) describeServices(ctx context.Context, _ awsapi.Principal, in *shape.DescribeServicesRequest) (*shape.DescribeServicesResponse, error) {
	st := s.cfg.Resources.State()
	if _, err := cluster(st, in.Cluster); err != nil {
		return nil, err
	}
	if len(in.Services) == 0 {
		return nil, awsapi.Fault("InvalidParameterException", "Services cannot be empty.")
	}
	out := &shape.DescribeServicesResponse{Services: []shape.Service{}, Failures: []shape.Failure{}}
	for _, ref := range in.Services {
		key := cloud.ServiceKey(in.Cluster, ref)
		svc, ok := cloud.Find[cloud.ECSService](st, key)
		if !ok {
			out.Failures = append(out.Failures, shape.Failure{ARN: s.serviceARN(key), Reason: reasonMissing})
			continue
		}
		v, err := s.serviceShape(ctx, st, svc)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(in.Include, "TAGS") {
			v.Tags = nil
		}
		out.Services = append(out.Services, *v)
	}
	return out, nil
}

func (s *Service) listServices(_ context.Context, _ awsapi.Principal, in *shape.ListServicesRequest) (*shape.ListServicesResponse, error) {
	st := s.cfg.Resources.State()
	c, err := cluster(st, in.Cluster)
	if err != nil {
		return nil, err
	}
	arns := []string{}
	for _, svc := range cloud.All[cloud.ECSService](st) {
		if svc.Cluster == c.Name && svc.Status == statusActive {
			arns = append(arns, s.serviceARN(svc.ResourceKey()))
		}
	}
	items, next, err := page(arns, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &shape.ListServicesResponse{ServiceARNs: items, NextToken: next}, nil
}
