package awsapi

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/deploy"
)

// refuser is an Access that allows nothing and remembers what it was asked.
type refuser struct {
	mu    sync.Mutex
	asked []AccessRequest
}

func (r *refuser) Allow(_ context.Context, by Principal, q AccessRequest) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, q)
	return Fault("AccessDeniedException", "%s may not %s", by.ARN, q.Action)
}

func (r *refuser) last() AccessRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.asked) == 0 {
		return AccessRequest{}
	}
	return r.asked[len(r.asked)-1]
}

func rolePrincipal() Principal {
	return Principal{
		ARN: "arn:aws:sts::000000000000:assumed-role/hook/check", AccountID: "000000000000", Kind: KindRole,
		Role: "arn:aws:iam::000000000000:role/hook", UserID: "AROA1:check",
	}
}

// TestAccess_everyOperation: no operation of CodeDeploy or of our own runs without being allowed.
func TestAccess_everyOperation(t *testing.T) {
	t.Parallel()
	access := &refuser{}
	e := serve(t, func(c *Config) {
		c.Access = access
		c.Operations = map[string]Operation{"Open": Typed(func(context.Context, Principal, struct{}) (string, error) { return "in", nil })}
	})
	who, err := e.ring.Issue(rolePrincipal(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"applicationName":"shop","deploymentGroupName":"web","currentDeploymentGroupName":"web","deploymentConfigName":"mine",
		"deploymentId":%[1]q,"deploymentIds":[%[1]q],"applicationNames":["shop"],"deploymentGroupNames":["web"],"targetIds":["x"],"targetId":"x",
		"lifecycleEventHookExecutionId":"execution-1","status":"Succeeded","tags":[{"Key":"a","Value":"b"}],"tagKeys":["a"],"Tags":[{"Key":"a","Value":"b"}],"TagKeys":["a"],
		"resourceArn":"arn:aws:codedeploy:eu-west-1:1:application:shop","ResourceArn":"arn:aws:codedeploy:eu-west-1:1:application:shop","revisions":[{}]}`, idShifting)
	for _, op := range codedeploy.Model().Operations {
		a := e.callAs(t, who, cdPrefix+op.Name, body)
		if a.errorName() != "AccessDeniedException" {
			t.Errorf("%s: %d %s", op.Name, a.status, a.body)
			continue
		}
		if q := access.last(); q.Action != "codedeploy:"+op.Name {
			t.Errorf("%s: asked for %s", op.Name, q.Action)
		}
		if q := access.last(); strings.Contains(q.Resource, "eu-west-1") {
			t.Errorf("%s: the region of the caller's ARN came through: %s", op.Name, q.Resource)
		}
	}
	if a := e.callAs(t, who, deploy.TargetPrefix+"Open", "{}"); a.errorName() != "AccessDeniedException" || access.last().Action != "greengate:Open" {
		t.Errorf("own operation: %d %s", a.status, a.body)
	}
	want := map[string][]string{
		"aws:SourceIp": {"127.0.0.1"}, "aws:RequestedRegion": {"eu-west-1"}, "aws:SecureTransport": {"false"}, "aws:ViaAWSService": {"false"},
		"aws:UserAgent": {"Go-http-client/1.1"},
	}
	if diff := cmp.Diff(want, access.last().Context); diff != "" {
		t.Errorf("what conditions see (-want +got):\n%s", diff)
	}
	e.house.mu.Lock()
	defer e.house.mu.Unlock()
	if len(e.house.denials) != 1 || e.house.denials[0].ExecutionID != "execution-1" || e.house.denials[0].By.Role != rolePrincipal().Role {
		t.Errorf("refused callbacks that were noted: %+v", e.house.denials)
	}
}

// TestAccess_passRole: a group is not made with a role that the caller may not hand on.
func TestAccess_passRole(t *testing.T) {
	t.Parallel()
	var asked []AccessRequest
	access := accessFunc(func(q AccessRequest) error {
		asked = append(asked, q)
		if q.Action == "iam:PassRole" {
			return Fault("AccessDeniedException", "no")
		}
		return nil
	})
	e := serve(t, func(c *Config) { c.Access = access })
	who, err := e.ring.Issue(rolePrincipal(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{"CreateDeploymentGroup", "UpdateDeploymentGroup"} {
		a := e.callAs(t, who, cdPrefix+op, `{"applicationName":"shop","deploymentGroupName":"g","currentDeploymentGroupName":"web","serviceRoleArn":"arn:aws:iam::000000000000:role/r"}`)
		last := asked[len(asked)-1]
		if a.errorName() != "AccessDeniedException" || last.Resource != "arn:aws:iam::000000000000:role/r" || last.Context["iam:PassedToService"][0] != "codedeploy.amazonaws.com" {
			t.Errorf("%s: %d %s; asked %+v", op, a.status, a.body, last)
		}
	}
}

// accessFunc is an Access that is asked by one caller at a time.
type accessFunc func(q AccessRequest) error

func (f accessFunc) Allow(_ context.Context, _ Principal, q AccessRequest) error { return f(q) }

// TestServer_expiredToken: credentials end.
func TestServer_expiredToken(t *testing.T) {
	t.Parallel()
	e := serve(t, func(c *Config) { c.Now = func() time.Time { return time.Now().Add(2 * time.Minute) } })
	for life, want := range map[time.Duration]string{time.Minute: "ExpiredTokenException", time.Hour: "AccessDeniedException"} {
		who, err := e.ring.Issue(rolePrincipal(), life)
		if err != nil {
			t.Fatal(err)
		}
		if a := e.callAs(t, who, cdPrefix+"ListApplications", "{}"); a.errorName() != want {
			t.Errorf("credentials of %s, two minutes later: %d %s, want %s", life, a.status, a.body, want)
		}
	}
}
