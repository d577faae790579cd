package iam

import (
	"strings"
	"testing"
)

func TestCanAssume(t *testing.T) {
	t.Parallel()
	const (
		assume  = `"Action":"sts:AssumeRole"`
		outside = "arn:aws:iam::999999999999:user/mallory"
	)
	codedeploy, tasks := ServicePrincipal("codedeploy", "us-east-1"), ServicePrincipal("ecs-tasks", "")
	root := Principal{ARN: "arn:aws:iam::123456789012:root"}
	mallory := Principal{ARN: outside}
	allow := func(principal string) string {
		return `{"Effect":"Allow","Principal":` + principal + `,` + assume + `}`
	}
	deny := func(rest string) string { return allow(`"*"`) + `,{"Effect":"Deny",` + rest + `,` + assume + `}` }
	cases := []struct {
		name       string
		statements string
		principal  Principal
		ctx        map[string][]string
		want       Effect
		delegated  bool
	}{
		{"service", allow(`{"Service":"codedeploy.amazonaws.com"}`), codedeploy, nil, Allowed, false},
		{"another service", allow(`{"Service":"codedeploy.amazonaws.com"}`), tasks, nil, ImplicitDeny, false},
		{"service in a list", allow(`{"Service":["lambda.amazonaws.com","ecs-tasks.amazonaws.com"]}`), tasks, nil, Allowed, false},
		{"service by region", allow(`{"Service":"codedeploy.us-east-1.amazonaws.com"}`), codedeploy, nil, Allowed, false},
		{"service of another region", allow(`{"Service":"codedeploy.eu-west-1.amazonaws.com"}`), codedeploy, nil, ImplicitDeny, false},
		{"a service is no user", allow(`{"Service":"codedeploy.amazonaws.com"}`), alice, nil, ImplicitDeny, false},
		{"a user is no service", allow(`{"AWS":"` + alice.ARN + `"}`), codedeploy, nil, ImplicitDeny, false},
		{"nobody known", allow(`{"AWS":"123456789012"}`), Principal{}, nil, ImplicitDeny, false},

		{"user", allow(`{"AWS":"` + alice.ARN + `"}`), alice, nil, Allowed, false},
		{"another user", allow(`{"AWS":"arn:aws:iam::123456789012:user/bob"}`), alice, nil, ImplicitDeny, false},
		{"user by unique id", allow(`{"AWS":"AIDAEXAMPLEALICE0001"}`), alice, nil, Allowed, false},
		{"assumed role", allow(`{"AWS":"` + deploy.ARN + `"}`), runner, nil, Allowed, false},
		{"assumed role by its own ARN", allow(`{"AWS":"` + runner.ARN + `"}`), runner, nil, Allowed, false},
		{"the role assumed under another name", allow(`{"AWS":"` + runner.ARN + `"}`), Principal{ARN: strings.Replace(runner.ARN, "build-7", "build-8", 1), RoleARN: deploy.ARN}, nil, ImplicitDeny, false},
		{"assumed role by unique id", allow(`{"AWS":"AROAEXAMPLEDEPLOY001"}`), runner, nil, Allowed, false},
		{"assumed role whose role is not told", allow(`{"AWS":"arn:aws:iam::123456789012:role/deploy"}`), Principal{ARN: runner.ARN}, nil, Allowed, false},

		{"account by id", allow(`{"AWS":"123456789012"}`), alice, nil, Allowed, true},
		{"account by root", allow(`{"AWS":"arn:aws:iam::123456789012:root"}`), runner, nil, Allowed, true},
		{"root itself", allow(`{"AWS":"arn:aws:iam::123456789012:root"}`), root, nil, Allowed, false},
		{"account and user", allow(`{"AWS":["123456789012","` + alice.ARN + `"]}`), alice, nil, Allowed, false},
		{"outsider", allow(`{"AWS":"123456789012"}`), mallory, nil, ImplicitDeny, false},
		{"everybody", allow(`"*"`), mallory, nil, Allowed, false},
		{"everybody of AWS", allow(`{"AWS":"*"}`), mallory, nil, Allowed, false},
		{"federated", allow(`{"Federated":"accounts.google.com"}`), alice, nil, ImplicitDeny, false},

		{"external id", `{"Effect":"Allow","Principal":{"AWS":"999999999999"},` + assume + `,"Condition":{"StringEquals":{"sts:ExternalId":"42"}}}`, mallory, keys("sts:ExternalId", "42"), Allowed, true},
		{"wrong external id", `{"Effect":"Allow","Principal":{"AWS":"999999999999"},` + assume + `,"Condition":{"StringEquals":{"sts:ExternalId":"42"}}}`, mallory, keys("sts:ExternalId", "43"), ImplicitDeny, false},
		{"no external id", `{"Effect":"Allow","Principal":{"AWS":"999999999999"},` + assume + `,"Condition":{"StringEquals":{"sts:ExternalId":"42"}}}`, mallory, nil, ImplicitDeny, false},
		{"source of a service", `{"Effect":"Allow","Principal":{"Service":"codedeploy.amazonaws.com"},` + assume + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:codedeploy:*:123456789012:*"}}}`, codedeploy, keys("aws:SourceArn", group), Allowed, false},
		{"by the ARN of the principal", `{"Effect":"Allow","Principal":"*",` + assume + `,"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::123456789012:role/ci/*"}}}`, runner, nil, Allowed, false},

		{"another action", `{"Effect":"Allow","Principal":"*","Action":"sts:TagSession"}`, alice, nil, ImplicitDeny, false},
		{"all of sts", `{"Effect":"Allow","Principal":"*","Action":"sts:*"}`, alice, nil, Allowed, false},
		{"NotAction", `{"Effect":"Allow","Principal":"*","NotAction":"sts:TagSession"}`, alice, nil, Allowed, false},

		{"deny a user", deny(`"Principal":{"AWS":"` + alice.ARN + `"}`), alice, nil, ExplicitDeny, false},
		{"deny another user", deny(`"Principal":{"AWS":"` + alice.ARN + `"}`), runner, nil, Allowed, false},
		{"deny an account", deny(`"Principal":{"AWS":"123456789012"}`), runner, nil, ExplicitDeny, false},
		{"deny a role", deny(`"Principal":{"AWS":"` + deploy.ARN + `"}`), runner, nil, ExplicitDeny, false},
		{"deny everybody, a service too", deny(`"Principal":"*"`), codedeploy, nil, ExplicitDeny, false},

		{"NotPrincipal exempts a user", deny(`"NotPrincipal":{"AWS":["` + alice.ARN + `","123456789012"]}`), alice, nil, Allowed, false},
		{"NotPrincipal denies the rest of the account", deny(`"NotPrincipal":{"AWS":["` + alice.ARN + `","123456789012"]}`), Principal{ARN: "arn:aws:iam::123456789012:user/bob"}, nil, ExplicitDeny, false},
		{"NotPrincipal exempts root", deny(`"NotPrincipal":{"AWS":"123456789012"}`), root, nil, Allowed, false},
		{"NotPrincipal with a role alone", deny(`"NotPrincipal":{"AWS":"` + deploy.ARN + `"}`), runner, nil, ExplicitDeny, false},
		{"NotPrincipal with role and assumed role", deny(`"NotPrincipal":{"AWS":["` + deploy.ARN + `","` + runner.ARN + `"]}`), runner, nil, Allowed, false},
		{"NotPrincipal with the unique id of a role", deny(`"NotPrincipal":{"AWS":"AROAEXAMPLEDEPLOY001"}`), runner, nil, Allowed, false},
		{"NotPrincipal exempts a service", deny(`"NotPrincipal":{"Service":"codedeploy.amazonaws.com"}`), codedeploy, nil, Allowed, false},
		{"NotPrincipal of everybody", deny(`"NotPrincipal":"*"`), runner, nil, Allowed, false},
		{"NotPrincipal with Allow", `{"Effect":"Allow","NotPrincipal":{"AWS":"` + alice.ARN + `"},` + assume + `}`, runner, nil, Allowed, false},
		{"NotPrincipal with Allow leaves out", `{"Effect":"Allow","NotPrincipal":{"AWS":"` + alice.ARN + `"},` + assume + `}`, alice, nil, ImplicitDeny, false},
		{"NotPrincipal with Allow leaves out an account", `{"Effect":"Allow","NotPrincipal":{"AWS":"123456789012"},` + assume + `}`, runner, nil, ImplicitDeny, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			trust := parsed(t, KindTrust, "trust", wrap(c.statements))
			got := CanAssume(c.principal, trust, "sts:AssumeRole", c.ctx)
			if got.Effect != c.want || got.Delegated != c.delegated {
				t.Errorf("%s (delegated %v), want %s (%v): %+v", got.Effect, got.Delegated, c.want, c.delegated, got)
			}
		})
	}
}

