package app

import (
	"context"

	"greengate/internal/appspec"
	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/config"
	"greengate/internal/deploy"
)

// checkRevision is CheckRevision: what of a revision only this installation knows.
func (w *wire) checkRevision(_ context.Context, _ awsapi.Principal, in deploy.CheckRevisionInput) (deploy.CheckRevisionOutput, error) {
	st := w.cloud.State()
	group, known := cloud.Find[cloud.DeploymentGroup](st, in.Application+"/"+in.Group)
	out := deploy.CheckRevisionOutput{
		Findings:          []deploy.Finding{},
		StrictTestTraffic: w.compat == config.CompatAWS || group.Tags[cloud.TagTestTraffic] == "strict",
	}
	for _, h := range in.Hooks {
		fault := ""
		if _, err := w.registered(appspec.Hook(h), group.TestListener != ""); err != nil {
			fault = err.Error()
		}
		out.Hooks = append(out.Hooks, fault)
	}
	if lack := w.lacks(st, awsapi.CreateRequest{Group: group, Alarms: group.Alarms}); known && lack != nil && lack.What == cloud.LackPermission {
		// That the role is there and trusts CodeDeploy is asked with each hook, at Amazon too.
		out.Findings = append(out.Findings, deploy.Finding{
			Level: "error", Where: "service role " + group.ServiceRole, Message: lack.Message + ": the deployment would fail with IAM_ROLE_PERMISSIONS", Mend: lack.Mend,
		})
	}
	def, ok := checkedDefinition(st, in)
	if !ok {
		out.Findings = append(out.Findings, deploy.Finding{
			Level: "error", Where: "task definition " + in.TaskDefinition, Message: "it does not exist, or is not ACTIVE",
			Mend: "aws ecs register-task-definition --cli-input-json file://taskdef.json",
		})
		return out, nil
	}
	if _, err := def.Workload(in.Container); err != nil {
		out.Findings = append(out.Findings, deploy.Finding{
			Level: "error", Where: "container " + in.Container, Message: err.Error(),
			Mend: `let the task run here: "image": "process:" with entryPoint and command`,
		})
	}
	return out, nil
}

// checkedDefinition is the registered task definition, or one as it would be registered.
func checkedDefinition(st cloud.State, in deploy.CheckRevisionInput) (cloud.TaskDefinition, bool) {
	if in.TaskDefinition != "" {
		def, ok := cloud.FindTaskDefinition(st, in.TaskDefinition)
		return def, ok && def.Status == "ACTIVE"
	}
	def := cloud.TaskDefinition{Family: "this"}
	for _, c := range in.Containers {
		def.Containers = append(def.Containers, cloud.Container{Name: c.Name, Image: c.Image, EntryPoint: c.EntryPoint, Command: c.Command})
	}
	return def, true
}
