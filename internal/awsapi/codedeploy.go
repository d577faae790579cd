package awsapi

import (
	"context"

	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/deploy"
)

// codeDeploy serves the CodeDeploy operations (API version 2014-10-06, ECS platform).
type codeDeploy struct {
	cfg  Config
	view view
}

func newCodeDeploy(cfg Config) *codeDeploy {
	return &codeDeploy{cfg: cfg, view: view{region: cfg.Region, account: cfg.AccountID, minute: cfg.Minute}}
}

// operations is the table of what is served; the names are those of shapes/codedeploy/operations.txt.
func (c *codeDeploy) operations() map[string]operation {
	return map[string]operation{
		"GetApplication":                       typed(c.getApplication),
		"ListApplications":                     typed(c.listApplications),
		"GetDeploymentGroup":                   typed(c.getDeploymentGroup),
		"ListDeploymentGroups":                 typed(c.listDeploymentGroups),
		"GetDeployment":                        typed(c.getDeployment),
		"BatchGetDeployments":                  typed(c.batchGetDeployments),
		"ListDeployments":                      typed(c.listDeployments),
		"ListDeploymentTargets":                typed(c.listDeploymentTargets),
		"GetDeploymentTarget":                  typed(c.getDeploymentTarget),
		"BatchGetDeploymentTargets":            typed(c.batchGetDeploymentTargets),
		"StopDeployment":                       typed(c.stopDeployment),
		"ContinueDeployment":                   typed(c.continueDeployment),
		"SkipWaitTimeForInstanceTermination":   typed(c.skipWait),
		"PutLifecycleEventHookExecutionStatus": typed(c.putHookStatus),
		"GetDeploymentConfig":                  typed(c.getDeploymentConfig),
		"ListDeploymentConfigs":                typed(c.listDeploymentConfigs),
		"CreateDeploymentConfig":               typed(c.createDeploymentConfig),
		"DeleteDeploymentConfig":               typed(c.deleteDeploymentConfig),
		"CreateApplication":                    typed(c.createApplication),
		"BatchGetApplications":                 typed(c.batchGetApplications),
		"UpdateApplication":                    typed(c.updateApplication),
		"DeleteApplication":                    typed(c.deleteApplication),
		"CreateDeploymentGroup":                typed(c.createDeploymentGroup),
		"UpdateDeploymentGroup":                typed(c.updateDeploymentGroup),
		"DeleteDeploymentGroup":                typed(c.deleteDeploymentGroup),
		"BatchGetDeploymentGroups":             typed(c.batchGetDeploymentGroups),
		"RegisterApplicationRevision":          typed(c.registerApplicationRevision),
		"GetApplicationRevision":               typed(c.getApplicationRevision),
		"BatchGetApplicationRevisions":         typed(c.batchGetApplicationRevisions),
		"ListApplicationRevisions":             typed(c.listApplicationRevisions),
		"TagResource":                          typed(c.tagResource),
		"UntagResource":                        typed(c.untagResource),
		"ListTagsForResource":                  typed(c.listTagsForResource),
		"CreateDeployment":                     typed(c.createDeployment),
	}
}

// nothing is the output of an operation that has none.
type nothing struct{}

