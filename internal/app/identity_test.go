package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
)

const testAccount = "000000000000"

func newCloud(t *testing.T, list ...cloud.Resource) *cloud.Cloud {
	t.Helper()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	storeAll(t, c, list...)
	return c
}

func storeAll(t *testing.T, c *cloud.Cloud, list ...cloud.Resource) {
	t.Helper()
	err := c.Update(t.Context(), func(d *cloud.Draft) error {
		for _, r := range list {
			d.Put(r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func allowing(action string) cloud.Grants {
	return cloud.Grants{Inline: map[string]string{"p": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"*"}]}`}}
}

func userOf(u cloud.IAMUser) awsapi.Principal {
	return awsapi.Principal{ARN: u.ARN(testAccount), AccountID: testAccount, Kind: awsapi.KindUser, UserID: u.ID}
}

// TestAccess: each kind of principal by what decides about it; who is gone, or only bears the name of one, may nothing.
func TestAccess(t *testing.T) {
	t.Parallel()
	ann := cloud.IAMUser{Name: "ann", Path: "/", ID: "AIDA1", Grants: allowing("ecs:*"), Tags: map[string]string{"team": "shop"}}
	tagged := cloud.IAMUser{Name: "tagged", Path: "/", ID: "AIDA2", Tags: map[string]string{"team": "shop"}, Grants: cloud.Grants{Inline: map[string]string{
		"p": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"shop"}}}]}`}}}
	broken := cloud.IAMUser{Name: "broken", Path: "/", ID: "AIDA3", Grants: allowing("ecs:*")}
	broken.Attached = []string{"arn:aws:iam::000000000000:policy/gone"}
	hook := cloud.IAMRole{Name: "hook", Path: "/ci/", ID: "AROA1", Grants: allowing("codedeploy:*")}
	a := access{cloud: newCloud(t, ann, tagged, broken, hook), judge: cloud.NewJudge(testAccount), account: testAccount}
	session := func(id string) awsapi.Principal {
		return awsapi.Principal{
			ARN: "arn:aws:sts::000000000000:assumed-role/hook/check", Role: "arn:aws:iam::000000000000:role/ci/hook", UserID: id, Kind: awsapi.KindRole,
		}
	}
	again := ann
	again.ID = "AIDA9"
	for _, c := range []struct {
		name   string
		by     awsapi.Principal
		action string
		ok     bool
	}{
		{"root", awsapi.Principal{Kind: awsapi.KindRoot}, "iam:CreateUser", true},
		{"user", userOf(ann), "ecs:CreateCluster", true},
		{"user, not allowed", userOf(ann), "iam:CreateUser", false},
		{"another user of that name", userOf(again), "ecs:CreateCluster", false},
		{"user who is gone", userOf(cloud.IAMUser{Name: "bob", Path: "/", ID: "AIDA5"}), "ecs:CreateCluster", false},
		{"tag of the user", userOf(tagged), "ecs:CreateCluster", true},
		{"attached policy is gone", userOf(broken), "ecs:CreateCluster", false},
		{"role", session("AROA1:check"), "codedeploy:GetDeployment", true},
		{"role, not allowed", session("AROA1:check"), "ecs:CreateCluster", false},
		{"another role of that name", session("AROA12:check"), "codedeploy:GetDeployment", false},
		{"role without a session", session("AROA1"), "codedeploy:GetDeployment", false},
		{"function without a scope", awsapi.Principal{Kind: awsapi.KindFunction}, "codedeploy:GetDeployment", false},
		{"no kind", awsapi.Principal{}, "codedeploy:GetDeployment", false},
	} {
		err := a.Allow(t.Context(), c.by, awsapi.AccessRequest{Action: c.action, Resource: "*"})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v, want allowed %v", c.name, err, c.ok)
		}
		if err == nil {
			continue
		}
		if e, ok := errors.AsType[*awsapi.Error](err); !ok || e.Name != "AccessDeniedException" || !strings.Contains(e.Message, c.action) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestUserKeys: a key is somebody's from the moment it is stored until it is turned off.
func TestUserKeys(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	k := &userKeys{cloud: c, account: testAccount}
	ring, err := awsapi.NewKeyRing(awsapi.KeyRingConfig{AccountID: testAccount, MasterKey: make([]byte, 32), User: k.find, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	id, secret, err := ring.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	look := func(token string) error {
		got, p, err := ring.Lookup(id, token, time.Now())
		if err == nil && (string(got) != string(secret) || p.Kind != awsapi.KindUser || p.UserID != "AIDA1") {
			t.Errorf("key of %+v", p)
		}
		return err
	}
	u := cloud.IAMUser{Name: "ann", Path: "/", ID: "AIDA1"}
	for _, step := range []struct {
		name  string
		keys  []cloud.AccessKey
		token string
		want  error
	}{
		{"no key", nil, "", awsapi.ErrUnknownKey},
		{"active", []cloud.AccessKey{{ID: id, Active: true}}, "", nil},
		{"with a token", []cloud.AccessKey{{ID: id, Active: true}}, "x", awsapi.ErrInvalidToken},
		{"inactive", []cloud.AccessKey{{ID: id}}, "", awsapi.ErrUnknownKey},
		{"active again", []cloud.AccessKey{{ID: id, Active: true}}, "", nil},
		{"deleted", nil, "", awsapi.ErrUnknownKey},
	} {
		u.Keys = step.keys
		storeAll(t, c, u)
		if err := look(step.token); !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.name, err, step.want)
		}
	}
}

// TestSessions_hook: a hook gets credentials of its role only where both roles may do their part.
func TestSessions_hook(t *testing.T) {
	t.Parallel()
	trust := func(service string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	}
	c := newCloud(t,
		cloud.IAMRole{Name: "deployer", Path: "/", ID: "AROA1", Trust: trust("codedeploy"), Grants: allowing("lambda:InvokeFunction")},
		cloud.IAMRole{Name: "idle", Path: "/", ID: "AROA2", Trust: trust("codedeploy")},
		cloud.IAMRole{Name: "hook", Path: "/", ID: "AROA3", Trust: trust("lambda")})
	ring, err := awsapi.NewKeyRing(awsapi.KeyRingConfig{AccountID: testAccount, MasterKey: make([]byte, 32), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	s := sessions{cloud: c, judge: cloud.NewJudge(testAccount), keys: ring, account: testAccount, region: "us-east-1"}
	role := func(name string) string { return "arn:aws:iam::000000000000:role/" + name }
	for _, x := range []struct {
		name, invoker, role, lack string
	}{
		{"both", role("deployer"), role("hook"), ""},
		{"may not invoke", role("idle"), role("hook"), "role/idle is not allowed to perform lambda:InvokeFunction on arn:check"},
		{"no service role", role("none"), role("hook"), "role/none cannot perform lambda:InvokeFunction"},
		{"no service role named", "", role("hook"), "lambda:InvokeFunction"},
		{"no role of the function", role("deployer"), role("none"), "function check cannot run: role " + role("none")},
		{"role that Lambda may not assume", role("deployer"), role("deployer"), "lambda.amazonaws.com"},
	} {
		creds, err := s.hook(&deploy.Function{Name: "check", ARN: "arn:check", Role: x.role, Invoker: x.invoker}, time.Hour)
		if x.lack != "" {
			if creds != nil || !errors.Is(err, deploy.ErrPermission) || !errors.Is(err, deploy.ErrPermanent) || !strings.Contains(err.Error(), x.lack) {
				t.Errorf("%s: %v, want a missing permission: %s", x.name, err, x.lack)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
			continue
		}
		_, p, err := ring.Lookup(creds.AccessKeyID, creds.SessionToken, time.Now())
		if err != nil || p.ARN != "arn:aws:sts::000000000000:assumed-role/hook/check" || p.Role != x.role || p.UserID != "AROA3:check" || p.Kind != awsapi.KindRole {
			t.Errorf("%s: %+v, %v", x.name, p, err)
		}
	}
}
