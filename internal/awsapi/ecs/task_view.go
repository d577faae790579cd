package ecs

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/cloud"
)

// taskInput is what RunTask or CreateService said that a task only echoes.
type taskInput struct {
	LaunchType               shape.LaunchType                     `json:"launchType,omitzero"`
	PlatformVersion          string                               `json:"platformVersion,omitzero"`
	EnableExecuteCommand     *bool                                `json:"enableExecuteCommand,omitzero"`
	CapacityProviderStrategy []shape.CapacityProviderStrategyItem `json:"capacityProviderStrategy,omitzero"`
	NetworkConfiguration     *shape.NetworkConfiguration          `json:"networkConfiguration,omitzero"`
	Overrides                *shape.TaskOverride                  `json:"overrides,omitzero"`
}

func (s *Service) taskInput(t cloud.Task) (taskInput, error) {
	input := t.Input
	if service, ok := strings.CutPrefix(t.Group, serviceGroup); ok && len(input) == 0 {
		svc, _ := cloud.Find[cloud.ECSService](s.cfg.Resources.State(), t.Cluster+"/"+service)
		input = svc.Input
	}
	var in taskInput
	err := convert(input, &in)
	return in, err
}

// launchType is FARGATE where nobody says otherwise: tasks of this machine have no container instance.
func (s *Service) launchType(t cloud.Task) shape.LaunchType {
	in, err := s.taskInput(t)
	if err != nil || in.LaunchType == "" {
		return shape.LaunchTypeFargate
	}
	return in.LaunchType
}

// taskShape is a task as clients know it.
func (s *Service) taskShape(st cloud.State, t cloud.Task) (*shape.Task, error) {
	in, err := s.taskInput(t)
	if err != nil {
		return nil, err
	}
	def, _ := cloud.Find[cloud.TaskDefinition](st, t.TaskDefinition)
	var declared shape.RegisterTaskDefinitionRequest
	if err := convert(def.Input, &declared); err != nil {
		return nil, err
	}
	if in.Overrides == nil {
		in.Overrides = &shape.TaskOverride{ContainerOverrides: []shape.ContainerOverride{{Name: t.Container}}}
	}
	v := &shape.Task{
		TaskARN: s.taskARN(t.ResourceKey()), ClusterARN: s.clusterARN(t.Cluster), TaskDefinitionARN: s.definitionARN(t.TaskDefinition),
		Group: t.Group, StartedBy: t.StartedBy, LastStatus: t.Status, DesiredStatus: desired(t), HealthStatus: health(t),
		LaunchType: s.launchType(t), PlatformVersion: in.PlatformVersion, EnableExecuteCommand: in.EnableExecuteCommand, Overrides: in.Overrides,
		Cpu: cmp.Or(in.Overrides.Cpu, declared.Cpu), Memory: cmp.Or(in.Overrides.Memory, declared.Memory),
		CreatedAt: shapes.At(t.Created), StartedAt: at(t.Started), StoppingAt: at(t.Stopping), StoppedAt: at(t.Stopped), ExecutionStoppedAt: at(t.Stopped),
		StopCode: shape.TaskStopCode(t.StopCode), StoppedReason: t.StopReason, Tags: tagList(t.Tags), Attachments: []shape.Attachment{},
		Version: new(int64(1)),
	}
	if !t.Started.IsZero() {
		v.Connectivity, v.ConnectivityAt = shape.ConnectivityConnected, at(t.Started)
	}
	c := s.containerShape(def, t)
	if ip, port, ok := address(t); ok {
		attach(v, c, ip, in.NetworkConfiguration)
		bind(c, def, t, port)
	}
	v.Containers = []shape.Container{*c}
	return v, nil
}

func at(t time.Time) *shapes.Timestamp {
	if t.IsZero() {
		return nil
	}
	return shapes.At(t)
}

func health(t cloud.Task) shape.HealthStatus {
	return shape.HealthStatus(cmp.Or(t.Health, "UNKNOWN"))
}

func address(t cloud.Task) (ip string, port uint16, ok bool) {
	ap, err := netip.ParseAddrPort(t.Address)
	return ap.Addr().String(), ap.Port(), err == nil
}

func (s *Service) containerShape(def cloud.TaskDefinition, t cloud.Task) *shape.Container {
	d, _ := def.Container(t.Container)
	c := &shape.Container{
		ContainerARN: s.arn("container/" + t.ResourceKey() + "/" + t.Container), TaskARN: s.taskARN(t.ResourceKey()), Name: t.Container,
		Image: d.Image, LastStatus: t.Status, HealthStatus: health(t), Reason: t.Detail, RuntimeID: t.ID,
		Cpu: strconv.Itoa(d.CPU), NetworkInterfaces: []shape.NetworkInterface{}, NetworkBindings: []shape.NetworkBinding{},
	}
	if d.MemoryMiB > 0 {
		c.Memory = strconv.Itoa(d.MemoryMiB)
	}
	if t.Status != cloud.TaskStopped && t.Status != cloud.TaskRunning { // containers know fewer states than tasks
		c.LastStatus = statusPending
		if !t.Started.IsZero() && t.Status != cloud.TaskPending {
			c.LastStatus = statusRunning
		}
	}
	if t.ExitCode != nil {
		c.ExitCode = new(int32(*t.ExitCode)) //nolint:gosec // an exit code
	}
	return c
}

// attach tells the address of a task where clients look for it.
func attach(v *shape.Task, c *shape.Container, ip string, network *shape.NetworkConfiguration) {
	id := v.TaskARN[strings.LastIndexByte(v.TaskARN, '/')+1:]
	details := []shape.KeyValuePair{{Name: "privateIPv4Address", Value: ip}}
	if network != nil && network.AwsvpcConfiguration != nil && len(network.AwsvpcConfiguration.Subnets) > 0 {
		details = append(details, shape.KeyValuePair{Name: "subnetId", Value: network.AwsvpcConfiguration.Subnets[0]})
	}
	status := "ATTACHED"
	if v.LastStatus == cloud.TaskStopped {
		status = "DELETED"
	}
	v.Attachments = []shape.Attachment{{ID: id, Type: "ElasticNetworkInterface", Status: status, Details: details}}
	c.NetworkInterfaces = []shape.NetworkInterface{{AttachmentID: id, PrivateIpv4Address: ip}}
}

// bind tells on which port of this machine the container's first port is.
func bind(c *shape.Container, def cloud.TaskDefinition, t cloud.Task, port uint16) {
	ip, _, _ := address(t)
	if d, ok := def.Container(t.Container); ok && len(d.Ports) > 0 {
		c.NetworkBindings = []shape.NetworkBinding{{
			BindIP: ip, ContainerPort: new(int32(d.Ports[0])), HostPort: new(int32(port)), Protocol: shape.TransportProtocolTcp, //nolint:gosec // ports
		}}
	}
}
