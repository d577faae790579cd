package iam

import (
	"slices"
	"strings"
	"testing"
)

const allowAll = `{"Effect":"Allow","Action":"*","Resource":"*"}`

// TestEvaluate holds the rules of actions, resources, variables and precedence; operators have a table of their own.
func TestEvaluate(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name       string
		statements string
		action     string
		resource   string
		ctx        map[string][]string
		want       Effect
	}{
		// Precedence: reference_policies_evaluation-logic.
		{"nothing about it", `{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`, "lambda:InvokeFunction", hook, nil, ImplicitDeny},
		{"allowed", `{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"*"}`, "lambda:InvokeFunction", hook, nil, Allowed},
		{"deny after allow", allowAll + `,{"Effect":"Deny","Action":"lambda:*","Resource":"*"}`, "lambda:InvokeFunction", hook, nil, ExplicitDeny},
		{"deny before allow", `{"Effect":"Deny","Action":"lambda:*","Resource":"*"},` + allowAll, "lambda:InvokeFunction", hook, nil, ExplicitDeny},
		{"deny of something else", allowAll + `,{"Effect":"Deny","Action":"s3:*","Resource":"*"}`, "lambda:InvokeFunction", hook, nil, Allowed},
		{"deny alone allows nothing", `{"Effect":"Deny","Action":"s3:*","Resource":"*"}`, "lambda:InvokeFunction", hook, nil, ImplicitDeny},
		{"deny of another resource", allowAll + `,{"Effect":"Deny","Action":"*","Resource":"arn:aws:lambda:*:*:function:other"}`, "lambda:InvokeFunction", hook, nil, Allowed},

		// Actions: reference_policies_elements_action.
		{"action ignores case", `{"Effect":"Allow","Action":"LAMBDA:invokefunction","Resource":"*"}`, "lambda:InvokeFunction", hook, nil, Allowed},
		{"action star at the end", `{"Effect":"Allow","Action":"lambda:Invoke*","Resource":"*"}`, "lambda:InvokeFunction", hook, nil, Allowed},
		{"action star in the middle", `{"Effect":"Allow","Action":"iam:*AccessKey*","Resource":"*"}`, "iam:CreateAccessKey", "*", nil, Allowed},
		{"action question mark", `{"Effect":"Allow","Action":"ecs:?escribeServices","Resource":"*"}`, "ecs:DescribeServices", "*", nil, Allowed},
		{"action question mark is one", `{"Effect":"Allow","Action":"ecs:Describe?","Resource":"*"}`, "ecs:DescribeServices", "*", nil, ImplicitDeny},
		{"action prefix is no match", `{"Effect":"Allow","Action":"lambda:Invoke","Resource":"*"}`, "lambda:InvokeFunction", hook, nil, ImplicitDeny},
		{"action of another service", `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`, "s3-object-lambda:Get", "*", nil, ImplicitDeny},
		{"star colon star", `{"Effect":"Allow","Action":"*:*","Resource":"*"}`, "sns:Publish", "*", nil, Allowed},
		{"second of a list", `{"Effect":"Allow","Action":["s3:GetObject","sns:Publish"],"Resource":"*"}`, "sns:Publish", "*", nil, Allowed},

		// NotAction: reference_policies_elements_notaction.
		{"NotAction allows the others", `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, "sns:Publish", "*", nil, Allowed},
		{"NotAction leaves out", `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, "iam:CreateUser", "*", nil, ImplicitDeny},
		{"NotAction with Deny", allowAll + `,{"Effect":"Deny","NotAction":["sns:*","s3:*"],"Resource":"*"}`, "iam:CreateUser", "*", nil, ExplicitDeny},
		{"NotAction with Deny leaves out", allowAll + `,{"Effect":"Deny","NotAction":["sns:*","s3:*"],"Resource":"*"}`, "s3:GetObject", "*", nil, Allowed},

		// Resources: reference_policies_elements_resource.
		{"resource exact", `{"Effect":"Allow","Action":"*","Resource":"` + hook + `"}`, "lambda:InvokeFunction", hook, nil, Allowed},
		{"resource is case-sensitive", `{"Effect":"Allow","Action":"*","Resource":"` + strings.ToLower(hook) + `"}`, "lambda:InvokeFunction", hook, nil, ImplicitDeny},
		{"resource prefix", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:lambda:*:*:function:CodeDeployHook_*"}`, "lambda:InvokeFunction", hook, nil, Allowed},
		{"resource of another name", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:lambda:*:*:function:CodeDeployHook_*"}`, "lambda:InvokeFunction", "arn:aws:lambda:us-east-1:123456789012:function:check", nil, ImplicitDeny},
		{"resource without its version", `{"Effect":"Allow","Action":"*","Resource":"` + hook + `"}`, "lambda:InvokeFunction", hook + ":7", nil, ImplicitDeny},
		{"resource with a version star", `{"Effect":"Allow","Action":"*","Resource":"` + hook + `:*"}`, "lambda:InvokeFunction", hook + ":7", nil, Allowed},
		{"resource of another account", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:lambda:*:999999999999:function:*"}`, "lambda:InvokeFunction", hook, nil, ImplicitDeny},
		{"resource of another partition", `{"Effect":"Allow","Action":"*","Resource":"arn:aws-cn:lambda:*:*:function:*"}`, "lambda:InvokeFunction", hook, nil, ImplicitDeny},
		{"resource star goes over colons", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:lambda:*"}`, "lambda:InvokeFunction", hook, nil, Allowed},
		{"resource star inside a field does not", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:lambda:us-*1:123456789012:function:a"}`, "lambda:InvokeFunction", "arn:aws:lambda:us-east:1:123456789012:function:a", nil, ImplicitDeny},
		{"resource star inside a field", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:lambda:us-*-1:123456789012:function:*"}`, "lambda:InvokeFunction", hook, nil, Allowed},
		{"resource question marks", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:lambda:us-????-1:123456789012:function:*"}`, "lambda:InvokeFunction", hook, nil, Allowed},
		{"resource question mark is no colon", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:?::b"}`, "s3:GetObject", "arn:aws:s3::::b", nil, ImplicitDeny},
		{"resource star goes over colons of the last field", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:lambda:*:*:function:a*b"}`, "lambda:InvokeFunction", "arn:aws:lambda:us-east-1:123456789012:function:a:b", nil, Allowed},
		{"an ARN does not cover the star", `{"Effect":"Allow","Action":"*","Resource":"` + hook + `"}`, "lambda:ListFunctions", "*", nil, ImplicitDeny},
		{"one of two resources", `{"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::a","` + hook + `"]}`, "lambda:InvokeFunction", hook, nil, Allowed},
		{"bucket is not its objects", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::rev"}`, "s3:GetObject", "arn:aws:s3:::rev/appspec.yaml", nil, ImplicitDeny},
		{"objects are not their bucket", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::rev/*"}`, "s3:ListBucket", "arn:aws:s3:::rev", nil, ImplicitDeny},
		{"star in the middle of an object", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::*/CodeDeploy/*"}`, "s3:GetObject", "arn:aws:s3:::rev/CodeDeploy/appspec.yaml", nil, Allowed},

		// NotResource: reference_policies_elements_notresource.
		{"NotResource allows others", `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::secret/*"}`, "s3:GetObject", "arn:aws:s3:::rev/a", nil, Allowed},
		{"NotResource leaves out", `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::secret/*"}`, "s3:GetObject", "arn:aws:s3:::secret/a", nil, ImplicitDeny},
		{"NotResource with Deny", allowAll + `,{"Effect":"Deny","Action":"s3:*","NotResource":["arn:aws:s3:::rev","arn:aws:s3:::rev/*"]}`, "s3:GetObject", "arn:aws:s3:::other/a", nil, ExplicitDeny},
		{"NotResource with Deny leaves out", allowAll + `,{"Effect":"Deny","Action":"s3:*","NotResource":["arn:aws:s3:::rev","arn:aws:s3:::rev/*"]}`, "s3:GetObject", "arn:aws:s3:::rev/a", nil, Allowed},

		// Variables: reference_policies_variables.
		{"user name", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::home/${aws:username}/*"}`, "s3:GetObject", "arn:aws:s3:::home/alice/a", nil, Allowed},
		{"somebody else's name", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::home/${aws:username}/*"}`, "s3:GetObject", "arn:aws:s3:::home/bob/a", nil, ImplicitDeny},
		{"key of a variable ignores case", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::home/${AWS:UserName}/*"}`, "s3:GetObject", "arn:aws:s3:::home/alice/a", nil, Allowed},
		{"tag of the principal", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team}-rev/*"}`, "s3:GetObject", "arn:aws:s3:::shop-rev/a", keys("aws:PrincipalTag/team", "shop"), Allowed},
		{"variable without a value", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team}*"}`, "s3:GetObject", "arn:aws:s3:::x", nil, ImplicitDeny},
		{"variable without a value in NotResource", `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::${aws:PrincipalTag/team}*"}`, "s3:GetObject", "arn:aws:s3:::x", nil, Allowed},
		{"variable with several values", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:TagKeys}"}`, "s3:GetObject", "arn:aws:s3:::a", keys("aws:TagKeys", "a", "aws:TagKeys", "b"), ImplicitDeny},
		{"default unused", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team, 'all'}"}`, "s3:ListBucket", "arn:aws:s3:::shop", keys("aws:PrincipalTag/team", "shop"), Allowed},
		{"default used", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team, 'all'}"}`, "s3:ListBucket", "arn:aws:s3:::all", nil, Allowed},
		{"default is no pattern", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team, '*'}"}`, "s3:ListBucket", "arn:aws:s3:::all", nil, ImplicitDeny},
		{"value is no pattern", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team}"}`, "s3:ListBucket", "arn:aws:s3:::all", keys("aws:PrincipalTag/team", "*"), ImplicitDeny},
		{"literal star", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::a${*}b"}`, "s3:ListBucket", "arn:aws:s3:::a*b", nil, Allowed},
		{"literal star is no pattern", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::a${*}b"}`, "s3:ListBucket", "arn:aws:s3:::axb", nil, ImplicitDeny},
		{"literal question mark and dollar", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::a${?}${$}"}`, "s3:ListBucket", "arn:aws:s3:::a?$", nil, Allowed},
		{"literal question mark is no pattern", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::a${?}"}`, "s3:ListBucket", "arn:aws:s3:::ab", nil, ImplicitDeny},
		{"star inside a field before a variable", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:a*b::${aws:username}"}`, "s3:ListBucket", "arn:aws:s3:a:b::alice", nil, ImplicitDeny},
		{"variable with wildcard beside", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username}-*-logs"}`, "s3:ListBucket", "arn:aws:s3:::alice-eu-logs", nil, Allowed},

		// Conditions together: reference_policies_condition-logic-multiple-context-keys-or-values.
		{"keys are joined by and", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"a:x":"1","a:y":"2"}}}`, "sns:Publish", "*", keys("a:x", "1"), ImplicitDeny},
		{"operators are joined by and", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"a:x":"1"},"Bool":{"a:y":true}}}`, "sns:Publish", "*", keys("a:x", "1", "a:y", "false"), ImplicitDeny},
		{"all hold", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"a:x":"1"},"Bool":{"a:y":true}}}`, "sns:Publish", "*", keys("a:x", "1", "a:y", "TRUE"), Allowed},
		{"condition on a deny", allowAll + `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, "sns:Publish", "*", keys("aws:SecureTransport", "false"), ExplicitDeny},
		{"condition on a deny not met", allowAll + `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, "sns:Publish", "*", keys("aws:SecureTransport", "true"), Allowed},
		{"variable in a condition", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"s3:prefix":["","home/","home/${aws:username}/*"]}}}`, "s3:ListBucket", "*", keys("s3:prefix", "home/alice/x"), Allowed},
		{"variable of a condition is no pattern", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"s3:prefix":"${a:t}"}}}`, "s3:ListBucket", "*", keys("s3:prefix", "x", "a:t", "*"), ImplicitDeny},
		{"no value makes equal false", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"a:x":"${a:none}"}}}`, "s3:ListBucket", "*", keys("a:x", ""), ImplicitDeny},
		{"no value makes not equal true", allowAll + `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"a:x":"${a:none}"}}}`, "s3:ListBucket", "*", keys("a:x", "1"), ExplicitDeny},

		// What cannot be told is denied.
		{"no action", allowAll, "", "*", nil, ImplicitDeny},
		{"no resource", allowAll, "s3:GetObject", "", nil, ImplicitDeny},
		{"several values without a set operator, allow", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"a:x":"1"}}}`, "s3:GetObject", "*", keys("a:x", "2", "a:x", "3"), ImplicitDeny},
		{"several values without a set operator, deny", allowAll + `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"a:x":"1"}}}`, "s3:GetObject", "*", keys("a:x", "2", "a:x", "3"), ExplicitDeny},
		{"keys that differ in case are several values", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"a:x":"1"}}}`, "s3:GetObject", "*", keys("a:x", "1", "A:X", "1"), ImplicitDeny},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := Request{Principal: alice, Action: c.action, Resource: c.resource, Context: c.ctx, Time: noon}
			got := Evaluate(r, []Policy{policy(t, "p", wrap(c.statements))})
			if got.Effect != c.want {
				t.Errorf("%s, want %s\n%s", got.Effect, c.want, got.Explain(r))
			}
			if got.Allowed() != (c.want == Allowed) {
				t.Errorf("Allowed() = %v for %s", got.Allowed(), got.Effect)
			}
		})
	}
}

func TestEvaluate_variablesAreLiteralIn2008(t *testing.T) {
	t.Parallel()
	for _, version := range []string{`"Version":"2008-10-17",`, ""} {
		p := policy(t, "old", `{`+version+`"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username}",
			"Condition":{"StringEqualsIfExists":{"a:x":"${*}"}}}}`)
		if p.Document.Version() != Version2008 {
			t.Errorf("version %q", p.Document.Version())
		}
		for res, want := range map[string]Effect{
			"arn:aws:s3:::alice": ImplicitDeny, "arn:aws:s3:::${aws:username}": Allowed,
		} {
			got := Evaluate(Request{Principal: alice, Action: "s3:GetObject", Resource: res, Context: keys("a:x", "${*}")}, []Policy{p})
			if got.Effect != want {
				t.Errorf("%s: %s, want %s", res, got.Effect, want)
			}
		}
	}
}

func TestEvaluate_severalPolicies(t *testing.T) {
	t.Parallel()
	allow := policy(t, "hooks", wrap(`{"Sid":"AllowHooks","Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"*"}`))
	other := policy(t, "logs", wrap(`{"Effect":"Allow","Action":"logs:*","Resource":"*"}`))
	deny := policy(t, "guard", wrap(`{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"lambda:*","Resource":"*"}`))
	r := Request{Principal: deploy, Action: "lambda:InvokeFunction", Resource: hook}

	got := Evaluate(r, []Policy{other, allow})
	if got.Effect != Allowed || got.Statement.Policy != "hooks" || got.Statement.Sid != "AllowHooks" {
		t.Errorf("two policies, one allows: %+v", got)
	}
	got = Evaluate(r, []Policy{other, allow, deny})
	if got.Effect != ExplicitDeny || got.Statement.Policy != "guard" || got.Statement.Index != 1 || got.Statement.Sid != "" {
		t.Errorf("a third denies: %+v", got)
	}
	got = Evaluate(r, []Policy{policy(t, "guard", wrap(`{"Effect":"Deny","Action":"lambda:*","Resource":"arn:aws:lambda:*:*:function:other"},{"Effect":"Allow","Action":"lambda:*","Resource":"arn:aws:lambda:*:*:function:own"}`))})
	if got.Effect != ImplicitDeny || len(got.Missing) != 1 || got.Missing[0].Statement.Index != 1 {
		t.Errorf("a deny that does not apply is no reason: %+v", got)
	}
	got = Evaluate(r, nil)
	if got.Effect != ImplicitDeny || got.Statement != (Statement{}) || got.Missing != nil {
		t.Errorf("no policy at all: %+v", got)
	}
}

func TestEvaluate_unusablePolicyDenies(t *testing.T) {
	t.Parallel()
	trust := parsed(t, KindTrust, "trust", wrap(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}`))
	for _, bad := range []Policy{{Name: "lost"}, trust} {
		got := Evaluate(Request{Principal: deploy, Action: "sts:AssumeRole", Resource: deploy.ARN},
			[]Policy{policy(t, "all", wrap(allowAll)), bad})
		if got.Effect != ExplicitDeny || got.Statement.Policy != bad.Name || got.Statement.Index != -1 {
			t.Errorf("%s: %+v", bad.Name, got)
		}
	}
}

func TestDecision_messages(t *testing.T) {
	t.Parallel()
	const (
		role   = "role arn:aws:iam::123456789012:role/ci/deploy"
		cannot = role + " is not allowed to perform lambda:InvokeFunction on " + hook + ": "
		wire   = "User: arn:aws:sts::123456789012:assumed-role/deploy/build-7 is not authorized to perform: lambda:InvokeFunction on resource: " + hook
		no     = " because no identity-based policy allows the lambda:InvokeFunction action"
	)
	cases := []struct{ statements, explain, denied string }{
		{`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`, cannot + "no policy allows it", wire + no},
		{
			`{"Sid":"Guard","Effect":"Deny","Action":"*","Resource":"*"}`, cannot + "policy p, statement Guard denies it",
			wire + " with an explicit deny in an identity-based policy",
		},
		{`{"Effect":"Deny","Action":"*","Resource":"*"}`, cannot + "policy p, Statement[0] denies it", wire + " with an explicit deny in an identity-based policy"},
		{
			`{"Sid":"Own","Effect":"Allow","Action":"lambda:*","Resource":["arn:aws:lambda:*:*:function:own","arn:aws:s3:::x"]}`,
			cannot + `no policy allows it; policy p, statement Own comes close, but its Resource does not match: it holds "arn:aws:lambda:*:*:function:own", "arn:aws:s3:::x"`, wire + no,
		},
		{
			`{"Effect":"Allow","Action":"lambda:*","Resource":"arn:aws:s3:::x"},` +
				`{"Effect":"Allow","Action":"lambda:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":["a","${aws:username}"]}}},` +
				`{"Effect":"Allow","Action":"lambda:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"c"}}}`,
			cannot + `no policy allows it; policy p, Statement[1] comes close, but its Condition does not match: ` +
				`aws:PrincipalTag/team is "b", and the condition is StringEquals "a", "${aws:username}"`, wire + no,
		},
		{
			`{"Effect":"Allow","Action":"lambda:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/x":"a"}}}`,
			cannot + `no policy allows it; policy p, Statement[0] comes close, but its Condition does not match: the request has no aws:RequestTag/x`, wire + no,
		},
		{allowAll, role + " is allowed to perform lambda:InvokeFunction on " + hook + ": policy p, Statement[0] allows it", ""},
	}
	for _, c := range cases {
		r := Request{Principal: runner, Action: "lambda:InvokeFunction", Resource: hook, Context: keys("aws:PrincipalTag/team", "b")}
		d := Evaluate(r, []Policy{policy(t, "p", wrap(c.statements))})
		if got := d.Explain(r); got != c.explain {
			t.Errorf("explain:\n got %s\nwant %s", got, c.explain)
		}
		if got := d.AccessDenied(r); c.denied != "" && got != c.denied {
			t.Errorf("denied:\n got %s\nwant %s", got, c.denied)
		}
	}
}

// TestPrincipal_context checks the keys that describe the principal (reference_policies_variables, "Principal key values").
func TestPrincipal_context(t *testing.T) {
	t.Parallel()
	cases := []struct {
		principal Principal
		name      string
		want      map[string]string
	}{
		{alice, "user arn:aws:iam::123456789012:user/team/alice", map[string]string{
			"aws:username": "alice", "aws:PrincipalType": "User", "aws:PrincipalArn": alice.ARN,
			"aws:PrincipalAccount": account, "aws:userid": alice.UserID, "aws:PrincipalIsAWSService": "false",
		}},
		{runner, "role arn:aws:iam::123456789012:role/ci/deploy", map[string]string{
			"aws:username": "", "aws:PrincipalType": "AssumedRole", "aws:PrincipalArn": deploy.ARN,
			"aws:PrincipalAccount": account, "aws:userid": runner.UserID,
		}},
		{Principal{ARN: runner.ARN}, runner.ARN, map[string]string{"aws:PrincipalArn": "arn:aws:iam::123456789012:role/deploy"}},
		{deploy, "role " + deploy.ARN, map[string]string{"aws:PrincipalType": "AssumedRole", "aws:PrincipalArn": deploy.ARN, "aws:userid": ""}},
		{Principal{ARN: "arn:aws:iam::123456789012:root"}, "arn:aws:iam::123456789012:root", map[string]string{"aws:PrincipalType": "Account"}},
		{ServicePrincipal("codedeploy", ""), "service codedeploy.amazonaws.com", map[string]string{
			"aws:PrincipalIsAWSService": "true", "aws:PrincipalServiceName": "codedeploy.amazonaws.com", "aws:PrincipalArn": "",
		}},
		{Principal{}, "an anonymous caller", map[string]string{"aws:PrincipalArn": "", "aws:PrincipalAccount": ""}},
	}
	for _, c := range cases {
		if got := c.principal.String(); got != c.name {
			t.Errorf("String() = %q, want %q", got, c.name)
		}
		ctx := newLookup(Request{Principal: c.principal})
		for key, want := range c.want {
			got := strings.Join(ctx[strings.ToLower(key)], ",")
			if got != want {
				t.Errorf("%s: %s = %q, want %q", c.name, key, got, want)
			}
		}
	}
	if names := newLookup(Request{Principal: ServicePrincipal("lambda", "eu-west-1")})["aws:principalservicenameslist"]; !slices.Equal(names, []string{"lambda.amazonaws.com", "lambda.eu-west-1.amazonaws.com"}) {
		t.Errorf("names of a service: %q", names)
	}
	ctx := newLookup(Request{Principal: alice, Time: noon, Context: keys("AWS:UserName", "carol")})
	for key, want := range map[string]string{"aws:username": "carol", "aws:currenttime": "2026-11-22T12:00:00Z", "aws:epochtime": "1795348800"} {
		if got := strings.Join(ctx[key], ","); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
}
