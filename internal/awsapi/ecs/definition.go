package ecs

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/cloud"
)

// Statuses of clusters, definitions and services.
const (
	statusActive   = "ACTIVE"
	statusInactive = "INACTIVE"
	statusDraining = "DRAINING"
	statusPrimary  = "PRIMARY"
	statusPending  = "PENDING"
	reasonMissing  = "MISSING"
)

func (s *Service) definitionHandlers(h awsapi.Handlers) {
	h["RegisterTaskDefinition"] = awsapi.HandleNeeds(s.registerTaskDefinition, s.registers)
	h["DescribeTaskDefinition"] = awsapi.Handle(s.describeTaskDefinition, nil)
	h["ListTaskDefinitions"] = awsapi.Handle(s.listTaskDefinitions, nil)
	h["ListTaskDefinitionFamilies"] = awsapi.Handle(s.listTaskDefinitionFamilies, nil)
	h["DeregisterTaskDefinition"] = awsapi.Handle(s.deregisterTaskDefinition, nil)
	h["DeleteTaskDefinitions"] = awsapi.Handle(s.deleteTaskDefinitions, nil)
}

// registers is what registering needs: the action, and the right to hand both roles to tasks.
func (s *Service) registers(_ awsapi.Principal, in *shape.RegisterTaskDefinitionRequest) []awsapi.AccessRequest {
	needs := []awsapi.AccessRequest{{Resource: s.definitionARN(in.Family + ":*")}}
	for _, role := range []string{in.TaskRoleARN, in.ExecutionRoleARN} {
		if role == "" {
			continue
		}
		if !strings.HasPrefix(role, "arn:") { // ECS takes names too
			role = "arn:aws:iam::" + s.cfg.AccountID + ":role/" + role
		}
		needs = append(needs, awsapi.PassRole(role, "ecs-tasks.amazonaws.com"))
	}
	return needs
}

var familyPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

