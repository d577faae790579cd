package iam

import (
	"context"
	"maps"
	"strings"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/iam"
	"greengate/internal/cloud"
	policy "greengate/internal/iam"
)

// maxSession is how many seconds a session of a role lasts where the role names none.
const maxSession = 3600

func (s *Service) roleHandlers(h awsapi.Handlers) {
	h["CreateRole"] = handle(s.createRole, func(_ awsapi.Principal, in *shape.CreateRoleRequest) []string {
		path := in.Path
		if path == "" {
			path = "/"
		}
		return []string{cloud.IAMRole{Name: in.RoleName, Path: path}.ARN(s.cfg.AccountID)}
	})
	h["GetRole"] = handle(s.getRole, func(_ awsapi.Principal, in *shape.GetRoleRequest) []string { return s.roleARN(in.RoleName) })
	h["ListRoles"] = handle(s.listRoles, nil)
	h["DeleteRole"] = handle(s.deleteRole, func(_ awsapi.Principal, in *shape.DeleteRoleRequest) []string { return s.roleARN(in.RoleName) })
	h["UpdateRole"] = handle(s.updateRole, func(_ awsapi.Principal, in *shape.UpdateRoleRequest) []string { return s.roleARN(in.RoleName) })
	h["UpdateAssumeRolePolicy"] = handle(s.updateTrust, func(_ awsapi.Principal, in *shape.UpdateAssumeRolePolicyRequest) []string {
		return s.roleARN(in.RoleName)
	})
	h["TagRole"] = handle(s.tagRole, func(_ awsapi.Principal, in *shape.TagRoleRequest) []string { return s.roleARN(in.RoleName) })
	h["UntagRole"] = handle(s.untagRole, func(_ awsapi.Principal, in *shape.UntagRoleRequest) []string { return s.roleARN(in.RoleName) })
	h["ListRoleTags"] = handle(s.listRoleTags, func(_ awsapi.Principal, in *shape.ListRoleTagsRequest) []string { return s.roleARN(in.RoleName) })
	h["ListInstanceProfilesForRole"] = handle(s.listProfiles, func(_ awsapi.Principal, in *shape.ListInstanceProfilesForRoleRequest) []string {
		return s.roleARN(in.RoleName)
	})
}

// roleARN is that of a role by its name, with its path where it is there.
func (s *Service) roleARN(name string) []string {
	r, ok := cloud.Find[cloud.IAMRole](s.cfg.Resources.State(), name)
	if !ok {
		r = cloud.IAMRole{Name: name, Path: "/"}
	}
	return []string{r.ARN(s.cfg.AccountID)}
}

func role(st cloud.State, name string) (cloud.IAMRole, error) {
	r, ok := cloud.Find[cloud.IAMRole](st, name)
	if !ok {
		return r, noSuch("The role with name %s cannot be found.", name)
	}
	return r, nil
}

func (s *Service) roleShape(r cloud.IAMRole) *shape.Role {
	return &shape.Role{
		ARN: r.ARN(s.cfg.AccountID), RoleName: r.Name, Path: r.Path, RoleID: r.ID, CreateDate: shapes.At(r.Created),
		AssumeRolePolicyDocument: encoded(r.Trust), Description: r.Description,
		MaxSessionDuration: new(int32(r.MaxSession)), Tags: tagList(r.Tags), //nolint:gosec // bounded by the model
	}
}

// editRole changes a role that is there.
func (s *Service) editRole(ctx context.Context, name string, edit func(st cloud.State, r *cloud.IAMRole) error) error {
	return s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		r, err := role(d.State(), name)
		if err != nil {
			return err
		}
		if err := edit(d.State(), &r); err != nil {
			return err
		}
		d.Put(r)
		return nil
	})
}

