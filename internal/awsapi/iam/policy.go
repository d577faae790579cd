package iam

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/iam"
	"greengate/internal/cloud"
	policy "greengate/internal/iam"
)

// maxVersions is how many versions a managed policy has at most (reference_iam-quotas).
const maxVersions = 5

func (s *Service) policyHandlers(h awsapi.Handlers) {
	h["CreatePolicy"] = handle(s.createPolicy, func(_ awsapi.Principal, in *shape.CreatePolicyRequest) []string {
		return []string{cloud.IAMPolicy{Name: in.PolicyName, Path: cmp.Or(in.Path, "/")}.ARN(s.cfg.AccountID)}
	})
	h["GetPolicy"] = handle(s.getPolicy, func(_ awsapi.Principal, in *shape.GetPolicyRequest) []string { return []string{in.PolicyARN} })
	h["ListPolicies"] = handle(s.listPolicies, nil)
	h["DeletePolicy"] = handle(s.deletePolicy, func(_ awsapi.Principal, in *shape.DeletePolicyRequest) []string { return []string{in.PolicyARN} })
	h["CreatePolicyVersion"] = handle(s.createVersion, func(_ awsapi.Principal, in *shape.CreatePolicyVersionRequest) []string { return []string{in.PolicyARN} })
	h["GetPolicyVersion"] = handle(s.getVersion, func(_ awsapi.Principal, in *shape.GetPolicyVersionRequest) []string { return []string{in.PolicyARN} })
	h["ListPolicyVersions"] = handle(s.listVersions, func(_ awsapi.Principal, in *shape.ListPolicyVersionsRequest) []string { return []string{in.PolicyARN} })
	h["DeletePolicyVersion"] = handle(s.deleteVersion, func(_ awsapi.Principal, in *shape.DeletePolicyVersionRequest) []string { return []string{in.PolicyARN} })
	h["SetDefaultPolicyVersion"] = handle(s.setDefault, func(_ awsapi.Principal, in *shape.SetDefaultPolicyVersionRequest) []string {
		return []string{in.PolicyARN}
	})
	h["ListEntitiesForPolicy"] = handle(s.listEntities, func(_ awsapi.Principal, in *shape.ListEntitiesForPolicyRequest) []string {
		return []string{in.PolicyARN}
	})
}

// policyName is the name and path of a managed policy from its ARN.
func policyName(arn string) (name, path string) {
	_, rest, _ := strings.Cut(arn, ":policy")
	at := strings.LastIndexByte(rest, '/') + 1
	return rest[at:], rest[:at]
}

// managedARN is the ARN of a managed policy that is there, ours or AWS's; else the one that was given.
func (s *Service) managedARN(st cloud.State, arn string) (string, bool) {
	if p, ok := cloud.FindPolicy(st, s.cfg.AccountID, arn); ok {
		return p.ARN(s.cfg.AccountID), true
	}
	if m, ok := policy.Managed(arn); ok && strings.HasPrefix(arn, "arn:") {
		return m.ARN(), true
	}
	return arn, false
}

// awsPolicy is a policy of AWS in the form of ours. It was made before any of ours.
func awsPolicy(m policy.ManagedPolicy) cloud.IAMPolicy {
	sum := sha256.Sum256([]byte(m.ARN()))
	made := time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC)
	return cloud.IAMPolicy{
		Name: m.Name, Path: m.Path, ID: "ANPA" + base32.StdEncoding.EncodeToString(sum[:])[:17], Default: m.VersionID, Created: made, Updated: made,
		Versions: []cloud.PolicyVersion{{ID: m.VersionID, Document: m.Text, Created: made}},
	}
}

// find finds a managed policy; account is "aws" for those of AWS.
func (s *Service) find(st cloud.State, arn string) (p cloud.IAMPolicy, account string, err error) {
	if own, ok := cloud.FindPolicy(st, s.cfg.AccountID, arn); ok {
		return own, s.cfg.AccountID, nil
	}
	if m, ok := policy.Managed(arn); ok && strings.HasPrefix(arn, "arn:") {
		return awsPolicy(m), "aws", nil
	}
	return p, "", noSuch("Policy %s was not found.", arn)
}

// own finds a policy that may be changed.
func (s *Service) own(st cloud.State, arn string) (cloud.IAMPolicy, error) {
	p, account, err := s.find(st, arn)
	if err == nil && account == "aws" {
		err = awsapi.Fault("AccessDeniedException", "Policy %s is AWS's own and cannot be changed.", arn)
	}
	return p, err
}

