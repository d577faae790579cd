package awsapi

import (
	"context"
	"errors"

	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/deploy"
)

// stopDeployment answers Pending to the first call and Succeeded to those that find the deployment stopping already, as
// documented (user guide, "Stop a deployment").
func (c *codeDeploy) stopDeployment(ctx context.Context, by Principal, in *codedeploy.StopDeploymentInput) (*codedeploy.StopDeploymentOutput, error) {
	d, err := c.deployment(ctx, by, "StopDeployment", in.DeploymentID)
	if err != nil {
		return nil, err
	}
	if err := d.CanStop(); err != nil {
		return nil, stopError(err)
	}
	if d.Cause != nil {
		return &codedeploy.StopDeploymentOutput{
			Status:        codedeploy.StopStatusSucceeded,
			StatusMessage: "The deployment is ending already: " + d.Cause.Message,
		}, nil
	}
	err = c.cfg.Control.Stop(ctx, StopRequest{DeploymentID: d.ID, GoBack: in.AutoRollbackEnabled, By: by, Revno: seen(ctx)})
	if err != nil {
		return nil, stopError(err)
	}
	return &codedeploy.StopDeploymentOutput{
		Status:        codedeploy.StopStatusPending,
		StatusMessage: "The deployment is being stopped.",
	}, nil
}

// stopError words the domain's refusals of a stop. A rollback's record must not be stopped, which the model can say of a
// kind of deployment only.
func stopError(err error) error {
	err = onResource(err, resDeployment)
	if e, ok := errors.AsType[*Error](err); ok && e.Name == "ConflictException" {
		return fault("UnsupportedActionForDeploymentTypeException", e.Message)
	}
	return err
}

func (c *codeDeploy) continueDeployment(ctx context.Context, by Principal, in *codedeploy.ContinueDeploymentInput) (*nothing, error) {
	wait := in.DeploymentWaitType
	if wait == "" {
		wait = codedeploy.DeploymentWaitTypeReadyWait // unconfirmed
	}
	return c.endWait(ctx, by, "ContinueDeployment", in.DeploymentID, wait)
}

// skipWait is the deprecated form of ContinueDeployment(TERMINATION_WAIT).
func (c *codeDeploy) skipWait(ctx context.Context, by Principal, in *codedeploy.SkipWaitTimeForInstanceTerminationInput) (*nothing, error) {
	const operation = "SkipWaitTimeForInstanceTermination"
	d, err := c.deployment(ctx, by, operation, in.DeploymentID)
	if err != nil {
		return nil, err
	}
	if d.Status == deploy.StatusCreated {
		return nil, notStarted(d.ID)
	}
	return c.endWait(ctx, by, operation, in.DeploymentID, codedeploy.DeploymentWaitTypeTerminationWait)
}

func (c *codeDeploy) endWait(ctx context.Context, by Principal, operation, id string, wait codedeploy.DeploymentWaitType) (*nothing, error) {
	d, err := c.deployment(ctx, by, operation, id)
	if err != nil {
		return nil, err
	}
	if !wait.Known() {
		return nil, fault("InvalidDeploymentWaitTypeException", "The wait type is invalid. It is READY_WAIT or TERMINATION_WAIT.")
	}
	if err := d.CanContinue(string(wait)); err != nil {
		return nil, onResource(err, resDeployment)
	}
	err = c.cfg.Control.Continue(ctx, ContinueRequest{DeploymentID: id, Wait: string(wait), By: by, Revno: seen(ctx)})
	if err != nil {
		return nil, onResource(err, resDeployment)
	}
	return &nothing{}, nil
}

// putHookStatus takes the callback of a hook. It checks in the order deployment, status, execution id, completed; the
// last two are the domain's. A second callback is refused even with the same status.
func (c *codeDeploy) putHookStatus(ctx context.Context, by Principal, in *codedeploy.PutLifecycleEventHookExecutionStatusInput) (*codedeploy.PutLifecycleEventHookExecutionStatusOutput, error) {
	const operation = "PutLifecycleEventHookExecutionStatus"
	d, err := c.deployment(ctx, by, operation, in.DeploymentID)
	if denied, ok := errors.AsType[*Error](err); ok && denied.Name == "AccessDeniedException" {
		noted := c.cfg.Control.Denied(ctx, HookDenial{
			DeploymentID: in.DeploymentID, ExecutionID: in.LifecycleEventHookExecutionID,
			Action: serviceCodeDeploy + ":" + operation, Message: denied.Message, By: by,
		})
		if noted != nil {
			return nil, noted // the caller tries again, so that it is noted
		}
	}
	if err != nil {
		return nil, err
	}
	var verdict deploy.VerdictStatus
	switch in.Status { //nolint:exhaustive // a hook may report two of the model's statuses only
	case codedeploy.LifecycleEventStatusSucceeded:
		verdict = deploy.VerdictPass
	case codedeploy.LifecycleEventStatusFailed:
		verdict = deploy.VerdictFail
	default:
		return nil, fault("InvalidLifecycleEventHookExecutionStatusException",
			"The lifecycle event hook execution status is invalid. It is Succeeded or Failed.")
	}
	if in.LifecycleEventHookExecutionID == "" {
		return nil, fault("InvalidLifecycleEventHookExecutionIdException", "The lifecycle event hook execution ID must be specified.")
	}
	err = c.cfg.Control.Report(ctx, HookReport{
		DeploymentID: d.ID, ExecutionID: in.LifecycleEventHookExecutionID, Status: verdict, By: by,
	})
	if err != nil {
		return nil, reportError(err)
	}
	return &codedeploy.PutLifecycleEventHookExecutionStatusOutput{LifecycleEventHookExecutionID: in.LifecycleEventHookExecutionID}, nil
}

// reportError words the domain's refusals of a callback. A deployment that ended has ended its events too.
func reportError(err error) error {
	err = onResource(err, resDeployment)
	if named(err, "DeploymentAlreadyCompletedException") {
		return fault("LifecycleEventAlreadyCompletedException", "The lifecycle event has already been completed.")
	}
	return err
}
