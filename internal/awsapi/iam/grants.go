package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/iam"
	"greengate/internal/cloud"
	policy "greengate/internal/iam"
)

// This file gives roles and users their permissions: inline policies, and managed ones that are attached.

// maxAttached is how many managed policies an identity has at most (reference_iam-quotas).
const maxAttached = 10

// holder is a role or a user as what has permissions.
type holder struct {
	name   string
	user   bool
	grants cloud.Grants
}

func (h holder) kind() string {
	if h.user {
		return "user"
	}
	return "role"
}

// holder finds a role or a user.
func (s *Service) holder(name string, isUser bool) (holder, error) {
	st := s.cfg.Resources.State()
	if isUser {
		u, err := user(st, name)
		return holder{name, true, u.Grants}, err
	}
	r, err := role(st, name)
	return holder{name, false, r.Grants}, err
}

// grant changes what a role or user may.
func (s *Service) grant(ctx context.Context, name string, isUser bool, edit func(st cloud.State, h *holder) error) error {
	change := func(st cloud.State, g *cloud.Grants) error {
		h := holder{name, isUser, cloud.Grants{Inline: maps.Clone(g.Inline), Attached: slices.Clone(g.Attached)}}
		if err := edit(st, &h); err != nil {
			return err
		}
		*g = h.grants
		return nil
	}
	if isUser {
		return s.editUser(ctx, name, func(st cloud.State, u *cloud.IAMUser) error { return change(st, &u.Grants) })
	}
	return s.editRole(ctx, name, func(st cloud.State, r *cloud.IAMRole) error { return change(st, &r.Grants) })
}

func (s *Service) inlineHandlers(h awsapi.Handlers) {
	h["PutRolePolicy"] = handle(func(ctx context.Context, _ awsapi.Principal, in *shape.PutRolePolicyRequest) (*nothing, error) {
		return s.putInline(ctx, in.RoleName, false, in.PolicyName, in.PolicyDocument)
	}, func(_ awsapi.Principal, in *shape.PutRolePolicyRequest) []string { return s.roleARN(in.RoleName) })
	h["PutUserPolicy"] = handle(func(ctx context.Context, _ awsapi.Principal, in *shape.PutUserPolicyRequest) (*nothing, error) {
		return s.putInline(ctx, in.UserName, true, in.PolicyName, in.PolicyDocument)
	}, func(by awsapi.Principal, in *shape.PutUserPolicyRequest) []string { return s.userARN(by, in.UserName) })
	h["DeleteRolePolicy"] = handle(func(ctx context.Context, _ awsapi.Principal, in *shape.DeleteRolePolicyRequest) (*nothing, error) {
		return s.deleteInline(ctx, in.RoleName, false, in.PolicyName)
	}, func(_ awsapi.Principal, in *shape.DeleteRolePolicyRequest) []string { return s.roleARN(in.RoleName) })
	h["DeleteUserPolicy"] = handle(func(ctx context.Context, _ awsapi.Principal, in *shape.DeleteUserPolicyRequest) (*nothing, error) {
		return s.deleteInline(ctx, in.UserName, true, in.PolicyName)
	}, func(by awsapi.Principal, in *shape.DeleteUserPolicyRequest) []string {
		return s.userARN(by, in.UserName)
	})
	h["GetRolePolicy"] = handle(s.getRolePolicy, func(_ awsapi.Principal, in *shape.GetRolePolicyRequest) []string { return s.roleARN(in.RoleName) })
	h["GetUserPolicy"] = handle(s.getUserPolicy, func(by awsapi.Principal, in *shape.GetUserPolicyRequest) []string { return s.userARN(by, in.UserName) })
	h["ListRolePolicies"] = handle(s.listRolePolicies, func(_ awsapi.Principal, in *shape.ListRolePoliciesRequest) []string { return s.roleARN(in.RoleName) })
	h["ListUserPolicies"] = handle(s.listUserPolicies, func(by awsapi.Principal, in *shape.ListUserPoliciesRequest) []string {
		return s.userARN(by, in.UserName)
	})
}

