package elb

import (
	"context"
	"net"
	"slices"
	"strconv"
	"time"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/elbv2"
	"greengate/internal/cloud"
)

func (s *Service) groupHandlers(h awsapi.Handlers) {
	h["CreateTargetGroup"] = awsapi.Handle(s.createTargetGroup, nil)
	h["DescribeTargetGroups"] = awsapi.Handle(s.describeTargetGroups, nil)
	h["ModifyTargetGroup"] = awsapi.Handle(s.modifyTargetGroup, func(in *shape.ModifyTargetGroupInput) []string { return one(in.TargetGroupARN) })
	h["DeleteTargetGroup"] = awsapi.Handle(s.deleteTargetGroup, func(in *shape.DeleteTargetGroupInput) []string { return one(in.TargetGroupARN) })
	h["DescribeTargetHealth"] = awsapi.Handle(s.describeTargetHealth, nil)
	h["RegisterTargets"] = awsapi.Handle(s.registerTargets, func(in *shape.RegisterTargetsInput) []string { return one(in.TargetGroupARN) })
	h["DeregisterTargets"] = awsapi.Handle(s.deregisterTargets, func(in *shape.DeregisterTargetsInput) []string { return one(in.TargetGroupARN) })
}

func (s *Service) createTargetGroup(ctx context.Context, _ awsapi.Principal, in *shape.CreateTargetGroupInput) (*shape.CreateTargetGroupOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	if err := validName("target group", in.Name); err != nil {
		return nil, err
	}
	g := cloud.TargetGroup{
		Name: in.Name, ID: newID(), Protocol: string(in.Protocol), ProtocolVersion: in.ProtocolVersion, VPC: in.VpcID,
		TargetType: "instance", Created: s.cfg.Now(), Tags: tagMap(in.Tags),
		Health: cloud.TargetHealth{Protocol: "HTTP", Port: "traffic-port", Path: "/", Matcher: "200", Interval: 30 * time.Second, Timeout: 5 * time.Second, HealthyThreshold: 5, UnhealthyThreshold: 2},
	}
	if in.Protocol == "" {
		return nil, awsapi.Fault("ValidationError", "A protocol must be specified")
	}
	if in.Protocol != shape.ProtocolEnumHttp && in.Protocol != shape.ProtocolEnumTCP {
		return nil, awsapi.Fault("InvalidConfigurationRequestException", "Target groups of protocol %s are not served; use HTTP or TCP", in.Protocol)
	}
	if in.Port == nil {
		return nil, awsapi.Fault("ValidationError", "A port must be specified")
	}
	g.Port = int(*in.Port)
	if g.ProtocolVersion == "" && in.Protocol == shape.ProtocolEnumHttp {
		g.ProtocolVersion = "HTTP1"
	}
	if in.TargetType != "" {
		g.TargetType = string(in.TargetType)
	}
	if in.Protocol == shape.ProtocolEnumTCP {
		g.Health.Protocol, g.Health.Path, g.Health.Matcher = "TCP", "", ""
	}
	err := s.health(&g.Health, healthInput{
		in.HealthCheckEnabled, in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds, in.HealthyThresholdCount,
		in.UnhealthyThresholdCount, in.HealthCheckPath, in.HealthCheckPort, string(in.HealthCheckProtocol), in.Matcher,
	})
	if err != nil {
		return nil, err
	}
	err = s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		old, ok := cloud.Find[cloud.TargetGroup](d.State(), g.Name)
		switch {
		case !ok:
			d.Put(g)
		case old.Protocol != g.Protocol || old.Port != g.Port || old.VPC != g.VPC || old.TargetType != g.TargetType || old.Health != g.Health:
			return awsapi.Fault("DuplicateTargetGroupNameException", "A target group with the same name '%s' exists, but with different settings", g.Name)
		default:
			g = old
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateTargetGroupOutput{TargetGroups: []shape.TargetGroup{s.groupShape(s.cfg.Resources.State(), g)}}, nil
}

// healthInput are the members that CreateTargetGroup and ModifyTargetGroup share.
type healthInput struct {
	enabled                               *bool
	interval, timeout, healthy, unhealthy *int32
	path, port, protocol                  string
	matcher                               *shape.Matcher
}

// health takes over what is given. A default timeout may be as long as the interval.
func (s *Service) health(h *cloud.TargetHealth, in healthInput) error {
	if in.enabled != nil {
		h.Disabled = !*in.enabled
	}
	for _, n := range []struct {
		from *int32
		to   *time.Duration
	}{{in.interval, &h.Interval}, {in.timeout, &h.Timeout}} {
		if n.from != nil {
			*n.to = time.Duration(*n.from) * time.Second
		}
	}
	if in.healthy != nil {
		h.HealthyThreshold = int(*in.healthy)
	}
	if in.unhealthy != nil {
		h.UnhealthyThreshold = int(*in.unhealthy)
	}
	for _, v := range []struct {
		from string
		to   *string
	}{{in.path, &h.Path}, {in.port, &h.Port}, {in.protocol, &h.Protocol}} {
		if v.from != "" {
			*v.to = v.from
		}
	}
	if in.matcher != nil {
		h.Matcher = in.matcher.HttpCode + in.matcher.GrpcCode
	}
	switch h.Protocol {
	case "HTTP", "HTTPS":
		if in.timeout != nil && h.Timeout >= h.Interval {
			return awsapi.Fault("ValidationError", "Health check timeout '%d' must be smaller than the interval '%d'", h.Timeout/time.Second, h.Interval/time.Second)
		}
	default:
		if in.timeout != nil && h.Timeout > h.Interval {
			return awsapi.Fault("ValidationError", "Health check timeout '%d' must be smaller than or equal to the interval '%d'", h.Timeout/time.Second, h.Interval/time.Second)
		}
	}
	return nil
}

func (s *Service) groupShape(st cloud.State, g cloud.TargetGroup) shape.TargetGroup {
	h := g.Health
	out := shape.TargetGroup{
		TargetGroupARN: s.groupARN(g), TargetGroupName: g.Name, Protocol: shape.ProtocolEnum(g.Protocol), ProtocolVersion: g.ProtocolVersion,
		Port: new(int32(g.Port)), VpcID: g.VPC, TargetType: shape.TargetTypeEnum(g.TargetType), IpAddressType: "ipv4", //nolint:gosec // 1 to 65535
		HealthCheckEnabled: new(!h.Disabled), HealthCheckProtocol: shape.ProtocolEnum(h.Protocol), HealthCheckPort: h.Port, HealthCheckPath: h.Path,
		HealthCheckIntervalSeconds: new(int32(h.Interval / time.Second)), HealthCheckTimeoutSeconds: new(int32(h.Timeout / time.Second)), //nolint:gosec // at most 300
		HealthyThresholdCount: new(int32(h.HealthyThreshold)), UnhealthyThresholdCount: new(int32(h.UnhealthyThreshold)), //nolint:gosec // at most 10
		LoadBalancerARNs: []string{},
	}
	if h.Matcher != "" {
		out.Matcher = &shape.Matcher{HttpCode: h.Matcher}
	}
	for _, b := range cloud.All[cloud.LoadBalancer](st) {
		if slices.ContainsFunc(cloud.All[cloud.ELBListener](st), func(l cloud.ELBListener) bool { return l.LoadBalancer == b.Name && uses(l, g.Name) }) {
			out.LoadBalancerARNs = append(out.LoadBalancerARNs, s.balancerARN(b))
		}
	}
	return out
}

// uses reports whether a listener or a rule of it forwards to a target group.
func uses(l cloud.ELBListener, group string) bool {
	actions := []cloud.Action{l.Default}
	for _, r := range l.Rules {
		actions = append(actions, r.Action)
	}
	return slices.ContainsFunc(actions, func(a cloud.Action) bool {
		return slices.ContainsFunc(a.Forward, func(w cloud.GroupWeight) bool { return w.TargetGroup == group })
	})
}

func (s *Service) describeTargetGroups(_ context.Context, _ awsapi.Principal, in *shape.DescribeTargetGroupsInput) (*shape.DescribeTargetGroupsOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	st := s.cfg.Resources.State()
	list, err := s.selectGroups(st, in)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(list, cloud.TargetGroup.ResourceKey, in.Marker, in.PageSize)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeTargetGroupsOutput{NextMarker: next, TargetGroups: []shape.TargetGroup{}}
	for _, g := range page {
		out.TargetGroups = append(out.TargetGroups, s.groupShape(st, g))
	}
	return out, nil
}

func (s *Service) selectGroups(st cloud.State, in *shape.DescribeTargetGroupsInput) ([]cloud.TargetGroup, error) {
	var list []cloud.TargetGroup
	for _, arn := range in.TargetGroupARNs {
		g, err := s.group(st, arn)
		if err != nil {
			return nil, err
		}
		list = append(list, g)
	}
	for _, name := range in.Names {
		g, ok := cloud.Find[cloud.TargetGroup](st, name)
		if !ok {
			return nil, awsapi.Fault("TargetGroupNotFoundException", "One or more target groups not found")
		}
		list = append(list, g)
	}
	if in.LoadBalancerARN != "" {
		b, err := s.balancer(st, in.LoadBalancerARN)
		if err != nil {
			return nil, err
		}
		for _, g := range cloud.All[cloud.TargetGroup](st) {
			if slices.Contains(s.groupShape(st, g).LoadBalancerARNs, s.balancerARN(b)) {
				list = append(list, g)
			}
		}
		return list, nil
	}
	if len(in.TargetGroupARNs)+len(in.Names) == 0 {
		return cloud.All[cloud.TargetGroup](st), nil
	}
	return list, nil
}

func (s *Service) modifyTargetGroup(ctx context.Context, _ awsapi.Principal, in *shape.ModifyTargetGroupInput) (*shape.ModifyTargetGroupOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	var g cloud.TargetGroup
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		var err error
		if g, err = s.group(d.State(), in.TargetGroupARN); err != nil {
			return err
		}
		err = s.health(&g.Health, healthInput{
			in.HealthCheckEnabled, in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds, in.HealthyThresholdCount,
			in.UnhealthyThresholdCount, in.HealthCheckPath, in.HealthCheckPort, string(in.HealthCheckProtocol), in.Matcher,
		})
		if err != nil {
			return err
		}
		d.Put(g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyTargetGroupOutput{TargetGroups: []shape.TargetGroup{s.groupShape(s.cfg.Resources.State(), g)}}, nil
}

func (s *Service) deleteTargetGroup(ctx context.Context, _ awsapi.Principal, in *shape.DeleteTargetGroupInput) (*shape.DeleteTargetGroupOutput, error) {
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		g, err := s.group(d.State(), in.TargetGroupARN)
		if path(in.TargetGroupARN, "targetgroup", 2) != nil && err != nil {
			return nil //nolint:nilerr // it is gone already: AWS answers success
		}
		if err != nil {
			return err
		}
		for _, l := range cloud.All[cloud.ELBListener](d.State()) {
			if uses(l, g.Name) {
				return awsapi.Fault("ResourceInUseException", "Target group '%s' is currently in use by a listener or a rule", in.TargetGroupARN)
			}
		}
		d.Remove(g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteTargetGroupOutput{}, nil
}

func (s *Service) describeTargetHealth(_ context.Context, _ awsapi.Principal, in *shape.DescribeTargetHealthInput) (*shape.DescribeTargetHealthOutput, error) {
	st := s.cfg.Resources.State()
	g, err := s.group(st, in.TargetGroupARN)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeTargetHealthOutput{TargetHealthDescriptions: []shape.TargetHealthDescription{}}
	add := func(address string, state shape.TargetHealthStateEnum, reason shape.TargetHealthReasonEnum) {
		host, text, _ := net.SplitHostPort(address)
		port, _ := strconv.Atoi(text)
		target := shape.TargetDescription{ID: host, Port: new(int32(port))} //nolint:gosec // a port
		if len(in.Targets) > 0 && !slices.ContainsFunc(in.Targets, func(t shape.TargetDescription) bool {
			return t.ID == host && (t.Port == nil || *t.Port == *target.Port)
		}) {
			return
		}
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, shape.TargetHealthDescription{
			Target: &target, HealthCheckPort: text, TargetHealth: &shape.TargetHealth{State: state, Reason: reason},
		})
	}
	for _, ts := range setsIn(st, g.Name) {
		for _, t := range ts.Targets {
			switch {
			case ts.Released():
				add(t.Address, "draining", "Target.DeregistrationInProgress")
			case t.Starting:
				add(t.Address, "initial", "Elb.InitialHealthChecking")
			case t.Down:
				add(t.Address, "unhealthy", "Target.FailedHealthChecks")
			default:
				add(t.Address, "healthy", "")
			}
		}
	}
	for _, r := range g.Registered {
		add(net.JoinHostPort(r.ID, strconv.Itoa(r.Port)), "unavailable", "Target.HealthCheckDisabled")
	}
	addUnknown(out, g, in.Targets)
	return out, nil
}

// addUnknown tells of targets that were asked about and are not registered.
func addUnknown(out *shape.DescribeTargetHealthOutput, g cloud.TargetGroup, asked []shape.TargetDescription) {
	for _, t := range asked {
		if slices.ContainsFunc(out.TargetHealthDescriptions, func(d shape.TargetHealthDescription) bool { return d.Target.ID == t.ID }) {
			continue
		}
		if t.Port == nil {
			t.Port = new(int32(g.Port)) //nolint:gosec // a port
		}
		d := shape.TargetHealthDescription{Target: &t, HealthCheckPort: g.Health.Port, TargetHealth: &shape.TargetHealth{
			State: "unused", Reason: "Target.NotRegistered", Description: "Target is not registered to the target group",
		}}
		if d.HealthCheckPort == "traffic-port" {
			d.HealthCheckPort = strconv.Itoa(int(*t.Port))
		}
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, d)
	}
}

// setsIn are the task sets that are registered with a target group, in a fixed order.
func setsIn(st cloud.State, group string) []cloud.TaskSet {
	var sets []cloud.TaskSet
	for _, ts := range st.TaskSets {
		if ts.TargetGroup == group {
			sets = append(sets, ts)
		}
	}
	slices.SortFunc(sets, func(a, b cloud.TaskSet) int { return a.Created.Compare(b.Created) })
	return sets
}

func (s *Service) registerTargets(ctx context.Context, _ awsapi.Principal, in *shape.RegisterTargetsInput) (*shape.RegisterTargetsOutput, error) {
	return &shape.RegisterTargetsOutput{}, s.editTargets(ctx, in.TargetGroupARN, in.Targets, true)
}

func (s *Service) deregisterTargets(ctx context.Context, _ awsapi.Principal, in *shape.DeregisterTargetsInput) (*shape.DeregisterTargetsOutput, error) {
	return &shape.DeregisterTargetsOutput{}, s.editTargets(ctx, in.TargetGroupARN, in.Targets, false)
}

func (s *Service) editTargets(ctx context.Context, arn string, targets []shape.TargetDescription, add bool) error {
	err := s.change(ctx, func(d *cloud.Draft) error {
		g, err := s.group(d.State(), arn)
		if err != nil {
			return err
		}
		g.Registered = slices.Clone(g.Registered)
		for _, t := range targets {
			r := cloud.RegisteredTarget{ID: t.ID, Port: g.Port}
			if t.Port != nil {
				r.Port = int(*t.Port)
			}
			if add && !validTarget(t.ID) {
				return awsapi.Fault("InvalidTargetException", "The target '%s' is not an IP address; only targets of type ip can be registered by hand", t.ID)
			}
			g.Registered = slices.DeleteFunc(g.Registered, func(old cloud.RegisteredTarget) bool {
				return old.ID == r.ID && (old.Port == r.Port || !add && t.Port == nil)
			})
			if add {
				g.Registered = append(g.Registered, r)
			}
		}
		d.Put(g)
		return nil
	})
	if err != nil {
		return err
	}
	return s.sync(ctx, "", nil)
}
