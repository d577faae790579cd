package cloud_test

import (
	"context"
	"strings"
	"testing"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/iam"
)

const account = "000000000000"

func withResources(t *testing.T, list ...cloud.Resource) cloud.State {
	t.Helper()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Update(context.Background(), func(d *cloud.Draft) error {
		for _, r := range list {
			d.Put(r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.State()
}

func trusting(service string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
}

func statement(effect, action, resource string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Action":"` + action + `","Resource":"` + resource + `"}]}`
}

// TestJudge_Role: what a pipeline needs of a service role, and how each lack is told.
func TestJudge_Role(t *testing.T) {
	t.Parallel()
	const (
		invoke = "lambda:InvokeFunction"
		check  = "arn:aws:lambda:us-east-1:000000000000:function:check"
		arn    = "arn:aws:iam::000000000000:role/deployer"
	)
	role := func(trust string, g cloud.Grants) cloud.IAMRole {
		return cloud.IAMRole{Name: "deployer", Path: "/", ID: "AROA1", Trust: trust, Grants: g}
	}
	good := trusting("codedeploy")
	own := cloud.IAMPolicy{Name: "own", Path: "/", Default: "v2", Versions: []cloud.PolicyVersion{
		{ID: "v1", Document: statement("Allow", "*", "*")}, {ID: "v2", Document: statement("Allow", invoke, check)},
	}}
	for _, c := range []struct {
		name  string
		asked string
		role  cloud.IAMRole
		want  cloud.Lack // empty: nothing
		words string     // of message and mending
	}{
		{"inline", arn, role(good, cloud.Grants{Inline: map[string]string{"p": statement("Allow", invoke, check)}}), "", ""},
		{"AWS's own", arn, role(good, cloud.Grants{Attached: []string{"arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"}}), "", ""},
		{"managed", arn, role(good, cloud.Grants{Attached: []string{own.ARN(account)}}), "", ""},
		{"nothing", arn, role(good, cloud.Grants{}), cloud.LackPermission, "aws iam put-role-policy --role-name deployer"},
		{"other function", arn, role(good, cloud.Grants{Inline: map[string]string{"p": statement("Allow", invoke, check+"2")}}), cloud.LackPermission, "its Resource does not match"},
		{"denied", arn, role(good, cloud.Grants{Inline: map[string]string{"a": statement("Allow", "*", "*"), "b": statement("Deny", invoke, "*")}}), cloud.LackPermission, "policy b, Statement[0] denies it"},
		{"limited", arn, role(good, cloud.Grants{Attached: []string{"arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"}}), cloud.LackPermission, invoke},
		{"policy is gone", arn, role(good, cloud.Grants{Inline: map[string]string{"a": statement("Allow", "*", "*")}, Attached: []string{"arn:aws:iam::000000000000:policy/gone"}}), cloud.LackPermission, "which cannot be used"},
		{"trusts another service", arn, role(trusting("lambda"), cloud.Grants{}), cloud.LackTrust, "aws iam update-assume-role-policy --role-name deployer"},
		{"trust is broken", arn, role("{", cloud.Grants{}), cloud.LackTrust, "does not let codedeploy.amazonaws.com assume it"},
		{"not there", "arn:aws:iam::000000000000:role/x/other", role(good, cloud.Grants{}), cloud.LackRole, "aws iam create-role --role-name other --path /x/"},
		{"other path", "arn:aws:iam::000000000000:role/x/deployer", role(good, cloud.Grants{}), cloud.LackRole, "does not exist"},
		{"other account", "arn:aws:iam::123456789012:role/deployer", role(good, cloud.Grants{}), cloud.LackRole, "--account-id 123456789012"},
		{"no ARN", "deployer", role(good, cloud.Grants{}), cloud.LackRole, "name a role by its ARN"},
		{"no name for a shell", "arn:aws:iam::000000000000:role/x';reboot", role(good, cloud.Grants{}), cloud.LackRole, "to mend it: name a role by its ARN"},
		{"nothing at all", "", role(good, cloud.Grants{}), cloud.LackRole, "name a role by its ARN"},
	} {
		st := withResources(t, c.role, own)
		lack := cloud.NewJudge(account).Role(st, cloud.RoleNeed{Role: c.asked, Service: cloud.ServiceCodeDeploy, Region: "us-east-1", Action: invoke, Resource: check})
		if lack == nil {
			if c.want != "" {
				t.Errorf("%s: nothing is lacking, want %s", c.name, c.want)
			}
			continue
		}
		if lack.What != c.want || !strings.Contains(lack.Error(), c.words) || !strings.Contains(lack.Message, c.asked) || !strings.Contains(lack.Message, "codedeploy") && !strings.Contains(lack.Message, invoke) {
			t.Errorf("%s: %s: %v, want %s with %q", c.name, lack.What, lack, c.want, c.words)
		}
	}
}

// TestJudge_Work: several lacks are told at once, and a Deny by itself, since allowing more does not mend it.
func TestJudge_Work(t *testing.T) {
	t.Parallel()
	needs := []cloud.Need{
		{Action: "ecs:CreateTaskSet", Resource: "arn:aws:ecs:us-east-1:000000000000:task-set/c/s/*", Context: map[string][]string{"ecs:cluster": {"c"}}},
		{Action: "ecs:DeleteTaskSet", Resource: "*"},
		{Action: "sns:Publish", Resource: "*"},
	}
	inCluster := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecs:CreateTaskSet","Resource":"*","Condition":{"StringEquals":{"ecs:cluster":"c"}}}]}`
	for name, c := range map[string]struct {
		inline map[string]string
		words  []string // nil: nothing is lacking
	}{
		"all":     {map[string]string{"p": statement("Allow", "*", "*")}, nil},
		"none":    {nil, []string{"perform ecs:CreateTaskSet on arn:aws:ecs:", "; nor may it perform ecs:DeleteTaskSet on *, sns:Publish on *", "attach-role-policy --role-name deployer"}},
		"context": {map[string]string{"p": inCluster}, []string{"perform ecs:DeleteTaskSet on *", "; nor may it perform sns:Publish on *"}},
		"one":     {map[string]string{"p": inCluster, "q": statement("Allow", "ecs:Delete*", "*")}, []string{"perform sns:Publish on *", "put-role-policy --role-name deployer --policy-name sns-Publish"}},
		"denied":  {map[string]string{"p": statement("Allow", "*", "*"), "q": statement("Deny", "ecs:*", "*")}, []string{"perform ecs:CreateTaskSet", "take the Deny out of policy q"}},
	} {
		st := withResources(t, cloud.IAMRole{Name: "deployer", Path: "/", ID: "AROA1", Trust: trusting("codedeploy"), Grants: cloud.Grants{Inline: c.inline}})
		lack := cloud.NewJudge(account).Work(st, cloud.RoleNeed{Role: "arn:aws:iam::000000000000:role/deployer", Service: cloud.ServiceCodeDeploy, Region: "us-east-1"}, needs)
		if (lack == nil) != (c.words == nil) {
			t.Errorf("%s: %v", name, lack)
			continue
		}
		for _, w := range c.words {
			if !strings.Contains(lack.Error(), w) {
				t.Errorf("%s: %v, want %q", name, lack, w)
			}
		}
	}
}

// A judge that is asked for more documents than it keeps still answers right.
func TestJudge_keepsFew(t *testing.T) {
	t.Parallel()
	j := cloud.NewJudge(account)
	st := withResources(t)
	for n := range 5000 {
		resource := "arn:aws:s3:::" + strings.Repeat("x", n%40) + string(rune('a'+n%26)) + strings.Repeat("y", n/40)
		policies := j.Policies(st, cloud.Grants{Inline: map[string]string{"p": statement("Allow", "s3:GetObject", resource)}})
		d := iam.Evaluate(iam.Request{Principal: iam.Principal{ARN: "arn:aws:iam::000000000000:user/a"}, Action: "s3:GetObject", Resource: resource}, policies)
		if !d.Allowed() {
			t.Fatalf("%d: %s is %s", n, resource, d.Effect)
		}
	}
}