func (s *Service) putInline(ctx context.Context, name string, isUser bool, policyName, text string) (*nothing, error) {
	if _, err := named("policyName", policyName, ""); err != nil {
		return nil, err
	}
	if err := document(policy.KindInline, text); err != nil {
		return nil, err
	}
	return &nothing{}, s.grant(ctx, name, isUser, func(_ cloud.State, h *holder) error {
		if h.grants.Inline == nil {
			h.grants.Inline = map[string]string{}
		}
		h.grants.Inline[policyName] = text
		most, size := policy.MaxInlineRole, 0
		if isUser {
			most = policy.MaxInlineUser
		}
		for _, t := range h.grants.Inline {
			size += policy.Size(t)
		}
		if size > most {
			return limit("Maximum policy size of %d bytes exceeded for %s %s", most, h.kind(), name)
		}
		return nil
	})
}

func (s *Service) deleteInline(ctx context.Context, name string, isUser bool, policyName string) (*nothing, error) {
	return &nothing{}, s.grant(ctx, name, isUser, func(_ cloud.State, h *holder) error {
		if _, ok := h.grants.Inline[policyName]; !ok {
			return h.noInline(policyName)
		}
		delete(h.grants.Inline, policyName)
		return nil
	})
}

func (h holder) noInline(policyName string) error {
	return noSuch("The %s policy with name %s cannot be found.", h.kind(), policyName)
}

func (s *Service) inline(name string, isUser bool, policyName string) (string, error) {
	h, err := s.holder(name, isUser)
	if err != nil {
		return "", err
	}
	text, ok := h.grants.Inline[policyName]
	if !ok {
		return "", h.noInline(policyName)
	}
	return encoded(text), nil
}

func (s *Service) getRolePolicy(_ context.Context, _ awsapi.Principal, in *shape.GetRolePolicyRequest) (*shape.GetRolePolicyResponse, error) {
	text, err := s.inline(in.RoleName, false, in.PolicyName)
	return &shape.GetRolePolicyResponse{RoleName: in.RoleName, PolicyName: in.PolicyName, PolicyDocument: text}, err
}

func (s *Service) getUserPolicy(_ context.Context, _ awsapi.Principal, in *shape.GetUserPolicyRequest) (*shape.GetUserPolicyResponse, error) {
	text, err := s.inline(in.UserName, true, in.PolicyName)
	return &shape.GetUserPolicyResponse{UserName: in.UserName, PolicyName: in.PolicyName, PolicyDocument: text}, err
}

func (s *Service) listRolePolicies(_ context.Context, _ awsapi.Principal, in *shape.ListRolePoliciesRequest) (*shape.ListRolePoliciesResponse, error) {
	h, err := s.holder(in.RoleName, false)
	if err != nil {
		return nil, err
	}
	names, truncated, marker, err := page(slices.Sorted(maps.Keys(h.grants.Inline)), self, in.Marker, in.MaxItems)
	return &shape.ListRolePoliciesResponse{IsTruncated: truncated, Marker: marker, PolicyNames: names}, err
}

func (s *Service) listUserPolicies(_ context.Context, _ awsapi.Principal, in *shape.ListUserPoliciesRequest) (*shape.ListUserPoliciesResponse, error) {
	h, err := s.holder(in.UserName, true)
	if err != nil {
		return nil, err
	}
	names, truncated, marker, err := page(slices.Sorted(maps.Keys(h.grants.Inline)), self, in.Marker, in.MaxItems)
	return &shape.ListUserPoliciesResponse{IsTruncated: truncated, Marker: marker, PolicyNames: names}, err
}

// attaching is what attaching and detaching a policy need: conditions may ask which one (iam:PolicyARN).
func attaching(on []string, policyARN string) []awsapi.AccessRequest {
	return []awsapi.AccessRequest{{Resource: on[0], Context: map[string][]string{"iam:PolicyARN": {policyARN}}}}
}

