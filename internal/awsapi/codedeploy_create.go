package awsapi

import (
	"context"
	"slices"

	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/cloud"
)

// maxDescription is what clients cut at; the limits page says 256 (unconfirmed).
const maxDescription = 512

var errDescriptionTooLong = fault("DescriptionTooLongException", "The description is too long: it has at most 512 characters.")

// createDeployment checks everything but the content of the revision: what is wrong with that, or with the service, fails
// the deployment, as it does on AWS.
func (c *codeDeploy) createDeployment(ctx context.Context, by Principal, in *codedeploy.CreateDeploymentInput) (*codedeploy.CreateDeploymentOutput, error) {
	on := groupName{in.ApplicationName, in.DeploymentGroupName}
	if err := c.allow(ctx, by, "CreateDeployment", &on); err != nil {
		return nil, err
	}
	if err := checkGroupName(on.application, on.group); err != nil {
		return nil, err
	}
	g, err := c.groupOf(c.cfg.Resources.State(), on)
	if err != nil {
		return nil, err
	}
	r := CreateRequest{Group: g, Description: in.Description, Rollback: g.Rollback, Alarms: g.Alarms, By: by}
	if r.Revision, err = readRevision(in.Revision, true); err != nil {
		return nil, err
	}
	if len(in.Description) > maxDescription {
		return nil, errDescriptionTooLong
	}
	if err := serverOptions(in); err != nil {
		return nil, err
	}
	if err := c.overrides(in, &r); err != nil {
		return nil, err
	}
	err = c.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		used := c.register(d, r.Revision, on.application, "")
		used.LastUsed = c.cfg.Now()
		if used.FirstUsed.IsZero() {
			used.FirstUsed = used.LastUsed
		}
		if !slices.Contains(used.Groups, on.group) {
			used.Groups = append(slices.Clone(used.Groups), on.group)
		}
		d.Put(used)
		r.Revision = used
		return nil
	})
	if err != nil {
		return nil, err
	}
	id, err := c.cfg.Control.Create(ctx, r)
	if err != nil {
		return nil, onResource(err, resDeployment)
	}
	return &codedeploy.CreateDeploymentOutput{DeploymentID: id}, nil
}

// serverOptions refuses what only servers have; false and absent are the same.
func serverOptions(in *codedeploy.CreateDeploymentInput) error {
	switch {
	case in.TargetInstances != nil:
		return fault("InvalidTargetInstancesException", "Target instances cannot be given for an ECS deployment.")
	case in.FileExistsBehavior != "" && in.FileExistsBehavior != codedeploy.FileExistsBehaviorDisallow:
		return fault("InvalidFileExistsBehaviorException", "fileExistsBehavior cannot be given for an ECS deployment.")
	case in.UpdateOutdatedInstancesOnly != nil && *in.UpdateOutdatedInstancesOnly:
		return fault("InvalidUpdateOutdatedInstancesOnlyValueException", "updateOutdatedInstancesOnly cannot be given for an ECS deployment.")
	case in.IgnoreApplicationStopFailures != nil && *in.IgnoreApplicationStopFailures:
		return fault("InvalidIgnoreApplicationStopFailuresValueException", "ignoreApplicationStopFailures cannot be given for an ECS deployment.")
	}
	return nil
}

// overrides takes what a deployment says itself over what its group says.
func (c *codeDeploy) overrides(in *codedeploy.CreateDeploymentInput, r *CreateRequest) (err error) {
	name := r.Group.Config
	if in.DeploymentConfigName != "" {
		name = in.DeploymentConfigName
	}
	if name == reservedPrefix+"OneAtATime" {
		name = configECSAllAtOnce
	}
	if r.Config, err = deploymentConfig(c.cfg.Resources.State(), name); err != nil {
		return err
	}
	if in.AutoRollbackConfiguration != nil {
		if r.Rollback, err = readRollback(in.AutoRollbackConfiguration); err != nil {
			return err
		}
	}
	if in.OverrideAlarmConfiguration != nil {
		r.OverridesAlarms = true
		r.Alarms, err = readAlarms(in.OverrideAlarmConfiguration)
	}
	return err
}
