package iam

import (
	"slices"
	"strings"
	"testing"
)

func managed(t *testing.T, name string) []Policy {
	t.Helper()
	m, ok := Managed(name)
	if !ok {
		t.Fatalf("no managed policy %s", name)
	}
	p, err := m.Policy()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return []Policy{p}
}

func TestManaged_findsAll(t *testing.T) {
	t.Parallel()
	all := ManagedPolicies()
	if !slices.IsSortedFunc(all, func(a, b ManagedPolicy) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not sorted by name")
	}
	for _, m := range all {
		china := strings.Replace(m.ARN(), "arn:aws:", "arn:aws-cn:", 1)
		for _, key := range []string{m.Name, m.ARN(), china} {
			if got, ok := Managed(key); !ok || got.Name != m.Name {
				t.Errorf("%s: found %v %q", key, ok, got.Name)
			}
		}
		p, err := m.Policy()
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
			continue
		}
		if p.Name != m.ARN() || p.Document.Kind() != KindManaged || p.Document.Version() != Version2012 || p.Document.Len() == 0 || p.Document.ID() != "" {
			t.Errorf("%s: %+v", m.Name, p)
		}
	}
	for _, unknown := range []string{"", "ReadOnlyAccess", "arn:aws:iam::123456789012:policy/AdministratorAccess", "arn:aws:iam::aws:policy/AWSLambdaRole"} {
		if m, ok := Managed(unknown); ok {
			t.Errorf("%q found %s", unknown, m.Name)
		}
	}
}

// TestManaged_decide asks what a pipeline asks of each policy.
func TestManaged_decide(t *testing.T) {
	t.Parallel()
	const (
		plain   = "arn:aws:lambda:us-east-1:123456789012:function:check"
		listens = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/lb/1/2"
		object  = "arn:aws:s3:::rev/appspec.yaml"
		topic   = "arn:aws:sns:us-east-1:123456789012:alerts"
		role    = "arn:aws:iam::123456789012:role/ecsTaskExecutionRole"
		logs    = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/check:log-stream:x"
	)
	toTasks, toLambda := keys("iam:PassedToService", "ecs-tasks.amazonaws.com"), keys("iam:PassedToService", "lambda.amazonaws.com")
	cases := []struct {
		policy, action, resource string
		ctx                      map[string][]string
		want                     bool
	}{
		{"AWSCodeDeployRoleForECS", "lambda:InvokeFunction", plain, nil, true},
		{"AWSCodeDeployRoleForECS", "elasticloadbalancing:ModifyListener", listens, nil, true},
		{"AWSCodeDeployRoleForECS", "elasticloadbalancing:ModifyRule", listens, nil, true},
		{"AWSCodeDeployRoleForECS", "ecs:CreateTaskSet", "*", nil, true},
		{"AWSCodeDeployRoleForECS", "ecs:UpdateTaskSet", "*", nil, false},
		{"AWSCodeDeployRoleForECS", "elasticloadbalancing:DescribeTargetHealth", "*", nil, false},
		{"AWSCodeDeployRoleForECS", "s3:GetObjectVersion", object, nil, true},
		{"AWSCodeDeployRoleForECS", "s3:PutObject", object, nil, false},
		{"AWSCodeDeployRoleForECS", "iam:PassRole", role, toTasks, true},
		{"AWSCodeDeployRoleForECS", "iam:PassRole", role, toLambda, false},
		{"AWSCodeDeployRoleForECS", "iam:PassRole", role, nil, false},
		{"AWSCodeDeployRoleForECSLimited", "lambda:InvokeFunction", plain, nil, false},
		{"AWSCodeDeployRoleForECSLimited", "lambda:InvokeFunction", hook, nil, true},
		{"AWSCodeDeployRoleForECSLimited", "sns:Publish", topic, nil, false},
		{"AWSCodeDeployRoleForECSLimited", "sns:Publish", "arn:aws:sns:us-east-1:123456789012:CodeDeployTopic_a", nil, true},
		{"AWSCodeDeployRoleForECSLimited", "s3:GetObject", object, nil, false},
		{"AWSCodeDeployRoleForECSLimited", "s3:GetObject", object, keys("s3:ExistingObjectTag/UseWithCodeDeploy", "true"), true},
		{"AWSCodeDeployRoleForECSLimited", "iam:PassRole", role, toTasks, true},
		{"AWSCodeDeployRoleForECSLimited", "iam:PassRole", "arn:aws:iam::123456789012:role/ECSTaskExecutionWeb", toTasks, true},
		{"AWSCodeDeployRoleForECSLimited", "iam:PassRole", "arn:aws:iam::123456789012:role/admin", toTasks, false},
		{"AWSCodeDeployRoleForECSLimited", "cloudwatch:DescribeAlarms", "*", nil, true},
		{"AmazonECSTaskExecutionRolePolicy", "logs:PutLogEvents", logs, nil, true},
		{"AmazonECSTaskExecutionRolePolicy", "logs:CreateLogGroup", logs, nil, false},
		{"AmazonECSTaskExecutionRolePolicy", "ecr:GetAuthorizationToken", "*", nil, true},
		{"AWSLambdaBasicExecutionRole", "logs:CreateLogGroup", logs, nil, true},
		{"AWSLambdaBasicExecutionRole", "codedeploy:PutLifecycleEventHookExecutionStatus", group, nil, false},
		{"AWSLambdaRole", "lambda:InvokeFunction", plain, nil, true},
		{"AWSLambdaRole", "lambda:GetFunction", plain, nil, false},
		{"AWSLambda_FullAccess", "lambda:CreateFunction", plain, nil, true},
		{"AWSLambda_FullAccess", "iam:PassRole", role, toLambda, true},
		{"AWSLambda_FullAccess", "iam:PassRole", role, toTasks, false},
		{"AWSLambda_FullAccess", "logs:GetLogEvents", logs, nil, true},
		{"AWSLambda_FullAccess", "logs:GetLogEvents", strings.Replace(logs, "/aws/lambda", "/ecs", 1), nil, false},
		{"AWSCodeDeployFullAccess", "codedeploy:PutLifecycleEventHookExecutionStatus", group, nil, true},
		{"AWSCodeDeployFullAccess", "lambda:InvokeFunction", plain, nil, false},
		{"AWSCodeDeployDeployerAccess", "codedeploy:CreateDeployment", group, nil, true},
		{"AWSCodeDeployDeployerAccess", "codedeploy:BatchGetDeployments", group, nil, true},
		{"AWSCodeDeployDeployerAccess", "codedeploy:StopDeployment", group, nil, false},
		{"AWSCodeDeployReadOnlyAccess", "codedeploy:GetDeployment", group, nil, true},
		{"AWSCodeDeployReadOnlyAccess", "codedeploy:CreateDeployment", group, nil, false},
		{"AdministratorAccess", "iam:CreateUser", "*", nil, true},
		{"PowerUserAccess", "ecs:UpdateService", "*", nil, true},
		{"PowerUserAccess", "iam:CreateUser", "*", nil, false},
		{"PowerUserAccess", "iam:ListRoles", "*", nil, true},
	}
	for _, c := range cases {
		r := Request{Principal: deploy, Action: c.action, Resource: c.resource, Context: c.ctx}
		if got := Evaluate(r, managed(t, c.policy)); got.Allowed() != c.want {
			t.Errorf("%s: %s", c.policy, got.Explain(r))
		}
	}
}
