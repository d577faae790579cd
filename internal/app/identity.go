package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/iam"
	"greengate/internal/runner/sandbox"
)

// access decides about every call by the stored policies; it implements awsapi.Access. The key of the installation may
// everything; functions and tasks of greengate.yaml have no role and keep to their scope.
type access struct {
	cloud   *cloud.Cloud
	judge   *cloud.Judge
	account string
}

// access decides for the API.
func (c *Controller) access() access {
	return access{cloud: c.cloud, judge: c.sessions.judge, account: c.opts.AccountID}
}

// Allow implements awsapi.Access. It fails closed: who is not there any more may nothing.
func (a access) Allow(ctx context.Context, by awsapi.Principal, r awsapi.AccessRequest) error {
	if by.Kind != awsapi.KindUser && by.Kind != awsapi.KindRole {
		return awsapi.Scopes{}.Allow(ctx, by, r)
	}
	st := a.cloud.State()
	request := iam.Request{
		Principal: iam.Principal{ARN: by.ARN, RoleARN: by.Role, UserID: by.UserID},
		Action:    r.Action, Resource: r.Resource, Context: r.Context, Time: time.Now(),
	}
	grants, tags, ok := a.grants(st, by)
	request.Context = withTags(r.Context, tags)
	var d iam.Decision
	if ok {
		d = iam.Evaluate(request, a.judge.Policies(st, grants))
	}
	if d.Allowed() {
		return nil
	}
	return awsapi.Fault("AccessDeniedException", "%s", d.AccessDenied(request))
}

// grants are what a principal was given. One that was deleted has nothing, also where another bears its name now.
func (a access) grants(st cloud.State, by awsapi.Principal) (g cloud.Grants, tags map[string]string, ok bool) {
	if by.Kind == awsapi.KindUser {
		u, found := cloud.FindUser(st, a.account, by.ARN)
		return u.Grants, u.Tags, found && u.ID == by.UserID
	}
	role, found := cloud.FindRole(st, a.account, by.Role)
	return role.Grants, role.Tags, found && strings.HasPrefix(by.UserID, role.ID+":")
}

// withTags adds the tags of the principal (aws:PrincipalTag/KEY).
func withTags(values map[string][]string, tags map[string]string) map[string][]string {
	if len(tags) == 0 {
		return values
	}
	all := map[string][]string{}
	maps.Copy(all, values)
	for k, v := range tags {
		all["aws:PrincipalTag/"+k] = []string{v}
	}
	return all
}

// userKeys finds who has an access key. It keeps an index, which is made anew after the resources have changed.
type userKeys struct {
	cloud   *cloud.Cloud
	account string

	mu     sync.Mutex
	seen   <-chan struct{} // of the resources that the index is of
	owners map[string]awsapi.Principal
}

// find is awsapi.KeyRingConfig.User: a key that is not active is nobody's.
func (k *userKeys) find(id string) (awsapi.Principal, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if changed := k.cloud.Changed(); k.seen != changed {
		k.index(k.cloud.State())
		k.seen = changed
	}
	p, ok := k.owners[id]
	if !ok {
		return p, awsapi.ErrUnknownKey
	}
	return p, nil
}

func (k *userKeys) index(st cloud.State) {
	k.owners = map[string]awsapi.Principal{}
	for _, u := range cloud.All[cloud.IAMUser](st) {
		for _, key := range u.Keys {
			if key.Active {
				k.owners[key.ID] = awsapi.Principal{ARN: u.ARN(k.account), AccountID: k.account, Kind: awsapi.KindUser, UserID: u.ID}
			}
		}
	}
}

// sessions takes roles on for functions.
type sessions struct {
	cloud           *cloud.Cloud
	judge           *cloud.Judge
	keys            *awsapi.KeyRing
	account, region string
}

// lacks says what a role lacks for a service to take it on and do something with it.
func (s sessions) lacks(service, role, session, action, resource string) *cloud.RoleError {
	return s.judge.Role(s.cloud.State(), cloud.RoleNeed{
		Role: role, Service: service, Region: s.region, Session: session, Action: action, Resource: resource, Time: time.Now(),
	})
}

// function issues credentials of a function's role, for a session of the function's name. A *cloud.RoleError is why there
// are none.
func (s sessions) function(role, name string, ttl time.Duration) (*sandbox.Credentials, error) {
	if lack := s.lacks(cloud.ServiceLambda, role, name, "", ""); lack != nil {
		return nil, lack
	}
	r, _ := cloud.FindRole(s.cloud.State(), s.account, role)
	p := r.Session(s.account, name)
	return s.issue(awsapi.Principal{ARN: p.ARN, AccountID: s.account, Kind: awsapi.KindRole, Role: p.RoleARN, UserID: p.UserID}, ttl)
}

// roleID tells a role from one of the same name before it: a sandbox with credentials of that one must not serve any more.
func (s sessions) roleID(arn string) string {
	r, _ := cloud.FindRole(s.cloud.State(), s.account, arn)
	return r.ID
}

func (s sessions) issue(p awsapi.Principal, ttl time.Duration) (*sandbox.Credentials, error) {
	creds, err := s.keys.Issue(p, ttl)
	if err != nil {
		return nil, fmt.Errorf("issue credentials: %w", err)
	}
	return &sandbox.Credentials{
		AccessKeyID: creds.AccessKeyID, SecretAccessKey: string(creds.SecretAccessKey),
		SessionToken: creds.SessionToken, Expires: creds.Expiration,
	}, nil
}

// hook issues the credentials of a hook function. A function of the wire is invoked by the service role of its deployment
// group, which must be allowed to, and runs as its own role; what is missing matches deploy.ErrPermission.
func (s sessions) hook(f *deploy.Function, ttl time.Duration) (*sandbox.Credentials, error) {
	if lack := s.lacks(cloud.ServiceCodeDeploy, f.Invoker, "codedeploy", "lambda:InvokeFunction", f.ARN); lack != nil {
		return nil, deploy.Forbidden(lack)
	}
	creds, err := s.function(f.Role, f.Name, ttl)
	if lack, ok := errors.AsType[*cloud.RoleError](err); ok {
		return nil, deploy.Forbidden(fmt.Errorf("function %s cannot run: %w", f.Name, lack))
	}
	return creds, err
}
