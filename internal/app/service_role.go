package app

import (
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

// permitted refuses a deployment whose service role does not allow what CodeDeploy does under it (the contents of
// AWSCodeDeployRoleForECS). AWS finds out one call after the other, with the new version half made; here all is looked at
// before anything is. Functions are another matter: their permission is looked at as they are invoked.
func (w *wire) permitted(st cloud.State, r awsapi.CreateRequest) *deploy.Refusal {
	lack := w.lacks(st, r)
	if lack == nil {
		return nil
	}
	reason := deploy.ReasonPermissions
	if lack.What == cloud.LackRole {
		reason = deploy.ReasonRoleMissing
	}
	return refusal(reason, "The service role of the deployment group cannot do the work of CodeDeploy: %v", lack)
}

func (w *wire) lacks(st cloud.State, r awsapi.CreateRequest) *cloud.RoleError {
	return w.sessions.judge.Work(st, cloud.RoleNeed{
		Role: r.Group.ServiceRole, Service: cloud.ServiceCodeDeploy, Region: w.region, Session: "codedeploy", Time: time.Now(),
	}, w.work(st, r))
}

// work is what CodeDeploy does in a deployment, on the resources of the Service Authorization Reference.
func (w *wire) work(st cloud.State, r awsapi.CreateRequest) []cloud.Need {
	g := r.Group
	cluster, _, _ := strings.Cut(g.ServiceKey(), "/")
	arn := func(service, resource string) string {
		return "arn:aws:" + service + ":" + w.region + ":" + w.account + ":" + resource
	}
	service, sets := arn("ecs", "service/"+g.ServiceKey()), arn("ecs", "task-set/"+g.ServiceKey()+"/*")
	within := map[string][]string{
		"ecs:cluster": {arn("ecs", "cluster/"+cluster)}, "ecs:service": {service},
	}
	needs := []cloud.Need{
		{Action: "ecs:DescribeServices", Resource: service, Context: within},
		{Action: "elasticloadbalancing:DescribeTargetGroups", Resource: "*"},
		{Action: "elasticloadbalancing:DescribeListeners", Resource: "*"},
		{Action: "elasticloadbalancing:DescribeRules", Resource: "*"},
		{Action: "ecs:CreateTaskSet", Resource: sets, Context: within},
		{Action: "ecs:UpdateServicePrimaryTaskSet", Resource: service, Context: within},
		{Action: "ecs:DeleteTaskSet", Resource: sets, Context: within},
	}
	for _, listener := range []string{g.TestListener, g.ProductionListener} {
		if listener == "" {
			continue
		}
		needs = append(needs, cloud.Need{Action: "elasticloadbalancing:ModifyListener", Resource: listener})
		l, _ := cloud.Find[cloud.ELBListener](st, listenerKey(listener))
		for _, rule := range l.RulesOf(g.TargetGroups) {
			needs = append(needs, cloud.Need{Action: "elasticloadbalancing:ModifyRule", Resource: strings.Replace(listener, ":listener/", ":listener-rule/", 1) + "/" + rule})
		}
	}
	if r.Alarms.Enabled {
		for _, name := range r.Alarms.Names {
			needs = append(needs, cloud.Need{Action: "cloudwatch:DescribeAlarms", Resource: arn("cloudwatch", "alarm:"+name)})
		}
	}
	if r.Revision.Type == "S3" {
		needs = append(needs, cloud.Need{Action: "s3:GetObject", Resource: "arn:aws:s3:::" + r.Revision.Bucket + "/" + r.Revision.Object})
	}
	return needs
}

// publishes says why the service role of a group may not tell a topic; nil where it may. AWS then tells nobody, and the
// deployment goes on.
func (n *notices) publishes(st cloud.State, g cloud.DeploymentGroup, topic string) *cloud.RoleError {
	return n.judge.Role(st, cloud.RoleNeed{
		Role: g.ServiceRole, Service: cloud.ServiceCodeDeploy, Region: n.region, Session: "codedeploy",
		Action: "sns:Publish", Resource: topic, Time: time.Now(),
	})
}
