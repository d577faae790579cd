package awsapi

import (
	"context"
	"slices"
	"strings"

	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/deploy"
)

func notStarted(id string) error {
	return fault("DeploymentNotStartedException", "The deployment "+id+" has not started.")
}

// startedDeployment is deployment, for operations on targets: a deployment has none before it starts.
func (c *codeDeploy) startedDeployment(ctx context.Context, by Principal, operation, id string) (Deployment, error) {
	d, err := c.deployment(ctx, by, operation, id)
	if err != nil {
		return Deployment{}, err
	}
	if d.Status == deploy.StatusCreated {
		return Deployment{}, notStarted(id)
	}
	return d, nil
}

// listDeploymentTargets answers the one target of an ECS deployment, and knows no second page.
func (c *codeDeploy) listDeploymentTargets(ctx context.Context, by Principal, in *codedeploy.ListDeploymentTargetsInput) (*codedeploy.ListDeploymentTargetsOutput, error) {
	d, err := c.startedDeployment(ctx, by, "ListDeploymentTargets", in.DeploymentID)
	if err != nil {
		return nil, err
	}
	if in.NextToken != "" {
		return nil, errInvalidNextToken
	}
	if err := checkTargetFilters(in.TargetFilters); err != nil {
		return nil, err
	}
	out := &codedeploy.ListDeploymentTargetsOutput{TargetIDs: []string{}}
	wanted, filtered := in.TargetFilters[codedeploy.TargetFilterNameTargetStatus]
	if !filtered || slices.Contains(wanted, string(targetStatus(&d))) {
		out.TargetIDs = append(out.TargetIDs, d.Target.id())
	}
	return out, nil
}

func checkTargetFilters(filters map[codedeploy.TargetFilterName][]string) error {
	for name, values := range filters {
		if !name.Known() {
			return fault("InvalidTargetFilterNameException", "The target filter name is invalid. It is TargetStatus or ServerInstanceLabel.")
		}
		for _, v := range values {
			if name == codedeploy.TargetFilterNameTargetStatus && !codedeploy.TargetStatus(v).Known() {
				return fault("InvalidInstanceStatusException", "A value of the filter TargetStatus is not a target status.")
			}
			if name == codedeploy.TargetFilterNameServerInstanceLabel && !codedeploy.TargetLabel(v).Known() {
				return fault("InvalidInstanceTypeException", "A value of the filter ServerInstanceLabel is not Blue or Green.")
			}
		}
	}
	return nil
}

func (c *codeDeploy) getDeploymentTarget(ctx context.Context, by Principal, in *codedeploy.GetDeploymentTargetInput) (*codedeploy.GetDeploymentTargetOutput, error) {
	d, err := c.startedDeployment(ctx, by, "GetDeploymentTarget", in.DeploymentID)
	if err != nil {
		return nil, err
	}
	t, err := c.target(ctx, &d, in.TargetID)
	if err != nil {
		return nil, err
	}
	return &codedeploy.GetDeploymentTargetOutput{DeploymentTarget: t}, nil
}

func (c *codeDeploy) batchGetDeploymentTargets(ctx context.Context, by Principal, in *codedeploy.BatchGetDeploymentTargetsInput) (*codedeploy.BatchGetDeploymentTargetsOutput, error) {
	d, err := c.startedDeployment(ctx, by, "BatchGetDeploymentTargets", in.DeploymentID)
	if err != nil {
		return nil, err
	}
	switch {
	case len(in.TargetIDs) == 0:
		return nil, errTargetIDRequired
	case len(in.TargetIDs) > 1:
		return nil, fault("DeploymentTargetListSizeExceededException", "A deployment to Amazon ECS has exactly one target.")
	}
	t, err := c.target(ctx, &d, in.TargetIDs[0])
	if err != nil {
		return nil, err
	}
	return &codedeploy.BatchGetDeploymentTargetsOutput{DeploymentTargets: []codedeploy.DeploymentTarget{*t}}, nil
}

var errTargetIDRequired = fault("DeploymentTargetIdRequiredException", "A deployment target ID must be specified.")

// target returns the deployment's target when it has the id that is asked for.
func (c *codeDeploy) target(ctx context.Context, d *Deployment, id string) (*codedeploy.DeploymentTarget, error) {
	if id == "" {
		return nil, errTargetIDRequired
	}
	cluster, service, ok := strings.Cut(id, ":")
	if !ok || cluster == "" || service == "" || strings.Contains(service, ":") {
		return nil, fault("InvalidDeploymentTargetIdException", "The target ID is not in the valid format. It is CLUSTER:SERVICE.")
	}
	if id != d.Target.id() {
		return nil, fault("DeploymentTargetDoesNotExistException", "The deployment "+d.ID+" has no target "+id+".")
	}
	sets, err := c.cfg.Deployments.TaskSets(ctx, d.ID)
	if err != nil {
		return nil, onResource(err, resDeployment)
	}
	t := c.view.ecsTarget(d, sets)
	return &codedeploy.DeploymentTarget{DeploymentTargetType: codedeploy.DeploymentTargetTypeECSTarget, EcsTarget: &t}, nil
}

// id is the target's id for ECS.
func (t Target) id() string { return t.Cluster + ":" + t.Service }
