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
	key     []byte
	keys    *awsapi.KeyRing
	cloud   *cloud.Cloud
	account string
}

// ExecutionID implements hook.Caller.
func (c caller) ExecutionID(effect string) string { return executionID(c.key, effect) }

// Credentials implements hook.Caller: a function may report on its own deployment group, and no more.
func (c caller) Credentials(call deploy.HookCall, ttl time.Duration) (sandbox.Credentials, error) {
	name := call.Hook.Function.Name
	application, group := call.Service, call.Service
	for _, g := range cloud.All[cloud.DeploymentGroup](c.cloud.State()) {
		if g.ServiceKey() == call.Service {
			application, group = g.Application, g.Name
		}
	}
	creds, err := c.keys.Issue(awsapi.Principal{
		ARN:       fmt.Sprintf("arn:aws:sts::%s:assumed-role/greengate-hook/%s", c.account, name),
		AccountID: c.account, Kind: awsapi.KindFunction,
		Scope: awsapi.Scope{
			Actions:     []string{"codedeploy:PutLifecycleEventHookExecutionStatus"},
			Application: application, Group: group, Function: name,
		},
	}, ttl)
	if err != nil {
		return sandbox.Credentials{}, fmt.Errorf("issue credentials: %w", err)
	}
	return sandbox.Credentials{
		AccessKeyID: creds.AccessKeyID, SecretAccessKey: string(creds.SecretAccessKey),
		SessionToken: creds.SessionToken, Expires: creds.Expiration,
	}, nil
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
