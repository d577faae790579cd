package iam

import (
	"context"
	"strings"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/iam"
	"greengate/internal/cloud"
)

func (s *Service) userHandlers(h awsapi.Handlers) {
	h["CreateUser"] = handle(s.createUser, func(_ awsapi.Principal, in *shape.CreateUserRequest) []string {
		path := in.Path
		if path == "" {
			path = "/"
		}
		return []string{cloud.IAMUser{Name: in.UserName, Path: path}.ARN(s.cfg.AccountID)}
	})
	h["GetUser"] = handle(s.getUser, func(by awsapi.Principal, in *shape.GetUserRequest) []string { return s.userARN(by, in.UserName) })
	h["ListUsers"] = handle(s.listUsers, nil)
	h["DeleteUser"] = handle(s.deleteUser, func(by awsapi.Principal, in *shape.DeleteUserRequest) []string { return s.userARN(by, in.UserName) })
}

// userARN is that of a user by its name, with its path where it is there; without a name that of the caller.
func (s *Service) userARN(by awsapi.Principal, name string) []string {
	if name == "" {
		return []string{by.ARN}
	}
	u, ok := cloud.Find[cloud.IAMUser](s.cfg.Resources.State(), name)
	if !ok {
		u = cloud.IAMUser{Name: name, Path: "/"}
	}
	return []string{u.ARN(s.cfg.AccountID)}
}

func user(st cloud.State, name string) (cloud.IAMUser, error) {
	u, ok := cloud.Find[cloud.IAMUser](st, name)
	if !ok {
		return u, noSuch("The user with name %s cannot be found.", name)
	}
	return u, nil
}

// whose is the name of the user that a call is about: the one that it names, or the caller.
func whose(by awsapi.Principal, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	if by.Kind != awsapi.KindUser {
		return "", invalid("Must specify userName when calling with non-User credentials")
	}
	return by.ARN[strings.LastIndexByte(by.ARN, '/')+1:], nil
}

func (s *Service) userShape(u cloud.IAMUser) *shape.User {
	return &shape.User{
		ARN: u.ARN(s.cfg.AccountID), UserName: u.Name, Path: u.Path, UserID: u.ID, CreateDate: shapes.At(u.Created), Tags: tagList(u.Tags),
	}
}

// editUser changes a user that is there.
func (s *Service) editUser(ctx context.Context, name string, edit func(st cloud.State, u *cloud.IAMUser) error) error {
	return s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		u, err := user(d.State(), name)
		if err != nil {
			return err
		}
		if err := edit(d.State(), &u); err != nil {
			return err
		}
		d.Put(u)
		return nil
	})
}

func (s *Service) createUser(ctx context.Context, _ awsapi.Principal, in *shape.CreateUserRequest) (*shape.CreateUserResponse, error) {
	path, err := named("userName", in.UserName, in.Path)
	if err != nil {
		return nil, err
	}
	if err := noBoundary(in.PermissionsBoundary); err != nil {
		return nil, err
	}
	u := cloud.IAMUser{Name: in.UserName, Path: path, ID: newID("AIDA"), Created: s.cfg.Now()}
	if u.Tags, err = tagsOf(nil, in.Tags); err != nil {
		return nil, err
	}
	err = s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if _, ok := cloud.Find[cloud.IAMUser](d.State(), u.Name); ok {
			return awsapi.Fault("EntityAlreadyExistsException", "User with name %s already exists.", u.Name)
		}
		d.Put(u)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateUserResponse{User: s.userShape(u)}, nil
}

// getUser without a name is about the caller; of the root of the account there is little to tell.
func (s *Service) getUser(_ context.Context, by awsapi.Principal, in *shape.GetUserRequest) (*shape.GetUserResponse, error) {
	if in.UserName == "" && by.Kind == awsapi.KindRoot {
		return &shape.GetUserResponse{User: &shape.User{ARN: by.ARN, UserID: s.cfg.AccountID, Path: "/", UserName: "root", CreateDate: shapes.At(s.cfg.Now())}}, nil
	}
	name, err := whose(by, in.UserName)
	if err != nil {
		return nil, err
	}
	u, err := user(s.cfg.Resources.State(), name)
	if err != nil {
		return nil, err
	}
	return &shape.GetUserResponse{User: s.userShape(u)}, nil
}

func (s *Service) listUsers(_ context.Context, _ awsapi.Principal, in *shape.ListUsersRequest) (*shape.ListUsersResponse, error) {
	var users []cloud.IAMUser
	for _, u := range cloud.All[cloud.IAMUser](s.cfg.Resources.State()) {
		if strings.HasPrefix(u.Path, in.PathPrefix) {
			users = append(users, u)
		}
	}
	items, truncated, marker, err := page(users, cloud.IAMUser.ResourceKey, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &shape.ListUsersResponse{IsTruncated: truncated, Marker: marker, Users: []shape.User{}}
	for _, u := range items {
		v := *s.userShape(u)
		v.Tags = nil // as the API reference says of this operation
		out.Users = append(out.Users, v)
	}
	return out, nil
}

func (s *Service) deleteUser(ctx context.Context, _ awsapi.Principal, in *shape.DeleteUserRequest) (*nothing, error) {
	return &nothing{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		u, err := user(d.State(), in.UserName)
		switch {
		case err != nil:
			return err
		case len(u.Keys) > 0:
			return conflict("Cannot delete entity, must delete access keys first.")
		case len(u.Attached) > 0:
			return conflict("Cannot delete entity, must detach all policies first.")
		case len(u.Inline) > 0:
			return conflict("Cannot delete entity, must delete policies first.")
		}
		d.Remove(u)
		return nil
	})
}
