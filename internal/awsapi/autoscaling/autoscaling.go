// Package autoscaling answers the Application Auto Scaling operations (API version 2016-02-06) for the desired count of ECS
// services: targets and policies are kept and answered, for clients that look at them, suspend and resume them. Nothing is
// scaled.
package autoscaling

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/autoscaling"
	"greengate/internal/cloud"
)

// Resources keeps targets; *cloud.Cloud is one.
type Resources interface {
	State() cloud.State
	Update(ctx context.Context, edit func(d *cloud.Draft) error) error
}

// Config is what a Service needs.
type Config struct {
	Region, AccountID string
	Resources         Resources
	Now               func() time.Time
}

// Service answers Application Auto Scaling.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Handlers are the operations that are served.
func (s *Service) Handlers() awsapi.Handlers {
	return awsapi.Handlers{
		"RegisterScalableTarget":   awsapi.Handle(s.register, nil),
		"DeregisterScalableTarget": awsapi.Handle(s.deregister, nil),
		"DescribeScalableTargets":  awsapi.Handle(s.describeTargets, nil),
		"PutScalingPolicy":         awsapi.Handle(s.putPolicy, nil),
		"DeleteScalingPolicy":      awsapi.Handle(s.deletePolicy, nil),
		"DescribeScalingPolicies":  awsapi.Handle(s.describePolicies, nil),
	}
}

// Limits: policies of a target (Application Auto Scaling quotas), and what a page holds.
const (
	maxPolicies = 50
	pageSize    = 50
)

func invalid(format string, args ...any) error {
	return awsapi.Fault("ValidationException", format, args...)
}

// check refuses what the model refuses, and what is not the desired count of an ECS service.
func check(in any, namespace shape.ServiceNamespace, dimension shape.ScalableDimension) error {
	if faults := shapes.Faults(in); faults != "" {
		return invalid("%s", faults)
	}
	if namespace != shape.ServiceNamespaceEcs || dimension != "" && dimension != shape.ScalableDimensionEcsServiceDesiredCount {
		return invalid("Only the desired count of ECS services is served: ecs, ecs:service:DesiredCount.")
	}
	return nil
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (its contract since Go 1.24)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s *Service) targetARN(t cloud.ScalableTarget) string {
	return "arn:aws:application-autoscaling:" + s.cfg.Region + ":" + s.cfg.AccountID + ":scalable-target/" + t.ID
}

func (s *Service) policyARN(t cloud.ScalableTarget, p cloud.ScalingPolicy) string {
	return "arn:aws:autoscaling:" + s.cfg.Region + ":" + s.cfg.AccountID + ":scalingPolicy:" + p.ID + ":resource/ecs/" + t.ResourceID + ":policyName/" + p.Name
}

func noTarget(id string) error {
	return awsapi.Fault("ObjectNotFoundException", "No scalable target registered for service namespace: ecs, resource ID: %s, scalable dimension: ecs:service:DesiredCount", id)
}

func (s *Service) register(ctx context.Context, _ awsapi.Principal, in *shape.RegisterScalableTargetRequest) (*shape.RegisterScalableTargetResponse, error) {
	if err := check(in, in.ServiceNamespace, in.ScalableDimension); err != nil {
		return nil, err
	}
	var t cloud.ScalableTarget
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		key, isService := strings.CutPrefix(in.ResourceID, "service/")
		if _, ok := cloud.Find[cloud.ECSService](d.State(), key); !ok || !isService {
			return invalid("ECS service doesn't exist: %s", in.ResourceID)
		}
		old, exists := cloud.Find[cloud.ScalableTarget](d.State(), in.ResourceID)
		if t = old; !exists {
			t = cloud.ScalableTarget{ResourceID: in.ResourceID, ID: newID(), Created: s.cfg.Now(), Tags: in.Tags}
			if in.MinCapacity == nil || in.MaxCapacity == nil {
				return invalid("Must specify both minimum capacity and maximum capacity for a new scalable target")
			}
		}
		change(&t, in)
		if t.Min < 0 || t.Max < t.Min {
			return invalid("Maximum capacity cannot be less than minimum capacity, and neither may be negative")
		}
		d.Put(t)
		return nil
	})
	return &shape.RegisterScalableTargetResponse{ScalableTargetARN: s.targetARN(t)}, err
}

