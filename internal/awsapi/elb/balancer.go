package elb

import (
	"context"
	"net/netip"
	"slices"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/elbv2"
	"greengate/internal/cloud"
)

func (s *Service) balancerHandlers(h awsapi.Handlers) {
	h["CreateLoadBalancer"] = awsapi.Handle(s.createLoadBalancer, nil)
	h["DescribeLoadBalancers"] = awsapi.Handle(s.describeLoadBalancers, nil)
	h["DeleteLoadBalancer"] = awsapi.Handle(s.deleteLoadBalancer, func(in *shape.DeleteLoadBalancerInput) []string { return one(in.LoadBalancerARN) })
	h["DescribeCapacityReservation"] = awsapi.Handle(s.describeCapacityReservation, nil)
}

func (s *Service) createLoadBalancer(ctx context.Context, _ awsapi.Principal, in *shape.CreateLoadBalancerInput) (*shape.CreateLoadBalancerOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	if err := validName("load balancer", in.Name); err != nil {
		return nil, err
	}
	if in.Type == shape.LoadBalancerTypeEnumGateway {
		return nil, awsapi.Fault("InvalidConfigurationRequestException", "Load balancers of type gateway are not served; use application or network")
	}
	b := cloud.LoadBalancer{
		Name: in.Name, ID: newID(), Type: "application", Scheme: "internet-facing", Subnets: in.Subnets,
		SecurityGroups: in.SecurityGroups, Created: s.cfg.Now(), Tags: tagMap(in.Tags),
	}
	if in.Type != "" {
		b.Type = string(in.Type)
	}
	if in.Scheme != "" {
		b.Scheme = string(in.Scheme)
	}
	for _, m := range in.SubnetMappings {
		b.Subnets = append(b.Subnets, m.SubnetID)
	}
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if old, ok := cloud.Find[cloud.LoadBalancer](d.State(), b.Name); ok {
			// AWS answers the existing one where the settings are the same.
			if old.Type != b.Type || old.Scheme != b.Scheme || !slices.Equal(old.Subnets, b.Subnets) || !slices.Equal(old.SecurityGroups, b.SecurityGroups) {
				return awsapi.Fault("DuplicateLoadBalancerNameException", "A load balancer with the same name '%s' exists, but with different settings", b.Name)
			}
			b = old
			return nil
		}
		var err error
		if b.Address, err = s.freeAddress(d.State()); err != nil {
			return err
		}
		d.Put(b)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateLoadBalancerOutput{LoadBalancers: []shape.LoadBalancer{s.balancerShape(b)}}, nil
}

// freeAddress is the first address of the network that no load balancer has.
func (s *Service) freeAddress(st cloud.State) (string, error) {
	taken := map[string]bool{}
	for _, b := range cloud.All[cloud.LoadBalancer](st) {
		taken[b.Address] = true
	}
	for a := s.cfg.Network.Masked().Addr().Next(); s.cfg.Network.Contains(a); a = a.Next() {
		if !taken[a.String()] {
			return a.String(), nil
		}
	}
	return "", awsapi.Fault("TooManyLoadBalancersException", "The network %s of load balancers has no address left", s.cfg.Network)
}

func (s *Service) balancerShape(b cloud.LoadBalancer) shape.LoadBalancer {
	out := shape.LoadBalancer{
		LoadBalancerARN: s.balancerARN(b), LoadBalancerName: b.Name, DNSName: b.Address, CanonicalHostedZoneID: "Z0GREENGATE",
		CreatedTime: shapes.At(b.Created), Scheme: shape.LoadBalancerSchemeEnum(b.Scheme), Type: shape.LoadBalancerTypeEnum(b.Type),
		State: &shape.LoadBalancerState{Code: "active"}, IpAddressType: "ipv4", VpcID: "vpc-greengate", SecurityGroups: b.SecurityGroups,
	}
	for i, id := range b.Subnets {
		out.AvailabilityZones = append(out.AvailabilityZones, shape.AvailabilityZone{SubnetID: id, ZoneName: s.cfg.Region + string(rune('a'+i%6))})
	}
	return out
}

func (s *Service) describeLoadBalancers(_ context.Context, _ awsapi.Principal, in *shape.DescribeLoadBalancersInput) (*shape.DescribeLoadBalancersOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	st := s.cfg.Resources.State()
	list := cloud.All[cloud.LoadBalancer](st)
	if len(in.LoadBalancerARNs)+len(in.Names) > 0 {
		list = nil
		for _, arn := range in.LoadBalancerARNs {
			b, err := s.balancer(st, arn)
			if err != nil {
				return nil, err
			}
			list = append(list, b)
		}
		for _, name := range in.Names {
			b, ok := cloud.Find[cloud.LoadBalancer](st, name)
			if !ok {
				return nil, awsapi.Fault("LoadBalancerNotFoundException", "Load balancers '[%s]' not found", name)
			}
			list = append(list, b)
		}
	}
	page, next, err := pageOf(list, cloud.LoadBalancer.ResourceKey, in.Marker, in.PageSize)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeLoadBalancersOutput{NextMarker: next, LoadBalancers: []shape.LoadBalancer{}}
	for _, b := range page {
		out.LoadBalancers = append(out.LoadBalancers, s.balancerShape(b))
	}
	return out, nil
}

// deleteLoadBalancer removes a load balancer with its listeners. One that does not exist is none, as on AWS.
func (s *Service) deleteLoadBalancer(ctx context.Context, _ awsapi.Principal, in *shape.DeleteLoadBalancerInput) (*shape.DeleteLoadBalancerOutput, error) {
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		b, err := s.balancer(d.State(), in.LoadBalancerARN)
		if path(in.LoadBalancerARN, "loadbalancer", 3) != nil && err != nil {
			return nil //nolint:nilerr // it is gone already
		}
		if err != nil {
			return err
		}
		if b.Attributes["deletion_protection.enabled"] == "true" {
			return awsapi.Fault("OperationNotPermittedException", "Load balancer '%s' cannot be deleted because deletion protection is enabled", in.LoadBalancerARN)
		}
		for _, l := range cloud.All[cloud.ELBListener](d.State()) {
			if l.LoadBalancer == b.Name {
				d.Remove(l)
			}
		}
		d.Remove(b)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteLoadBalancerOutput{}, s.sync(ctx, "", nil)
}

// describeCapacityReservation says that nothing is reserved: there is nothing to reserve.
func (s *Service) describeCapacityReservation(_ context.Context, _ awsapi.Principal, in *shape.DescribeCapacityReservationInput) (*shape.DescribeCapacityReservationOutput, error) {
	if _, err := s.balancer(s.cfg.Resources.State(), in.LoadBalancerARN); err != nil {
		return nil, err
	}
	return &shape.DescribeCapacityReservationOutput{DecreaseRequestsRemaining: new(int32(0))}, nil
}

// validTarget reports whether an id is an address.
func validTarget(id string) bool {
	_, err := netip.ParseAddr(id)
	return err == nil
}
