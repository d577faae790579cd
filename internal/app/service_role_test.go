package app

import (
	"strings"
	"testing"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
)

const (
	trustsCodeDeploy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"codedeploy.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	forECS           = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"
	elbARN           = "arn:aws:elasticloadbalancing:us-east-1:000000000000:"
)

// A deployment of a service with alarms, a revision in S3 and a rule of its production listener that forwards to it.
func pipelineRequest() awsapi.CreateRequest {
	return awsapi.CreateRequest{
		Group: cloud.DeploymentGroup{
			Application: "a", Name: "g", ServiceRole: "arn:aws:iam::000000000000:role/deployer", Cluster: "c", Service: "shop", TargetGroups: []string{"t1", "t2"},
			ProductionListener: elbARN + "listener/app/alb/1/p", TestListener: elbARN + "listener/app/alb/1/t",
		},
		Revision: cloud.Revision{Type: "S3", Bucket: "b", Object: "appspec.yaml"},
		Alarms:   cloud.AlarmConfig{Enabled: true, Names: []string{"shop-5xx"}},
	}
}

// Each action of CodeDeploy is looked at before a deployment begins, on its own resource; a message names role, action and
// resource, and ends with what mends it.
func TestPermitted(t *testing.T) {
	t.Parallel()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{cloud: c, region: "us-east-1", account: "000000000000", sessions: sessions{judge: cloud.NewJudge("000000000000")}}
	given := func(g cloud.Grants, trust string) *deploy.Refusal {
		t.Helper()
		err := c.Update(t.Context(), func(d *cloud.Draft) error {
			d.Put(cloud.IAMRole{Name: "deployer", Path: "/", ID: "AROA1", Trust: trust, Grants: g})
			d.Put(pipelineRequest().Group)
			d.Put(cloud.ELBListener{LoadBalancer: "alb", ID: "p", Port: 80, Rules: []cloud.ListenerRule{
				{ID: "r1", Priority: 1, Action: cloud.Action{Forward: []cloud.GroupWeight{{TargetGroup: "t1", Weight: 1}}}},
				{ID: "r2", Priority: 2, Action: cloud.Action{Forward: []cloud.GroupWeight{{TargetGroup: "other", Weight: 1}}}},
			}})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return w.permitted(c.State(), pipelineRequest())
	}
	all := []string{forECS}
	if r := given(cloud.Grants{Attached: all}, trustsCodeDeploy); r != nil {
		t.Fatalf("with AWS's own policy: %+v", r)
	}
	for action, resource := range map[string]string{
		"ecs:DescribeServices":                      "arn:aws:ecs:us-east-1:000000000000:service/c/shop",
		"ecs:CreateTaskSet":                         "arn:aws:ecs:us-east-1:000000000000:task-set/c/shop/*",
		"ecs:UpdateServicePrimaryTaskSet":           "arn:aws:ecs:us-east-1:000000000000:service/c/shop",
		"ecs:DeleteTaskSet":                         "arn:aws:ecs:us-east-1:000000000000:task-set/c/shop/*",
		"elasticloadbalancing:DescribeTargetGroups": "*",
		"elasticloadbalancing:DescribeListeners":    "*",
		"elasticloadbalancing:DescribeRules":        "*",
		"elasticloadbalancing:ModifyListener":       elbARN + "listener/app/alb/1/t",
		"elasticloadbalancing:ModifyRule":           elbARN + "listener-rule/app/alb/1/p/r1",
		"cloudwatch:DescribeAlarms":                 "arn:aws:cloudwatch:us-east-1:000000000000:alarm:shop-5xx",
		"s3:GetObject":                              "arn:aws:s3:::b/appspec.yaml",
	} {
		r := given(cloud.Grants{Attached: all, Inline: map[string]string{
			"no": `{"Version":"2012-10-17","Statement":[{"Sid":"Never","Effect":"Deny","Action":"` + action + `","Resource":"` + resource + `"}]}`,
		}}, trustsCodeDeploy)
		want := "role arn:aws:iam::000000000000:role/deployer is not allowed to perform " + action + " on " + resource + ": policy no, statement Never denies it"
		if r == nil || r.Reason != deploy.ReasonPermissions || !strings.Contains(r.Message, want) {
			t.Errorf("without %s: %+v, want %s", action, r, want)
		}
	}
	r := given(cloud.Grants{}, trustsCodeDeploy)
	if r == nil || !strings.Contains(r.Message, "not allowed to perform ecs:DescribeServices on ") || !strings.Contains(r.Message, "; nor may it perform elasticloadbalancing:DescribeTargetGroups on *, ") ||
		!strings.HasSuffix(r.Message, "aws iam attach-role-policy --role-name deployer --policy-arn "+forECS) {
		t.Errorf("without a policy: %+v", r)
	}
	out, err := w.checkRevision(t.Context(), awsapi.Principal{}, deploy.CheckRevisionInput{Application: "a", Group: "g", Containers: []deploy.CheckedContainer{{Name: "app", Image: "process:", Command: []string{"x"}}}, Container: "app"})
	if err != nil || len(out.Findings) != 1 || out.Findings[0].Level != "error" || !strings.Contains(out.Findings[0].Message, "; nor may it perform ") || !strings.HasPrefix(out.Findings[0].Mend, "aws iam attach-role-policy") {
		t.Errorf("check finds %+v, %v", out.Findings, err)
	}
	if r = given(cloud.Grants{Attached: all}, strings.ReplaceAll(trustsCodeDeploy, "codedeploy.", "lambda.")); r == nil || r.Reason != deploy.ReasonPermissions || !strings.Contains(r.Message, "its trust policy does not let codedeploy") {
		t.Errorf("without trust: %+v", r)
	}
	other := pipelineRequest()
	other.Group.ServiceRole += "2"
	if r := w.permitted(c.State(), other); r == nil || r.Reason != deploy.ReasonRoleMissing {
		t.Errorf("without a role: %+v", r)
	}
	plain := pipelineRequest()
	plain.Alarms, plain.Revision, plain.Group.TestListener = cloud.AlarmConfig{}, cloud.Revision{Type: "AppSpecContent"}, ""
	for _, n := range w.work(cloud.State{}, plain) {
		if strings.HasPrefix(n.Action, "s3:") || strings.HasPrefix(n.Action, "cloudwatch:") || n.Action == "elasticloadbalancing:ModifyRule" {
			t.Errorf("%s is asked for, and not needed", n.Action)
		}
	}
}
