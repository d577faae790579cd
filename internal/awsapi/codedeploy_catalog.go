package awsapi

import (
	"context"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/codedeploy"
)

func (c *codeDeploy) getApplication(ctx context.Context, by Principal, in *codedeploy.GetApplicationInput) (*codedeploy.GetApplicationOutput, error) {
	if err := c.allow(ctx, by, "GetApplication", &groupName{application: in.ApplicationName}); err != nil {
		return nil, err
	}
	if err := checkApplicationName(in.ApplicationName); err != nil {
		return nil, err
	}
	a, err := c.cfg.Catalog.Application(ctx, in.ApplicationName)
	if err != nil {
		return nil, onResource(err, resApplication)
	}
	return &codedeploy.GetApplicationOutput{Application: &codedeploy.ApplicationInfo{
		ApplicationID:   a.ID,
		ApplicationName: a.Name,
		CreateTime:      shapes.At(a.Created),
		LinkedToGitHub:  new(false),
		ComputePlatform: platform(a.Platform),
	}}, nil
}

func (c *codeDeploy) listApplications(ctx context.Context, by Principal, in *codedeploy.ListApplicationsInput) (*codedeploy.ListApplicationsOutput, error) {
	if err := c.allow(ctx, by, "ListApplications", nil); err != nil {
		return nil, err
	}
	names, err := c.cfg.Catalog.Applications(ctx)
	if err != nil {
		return nil, onResource(err, resApplication)
	}
	items, next, err := page(pageApplications, names, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &codedeploy.ListApplicationsOutput{Applications: items, NextToken: next}, nil
}

func (c *codeDeploy) getDeploymentGroup(ctx context.Context, by Principal, in *codedeploy.GetDeploymentGroupInput) (*codedeploy.GetDeploymentGroupOutput, error) {
	on := groupName{in.ApplicationName, in.DeploymentGroupName}
	if err := c.allow(ctx, by, "GetDeploymentGroup", &on); err != nil {
		return nil, err
	}
	if err := checkGroupName(on.application, on.group); err != nil {
		return nil, err
	}
	if _, err := c.cfg.Catalog.Application(ctx, on.application); err != nil {
		return nil, onResource(err, resApplication)
	}
	g, err := c.cfg.Catalog.Group(ctx, on.application, on.group)
	if err != nil {
		return nil, onResource(err, resGroup)
	}
	info := c.view.group(&g)
	return &codedeploy.GetDeploymentGroupOutput{DeploymentGroupInfo: &info}, nil
}

func (c *codeDeploy) listDeploymentGroups(ctx context.Context, by Principal, in *codedeploy.ListDeploymentGroupsInput) (*codedeploy.ListDeploymentGroupsOutput, error) {
	if err := c.allow(ctx, by, "ListDeploymentGroups", &groupName{application: in.ApplicationName}); err != nil {
		return nil, err
	}
	if err := checkApplicationName(in.ApplicationName); err != nil {
		return nil, err
	}
	if _, err := c.cfg.Catalog.Application(ctx, in.ApplicationName); err != nil {
		return nil, onResource(err, resApplication)
	}
	names, err := c.cfg.Catalog.Groups(ctx, in.ApplicationName)
	if err != nil {
		return nil, onResource(err, resApplication)
	}
	items, next, err := page(pageGroups, names, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &codedeploy.ListDeploymentGroupsOutput{ApplicationName: in.ApplicationName, DeploymentGroups: items, NextToken: next}, nil
}
