package cli

import (
	"context"
	"errors"
	"fmt"

	"greengate/internal/appspec"
	"greengate/internal/config"
	"greengate/internal/deploy"
	"greengate/internal/preflight"
)

// This file looks ahead of a deployment of a pipeline's files: first what stands in the files, then, where a controller
// or Amazon can be asked, what the deployment would meet.

// checkPipeline is check --appspec.
func (a *app) checkPipeline(ctx context.Context, f pipelineFlags) error {
	r, err := readPipeline(f)
	if err != nil {
		return err
	}
	result := checkResult{Service: f.application, Controller: "asked", Findings: append([]deploy.Finding{}, r.findings...)}
	name, found, err := a.lookAhead(ctx, r)
	_, unreachable := errors.AsType[*unreachableError](err)
	switch {
	case unreachable || errors.Is(err, config.ErrNoController):
		result.Controller = "unreachable"
	case err != nil:
		return err
	default:
		result.Service = name
		result.Findings = append(result.Findings, found...)
	}
	if err := a.printFindings(f.appspec, result); err != nil {
		return err
	}
	for _, f := range result.Findings {
		if f.Level == preflight.LevelError {
			return exitWith(ExitRefused)
		}
	}
	return nil
}

// lookAhead returns the name of the deployment group and what a deployment would meet.
func (a *app) lookAhead(ctx context.Context, r *pipelineRevision) (name string, found []deploy.Finding, err error) {
	c, err := a.connectAWS(r.files.aws)
	if err != nil {
		return "", nil, err
	}
	defer c.close()
	if c.at.AWS && !r.files.aws && r.files.application == "" && r.files.group == "" && r.files.service == "" {
		return "", nil, config.ErrNoController // nobody meant Amazon
	}
	t := preflight.Target{Amazon: c.at.AWS, Revision: preflight.Revision{Spec: r.spec, Definition: r.definition, Where: r.where}}
	if r.definitionText != nil {
		t.Revision.File = r.files.taskdef
	}
	if t.Application, t.Group, err = c.findGroup(ctx, r.files); err != nil {
		return "", nil, err
	}
	found, err = preflight.Look(ctx, c, t)
	return t.Application + "/" + t.Group, found, err
}

// where is the place of a hook in the AppSpec file.
func (r *pipelineRevision) where(h appspec.Hook) string {
	line, column := appspec.HookAt(r.appspecText, h.Event)
	return fmt.Sprintf("%s:%d:%d", r.files.appspec, line, column)
}

// deploymentGroup says whether there is one.
func (c *awsClient) deploymentGroup(ctx context.Context, application, group string) error {
	in := map[string]string{"applicationName": application, "deploymentGroupName": group}
	return c.codedeploy(ctx, "GetDeploymentGroup", in, &struct{}{})
}