// holders are the roles and users that a policy is attached to.
func holders(st cloud.State, arn string) (roles []shape.PolicyRole, users []shape.PolicyUser) {
	for _, r := range cloud.All[cloud.IAMRole](st) {
		if slices.Contains(r.Attached, arn) {
			roles = append(roles, shape.PolicyRole{RoleName: r.Name, RoleID: r.ID})
		}
	}
	for _, u := range cloud.All[cloud.IAMUser](st) {
		if slices.Contains(u.Attached, arn) {
			users = append(users, shape.PolicyUser{UserName: u.Name, UserID: u.ID})
		}
	}
	return roles, users
}

func policyShape(st cloud.State, p cloud.IAMPolicy, account string) *shape.Policy {
	roles, users := holders(st, p.ARN(account))
	return &shape.Policy{
		ARN: p.ARN(account), PolicyName: p.Name, Path: p.Path, PolicyID: p.ID, DefaultVersionID: p.Default, Description: p.Description,
		AttachmentCount:               new(int32(len(roles) + len(users))), //nolint:gosec // there are fewer
		PermissionsBoundaryUsageCount: new(int32(0)), IsAttachable: new(true),
		CreateDate: shapes.At(p.Created), UpdateDate: shapes.At(p.Updated), Tags: tagList(p.Tags),
	}
}

func (s *Service) createPolicy(ctx context.Context, _ awsapi.Principal, in *shape.CreatePolicyRequest) (*shape.CreatePolicyResponse, error) {
	path, err := named("policyName", in.PolicyName, in.Path)
	if err != nil {
		return nil, err
	}
	if err := document(policy.KindManaged, in.PolicyDocument); err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	p := cloud.IAMPolicy{
		Name: in.PolicyName, Path: path, ID: newID("ANPA"), Description: in.Description, Default: "v1", Next: 2, Created: now, Updated: now,
		Versions: []cloud.PolicyVersion{{ID: "v1", Document: in.PolicyDocument, Created: now}},
	}
	if p.Tags, err = tagsOf(nil, in.Tags); err != nil {
		return nil, err
	}
	var out *shape.Policy
	err = s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if _, ok := cloud.Find[cloud.IAMPolicy](d.State(), p.Name); ok {
			return awsapi.Fault("EntityAlreadyExistsException", "A policy called %s already exists. Duplicate names are not allowed.", p.Name)
		}
		d.Put(p)
		out = policyShape(d.State(), p, s.cfg.AccountID)
		return nil
	})
	return &shape.CreatePolicyResponse{Policy: out}, err
}

func (s *Service) getPolicy(_ context.Context, _ awsapi.Principal, in *shape.GetPolicyRequest) (*shape.GetPolicyResponse, error) {
	st := s.cfg.Resources.State()
	p, account, err := s.find(st, in.PolicyARN)
	if err != nil {
		return nil, err
	}
	return &shape.GetPolicyResponse{Policy: policyShape(st, p, account)}, nil
}

func (s *Service) listPolicies(_ context.Context, _ awsapi.Principal, in *shape.ListPoliciesRequest) (*shape.ListPoliciesResponse, error) {
	st := s.cfg.Resources.State()
	var list []shape.Policy
	add := func(p cloud.IAMPolicy, account string) {
		v := policyShape(st, p, account)
		v.Tags, v.Description = nil, "" // as the API reference says of this operation
		only := in.OnlyAttached != nil && *in.OnlyAttached
		if strings.HasPrefix(p.Path, in.PathPrefix) && (!only || *v.AttachmentCount > 0) {
			list = append(list, *v)
		}
	}
	if in.PolicyUsageFilter != shape.PolicyUsageTypePermissionsBoundary {
		if in.Scope != shape.PolicyScopeTypeLocal {
			for _, m := range policy.ManagedPolicies() {
				add(awsPolicy(m), "aws")
			}
		}
		if in.Scope != shape.PolicyScopeTypeAWS {
			for _, p := range cloud.All[cloud.IAMPolicy](st) {
				add(p, s.cfg.AccountID)
			}
		}
	}
	items, truncated, marker, err := page(list, func(p shape.Policy) string { return p.ARN }, in.Marker, in.MaxItems)
	return &shape.ListPoliciesResponse{IsTruncated: truncated, Marker: marker, Policies: items}, err
}

func (s *Service) deletePolicy(ctx context.Context, _ awsapi.Principal, in *shape.DeletePolicyRequest) (*nothing, error) {
	return &nothing{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		p, err := s.own(d.State(), in.PolicyARN)
		if err != nil {
			return err
		}
		roles, users := holders(d.State(), in.PolicyARN)
		switch {
		case len(roles)+len(users) > 0:
			return conflict("Cannot delete a policy attached to entities.")
		case len(p.Versions) > 1:
			return conflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		d.Remove(p)
		return nil
	})
}

func versionShape(p cloud.IAMPolicy, v cloud.PolicyVersion) *shape.PolicyVersion {
	return &shape.PolicyVersion{VersionID: v.ID, IsDefaultVersion: new(v.ID == p.Default), CreateDate: shapes.At(v.Created)}
}

