package iam

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/iam"
	"greengate/internal/cloud"
	policy "greengate/internal/iam"
)

// simulation is what both operations ask.
type simulation struct {
	policies  []policy.Policy
	principal policy.Principal
	// source is what SourcePolicyType says of each policy by its name.
	source             map[string]shape.PolicySourceType
	actions, resources []string
	context            []shape.ContextEntry
	refused            []string // members that are not served, where they are given
	marker             string
	size               *int32
}

// maxSimulated bounds the results of one call.
const maxSimulated = 10_000

// simulatePrincipal evaluates the policies of a role or user, and those that the call adds.
func (s *Service) simulatePrincipal(_ context.Context, _ awsapi.Principal, in *shape.SimulatePrincipalPolicyRequest) (*shape.SimulatePolicyResponse, error) {
	st := s.cfg.Resources.State()
	sim := simulation{
		source: map[string]shape.PolicySourceType{}, actions: in.ActionNames, resources: in.ResourceARNs, context: in.ContextEntries,
		refused: append(in.PermissionsBoundaryPolicyInputList, in.ResourcePolicy), marker: in.Marker, size: in.MaxItems,
	}
	var grants cloud.Grants
	kind := shape.PolicySourceTypeRole
	if role, ok := cloud.FindRole(st, s.cfg.AccountID, in.PolicySourceARN); ok {
		grants, sim.principal = role.Grants, policy.Principal{ARN: in.PolicySourceARN, UserID: role.ID}
	} else if user, ok := cloud.FindUser(st, s.cfg.AccountID, in.PolicySourceARN); ok {
		grants, sim.principal, kind = user.Grants, policy.Principal{ARN: in.PolicySourceARN, UserID: user.ID}, shape.PolicySourceTypeUser
	} else {
		return nil, noSuch("The entity %s cannot be found.", in.PolicySourceARN)
	}
	sim.policies = s.cfg.Judge.Policies(st, grants)
	for name := range grants.Inline {
		sim.source[name] = kind
	}
	for _, arn := range grants.Attached {
		sim.source[arn] = shape.PolicySourceTypeAwsManaged
		if _, own := cloud.FindPolicy(st, s.cfg.AccountID, arn); own {
			sim.source[arn] = shape.PolicySourceTypeUserManaged
		}
	}
	if err := sim.add(in.PolicyInputList); err != nil {
		return nil, err
	}
	if in.CallerARN != "" {
		sim.principal = policy.Principal{ARN: in.CallerARN}
	}
	return s.simulate(sim)
}

// simulateCustom evaluates the policies of the call alone.
func (s *Service) simulateCustom(_ context.Context, _ awsapi.Principal, in *shape.SimulateCustomPolicyRequest) (*shape.SimulatePolicyResponse, error) {
	sim := simulation{
		source: map[string]shape.PolicySourceType{}, actions: in.ActionNames, resources: in.ResourceARNs, context: in.ContextEntries,
		refused: append(in.PermissionsBoundaryPolicyInputList, in.ResourcePolicy), marker: in.Marker, size: in.MaxItems,
		principal: policy.Principal{ARN: in.CallerARN},
	}
	if err := sim.add(in.PolicyInputList); err != nil {
		return nil, err
	}
	return s.simulate(sim)
}

// add takes over documents of the call, by the names that answers call them.
func (sim *simulation) add(texts []string) error {
	for i, text := range texts {
		doc, err := policy.Parse(policy.KindInline, text)
		if err != nil {
			return awsapi.Fault("InvalidInputException", "Policy %d of PolicyInputList: %v", i+1, err)
		}
		name := "PolicyInputList." + strconv.Itoa(i+1)
		sim.policies = append(sim.policies, policy.Policy{Name: name, Document: doc})
		sim.source[name] = shape.PolicySourceTypeNone
	}
	return nil
}

func (s *Service) simulate(sim simulation) (*shape.SimulatePolicyResponse, error) {
	for _, given := range sim.refused {
		if given != "" {
			return nil, awsapi.Fault("InvalidInputException", "Permissions boundaries and resource policies are not served in simulations.")
		}
	}
	if max(len(sim.resources), 1)*len(sim.actions) > maxSimulated {
		return nil, awsapi.Fault("InvalidInputException", "A simulation has at most %d pairs of action and resource.", maxSimulated)
	}
	for _, action := range sim.actions {
		if service, name, ok := strings.Cut(action, ":"); !ok || service == "" || name == "" || strings.ContainsAny(action, "*?") {
			return nil, awsapi.Fault("InvalidInputException", "Invalid Entity Arn or action: %s. An action is service:Operation without wildcards.", action)
		}
	}
	sim.actions, sim.resources = once(sim.actions), once(sim.resources)
	values := map[string][]string{}
	for _, c := range sim.context {
		values[c.ContextKeyName] = c.ContextKeyValues
	}
	results := policy.Simulate(policy.Simulation{
		Principal: sim.principal, Policies: sim.policies, Actions: sim.actions, Resources: sim.resources, Context: values, Time: s.cfg.Now(),
	})
	list := make([]shape.EvaluationResult, len(results))
	for i, r := range results {
		list[i] = sim.result(r)
	}
	items, truncated, marker, err := page(list, func(r shape.EvaluationResult) string { return r.EvalActionName + " " + r.EvalResourceName }, sim.marker, sim.size)
	return &shape.SimulatePolicyResponse{IsTruncated: truncated, Marker: marker, EvaluationResults: items}, err
}

func (sim *simulation) result(r policy.Simulated) shape.EvaluationResult {
	out := shape.EvaluationResult{
		EvalActionName: r.Action, EvalResourceName: r.Resource, EvalDecision: shape.PolicyEvaluationDecisionType(r.Effect),
		MatchedStatements: []shape.Statement{}, MissingContextValues: r.MissingContext,
	}
	for _, m := range r.Matched {
		out.MatchedStatements = append(out.MatchedStatements, shape.Statement{
			SourcePolicyID: m.Policy, SourcePolicyType: sim.source[m.Policy], StartPosition: position(m.Start), EndPosition: position(m.End),
		})
	}
	return out
}

// once leaves the first of equal words: what is asked twice is answered once.
func once(words []string) []string {
	var list []string
	for _, w := range words {
		if !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	return list
}

func position(p policy.Position) *shape.Position {
	return &shape.Position{Line: new(int32(p.Line)), Column: new(int32(p.Column))} //nolint:gosec // a document is small
}