func (s *Service) registerTaskDefinition(ctx context.Context, by awsapi.Principal, in *shape.RegisterTaskDefinitionRequest) (*shape.RegisterTaskDefinitionResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	switch {
	case !familyPattern.MatchString(in.Family):
		return nil, awsapi.Fault("ClientException", "Family should not be empty, and contain only letters, digits, hyphens and underscores, at most 255.")
	case len(in.ContainerDefinitions) == 0:
		return nil, awsapi.Fault("ClientException", "Container list cannot be empty.")
	}
	d := cloud.TaskDefinition{Family: in.Family, Status: statusActive, Registered: s.cfg.Now(), By: by.ARN, TaskRole: in.TaskRoleARN, Tags: tagMap(in.Tags)}
	for _, c := range in.ContainerDefinitions {
		for name, value := range map[string]string{"name": c.Name, "image": c.Image} {
			if value == "" {
				return nil, awsapi.Fault("ClientException", "Container.%s should not be null or empty.", name)
			}
		}
		if slices.ContainsFunc(d.Containers, func(o cloud.Container) bool { return o.Name == c.Name }) {
			return nil, awsapi.Fault("ClientException", "The container name '%s' is used twice.", c.Name)
		}
		d.Containers = append(d.Containers, container(c))
	}
	if !slices.ContainsFunc(d.Containers, func(c cloud.Container) bool { return c.Essential }) {
		return nil, awsapi.Fault("ClientException", "At least one container must be essential.")
	}
	var err error
	if d.Input, err = encode(in); err != nil {
		return nil, err
	}
	err = s.cfg.Resources.Update(ctx, func(draft *cloud.Draft) error {
		for _, o := range cloud.All[cloud.TaskDefinition](draft.State()) {
			if o.Family == d.Family {
				d.Revision = max(d.Revision, o.Revision)
			}
		}
		d.Revision++
		draft.Put(d)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out, err := s.definitionShape(d)
	return &shape.RegisterTaskDefinitionResponse{TaskDefinition: out, Tags: tagList(d.Tags)}, err
}

// container is what we use of a container definition.
func container(c shape.ContainerDefinition) cloud.Container {
	out := cloud.Container{
		Name: c.Name, Image: c.Image, EntryPoint: c.EntryPoint, Command: c.Command, Dir: c.WorkingDirectory, Essential: c.Essential == nil || *c.Essential,
	}
	for _, kv := range c.Environment {
		if out.Env == nil {
			out.Env = map[string]string{}
		}
		out.Env[kv.Name] = kv.Value
	}
	for _, p := range c.PortMappings {
		if p.ContainerPort != nil {
			out.Ports = append(out.Ports, int(*p.ContainerPort))
		}
	}
	if c.Cpu != nil {
		out.CPU = int(*c.Cpu)
	}
	if c.Memory != nil {
		out.MemoryMiB = int(*c.Memory)
	}
	if c.StopTimeout != nil {
		out.StopTimeout = time.Duration(*c.StopTimeout) * time.Second
	}
	return out
}

// definitionShape echoes a definition as it was registered, with AWS's defaults filled in.
func (s *Service) definitionShape(d cloud.TaskDefinition) (*shape.TaskDefinition, error) {
	out := &shape.TaskDefinition{}
	if err := convert(d.Input, out); err != nil {
		return nil, err
	}
	out.TaskDefinitionARN = s.definitionARN(d.ResourceKey())
	out.Revision = new(int32(d.Revision)) //nolint:gosec // far below 2^31
	out.Status = shape.TaskDefinitionStatus(d.Status)
	out.RegisteredAt, out.RegisteredBy = shapes.At(d.Registered), d.By
	if !d.Deregistered.IsZero() {
		out.DeregisteredAt = shapes.At(d.Deregistered)
	}
	for i := range out.ContainerDefinitions {
		c := &out.ContainerDefinitions[i]
		if c.Essential == nil {
			c.Essential = new(true)
		}
		if c.Cpu == nil {
			c.Cpu = new(int32(0))
		}
		c.Environment, c.PortMappings = listed(c.Environment), listed(c.PortMappings)
		c.MountPoints, c.VolumesFrom = listed(c.MountPoints), listed(c.VolumesFrom)
		for j := range c.PortMappings {
			p := &c.PortMappings[j]
			if p.Protocol == "" {
				p.Protocol = "tcp"
			}
			if p.HostPort == nil && out.NetworkMode == "awsvpc" {
				p.HostPort = p.ContainerPort
			}
		}
	}
	out.Volumes, out.PlacementConstraints = listed(out.Volumes), listed(out.PlacementConstraints)
	out.Compatibilities = []shape.Compatibility{"EC2", "FARGATE"}
	return out, nil
}

// listed is a list that is in the answer also where it is empty, as in AWS's.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (s *Service) definition(st cloud.State, ref string) (cloud.TaskDefinition, error) {
	d, ok := cloud.FindTaskDefinition(st, ref)
	if !ok {
		return d, awsapi.Fault("ClientException", "Unable to describe task definition.")
	}
	return d, nil
}

func (s *Service) describeTaskDefinition(_ context.Context, _ awsapi.Principal, in *shape.DescribeTaskDefinitionRequest) (*shape.DescribeTaskDefinitionResponse, error) {
	d, err := s.definition(s.cfg.Resources.State(), in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeTaskDefinitionResponse{}
	if slices.Contains(in.Include, "TAGS") {
		out.Tags = tagList(d.Tags)
	}
	out.TaskDefinition, err = s.definitionShape(d)
	return out, err
}

func (s *Service) listTaskDefinitions(_ context.Context, _ awsapi.Principal, in *shape.ListTaskDefinitionsRequest) (*shape.ListTaskDefinitionsResponse, error) {
	list := cloud.All[cloud.TaskDefinition](s.cfg.Resources.State())
	slices.SortFunc(list, func(a, b cloud.TaskDefinition) int {
		if c := strings.Compare(a.Family, b.Family); c != 0 {
			return c
		}
		return a.Revision - b.Revision
	})
	if in.Sort == "DESC" {
		slices.Reverse(list)
	}
	status := string(in.Status)
	if status == "" {
		status = statusActive
	}
	arns := []string{}
	for _, d := range list {
		// The family prefix of this operation is a whole family's name.
		if (in.FamilyPrefix == "" || d.Family == in.FamilyPrefix) && d.Status == status {
			arns = append(arns, s.definitionARN(d.ResourceKey()))
		}
	}
	items, next, err := page(arns, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &shape.ListTaskDefinitionsResponse{TaskDefinitionARNs: items, NextToken: next}, nil
}

func (s *Service) listTaskDefinitionFamilies(_ context.Context, _ awsapi.Principal, in *shape.ListTaskDefinitionFamiliesRequest) (*shape.ListTaskDefinitionFamiliesResponse, error) {
	families := []string{}
	for _, d := range cloud.All[cloud.TaskDefinition](s.cfg.Resources.State()) {
		status := in.Status == "" || in.Status == "ALL" || string(in.Status) == d.Status
		if strings.HasPrefix(d.Family, in.FamilyPrefix) && status {
			families = append(families, d.Family)
		}
	}
	slices.Sort(families)
	items, next, err := page(slices.Compact(families), in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &shape.ListTaskDefinitionFamiliesResponse{Families: items, NextToken: next}, nil
}

func (s *Service) deregisterTaskDefinition(ctx context.Context, _ awsapi.Principal, in *shape.DeregisterTaskDefinitionRequest) (*shape.DeregisterTaskDefinitionResponse, error) {
	var d cloud.TaskDefinition
	err := s.cfg.Resources.Update(ctx, func(draft *cloud.Draft) error {
		if !strings.Contains(cloud.ShortTaskDefinition(in.TaskDefinition), ":") {
			return awsapi.Fault("ClientException", "Revision is missing.")
		}
		var ok bool
		if d, ok = cloud.Find[cloud.TaskDefinition](draft.State(), cloud.ShortTaskDefinition(in.TaskDefinition)); !ok {
			return awsapi.Fault("ClientException", "The specified task definition does not exist.")
		}
		d.Status, d.Deregistered = statusInactive, s.cfg.Now()
		draft.Put(d)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out, err := s.definitionShape(d)
	return &shape.DeregisterTaskDefinitionResponse{TaskDefinition: out}, err
}

func (s *Service) deleteTaskDefinitions(ctx context.Context, _ awsapi.Principal, in *shape.DeleteTaskDefinitionsRequest) (*shape.DeleteTaskDefinitionsResponse, error) {
	out := &shape.DeleteTaskDefinitionsResponse{TaskDefinitions: []shape.TaskDefinition{}, Failures: []shape.Failure{}}
	err := s.cfg.Resources.Update(ctx, func(draft *cloud.Draft) error {
		for _, ref := range in.TaskDefinitions {
			d, ok := cloud.Find[cloud.TaskDefinition](draft.State(), cloud.ShortTaskDefinition(ref))
			if why := undeletable(ref, d, ok); why != "" {
				out.Failures = append(out.Failures, shape.Failure{ARN: ref, Reason: why})
				continue
			}
			v, err := s.definitionShape(d)
			if err != nil {
				return err
			}
			draft.Remove(d)
			v.Status = "DELETE_IN_PROGRESS"
			out.TaskDefinitions = append(out.TaskDefinitions, *v)
		}
		return nil
	})
	return out, err
}

// undeletable is why a task definition cannot be deleted, in ECS's words; empty where it can.
func undeletable(ref string, d cloud.TaskDefinition, known bool) string {
	switch {
	case !strings.Contains(cloud.ShortTaskDefinition(ref), ":"):
		return "The specified task definition identifier is invalid. Specify a valid name or ARN and try again."
	case !known:
		return "The specified task definition does not exist. Specify a valid account, family, revision and try again."
	case d.Status != statusInactive:
		return "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
	}
	return ""
}