// change takes over what a request names; the rest stays.
func change(t *cloud.ScalableTarget, in *shape.RegisterScalableTargetRequest) {
	if in.MinCapacity != nil {
		t.Min = int(*in.MinCapacity)
	}
	if in.MaxCapacity != nil {
		t.Max = int(*in.MaxCapacity)
	}
	if in.RoleARN != "" {
		t.Role = in.RoleARN
	}
	if in.SuspendedState == nil {
		return
	}
	for flag, given := range map[*bool]*bool{
		&t.Suspended.In: in.SuspendedState.DynamicScalingInSuspended, &t.Suspended.Out: in.SuspendedState.DynamicScalingOutSuspended,
		&t.Suspended.Scheduled: in.SuspendedState.ScheduledScalingSuspended,
	} {
		if given != nil {
			*flag = *given
		}
	}
}

func (s *Service) deregister(ctx context.Context, _ awsapi.Principal, in *shape.DeregisterScalableTargetRequest) (*shape.DeregisterScalableTargetResponse, error) {
	if err := check(in, in.ServiceNamespace, in.ScalableDimension); err != nil {
		return nil, err
	}
	return &shape.DeregisterScalableTargetResponse{}, s.edit(ctx, in.ResourceID, func(d *cloud.Draft, t cloud.ScalableTarget) error {
		d.Remove(t)
		return nil
	})
}

// edit changes a target that is there.
func (s *Service) edit(ctx context.Context, id string, change func(d *cloud.Draft, t cloud.ScalableTarget) error) error {
	return s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		t, ok := cloud.Find[cloud.ScalableTarget](d.State(), id)
		if !ok {
			return noTarget(id)
		}
		t.Policies = slices.Clone(t.Policies)
		return change(d, t)
	})
}

// page cuts a page out of a sorted list; the token is the key of the last item before it.
func page[T any](list []T, key func(T) string, token string, most *int32) ([]T, string) {
	for len(list) > 0 && token != "" && key(list[0]) <= token {
		list = list[1:]
	}
	n := pageSize
	if most != nil && *most > 0 && *most < pageSize {
		n = int(*most)
	}
	if len(list) <= n {
		return list, ""
	}
	return list[:n], key(list[n-1])
}

func (s *Service) describeTargets(_ context.Context, _ awsapi.Principal, in *shape.DescribeScalableTargetsRequest) (*shape.DescribeScalableTargetsResponse, error) {
	out := &shape.DescribeScalableTargetsResponse{ScalableTargets: []shape.ScalableTarget{}}
	if in.ServiceNamespace != shape.ServiceNamespaceEcs && in.ServiceNamespace.Known() {
		return out, nil
	}
	if err := check(in, in.ServiceNamespace, in.ScalableDimension); err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(cloud.All[cloud.ScalableTarget](s.cfg.Resources.State()), func(t cloud.ScalableTarget) bool {
		return len(in.ResourceIDs) > 0 && !slices.Contains(in.ResourceIDs, t.ResourceID)
	})
	list, next := page(all, cloud.ScalableTarget.ResourceKey, in.NextToken, in.MaxResults)
	for _, t := range list {
		role := t.Role
		if role == "" {
			role = "arn:aws:iam::" + s.cfg.AccountID + ":role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService"
		}
		out.ScalableTargets = append(out.ScalableTargets, shape.ScalableTarget{
			ServiceNamespace: shape.ServiceNamespaceEcs, ScalableDimension: shape.ScalableDimensionEcsServiceDesiredCount, ResourceID: t.ResourceID,
			MinCapacity: new(int32(t.Min)), MaxCapacity: new(int32(t.Max)), //nolint:gosec // they came as 32 bits
			RoleARN: role, CreationTime: shapes.At(t.Created), ScalableTargetARN: s.targetARN(t),
			SuspendedState: &shape.SuspendedState{
				DynamicScalingInSuspended: new(t.Suspended.In), DynamicScalingOutSuspended: new(t.Suspended.Out), ScheduledScalingSuspended: new(t.Suspended.Scheduled),
			},
		})
	}
	out.NextToken = next
	return out, nil
}