// typed makes an operation of a method over shapes.
func typed[In, Out any](f func(ctx context.Context, by Principal, in *In) (*Out, error)) operation {
	return func(ctx context.Context, by Principal, decode func(any) error) (any, error) {
		in := new(In)
		if err := decode(in); err != nil {
			return nil, err
		}
		out, err := f(ctx, by, in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}

// allow asks for a codedeploy action on a group, an application or (nil) everything.
func (c *codeDeploy) allow(ctx context.Context, by Principal, operation string, on *groupName) error {
	arn := "*"
	if on != nil {
		arn = c.arn(*on)
	}
	return c.allowOn(ctx, by, operation, arn)
}

// allowOn asks for a codedeploy action on what an ARN names.
func (c *codeDeploy) allowOn(ctx context.Context, by Principal, operation, arn string) error {
	return c.cfg.Access.Allow(ctx, by, AccessRequest{Action: serviceCodeDeploy + ":" + operation, Resource: arn})
}

// allowPass asks for the right to hand a role to CodeDeploy; no role is none.
func (c *codeDeploy) allowPass(ctx context.Context, by Principal, role string) error {
	if role == "" {
		return nil
	}
	return c.cfg.Access.Allow(ctx, by, PassRole(role, "codedeploy.amazonaws.com"))
}

func (c *codeDeploy) arn(on groupName) string { return on.arn(c.cfg.Region, c.cfg.AccountID) }

// configARN is that of a deployment configuration.
func (c *codeDeploy) configARN(name string) string {
	return "arn:aws:codedeploy:" + c.cfg.Region + ":" + c.cfg.AccountID + ":deploymentconfig:" + name
}

// deployment checks the id, loads the deployment and asks whether the caller may carry out the operation on its group.
func (c *codeDeploy) deployment(ctx context.Context, by Principal, operation, id string) (Deployment, error) {
	err := checkDeploymentID(id)
	var d Deployment
	if err == nil {
		d, err = c.cfg.Deployments.Deployment(ctx, id)
	}
	if err != nil {
		// Who may not act on every group does not learn which deployments exist.
		if denied := c.allow(ctx, by, operation, nil); denied != nil {
			return Deployment{}, denied
		}
		return Deployment{}, onResource(err, resDeployment)
	}
	on := groupName{d.Plan.Application, d.Plan.Group}
	if err := c.allow(ctx, by, operation, &on); err != nil {
		return Deployment{}, err
	}
	return d, nil
}

func (c *codeDeploy) getDeployment(ctx context.Context, by Principal, in *codedeploy.GetDeploymentInput) (*codedeploy.GetDeploymentOutput, error) {
	d, err := c.deployment(ctx, by, "GetDeployment", in.DeploymentID)
	if err != nil {
		return nil, err
	}
	info := c.view.deployment(&d)
	return &codedeploy.GetDeploymentOutput{DeploymentInfo: &info}, nil
}

// maxBatch is the limit of the operation's own documentation; the limits page says 100 (unconfirmed).
const maxBatch = 25

func (c *codeDeploy) batchGetDeployments(ctx context.Context, by Principal, in *codedeploy.BatchGetDeploymentsInput) (*codedeploy.BatchGetDeploymentsOutput, error) {
	switch {
	case len(in.DeploymentIDs) == 0:
		return nil, errDeploymentIDRequired
	case len(in.DeploymentIDs) > maxBatch:
		return nil, fault("BatchLimitExceededException", "The maximum number of deployments in one request is 25.")
	}
	infos := []codedeploy.DeploymentInfo{}
	for _, id := range in.DeploymentIDs {
		d, err := c.deployment(ctx, by, "BatchGetDeployments", id)
		if named(err, "DeploymentDoesNotExistException") {
			continue // the model has no such error for this operation: unknown ids are left out
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, c.view.deployment(&d))
	}
	return &codedeploy.BatchGetDeploymentsOutput{DeploymentsInfo: infos}, nil
}

func (c *codeDeploy) listDeployments(ctx context.Context, by Principal, in *codedeploy.ListDeploymentsInput) (*codedeploy.ListDeploymentsOutput, error) {
	on := groupName{in.ApplicationName, in.DeploymentGroupName}
	if err := c.allow(ctx, by, "ListDeployments", &on); err != nil {
		return nil, err
	}
	q, err := deploymentQuery(in)
	if err != nil {
		return nil, err
	}
	if on.application != "" {
		if err := c.mustExist(ctx, on); err != nil {
			return nil, err
		}
	}
	ids, err := c.cfg.Deployments.ListDeployments(ctx, q)
	if err != nil {
		return nil, onResource(err, resDeployment)
	}
	out := &codedeploy.ListDeploymentsOutput{Deployments: ids}
	if len(ids) > pageSize {
		out.Deployments = ids[:pageSize]
		out.NextToken = newPageToken(pageDeployments, ids[pageSize-1])
	}
	if ids == nil {
		out.Deployments = []string{}
	}
	return out, nil
}

// deploymentQuery checks the input of ListDeployments. One more id than a page is asked for, to know whether there is a
// next page.
func deploymentQuery(in *codedeploy.ListDeploymentsInput) (DeploymentQuery, error) {
	q := DeploymentQuery{Application: in.ApplicationName, Group: in.DeploymentGroupName, Limit: pageSize + 1}
	switch {
	case in.ApplicationName == "" && in.DeploymentGroupName != "":
		return q, errApplicationNameRequired
	case in.ApplicationName != "" && in.DeploymentGroupName == "":
		return q, errGroupNameRequired
	}
	if in.ApplicationName != "" {
		if err := checkGroupName(in.ApplicationName, in.DeploymentGroupName); err != nil {
			return q, err
		}
	}
	for _, s := range in.IncludeOnlyStatuses {
		if !s.Known() {
			return q, fault("InvalidDeploymentStatusException", "A status of includeOnlyStatuses is not a deployment status.")
		}
		q.Statuses = append(q.Statuses, deploy.Status(s))
	}
	if r := in.CreateTimeRange; r != nil {
		if r.Start != nil {
			q.From = r.Start.Time
		}
		if r.End != nil {
			q.To = r.End.Time
		}
		if r.Start != nil && r.End != nil && q.To.Before(q.From) {
			return q, fault("InvalidTimeRangeException", "The end of createTimeRange is before its start.")
		}
	}
	var err error
	q.After, err = readPageToken(pageDeployments, in.NextToken)
	return q, err
}

// mustExist asks whether application and group are there.
func (c *codeDeploy) mustExist(ctx context.Context, g groupName) error {
	if _, err := c.cfg.Catalog.Application(ctx, g.application); err != nil {
		return onResource(err, resApplication)
	}
	_, err := c.cfg.Catalog.Group(ctx, g.application, g.group)
	return onResource(err, resGroup)
}
