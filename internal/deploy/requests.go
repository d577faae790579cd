package deploy

import "time"

// TargetPrefix is the X-Amz-Target prefix of Greengate's own actions: what the AWS wire cannot say.
const TargetPrefix = "Greengate_20261122."

// Requests and answers of Greengate's own actions. Each bears its action's name: the action
// ApplyService takes ApplyServiceInput and answers ApplyServiceOutput.
type (
	// ApplyServiceInput creates or changes a service; a changed revision starts a deployment.
	ApplyServiceInput struct {
		Service Service `json:"service"`
		// DryRun says what would change and changes nothing.
		DryRun bool `json:"dryRun,omitempty"`
		// Force deploys also an unchanged revision.
		Force       bool   `json:"force,omitempty"`
		Description string `json:"description,omitempty"`
	}
	// ApplyServiceOutput says what was, or would be, done.
	ApplyServiceOutput struct {
		// DeploymentID is empty when nothing had to be deployed, or in a dry run.
		DeploymentID string   `json:"deploymentId,omitempty"`
		Created      bool     `json:"created,omitempty"` // the service is new
		Changes      []Change `json:"changes,omitempty"`
	}
	// Change is one difference between the service as it is and as it is wanted.
	Change struct {
		Field string `json:"field"`
		From  string `json:"from"`
		To    string `json:"to"`
		// Deploys says that the change needs a deployment; the others take effect with the next one.
		Deploys bool `json:"deploys,omitempty"`
	}

	// ServiceInput names a service: DescribeService, RestartService, DeleteService.
	ServiceInput struct {
		Name string `json:"name"`
	}
	// ScaleServiceInput changes the number of tasks without a deployment.
	ScaleServiceInput struct {
		Name  string `json:"name"`
		Tasks int    `json:"tasks"`
	}
	// RollbackServiceInput deploys an earlier revision again.
	RollbackServiceInput struct {
		Name string `json:"name"`
		// To is the version to go back to; empty is the last one that succeeded before the running one.
		To string `json:"to,omitempty"`
	}
	// DeploymentStarted answers an action that starts a deployment.
	DeploymentStarted struct {
		DeploymentID string `json:"deploymentId"`
	}
	// ListServicesOutput lists every service.
	ListServicesOutput struct {
		Services []ServiceView `json:"services"`
	}
	// ServiceView is a service as it is now.
	ServiceView struct {
		Name       string        `json:"name"`
		Version    string        `json:"version,omitempty"` // running in production
		Digest     string        `json:"digest,omitempty"`
		Production string        `json:"production"`
		Test       string        `json:"test,omitempty"`
		Tasks      int           `json:"tasks"`
		TaskSets   []TaskSetView `json:"taskSets,omitempty"`
		// Deployment is the active one, or else the last one.
		Deployment       string `json:"deployment,omitempty"`
		DeploymentStatus Status `json:"deploymentStatus,omitempty"`
		// RolledBack is the deployment that Deployment, where it is the record of a rollback, goes back from.
		RolledBack string `json:"rolledBack,omitempty"`
	}
	// TaskSetView is a task set as it is now.
	TaskSetView struct {
		ID      string     `json:"id"`
		Version string     `json:"version"`
		Weight  int        `json:"weight"`
		Test    bool       `json:"test,omitempty"` // serves the test listener
		Desired int        `json:"desired"`
		Running int        `json:"running"`
		Healthy int        `json:"healthy"`
		Tasks   []TaskView `json:"tasks,omitempty"`
	}
	// TaskView is one task as it is now.
	TaskView struct {
		ID          string   `json:"id"`
		State       string   `json:"state"`
		Health      string   `json:"health"`
		Address     string   `json:"address,omitempty"`
		PID         int      `json:"pid,omitempty"`
		Restarts    int      `json:"restarts,omitempty"`
		Reason      string   `json:"reason,omitempty"`
		NotEnforced []string `json:"notEnforced,omitempty"`
	}

	// DeploymentInput names a deployment: DescribeDeployment.
	DeploymentInput struct {
		ID string `json:"id"`
	}
	// ListDeploymentsInput filters deployments; they come newest first.
	ListDeploymentsInput struct {
		Service string `json:"service,omitempty"`
		Limit   int    `json:"limit,omitempty"`
		// Statuses selects those in any of them; From (included) and To (not included) bound the creation time.
		Statuses []Status  `json:"statuses,omitempty"`
		From     time.Time `json:"from,omitzero"`
		To       time.Time `json:"to,omitzero"`
		// After is the id of the last deployment of the page before.
		After string `json:"after,omitempty"`
		// Brief leaves verdicts and lifecycle out.
		Brief bool `json:"brief,omitempty"`
	}
	// ListDeploymentsOutput holds deployments, newest first.
	ListDeploymentsOutput struct {
		Deployments []DeploymentView `json:"deployments"`
	}
	// DeploymentView is a deployment as people and machines read it. It holds no environment values.
	DeploymentView struct {
		ID          string           `json:"id"`
		Service     string           `json:"service"`
		Kind        Kind             `json:"kind"`
		Creator     string           `json:"creator"`
		StartedBy   string           `json:"startedBy,omitempty"`
		Description string           `json:"description,omitempty"`
		From        string           `json:"from,omitempty"` // version
		To          string           `json:"to"`
		Status      Status           `json:"status"`
		Phase       Phase            `json:"phase"`
		Reason      Reason           `json:"reason,omitempty"`
		Message     string           `json:"message,omitempty"`
		Waiting     Waiting          `json:"waiting,omitzero"`
		CreatedAt   time.Time        `json:"createdAt"`
		CompletedAt time.Time        `json:"completedAt,omitzero"`
		Weights     Weights          `json:"weights"`
		TestSide    Side             `json:"testSide,omitempty"`
		Lifecycle   []LifecycleEvent `json:"lifecycle,omitempty"`
		Verdicts    []Verdict        `json:"verdicts,omitempty"`
		WayBack     BlueWay          `json:"wayBack,omitzero"`
		Rollback    RollbackInfo     `json:"rollback,omitzero"`
		// Running is the hook that runs now; its execution id is what a callback must present.
		Running *RunningHook `json:"running,omitempty"`
		Halted  bool         `json:"halted,omitempty"`
		Moved   bool         `json:"moved,omitempty"`
		// Switch and Back are the times from asking for weights to their confirmation.
		Switch time.Duration `json:"switch,omitempty"`
		Back   time.Duration `json:"back,omitempty"`
		// Revno counts the steps that the deployment has taken: an action that names it acts on what was seen.
		Revno     int64        `json:"revno,omitempty"`
		Promotion Promotion    `json:"promotion,omitempty"`
		Actions   []ActionView `json:"actions,omitempty"`
	}
	// RunningHook is the hook that a deployment waits for.
	RunningHook struct {
		Hook        string    `json:"hook"`
		Kind        HookKind  `json:"kind"`
		Event       HookList  `json:"event"`
		ExecutionID string    `json:"executionId,omitempty"`
		Started     time.Time `json:"started"`
	}

	// EventsInput reads the history; with Wait it blocks until there is something newer than After.
	EventsInput struct {
		Deployment string        `json:"deployment,omitempty"` // empty: of all
		After      int64         `json:"after,omitempty"`
		Wait       time.Duration `json:"wait,omitempty"` // at most 30 s
		Limit      int           `json:"limit,omitempty"`
	}
	// EventsOutput holds the history after the cursor; Next is the cursor for the next call.
	EventsOutput struct {
		Events []HistoryEvent `json:"events"`
		Next   int64          `json:"next"`
		// Status is the deployment's, where one was named.
		Status Status `json:"status,omitempty"`
	}
	// HistoryEvent is one record with its place in the history.
	HistoryEvent struct {
		Seq        int64  `json:"seq"`
		Deployment string `json:"deployment"`
		Record
	}

	// LedgerOutput is what the data plane counted during a deployment: DescribeLedger.
	LedgerOutput struct {
		Versions []LedgerVersion `json:"versions"`
	}
	// LedgerVersion is the part of a ledger that belongs to one version.
	LedgerVersion struct {
		Version   string        `json:"version"`
		TaskSet   string        `json:"taskSet"`
		Requests  int64         `json:"requests"`
		Served    int64         `json:"served"`
		Failed    int64         `json:"failed"` // 5xx
		Retried   int64         `json:"retried"`
		Cut       int64         `json:"cut"`
		ClientCut int64         `json:"clientCut"` // the client went away first
		P50       time.Duration `json:"p50"`
		P99       time.Duration `json:"p99"`
	}

	// LogsInput reads the output of a task or a hook.
	LogsInput struct {
		Task       string        `json:"task,omitempty"`
		Deployment string        `json:"deployment,omitempty"` // with Hook
		Hook       string        `json:"hook,omitempty"`
		After      int64         `json:"after,omitempty"`
		Tail       int           `json:"tail,omitempty"` // only the last lines, for a first call
		Wait       time.Duration `json:"wait,omitempty"`
	}
	// LogsOutput holds lines after the cursor.
	LogsOutput struct {
		Lines []string `json:"lines"`
		Next  int64    `json:"next"`
		// Ended says that nothing will be added any more.
		Ended bool `json:"ended,omitempty"`
	}

	// CheckServiceInput asks what would go wrong with a service.
	CheckServiceInput struct {
		Service Service `json:"service"`
	}
	// CheckServiceOutput lists findings; an error among them refuses a deployment.
	CheckServiceOutput struct {
		Findings []Finding `json:"findings"`
	}
	// Finding is one thing that check has to say.
	Finding struct {
		Level string `json:"level"` // "error", "warning" or "note"
		// Where is a place in a file, "appspec.yaml:7:5", or a resource.
		Where   string `json:"where,omitempty"`
		Field   string `json:"field,omitempty"`
		Message string `json:"message"`
		Mend    string `json:"mend,omitempty"` // how to make it go away
	}

	// CheckRevisionInput asks what would go wrong with a revision that the controller alone can see: whether its tasks
	// can run here, and what a deployment of its group would do otherwise than AWS.
	CheckRevisionInput struct {
		Application string `json:"application"`
		Group       string `json:"group"`
		// TaskDefinition is a registered one; else Containers are those of one that would be registered.
		TaskDefinition string             `json:"taskDefinition,omitempty"`
		Containers     []CheckedContainer `json:"containers,omitempty"`
		// Container is the one behind the load balancer.
		Container string `json:"container"`
		// Hooks are those of the AppSpec file that are no functions.
		Hooks []CheckedHook `json:"hooks,omitempty"`
	}
	// CheckedHook is a hook that is registered with the controller by its kind and name.
	CheckedHook struct {
		Event Phase    `json:"event"`
		Kind  HookKind `json:"kind"`
		Name  string   `json:"name"`
	}
	// CheckedContainer is what of a container decides whether it can run.
	CheckedContainer struct {
		Name       string   `json:"name"`
		Image      string   `json:"image"`
		EntryPoint []string `json:"entryPoint,omitempty"`
		Command    []string `json:"command,omitempty"`
	}
	// CheckRevisionOutput is the answer.
	CheckRevisionOutput struct {
		Findings []Finding `json:"findings"`
		// Hooks say for each of those asked why it could not run; empty where it can.
		Hooks []string `json:"hooks,omitempty"`
		// StrictTestTraffic says that the test listener moves in AllowTestTraffic, as on AWS, and not before AfterInstall.
		StrictTestTraffic bool `json:"strictTestTraffic"`
	}

	// DownInput ends the whole installation: traffic is drained, tasks are stopped.
	DownInput struct{}
	// DownOutput says what was stopped.
	DownOutput struct {
		Services int `json:"services"`
		TaskSets int `json:"taskSets"`
	}
)
