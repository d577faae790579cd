// Package sts answers STS (API version 2011-06-15): who signs, and that nobody takes a role on from outside.
package sts

import (
	"context"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/sts"
)

// Config is what a Service needs.
type Config struct{ AccountID string }

// Service answers STS.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Handlers are the operations that are served.
func (s *Service) Handlers() awsapi.Handlers {
	return awsapi.Handlers{
		"GetCallerIdentity": awsapi.Handle(s.getCallerIdentity, nil).Open(),
		// Its own refusal is the same for everybody.
		"AssumeRole": awsapi.Handle(s.assumeRole, nil).Open(),
	}
}

// getCallerIdentity needs no permission, and none can deny it (API reference, "GetCallerIdentity").
func (s *Service) getCallerIdentity(_ context.Context, by awsapi.Principal, _ *shape.GetCallerIdentityRequest) (*shape.GetCallerIdentityResponse, error) {
	id := by.UserID
	if id == "" {
		id = s.cfg.AccountID
	}
	return &shape.GetCallerIdentityResponse{Account: s.cfg.AccountID, ARN: by.ARN, UserID: id}, nil
}

// assumeRole refuses everybody: roles are there for the services of this installation, which take them on inside. A
// client that got credentials would go on with AWS itself, where they mean nothing.
func (s *Service) assumeRole(_ context.Context, by awsapi.Principal, in *shape.AssumeRoleRequest) (*shape.AssumeRoleResponse, error) {
	if in.RoleARN == "" || in.RoleSessionName == "" {
		return nil, awsapi.Fault("ValidationException", "RoleArn and RoleSessionName must be given.")
	}
	return nil, awsapi.Fault("AccessDeniedException", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", by.ARN, in.RoleARN)
}