func (s *Service) createVersion(ctx context.Context, _ awsapi.Principal, in *shape.CreatePolicyVersionRequest) (*shape.CreatePolicyVersionResponse, error) {
	if err := document(policy.KindManaged, in.PolicyDocument); err != nil {
		return nil, err
	}
	var out *shape.PolicyVersion
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		p, err := s.own(d.State(), in.PolicyARN)
		if err != nil {
			return err
		}
		if len(p.Versions) >= maxVersions {
			return limit("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		v := cloud.PolicyVersion{ID: fmt.Sprintf("v%d", p.Next), Document: in.PolicyDocument, Created: s.cfg.Now()}
		p.Versions, p.Next, p.Updated = append(slices.Clone(p.Versions), v), p.Next+1, v.Created
		if in.SetAsDefault != nil && *in.SetAsDefault {
			p.Default = v.ID
		}
		d.Put(p)
		out = versionShape(p, v)
		return nil
	})
	return &shape.CreatePolicyVersionResponse{PolicyVersion: out}, err
}

func noVersion(arn, id string) error {
	return noSuch("Policy %s version %s does not exist or is not attachable.", arn, id)
}

func (s *Service) getVersion(_ context.Context, _ awsapi.Principal, in *shape.GetPolicyVersionRequest) (*shape.GetPolicyVersionResponse, error) {
	p, _, err := s.find(s.cfg.Resources.State(), in.PolicyARN)
	if err != nil {
		return nil, err
	}
	v, ok := p.Version(in.VersionID)
	if !ok {
		return nil, noVersion(in.PolicyARN, in.VersionID)
	}
	out := versionShape(p, v)
	out.Document = encoded(v.Document)
	return &shape.GetPolicyVersionResponse{PolicyVersion: out}, nil
}

func (s *Service) listVersions(_ context.Context, _ awsapi.Principal, in *shape.ListPolicyVersionsRequest) (*shape.ListPolicyVersionsResponse, error) {
	p, _, err := s.find(s.cfg.Resources.State(), in.PolicyARN)
	if err != nil {
		return nil, err
	}
	var list []shape.PolicyVersion
	for _, v := range slices.Backward(p.Versions) {
		list = append(list, *versionShape(p, v))
	}
	items, truncated, marker, err := page(list, func(v shape.PolicyVersion) string { return v.VersionID }, in.Marker, in.MaxItems)
	return &shape.ListPolicyVersionsResponse{IsTruncated: truncated, Marker: marker, Versions: items}, err
}

func (s *Service) deleteVersion(ctx context.Context, _ awsapi.Principal, in *shape.DeletePolicyVersionRequest) (*nothing, error) {
	return &nothing{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		p, err := s.own(d.State(), in.PolicyARN)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(p.Versions, func(v cloud.PolicyVersion) bool { return v.ID == in.VersionID })
		switch {
		case at < 0:
			return noVersion(in.PolicyARN, in.VersionID)
		case in.VersionID == p.Default:
			return conflict("Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(slices.Clone(p.Versions), at, at+1)
		d.Put(p)
		return nil
	})
}

// setDefault makes another version the one that counts, from the next call on.
func (s *Service) setDefault(ctx context.Context, _ awsapi.Principal, in *shape.SetDefaultPolicyVersionRequest) (*nothing, error) {
	return &nothing{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		p, err := s.own(d.State(), in.PolicyARN)
		if err != nil {
			return err
		}
		if _, ok := p.Version(in.VersionID); !ok {
			return noVersion(in.PolicyARN, in.VersionID)
		}
		p.Default, p.Updated = in.VersionID, s.cfg.Now()
		d.Put(p)
		return nil
	})
}

// listEntities answers all entities in one page: there are few.
func (s *Service) listEntities(_ context.Context, _ awsapi.Principal, in *shape.ListEntitiesForPolicyRequest) (*shape.ListEntitiesForPolicyResponse, error) {
	st := s.cfg.Resources.State()
	p, account, err := s.find(st, in.PolicyARN)
	if err != nil {
		return nil, err
	}
	out := &shape.ListEntitiesForPolicyResponse{
		IsTruncated: new(false), PolicyGroups: []shape.PolicyGroup{}, PolicyRoles: []shape.PolicyRole{}, PolicyUsers: []shape.PolicyUser{},
	}
	roles, users := holders(st, p.ARN(account))
	if in.EntityFilter == "" || in.EntityFilter == shape.EntityTypeRole {
		out.PolicyRoles = append(out.PolicyRoles, roles...)
	}
	if in.EntityFilter == "" || in.EntityFilter == shape.EntityTypeUser {
		out.PolicyUsers = append(out.PolicyUsers, users...)
	}
	return out, nil
}