func (s *Service) attachHandlers(h awsapi.Handlers) {
	h["AttachRolePolicy"] = handleNeeds(func(ctx context.Context, _ awsapi.Principal, in *shape.AttachRolePolicyRequest) (*nothing, error) {
		return s.attach(ctx, in.RoleName, false, in.PolicyARN)
	}, func(_ awsapi.Principal, in *shape.AttachRolePolicyRequest) []awsapi.AccessRequest {
		return attaching(s.roleARN(in.RoleName), in.PolicyARN)
	})
	h["AttachUserPolicy"] = handleNeeds(func(ctx context.Context, _ awsapi.Principal, in *shape.AttachUserPolicyRequest) (*nothing, error) {
		return s.attach(ctx, in.UserName, true, in.PolicyARN)
	}, func(by awsapi.Principal, in *shape.AttachUserPolicyRequest) []awsapi.AccessRequest {
		return attaching(s.userARN(by, in.UserName), in.PolicyARN)
	})
	h["DetachRolePolicy"] = handleNeeds(func(ctx context.Context, _ awsapi.Principal, in *shape.DetachRolePolicyRequest) (*nothing, error) {
		return s.detach(ctx, in.RoleName, false, in.PolicyARN)
	}, func(_ awsapi.Principal, in *shape.DetachRolePolicyRequest) []awsapi.AccessRequest {
		return attaching(s.roleARN(in.RoleName), in.PolicyARN)
	})
	h["DetachUserPolicy"] = handleNeeds(func(ctx context.Context, _ awsapi.Principal, in *shape.DetachUserPolicyRequest) (*nothing, error) {
		return s.detach(ctx, in.UserName, true, in.PolicyARN)
	}, func(by awsapi.Principal, in *shape.DetachUserPolicyRequest) []awsapi.AccessRequest {
		return attaching(s.userARN(by, in.UserName), in.PolicyARN)
	})
	h["ListAttachedRolePolicies"] = handle(s.listAttachedRole, func(_ awsapi.Principal, in *shape.ListAttachedRolePoliciesRequest) []string {
		return s.roleARN(in.RoleName)
	})
	h["ListAttachedUserPolicies"] = handle(s.listAttachedUser, func(by awsapi.Principal, in *shape.ListAttachedUserPoliciesRequest) []string {
		return s.userARN(by, in.UserName)
	})
}

func (s *Service) attach(ctx context.Context, name string, isUser bool, arn string) (*nothing, error) {
	return &nothing{}, s.grant(ctx, name, isUser, func(st cloud.State, h *holder) error {
		arn, ok := s.managedARN(st, arn)
		switch {
		case !ok:
			return noSuch("Policy %s does not exist or is not attachable.", arn)
		case slices.Contains(h.grants.Attached, arn):
			return nil
		case len(h.grants.Attached) >= maxAttached:
			return limit("Cannot exceed quota for PoliciesPer%s: %d", strings.ToUpper(h.kind()[:1])+h.kind()[1:], maxAttached)
		}
		h.grants.Attached = append(h.grants.Attached, arn)
		slices.Sort(h.grants.Attached)
		return nil
	})
}

func (s *Service) detach(ctx context.Context, name string, isUser bool, arn string) (*nothing, error) {
	return &nothing{}, s.grant(ctx, name, isUser, func(_ cloud.State, h *holder) error {
		at := slices.Index(h.grants.Attached, arn)
		if at < 0 {
			return noSuch("Policy %s was not found.", arn)
		}
		h.grants.Attached = slices.Delete(h.grants.Attached, at, at+1)
		return nil
	})
}

// attached is a page of what is attached, by names.
func (s *Service) attached(h holder, prefix, marker string, size *int32) (list []shape.AttachedPolicy, truncated *bool, next string, err error) {
	list = []shape.AttachedPolicy{}
	for _, arn := range h.grants.Attached {
		name, path := policyName(arn)
		if strings.HasPrefix(path, prefix) {
			list = append(list, shape.AttachedPolicy{PolicyARN: arn, PolicyName: name})
		}
	}
	return page(list, func(p shape.AttachedPolicy) string { return p.PolicyARN }, marker, size)
}

func (s *Service) listAttachedRole(_ context.Context, _ awsapi.Principal, in *shape.ListAttachedRolePoliciesRequest) (*shape.ListAttachedRolePoliciesResponse, error) {
	h, err := s.holder(in.RoleName, false)
	if err != nil {
		return nil, err
	}
	list, truncated, marker, err := s.attached(h, in.PathPrefix, in.Marker, in.MaxItems)
	return &shape.ListAttachedRolePoliciesResponse{IsTruncated: truncated, Marker: marker, AttachedPolicies: list}, err
}

func (s *Service) listAttachedUser(_ context.Context, _ awsapi.Principal, in *shape.ListAttachedUserPoliciesRequest) (*shape.ListAttachedUserPoliciesResponse, error) {
	h, err := s.holder(in.UserName, true)
	if err != nil {
		return nil, err
	}
	list, truncated, marker, err := s.attached(h, in.PathPrefix, in.Marker, in.MaxItems)
	return &shape.ListAttachedUserPoliciesResponse{IsTruncated: truncated, Marker: marker, AttachedPolicies: list}, err
}
