package iam

import (
	"context"
	"slices"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/iam"
	"greengate/internal/cloud"
)

// maxKeys is how many access keys a user has at most (reference_iam-quotas).
const maxKeys = 2

func (s *Service) keyHandlers(h awsapi.Handlers) {
	h["CreateAccessKey"] = handle(s.createKey, func(by awsapi.Principal, in *shape.CreateAccessKeyRequest) []string {
		return s.userARN(by, in.UserName)
	})
	h["ListAccessKeys"] = handle(s.listKeys, func(by awsapi.Principal, in *shape.ListAccessKeysRequest) []string { return s.userARN(by, in.UserName) })
	h["UpdateAccessKey"] = handle(s.updateKey, func(by awsapi.Principal, in *shape.UpdateAccessKeyRequest) []string {
		return s.userARN(by, in.UserName)
	})
	h["DeleteAccessKey"] = handle(s.deleteKey, func(by awsapi.Principal, in *shape.DeleteAccessKeyRequest) []string {
		return s.userARN(by, in.UserName)
	})
	h["GetAccessKeyLastUsed"] = handle(s.keyLastUsed, func(by awsapi.Principal, in *shape.GetAccessKeyLastUsedRequest) []string {
		u, ok := s.owner(in.AccessKeyID)
		if !ok {
			return nil
		}
		return s.userARN(by, u.Name)
	})
}

func status(active bool) shape.StatusType {
	if active {
		return shape.StatusTypeActive
	}
	return shape.StatusTypeInactive
}

// createKey tells the secret, here and nowhere again.
func (s *Service) createKey(ctx context.Context, by awsapi.Principal, in *shape.CreateAccessKeyRequest) (*shape.CreateAccessKeyResponse, error) {
	name, err := whose(by, in.UserName)
	if err != nil {
		return nil, err
	}
	id, secret, err := s.cfg.Keys.NewUserKey()
	if err != nil {
		return nil, err
	}
	key := cloud.AccessKey{ID: id, Active: true, Created: s.cfg.Now()}
	err = s.editUser(ctx, name, func(_ cloud.State, u *cloud.IAMUser) error {
		if len(u.Keys) >= maxKeys {
			return limit("Cannot exceed quota for AccessKeysPerUser: %d", maxKeys)
		}
		u.Keys = append(slices.Clone(u.Keys), key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateAccessKeyResponse{AccessKey: &shape.AccessKey{
		AccessKeyID: id, SecretAccessKey: string(secret), UserName: name, Status: status(true), CreateDate: shapes.At(key.Created),
	}}, nil
}

func (s *Service) listKeys(_ context.Context, by awsapi.Principal, in *shape.ListAccessKeysRequest) (*shape.ListAccessKeysResponse, error) {
	name, err := whose(by, in.UserName)
	if err != nil {
		return nil, err
	}
	u, err := user(s.cfg.Resources.State(), name)
	if err != nil {
		return nil, err
	}
	items, truncated, marker, err := page(u.Keys, func(k cloud.AccessKey) string { return k.ID }, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAccessKeysResponse{IsTruncated: truncated, Marker: marker, AccessKeyMetadata: []shape.AccessKeyMetadata{}}
	for _, k := range items {
		out.AccessKeyMetadata = append(out.AccessKeyMetadata, shape.AccessKeyMetadata{
			AccessKeyID: k.ID, UserName: name, Status: status(k.Active), CreateDate: shapes.At(k.Created),
		})
	}
	return out, nil
}

// editKeys changes the keys of a user; at is the place of the key in question.
func (s *Service) editKeys(ctx context.Context, by awsapi.Principal, name, id string, edit func(keys []cloud.AccessKey, at int) []cloud.AccessKey) error {
	name, err := whose(by, name)
	if err != nil {
		return err
	}
	return s.editUser(ctx, name, func(_ cloud.State, u *cloud.IAMUser) error {
		at := slices.IndexFunc(u.Keys, func(k cloud.AccessKey) bool { return k.ID == id })
		if at < 0 {
			return noSuch("The Access Key with id %s cannot be found.", id)
		}
		u.Keys = edit(slices.Clone(u.Keys), at)
		return nil
	})
}

// updateKey turns a key on or off, from the next request on.
func (s *Service) updateKey(ctx context.Context, by awsapi.Principal, in *shape.UpdateAccessKeyRequest) (*nothing, error) {
	if in.Status == shape.StatusTypeExpired {
		return nil, invalid("The status of an access key is Active or Inactive.")
	}
	return &nothing{}, s.editKeys(ctx, by, in.UserName, in.AccessKeyID, func(keys []cloud.AccessKey, at int) []cloud.AccessKey {
		keys[at].Active = in.Status == shape.StatusTypeActive
		return keys
	})
}

func (s *Service) deleteKey(ctx context.Context, by awsapi.Principal, in *shape.DeleteAccessKeyRequest) (*nothing, error) {
	return &nothing{}, s.editKeys(ctx, by, in.UserName, in.AccessKeyID, func(keys []cloud.AccessKey, at int) []cloud.AccessKey {
		return slices.Delete(keys, at, at+1)
	})
}

func (s *Service) owner(id string) (cloud.IAMUser, bool) {
	for _, u := range cloud.All[cloud.IAMUser](s.cfg.Resources.State()) {
		if slices.ContainsFunc(u.Keys, func(k cloud.AccessKey) bool { return k.ID == id }) {
			return u, true
		}
	}
	return cloud.IAMUser{}, false
}

// keyLastUsed: uses are in the controller's log and not kept, so the answer is that of a key that was not used.
func (s *Service) keyLastUsed(_ context.Context, _ awsapi.Principal, in *shape.GetAccessKeyLastUsedRequest) (*shape.GetAccessKeyLastUsedResponse, error) {
	u, ok := s.owner(in.AccessKeyID)
	if !ok {
		return nil, noSuch("The Access Key with id %s cannot be found.", in.AccessKeyID)
	}
	return &shape.GetAccessKeyLastUsedResponse{UserName: u.Name, AccessKeyLastUsed: &shape.AccessKeyLastUsed{Region: "N/A", ServiceName: "N/A"}}, nil
}
