package elb

import (
	"context"
	"maps"
	"slices"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/elbv2"
	"greengate/internal/cloud"
)

func (s *Service) attributeHandlers(h awsapi.Handlers) {
	h["DescribeLoadBalancerAttributes"] = awsapi.Handle(s.describeLoadBalancerAttributes, nil)
	h["ModifyLoadBalancerAttributes"] = awsapi.Handle(s.modifyLoadBalancerAttributes, func(in *shape.ModifyLoadBalancerAttributesInput) []string { return one(in.LoadBalancerARN) })
	h["DescribeTargetGroupAttributes"] = awsapi.Handle(s.describeTargetGroupAttributes, nil)
	h["ModifyTargetGroupAttributes"] = awsapi.Handle(s.modifyTargetGroupAttributes, func(in *shape.ModifyTargetGroupAttributesInput) []string { return one(in.TargetGroupARN) })
	h["DescribeListenerAttributes"] = awsapi.Handle(s.describeListenerAttributes, nil)
	h["ModifyListenerAttributes"] = awsapi.Handle(s.modifyListenerAttributes, func(in *shape.ModifyListenerAttributesInput) []string { return one(in.ListenerARN) })
	h["AddTags"] = awsapi.Handle(s.addTags, func(in *shape.AddTagsInput) []string { return in.ResourceARNs })
	h["RemoveTags"] = awsapi.Handle(s.removeTags, func(in *shape.RemoveTagsInput) []string { return in.ResourceARNs })
	h["DescribeTags"] = awsapi.Handle(s.describeTags, nil)
}

// Attributes with AWS's defaults. They are stored and shown; what changes how the data plane works is said in docs/aws.md.
func balancerDefaults() map[string]string {
	return map[string]string{
		"access_logs.s3.enabled": "false", "deletion_protection.enabled": "false",
		"idle_timeout.timeout_seconds": "60", "routing.http2.enabled": "true", "routing.http.drop_invalid_header_fields.enabled": "false",
		"routing.http.desync_mitigation_mode": "defensive", "routing.http.preserve_host_header.enabled": "true", "load_balancing.cross_zone.enabled": "true",
		"routing.http.xff_header_processing.mode": "append", "routing.http.xff_client_port.enabled": "false", "client_keep_alive.seconds": "3600",
		"routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false", "waf.fail_open.enabled": "false",
		"connection_logs.s3.enabled": "false",
	}
}

func groupDefaults() map[string]string {
	return map[string]string{
		"deregistration_delay.timeout_seconds": "300", "stickiness.enabled": "false", "stickiness.type": "lb_cookie", "stickiness.lb_cookie.duration_seconds": "86400",
		"stickiness.app_cookie.duration_seconds": "86400", "slow_start.duration_seconds": "0",
		"load_balancing.algorithm.type": "round_robin", "load_balancing.algorithm.anomaly_mitigation": "off",
		"load_balancing.cross_zone.enabled":                                              "use_load_balancer_configuration",
		"target_group_health.dns_failover.minimum_healthy_targets.count":                 "1",
		"target_group_health.dns_failover.minimum_healthy_targets.percentage":            "off",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count":      "1",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
	}
}

func listenerDefaults() map[string]string {
	return map[string]string{"routing.http.response.server.enabled": "true"}
}

// merged are defaults with what was set, sorted by key.
func merged[T any](defaults, set map[string]string, attribute func(k, v string) T) []T {
	maps.Copy(defaults, set)
	var out []T
	for _, k := range slices.Sorted(maps.Keys(defaults)) {
		out = append(out, attribute(k, defaults[k]))
	}
	return out
}

func lbAttribute(k, v string) shape.LoadBalancerAttribute {
	return shape.LoadBalancerAttribute{Key: k, Value: v}
}

func tgAttribute(k, v string) shape.TargetGroupAttribute {
	return shape.TargetGroupAttribute{Key: k, Value: v}
}

func lnAttribute(k, v string) shape.ListenerAttribute {
	return shape.ListenerAttribute{Key: k, Value: v}
}

// with is a copy of m in which set's values win.
func with(m, set map[string]string) map[string]string {
	n := maps.Clone(m)
	if n == nil {
		n = map[string]string{}
	}
	maps.Copy(n, set)
	return n
}

func (s *Service) describeLoadBalancerAttributes(_ context.Context, _ awsapi.Principal, in *shape.DescribeLoadBalancerAttributesInput) (*shape.DescribeLoadBalancerAttributesOutput, error) {
	b, err := s.balancer(s.cfg.Resources.State(), in.LoadBalancerARN)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeLoadBalancerAttributesOutput{Attributes: merged(balancerDefaults(), b.Attributes, lbAttribute)}, nil
}

func (s *Service) modifyLoadBalancerAttributes(ctx context.Context, _ awsapi.Principal, in *shape.ModifyLoadBalancerAttributesInput) (*shape.ModifyLoadBalancerAttributesOutput, error) {
	set := map[string]string{}
	for _, a := range in.Attributes {
		set[a.Key] = a.Value
	}
	out := &shape.ModifyLoadBalancerAttributesOutput{}
	return out, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		b, err := s.balancer(d.State(), in.LoadBalancerARN)
		if err != nil {
			return err
		}
		b.Attributes = with(b.Attributes, set)
		d.Put(b)
		out.Attributes = merged(balancerDefaults(), b.Attributes, lbAttribute)
		return nil
	})
}