func (s *Service) createRole(ctx context.Context, _ awsapi.Principal, in *shape.CreateRoleRequest) (*shape.CreateRoleResponse, error) {
	path, err := named("roleName", in.RoleName, in.Path)
	if err != nil {
		return nil, err
	}
	if err := noBoundary(in.PermissionsBoundary); err != nil {
		return nil, err
	}
	if err := document(policy.KindTrust, in.AssumeRolePolicyDocument); err != nil {
		return nil, err
	}
	r := cloud.IAMRole{
		Name: in.RoleName, Path: path, ID: newID("AROA"), Trust: in.AssumeRolePolicyDocument, Description: in.Description,
		MaxSession: maxSession, Created: s.cfg.Now(),
	}
	if in.MaxSessionDuration != nil {
		r.MaxSession = int(*in.MaxSessionDuration)
	}
	if r.Tags, err = tagsOf(nil, in.Tags); err != nil {
		return nil, err
	}
	err = s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if _, ok := cloud.Find[cloud.IAMRole](d.State(), r.Name); ok {
			return awsapi.Fault("EntityAlreadyExistsException", "Role with name %s already exists.", r.Name)
		}
		d.Put(r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateRoleResponse{Role: s.roleShape(r)}, nil
}

func (s *Service) getRole(_ context.Context, _ awsapi.Principal, in *shape.GetRoleRequest) (*shape.GetRoleResponse, error) {
	r, err := role(s.cfg.Resources.State(), in.RoleName)
	if err != nil {
		return nil, err
	}
	return &shape.GetRoleResponse{Role: s.roleShape(r)}, nil
}

func (s *Service) listRoles(_ context.Context, _ awsapi.Principal, in *shape.ListRolesRequest) (*shape.ListRolesResponse, error) {
	var roles []cloud.IAMRole
	for _, r := range cloud.All[cloud.IAMRole](s.cfg.Resources.State()) {
		if strings.HasPrefix(r.Path, in.PathPrefix) {
			roles = append(roles, r)
		}
	}
	items, truncated, marker, err := page(roles, cloud.IAMRole.ResourceKey, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &shape.ListRolesResponse{IsTruncated: truncated, Marker: marker, Roles: []shape.Role{}}
	for _, r := range items {
		v := *s.roleShape(r)
		v.Tags = nil // as the API reference says of this operation
		out.Roles = append(out.Roles, v)
	}
	return out, nil
}

func (s *Service) deleteRole(ctx context.Context, _ awsapi.Principal, in *shape.DeleteRoleRequest) (*nothing, error) {
	return &nothing{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		r, err := role(d.State(), in.RoleName)
		switch {
		case err != nil:
			return err
		case len(r.Attached) > 0:
			return conflict("Cannot delete entity, must detach all policies first.")
		case len(r.Inline) > 0:
			return conflict("Cannot delete entity, must delete policies first.")
		}
		d.Remove(r)
		return nil
	})
}

func (s *Service) updateRole(ctx context.Context, _ awsapi.Principal, in *shape.UpdateRoleRequest) (*shape.UpdateRoleResponse, error) {
	return &shape.UpdateRoleResponse{}, s.editRole(ctx, in.RoleName, func(_ cloud.State, r *cloud.IAMRole) error {
		if in.Description != "" {
			r.Description = in.Description
		}
		if in.MaxSessionDuration != nil {
			r.MaxSession = int(*in.MaxSessionDuration)
		}
		return nil
	})
}

func (s *Service) updateTrust(ctx context.Context, _ awsapi.Principal, in *shape.UpdateAssumeRolePolicyRequest) (*nothing, error) {
	if err := document(policy.KindTrust, in.PolicyDocument); err != nil {
		return nil, err
	}
	return &nothing{}, s.editRole(ctx, in.RoleName, func(_ cloud.State, r *cloud.IAMRole) error {
		r.Trust = in.PolicyDocument
		return nil
	})
}

func (s *Service) tagRole(ctx context.Context, _ awsapi.Principal, in *shape.TagRoleRequest) (*nothing, error) {
	return &nothing{}, s.editRole(ctx, in.RoleName, func(_ cloud.State, r *cloud.IAMRole) (err error) {
		r.Tags, err = tagsOf(r.Tags, in.Tags)
		return err
	})
}

func (s *Service) untagRole(ctx context.Context, _ awsapi.Principal, in *shape.UntagRoleRequest) (*nothing, error) {
	return &nothing{}, s.editRole(ctx, in.RoleName, func(_ cloud.State, r *cloud.IAMRole) error {
		r.Tags = maps.Clone(r.Tags)
		for _, k := range in.TagKeys {
			delete(r.Tags, k)
		}
		return nil
	})
}

func (s *Service) listRoleTags(_ context.Context, _ awsapi.Principal, in *shape.ListRoleTagsRequest) (*shape.ListRoleTagsResponse, error) {
	r, err := role(s.cfg.Resources.State(), in.RoleName)
	if err != nil {
		return nil, err
	}
	items, truncated, marker, err := page(tagList(r.Tags), func(t shape.Tag) string { return t.Key }, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &shape.ListRoleTagsResponse{IsTruncated: truncated, Marker: marker, Tags: items}, nil
}

// listProfiles: there are no instance profiles here, so a role is in none. Terraform asks before it deletes a role.
func (s *Service) listProfiles(_ context.Context, _ awsapi.Principal, in *shape.ListInstanceProfilesForRoleRequest) (*shape.ListInstanceProfilesForRoleResponse, error) {
	if _, err := role(s.cfg.Resources.State(), in.RoleName); err != nil {
		return nil, err
	}
	return &shape.ListInstanceProfilesForRoleResponse{IsTruncated: new(false), InstanceProfiles: []shape.InstanceProfile{}}, nil
}