func TestCanAssume_needsATrustPolicy(t *testing.T) {
	t.Parallel()
	for _, p := range []Policy{{Name: "lost"}, policy(t, "permissions", wrap(allowAll))} {
		if got := CanAssume(alice, p, "sts:AssumeRole", nil); got.Effect != ExplicitDeny || got.Statement.Policy != p.Name || got.Delegated {
			t.Errorf("%s: %+v", p.Name, got)
		}
	}
}

func TestTrust_messages(t *testing.T) {
	t.Parallel()
	trust := parsed(t, KindTrust, "trust", wrap(`{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}`))
	r := Request{Principal: alice, Action: "sts:AssumeRole", Resource: deploy.ARN}
	got := CanAssume(r.Principal, trust, r.Action, nil)
	const denied = "User: arn:aws:iam::123456789012:user/team/alice is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/ci/deploy"
	if text := got.AccessDenied(r); text != denied {
		t.Errorf("denied: %s", text)
	}
	const explain = "user arn:aws:iam::123456789012:user/team/alice is not allowed to perform sts:AssumeRole on arn:aws:iam::123456789012:role/ci/deploy: " +
		"no policy allows it; policy trust, Statement[0] comes close, but its Principal does not match: it does not name user arn:aws:iam::123456789012:user/team/alice"
	if text := got.Explain(r); text != explain {
		t.Errorf("explain: %s", text)
	}
}