func (s *Service) describeTargetGroupAttributes(_ context.Context, _ awsapi.Principal, in *shape.DescribeTargetGroupAttributesInput) (*shape.DescribeTargetGroupAttributesOutput, error) {
	g, err := s.group(s.cfg.Resources.State(), in.TargetGroupARN)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeTargetGroupAttributesOutput{Attributes: merged(groupDefaults(), g.Attributes, tgAttribute)}, nil
}

func (s *Service) modifyTargetGroupAttributes(ctx context.Context, _ awsapi.Principal, in *shape.ModifyTargetGroupAttributesInput) (*shape.ModifyTargetGroupAttributesOutput, error) {
	set := map[string]string{}
	for _, a := range in.Attributes {
		set[a.Key] = a.Value
	}
	out := &shape.ModifyTargetGroupAttributesOutput{}
	return out, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		g, err := s.group(d.State(), in.TargetGroupARN)
		if err != nil {
			return err
		}
		g.Attributes = with(g.Attributes, set)
		d.Put(g)
		out.Attributes = merged(groupDefaults(), g.Attributes, tgAttribute)
		return nil
	})
}

func (s *Service) describeListenerAttributes(_ context.Context, _ awsapi.Principal, in *shape.DescribeListenerAttributesInput) (*shape.DescribeListenerAttributesOutput, error) {
	_, l, err := s.listener(s.cfg.Resources.State(), in.ListenerARN)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeListenerAttributesOutput{Attributes: merged(listenerDefaults(), l.Attributes, lnAttribute)}, nil
}

func (s *Service) modifyListenerAttributes(ctx context.Context, _ awsapi.Principal, in *shape.ModifyListenerAttributesInput) (*shape.ModifyListenerAttributesOutput, error) {
	set := map[string]string{}
	for _, a := range in.Attributes {
		set[a.Key] = a.Value
	}
	out := &shape.ModifyListenerAttributesOutput{}
	return out, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		_, l, err := s.listener(d.State(), in.ListenerARN)
		if err != nil {
			return err
		}
		l.Attributes = with(l.Attributes, set)
		d.Put(l)
		out.Attributes = merged(listenerDefaults(), l.Attributes, lnAttribute)
		return nil
	})
}

// tagged finds what an ARN names: its tags, and how to store others.
func (s *Service) tagged(st cloud.State, arn string) (tags map[string]string, put func(d *cloud.Draft, tags map[string]string), err error) {
	switch {
	case path(arn, "loadbalancer", 3) != nil:
		b, err := s.balancer(st, arn)
		return b.Tags, func(d *cloud.Draft, t map[string]string) { b.Tags = t; d.Put(b) }, err
	case path(arn, "targetgroup", 2) != nil:
		g, err := s.group(st, arn)
		return g.Tags, func(d *cloud.Draft, t map[string]string) { g.Tags = t; d.Put(g) }, err
	case path(arn, "listener", 4) != nil:
		_, l, err := s.listener(st, arn)
		return l.Tags, func(d *cloud.Draft, t map[string]string) { l.Tags = t; d.Put(l) }, err
	case path(arn, "listener-rule", 5) != nil:
		_, l, i, err := s.rule(st, arn)
		if err != nil || i < 0 {
			return nil, func(*cloud.Draft, map[string]string) {}, err
		}
		return l.Rules[i].Tags, func(d *cloud.Draft, t map[string]string) {
			l.Rules = slices.Clone(l.Rules)
			l.Rules[i].Tags = t
			d.Put(l)
		}, nil
	}
	return nil, nil, badARN("resource", arn)
}

// maxTags is the most a resource has.
const maxTags = 50

func (s *Service) addTags(ctx context.Context, _ awsapi.Principal, in *shape.AddTagsInput) (*shape.AddTagsOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	return &shape.AddTagsOutput{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		for _, arn := range in.ResourceARNs {
			tags, put, err := s.tagged(d.State(), arn)
			if err != nil {
				return err
			}
			tags = with(tags, tagMap(in.Tags))
			if len(tags) > maxTags {
				return awsapi.Fault("TooManyTagsException", "A resource has at most %d tags", maxTags)
			}
			put(d, tags)
		}
		return nil
	})
}

func (s *Service) removeTags(ctx context.Context, _ awsapi.Principal, in *shape.RemoveTagsInput) (*shape.RemoveTagsOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	return &shape.RemoveTagsOutput{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		for _, arn := range in.ResourceARNs {
			tags, put, err := s.tagged(d.State(), arn)
			if err != nil {
				return err
			}
			tags = with(tags, nil)
			for _, k := range in.TagKeys {
				delete(tags, k)
			}
			put(d, tags)
		}
		return nil
	})
}

func (s *Service) describeTags(_ context.Context, _ awsapi.Principal, in *shape.DescribeTagsInput) (*shape.DescribeTagsOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	out := &shape.DescribeTagsOutput{TagDescriptions: []shape.TagDescription{}}
	for _, arn := range in.ResourceARNs {
		tags, _, err := s.tagged(s.cfg.Resources.State(), arn)
		if err != nil {
			return nil, err
		}
		d := shape.TagDescription{ResourceARN: arn, Tags: []shape.Tag{}}
		for _, k := range slices.Sorted(maps.Keys(tags)) {
			d.Tags = append(d.Tags, shape.Tag{Key: k, Value: tags[k]})
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}