func (s *Service) putPolicy(ctx context.Context, _ awsapi.Principal, in *shape.PutScalingPolicyRequest) (*shape.PutScalingPolicyResponse, error) {
	if err := check(in, in.ServiceNamespace, in.ScalableDimension); err != nil {
		return nil, err
	}
	input, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode policy: %w", err)
	}
	out := &shape.PutScalingPolicyResponse{Alarms: []shape.Alarm{}}
	return out, s.edit(ctx, in.ResourceID, func(d *cloud.Draft, t cloud.ScalableTarget) error {
		i := slices.IndexFunc(t.Policies, func(p cloud.ScalingPolicy) bool { return p.Name == in.PolicyName })
		switch {
		case i >= 0:
			if in.PolicyType != "" && string(in.PolicyType) != t.Policies[i].Type {
				return invalid("The type of the policy %s cannot be changed", in.PolicyName)
			}
		case in.PolicyType == "":
			return invalid("PolicyType is required for a new policy")
		case len(t.Policies) >= maxPolicies:
			return awsapi.Fault("LimitExceededException", "A scalable target has at most %d policies.", maxPolicies)
		default:
			i = len(t.Policies)
			t.Policies = append(t.Policies, cloud.ScalingPolicy{Name: in.PolicyName, ID: newID(), Type: string(in.PolicyType), Created: s.cfg.Now()})
		}
		t.Policies[i].Input = input
		out.PolicyARN = s.policyARN(t, t.Policies[i])
		d.Put(t)
		return nil
	})
}

func (s *Service) deletePolicy(ctx context.Context, _ awsapi.Principal, in *shape.DeleteScalingPolicyRequest) (*shape.DeleteScalingPolicyResponse, error) {
	if err := check(in, in.ServiceNamespace, in.ScalableDimension); err != nil {
		return nil, err
	}
	return &shape.DeleteScalingPolicyResponse{}, s.edit(ctx, in.ResourceID, func(d *cloud.Draft, t cloud.ScalableTarget) error {
		i := slices.IndexFunc(t.Policies, func(p cloud.ScalingPolicy) bool { return p.Name == in.PolicyName })
		if i < 0 {
			return awsapi.Fault("ObjectNotFoundException", "No scaling policy found for service namespace: ecs, resource ID: %s, policy name: %s", in.ResourceID, in.PolicyName)
		}
		t.Policies = slices.Delete(t.Policies, i, i+1)
		d.Put(t)
		return nil
	})
}

// described is a policy with its place in the list.
type described struct {
	key string
	v   shape.ScalingPolicy
}

func (s *Service) describePolicies(_ context.Context, _ awsapi.Principal, in *shape.DescribeScalingPoliciesRequest) (*shape.DescribeScalingPoliciesResponse, error) {
	out := &shape.DescribeScalingPoliciesResponse{ScalingPolicies: []shape.ScalingPolicy{}}
	if in.ServiceNamespace != shape.ServiceNamespaceEcs && in.ServiceNamespace.Known() {
		return out, nil
	}
	if err := check(in, in.ServiceNamespace, in.ScalableDimension); err != nil {
		return nil, err
	}
	var all []described
	for _, t := range cloud.All[cloud.ScalableTarget](s.cfg.Resources.State()) {
		for _, p := range t.Policies {
			if in.ResourceID != "" && in.ResourceID != t.ResourceID || len(in.PolicyNames) > 0 && !slices.Contains(in.PolicyNames, p.Name) {
				continue
			}
			var put shape.PutScalingPolicyRequest
			if err := json.Unmarshal(p.Input, &put); err != nil {
				return nil, fmt.Errorf("decode policy %s: %w", p.Name, err)
			}
			all = append(all, described{t.ResourceID + "\n" + p.Name, shape.ScalingPolicy{
				PolicyARN: s.policyARN(t, p), PolicyName: p.Name, PolicyType: shape.PolicyType(p.Type), ServiceNamespace: shape.ServiceNamespaceEcs,
				ResourceID: t.ResourceID, ScalableDimension: shape.ScalableDimensionEcsServiceDesiredCount, CreationTime: shapes.At(p.Created), Alarms: []shape.Alarm{},
				StepScalingPolicyConfiguration: put.StepScalingPolicyConfiguration, TargetTrackingScalingPolicyConfiguration: put.TargetTrackingScalingPolicyConfiguration,
				PredictiveScalingPolicyConfiguration: put.PredictiveScalingPolicyConfiguration,
			}})
		}
	}
	slices.SortFunc(all, func(a, b described) int { return strings.Compare(a.key, b.key) })
	list, next := page(all, func(d described) string { return d.key }, in.NextToken, in.MaxResults)
	for _, d := range list {
		out.ScalingPolicies = append(out.ScalingPolicies, d.v)
	}
	out.NextToken = next
	return out, nil
}
