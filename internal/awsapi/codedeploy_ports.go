package awsapi

import (
	"context"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

// Deployments reads deployments.
type Deployments interface {
	// Deployment returns one deployment; deploy.CodeNotFound where there is none.
	Deployment(ctx context.Context, id string) (Deployment, error)
	// ListDeployments returns ids, newest first, at most Limit of them.
	ListDeployments(ctx context.Context, q DeploymentQuery) ([]string, error)
	// TaskSets returns the task sets of a deployment that exist now, as they were last observed.
	TaskSets(ctx context.Context, id string) ([]TaskSet, error)
}

// Catalog reads applications and deployment groups. Lists come sorted by name.
type Catalog interface {
	Application(ctx context.Context, name string) (Application, error)
	Applications(ctx context.Context) ([]string, error)
	Group(ctx context.Context, application, name string) (Group, error)
	Groups(ctx context.Context, application string) ([]string, error)
}

// Control changes deployments. A call returns when its event is durable, not when its effects are done.
type Control interface {
	// Stop asks to stop a deployment; deploy.CodeAlreadyCompleted where it has ended.
	Stop(ctx context.Context, r StopRequest) error
	// Continue ends a wait; deploy.CodeNotInReadyState where the deployment is not in it, CodeAlreadyCompleted.
	Continue(ctx context.Context, r ContinueRequest) error
	// Report takes the callback of a hook; deploy.CodeHookUnknown where the execution id was never given out for this
	// deployment, CodeHookCompleted where it was answered before or its event has ended.
	Report(ctx context.Context, r HookReport) error
	// Denied notes that the callback of a hook was refused for want of a permission, so that its verdict can say so. A
	// callback that is none of a hook in progress is not noted, and no error.
	Denied(ctx context.Context, r HookDenial) error
	// Create begins a deployment and answers its id; deploy.CodeActiveDeployment where the group has one. What is wrong
	// with the revision or the service is no error: the deployment fails.
	Create(ctx context.Context, r CreateRequest) (string, error)
}

// Resources keeps what the CodeDeploy operations make; *cloud.Cloud is one.
type Resources interface {
	State() cloud.State
	Update(ctx context.Context, edit func(d *cloud.Draft) error) error
}

// Deployment is a deployment with the resources it works on.
type Deployment struct {
	deploy.Deployment
	Target Target
}

// Target is where the deployments of a group go, by the names the wire has for it.
type Target struct {
	Cluster string
	Service string
	// TargetGroups are the names of the two target groups.
	TargetGroups []string
	// Listeners are ARNs; TestListener may be empty.
	ProductionListener string
	TestListener       string
}

// TaskSet is a task set as it was last observed.
type TaskSet struct {
	ID          string
	Label       deploy.Side
	TargetGroup string
	Desired     int
	Pending     int
	Running     int
	// Draining says that it is being stopped.
	Draining bool
}

// DeploymentQuery selects deployments. Zero fields select all.
type DeploymentQuery struct {
	Application string
	Group       string
	Statuses    []deploy.Status
	// From and To bound the creation time, both included.
	From, To time.Time
	// After is the last id of the page before.
	After string
	Limit int
}

// Application is a CodeDeploy application.
type Application struct {
	ID      string
	Name    string
	Created time.Time
	// Platform is ECS, Lambda or Server; empty is ECS.
	Platform string
}

// Group is a deployment group. Plan is what the next deployment will run by.
type Group struct {
	ID             string
	Application    string
	Name           string
	ServiceRoleARN string
	Target         Target
	Plan           deploy.Plan
	// Revision is the last one that was deployed; zero before the first deployment.
	Revision deploy.Revision
	// LastSuccessful and LastAttempted are nil before there was one.
	LastSuccessful *deploy.Deployment
	LastAttempted  *deploy.Deployment
	// Stored is the group as it was made over the wire; nil for a service of greengate.yaml.
	Stored *cloud.DeploymentGroup
}

// CreateRequest asks for a deployment of a group that was made over the wire.
type CreateRequest struct {
	Group       cloud.DeploymentGroup
	Revision    cloud.Revision
	Config      cloud.DeploymentConfig
	Description string
	Rollback    cloud.RollbackConfig
	Alarms      cloud.AlarmConfig
	// OverridesAlarms: Alarms are the deployment's own, not its group's.
	OverridesAlarms bool
	By              Principal
}

// StopRequest asks to stop a deployment. GoBack nil leaves the rollback to its policy.
type StopRequest struct {
	DeploymentID string
	GoBack       *bool
	By           Principal
	// Revno is the revision number that By has seen; 0 is any.
	Revno int64
}

// ContinueRequest ends a wait: deploy.WaitReady or deploy.WaitTermination.
type ContinueRequest struct {
	DeploymentID string
	Wait         string
	By           Principal
	// Revno is the revision number that By has seen; 0 is any.
	Revno int64
}

// HookReport is what a hook said in its callback.
type HookReport struct {
	DeploymentID string
	ExecutionID  string
	// Status is deploy.VerdictPass or VerdictFail.
	Status deploy.VerdictStatus
	By     Principal
}

// HookDenial is a callback that was refused for want of a permission.
type HookDenial struct {
	DeploymentID string
	ExecutionID  string
	// Action is what By was not allowed to do, Message how that was told.
	Action  string
	Message string
	By      Principal
}
