package elb

import (
	"context"
	"slices"
	"strconv"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/elbv2"
	"greengate/internal/cloud"
)

func (s *Service) listenerHandlers(h awsapi.Handlers) {
	h["CreateListener"] = awsapi.Handle(s.createListener, func(in *shape.CreateListenerInput) []string { return one(in.LoadBalancerARN) })
	h["DescribeListeners"] = awsapi.Handle(s.describeListeners, nil)
	h["ModifyListener"] = awsapi.Handle(s.modifyListener, func(in *shape.ModifyListenerInput) []string { return one(in.ListenerARN) })
	h["DeleteListener"] = awsapi.Handle(s.deleteListener, func(in *shape.DeleteListenerInput) []string { return one(in.ListenerARN) })
	h["CreateRule"] = awsapi.Handle(s.createRule, func(in *shape.CreateRuleInput) []string { return one(in.ListenerARN) })
	h["DescribeRules"] = awsapi.Handle(s.describeRules, nil)
	h["ModifyRule"] = awsapi.Handle(s.modifyRule, func(in *shape.ModifyRuleInput) []string { return one(in.RuleARN) })
	h["DeleteRule"] = awsapi.Handle(s.deleteRule, func(in *shape.DeleteRuleInput) []string { return one(in.RuleARN) })
	h["SetRulePriorities"] = awsapi.Handle(s.setRulePriorities, func(in *shape.SetRulePrioritiesInput) []string {
		var arns []string
		for _, p := range in.RulePriorities {
			arns = append(arns, p.RuleARN)
		}
		return arns
	})
}

// protocolFor is what a listener of the load balancer speaks.
func protocolFor(b cloud.LoadBalancer, p shape.ProtocolEnum) (string, error) {
	switch {
	case p == shape.ProtocolEnumHttp && b.Type == "application", p == shape.ProtocolEnumTCP && b.Type == "network":
		return string(p), nil
	case p == "":
		return "", awsapi.Fault("ValidationError", "A listener protocol must be specified")
	case p == shape.ProtocolEnumHttps || p == shape.ProtocolEnumTLS:
		return "", awsapi.Fault("UnsupportedProtocolException", "Protocol %s is not served: there is no certificate store; end TLS in front of the listener", p)
	}
	return "", awsapi.Fault("UnsupportedProtocolException", "Protocol %s is not served by load balancers of type %s; use HTTP (application) or TCP (network)", p, b.Type)
}

