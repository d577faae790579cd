package app

import (
	"fmt"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/runner/sandbox"
)

// caller tells hooks what they need to call back; it implements hook.Caller.
type caller struct {
	key      []byte
	cloud    *cloud.Cloud
	sessions sessions
}

// ExecutionID implements hook.Caller.
func (c caller) ExecutionID(effect string) string { return executionID(c.key, effect) }

// Credentials implements hook.Caller. A function of greengate.yaml, which has no role, may report on its own deployment
// group, and no more.
func (c caller) Credentials(call deploy.HookCall, ttl time.Duration) (sandbox.Credentials, error) {
	f := call.Hook.Function
	if f.Role != "" {
		creds, err := c.sessions.hook(f, ttl)
		if err != nil {
			return sandbox.Credentials{}, err
		}
		return *creds, nil
	}
	creds, err := c.sessions.issue(awsapi.Principal{
		ARN:       fmt.Sprintf("arn:aws:sts::%s:assumed-role/greengate-hook/%s", c.sessions.account, f.Name),
		AccountID: c.sessions.account, Kind: awsapi.KindFunction,
		Scope: awsapi.Scope{
			Actions:     []string{"codedeploy:PutLifecycleEventHookExecutionStatus"},
			Application: call.Service, Group: call.Service, Function: f.Name,
		},
	}, ttl)
	if err != nil {
		return sandbox.Credentials{}, err
	}
	return *creds, nil
}

// Addresses implements hook.Caller.
func (c caller) Addresses(service string) (production, test string) {
	s := c.cloud.State()
	if svc, ok := cloud.Find[cloud.ECSService](s, service); ok {
		return s.ListenerAddress(svc.Routing.Production), s.ListenerAddress(svc.Routing.Test)
	}
	return s.Listeners[cloud.Listener{Service: service, Role: cloud.RoleProduction}.Name()].Address,
		s.Listeners[cloud.Listener{Service: service, Role: cloud.RoleTest}.Name()].Address
}
