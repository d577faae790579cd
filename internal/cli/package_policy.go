package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// policyOptions say what the policies are about.
type policyOptions struct {
	application, group, function string
	region, account, partition   string
	document                     string
}

// policyDocument is a policy of IAM, in the order in which people write one.
type policyDocument struct {
	Version   string            `json:"Version"`
	Statement []policyStatement `json:"Statement"`
}

type policyStatement struct {
	Sid       string            `json:"Sid,omitempty"`
	Effect    string            `json:"Effect"`
	Principal map[string]string `json:"Principal,omitempty"`
	Action    []string          `json:"Action"`
	Resource  []string          `json:"Resource,omitempty"`
}

// hookPolicies is the document of package policy.
type hookPolicies struct {
	Function      policyDocument `json:"function"`
	FunctionTrust policyDocument `json:"functionTrust"`
	Service       policyDocument `json:"service"`
	ServiceTrust  policyDocument `json:"serviceTrust"`
	Native        policyDocument `json:"native"`
	NativeTrust   policyDocument `json:"nativeTrust"`
	Watch         policyDocument `json:"watch"`
}

func (a *app) packagePolicyCommand() *cobra.Command {
	var o policyOptions
	cmd := a.command(spec{
		use: "policy", short: "Print the least privileges of a packaged hook",
		long: `Prints policy documents for IAM, each with what is needed and no more:

  function       for the role of the function: report to CodeDeploy on one deployment group, write its own log
  functionTrust  the trust policy of that role
  service        for the service role of the deployment group: invoke this one function (beside what CodeDeploy needs for ECS)
  serviceTrust   the trust policy of that role
  native         for the role by which ECS's own blue/green deployments invoke the function
  nativeTrust    the trust policy of that role
  watch          for who runs greengate watch --aws --continue-when-verified

With --document it prints one of them, as aws iam put-role-policy takes it.`,
		example: `  greengate package policy --application shop --deployment-group live --function shop-check
  aws iam put-role-policy --role-name shop-check --policy-name hook --policy-document \
    "$(greengate package policy --application shop --deployment-group live --function shop-check --document function)"`,
		args: cobra.NoArgs,
		run:  func(context.Context, []string) error { return a.packagePolicy(o) },
	})
	f := cmd.Flags()
	f.StringVar(&o.application, "application", "", "application of CodeDeploy")
	f.StringVar(&o.group, "deployment-group", "", "deployment group")
	f.StringVar(&o.function, "function", "", "name of the function")
	f.StringVar(&o.region, "region", "*", "region of all of them")
	f.StringVar(&o.account, "account-id", "*", "account of all of them")
	f.StringVar(&o.partition, "partition", "aws", "partition of AWS: aws, aws-cn, aws-us-gov")
	f.StringVar(&o.document, "document", "", "print this one alone")
	for _, name := range []string{"application", "deployment-group", "function"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is there
		}
	}
	return cmd
}

func (a *app) packagePolicy(o policyOptions) error {
	all := o.policies()
	named := map[string]policyDocument{
		"function": all.Function, "functionTrust": all.FunctionTrust, "service": all.Service, "serviceTrust": all.ServiceTrust,
		"native": all.Native, "nativeTrust": all.NativeTrust, "watch": all.Watch,
	}
	if o.document == "" {
		return a.out().json(all)
	}
	one, ok := named[o.document]
	if !ok {
		names := make([]string, 0, len(named))
		for name := range named {
			names = append(names, name)
		}
		slices.Sort(names)
		return usagef("--document is one of %s, not %q", strings.Join(names, ", "), o.document)
	}
	return a.out().json(one)
}

// arn is one of the account's resources.
func (o policyOptions) arn(service, resource string) string {
	return strings.Join([]string{"arn", o.partition, service, o.region, o.account, resource}, ":")
}

func (o policyOptions) policies() hookPolicies {
	group := o.arn("codedeploy", "deploymentgroup:"+o.application+"/"+o.group)
	function := o.arn("lambda", "function:"+o.function)
	log := o.arn("logs", "log-group:/aws/lambda/"+o.function)
	invoke := policy(allow("Invoke", []string{"lambda:InvokeFunction"}, function, function+":*"))
	return hookPolicies{
		Function: policy(
			allow("Report", []string{"codedeploy:PutLifecycleEventHookExecutionStatus"}, group),
			allow("Log", []string{"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}, log, log+":*"),
		),
		FunctionTrust: trust("lambda"),
		Service:       invoke, ServiceTrust: trust("codedeploy"),
		Native: invoke, NativeTrust: trust("ecs"),
		Watch: policy(
			allow("Follow", []string{
				"codedeploy:GetDeployment", "codedeploy:ListDeploymentTargets", "codedeploy:GetDeploymentTarget", "codedeploy:ContinueDeployment",
			}, group),
			allow("Revision", []string{"codedeploy:GetApplicationRevision"}, o.arn("codedeploy", "application:"+o.application)),
			allow("Verdict", []string{"logs:FilterLogEvents"}, log, log+":*"),
		),
	}
}

func policy(statements ...policyStatement) policyDocument {
	return policyDocument{Version: "2012-10-17", Statement: statements}
}

func allow(sid string, actions []string, resources ...string) policyStatement {
	return policyStatement{Sid: sid, Effect: "Allow", Action: actions, Resource: resources}
}

func trust(service string) policyDocument {
	return policy(policyStatement{Effect: "Allow", Principal: map[string]string{"Service": service + ".amazonaws.com"}, Action: []string{"sts:AssumeRole"}})
}