func (s *Service) createListener(ctx context.Context, _ awsapi.Principal, in *shape.CreateListenerInput) (*shape.CreateListenerOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	var l cloud.ELBListener
	var b cloud.LoadBalancer
	err := s.change(ctx, func(d *cloud.Draft) error {
		var err error
		if b, err = s.balancer(d.State(), in.LoadBalancerARN); err != nil {
			return err
		}
		if in.Port == nil {
			return awsapi.Fault("ValidationError", "A listener port must be specified")
		}
		l = cloud.ELBListener{LoadBalancer: b.Name, ID: newID(), Port: int(*in.Port), Created: s.cfg.Now(), Tags: tagMap(in.Tags)}
		if l.Protocol, err = protocolFor(b, in.Protocol); err != nil {
			return err
		}
		if err := portFree(d.State(), l); err != nil {
			return err
		}
		if l.Default, err = s.action(d.State(), in.DefaultActions); err != nil {
			return err
		}
		d.Put(l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.sync(ctx, l.ResourceKey(), func(d *cloud.Draft) error { d.Remove(l); return nil }); err != nil {
		return nil, err
	}
	return &shape.CreateListenerOutput{Listeners: []shape.Listener{s.listenerShape(s.cfg.Resources.State(), b, l)}}, nil
}

func portFree(st cloud.State, l cloud.ELBListener) error {
	for _, o := range cloud.All[cloud.ELBListener](st) {
		if o.LoadBalancer == l.LoadBalancer && o.Port == l.Port && o.ID != l.ID {
			return awsapi.Fault("DuplicateListenerException", "A listener already exists on this port for this load balancer")
		}
	}
	return nil
}

func (s *Service) listenerShape(st cloud.State, b cloud.LoadBalancer, l cloud.ELBListener) shape.Listener {
	return shape.Listener{
		ListenerARN: s.listenerARN(b, l), LoadBalancerARN: s.balancerARN(b), Port: new(int32(l.Port)), //nolint:gosec // a port
		Protocol: shape.ProtocolEnum(l.Protocol), DefaultActions: s.actions(st, l.Default),
	}
}

func (s *Service) describeListeners(_ context.Context, _ awsapi.Principal, in *shape.DescribeListenersInput) (*shape.DescribeListenersOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	st := s.cfg.Resources.State()
	if in.LoadBalancerARN == "" && len(in.ListenerARNs) == 0 {
		return nil, awsapi.Fault("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
	}
	var list []cloud.ELBListener
	for _, arn := range in.ListenerARNs {
		_, l, err := s.listener(st, arn)
		if err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	if in.LoadBalancerARN != "" {
		b, err := s.balancer(st, in.LoadBalancerARN)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(cloud.All[cloud.ELBListener](st), func(l cloud.ELBListener) bool { return l.LoadBalancer != b.Name })
	}
	page, next, err := pageOf(list, cloud.ELBListener.ResourceKey, in.Marker, in.PageSize)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeListenersOutput{NextMarker: next, Listeners: []shape.Listener{}}
	for _, l := range page {
		b, _ := cloud.Find[cloud.LoadBalancer](st, l.LoadBalancer)
		out.Listeners = append(out.Listeners, s.listenerShape(st, b, l))
	}
	return out, nil
}

func (s *Service) modifyListener(ctx context.Context, _ awsapi.Principal, in *shape.ModifyListenerInput) (*shape.ModifyListenerOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	var old, l cloud.ELBListener
	var b cloud.LoadBalancer
	err := s.change(ctx, func(d *cloud.Draft) error {
		var err error
		if b, l, err = s.listener(d.State(), in.ListenerARN); err != nil {
			return err
		}
		old = l
		if in.Port != nil {
			l.Port = int(*in.Port)
		}
		if in.Protocol != "" {
			if l.Protocol, err = protocolFor(b, in.Protocol); err != nil {
				return err
			}
		}
		if err := portFree(d.State(), l); err != nil {
			return err
		}
		if len(in.DefaultActions) > 0 {
			if l.Default, err = s.action(d.State(), in.DefaultActions); err != nil {
				return err
			}
		}
		d.Put(l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.sync(ctx, l.ResourceKey(), func(d *cloud.Draft) error { d.Put(old); return nil }); err != nil {
		return nil, err
	}
	return &shape.ModifyListenerOutput{Listeners: []shape.Listener{s.listenerShape(s.cfg.Resources.State(), b, l)}}, nil
}

func (s *Service) deleteListener(ctx context.Context, _ awsapi.Principal, in *shape.DeleteListenerInput) (*shape.DeleteListenerOutput, error) {
	err := s.change(ctx, func(d *cloud.Draft) error {
		_, l, err := s.listener(d.State(), in.ListenerARN)
		if err != nil {
			return err
		}
		d.Remove(l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteListenerOutput{}, s.sync(ctx, "", nil)
}

// byPriority sorts rules as they are tried.
func byPriority(a, b cloud.ListenerRule) int { return a.Priority - b.Priority }

func (s *Service) createRule(ctx context.Context, _ awsapi.Principal, in *shape.CreateRuleInput) (*shape.CreateRuleOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	if len(in.Transforms) > 0 {
		return nil, awsapi.Fault("InvalidConfigurationRequestException", "Transforms are not served")
	}
	r := cloud.ListenerRule{ID: newID(), Priority: int(*in.Priority), Tags: tagMap(in.Tags)}
	var out shape.Rule
	err := s.change(ctx, func(d *cloud.Draft) error {
		b, l, err := s.listener(d.State(), in.ListenerARN)
		if err != nil {
			return err
		}
		if len(l.Rules) >= maxRules {
			return awsapi.Fault("TooManyRulesException", "A listener has at most %d rules", maxRules)
		}
		if slices.ContainsFunc(l.Rules, func(o cloud.ListenerRule) bool { return o.Priority == r.Priority }) {
			return awsapi.Fault("PriorityInUseException", "Priority '%d' is currently in use", r.Priority)
		}
		if r.Conditions, err = conditions(in.Conditions); err != nil {
			return err
		}
		if r.Action, err = s.action(d.State(), in.Actions); err != nil {
			return err
		}
		l.Rules = append(slices.Clone(l.Rules), r)
		slices.SortFunc(l.Rules, byPriority)
		d.Put(l)
		out = s.ruleShape(d.State(), b, l, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateRuleOutput{Rules: []shape.Rule{out}}, s.sync(ctx, "", nil)
}

func (s *Service) ruleShape(st cloud.State, b cloud.LoadBalancer, l cloud.ELBListener, r cloud.ListenerRule) shape.Rule {
	return shape.Rule{
		RuleARN: s.ruleARN(b, l, r.ID), Priority: strconv.Itoa(r.Priority), IsDefault: new(false),
		Conditions: conditionShapes(r.Conditions), Actions: s.actions(st, r.Action),
	}
}

func (s *Service) defaultRule(st cloud.State, b cloud.LoadBalancer, l cloud.ELBListener) shape.Rule {
	return shape.Rule{
		RuleARN: s.ruleARN(b, l, defaultRuleID(l)), Priority: "default", IsDefault: new(true),
		Conditions: []shape.RuleCondition{}, Actions: s.actions(st, l.Default),
	}
}

func (s *Service) describeRules(_ context.Context, _ awsapi.Principal, in *shape.DescribeRulesInput) (*shape.DescribeRulesOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	st := s.cfg.Resources.State()
	var list []shape.Rule
	for _, arn := range in.RuleARNs {
		b, l, i, err := s.rule(st, arn)
		if err != nil {
			return nil, err
		}
		if i < 0 {
			list = append(list, s.defaultRule(st, b, l))
			continue
		}
		list = append(list, s.ruleShape(st, b, l, l.Rules[i]))
	}
	if in.ListenerARN != "" {
		b, l, err := s.listener(st, in.ListenerARN)
		if err != nil {
			return nil, err
		}
		for _, r := range l.Rules {
			list = append(list, s.ruleShape(st, b, l, r))
		}
		list = append(list, s.defaultRule(st, b, l))
	}
	if in.ListenerARN == "" && len(in.RuleARNs) == 0 {
		return nil, awsapi.Fault("ValidationError", "You must specify either a listener ARN or rule ARNs")
	}
	page, next, err := pageOf(list, func(r shape.Rule) string { return r.RuleARN }, in.Marker, in.PageSize)
	return &shape.DescribeRulesOutput{Rules: page, NextMarker: next}, err
}

func (s *Service) modifyRule(ctx context.Context, _ awsapi.Principal, in *shape.ModifyRuleInput) (*shape.ModifyRuleOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	var out shape.Rule
	err := s.change(ctx, func(d *cloud.Draft) error {
		b, l, i, err := s.rule(d.State(), in.RuleARN)
		if err != nil {
			return err
		}
		if i < 0 {
			return awsapi.Fault("OperationNotPermittedException", "Default rule '%s' cannot be modified; use modify-listener", in.RuleARN)
		}
		l.Rules = slices.Clone(l.Rules)
		r := &l.Rules[i]
		if len(in.Conditions) > 0 {
			if r.Conditions, err = conditions(in.Conditions); err != nil {
				return err
			}
		}
		if len(in.Actions) > 0 {
			if r.Action, err = s.action(d.State(), in.Actions); err != nil {
				return err
			}
		}
		d.Put(l)
		out = s.ruleShape(d.State(), b, l, *r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyRuleOutput{Rules: []shape.Rule{out}}, s.sync(ctx, "", nil)
}

func (s *Service) deleteRule(ctx context.Context, _ awsapi.Principal, in *shape.DeleteRuleInput) (*shape.DeleteRuleOutput, error) {
	err := s.change(ctx, func(d *cloud.Draft) error {
		_, l, i, err := s.rule(d.State(), in.RuleARN)
		if err != nil {
			return err
		}
		if i < 0 {
			return awsapi.Fault("OperationNotPermittedException", "Default rule '%s' cannot be deleted", in.RuleARN)
		}
		l.Rules = slices.Delete(slices.Clone(l.Rules), i, i+1)
		d.Put(l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteRuleOutput{}, s.sync(ctx, "", nil)
}

func (s *Service) setRulePriorities(ctx context.Context, _ awsapi.Principal, in *shape.SetRulePrioritiesInput) (*shape.SetRulePrioritiesOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	out := &shape.SetRulePrioritiesOutput{}
	err := s.change(ctx, func(d *cloud.Draft) error {
		for _, p := range in.RulePriorities {
			_, l, i, err := s.rule(d.State(), p.RuleARN)
			if err != nil {
				return err
			}
			if i < 0 || p.Priority == nil {
				return awsapi.Fault("OperationNotPermittedException", "The priority of '%s' cannot be set", p.RuleARN)
			}
			l.Rules = slices.Clone(l.Rules)
			l.Rules[i].Priority = int(*p.Priority)
			slices.SortStableFunc(l.Rules, byPriority)
			d.Put(l)
		}
		return s.prioritiesSet(d.State(), in.RulePriorities, out)
	})
	if err != nil {
		return nil, err
	}
	return out, s.sync(ctx, "", nil)
}

// prioritiesSet refuses two rules of one priority and fills the answer.
func (s *Service) prioritiesSet(st cloud.State, set []shape.RulePriorityPair, out *shape.SetRulePrioritiesOutput) error {
	for _, p := range set {
		b, l, i, err := s.rule(st, p.RuleARN)
		if err != nil {
			return err
		}
		r := l.Rules[i]
		if slices.ContainsFunc(l.Rules, func(o cloud.ListenerRule) bool { return o.Priority == r.Priority && o.ID != r.ID }) {
			return awsapi.Fault("PriorityInUseException", "Priority '%d' is currently in use", r.Priority)
		}
		out.Rules = append(out.Rules, s.ruleShape(st, b, l, r))
	}
	return nil
}
