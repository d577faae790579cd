package cloud

import (
	"encoding/json"
	"time"

	"greengate/internal/deploy"
)

// The last status of a task (the lifecycle of tasks in the ECS guide).
const (
	TaskProvisioning = "PROVISIONING" // accepted, its program was not started yet
	TaskPending      = "PENDING"      // its program is being started
	TaskRunning      = "RUNNING"
	TaskDeactivating = "DEACTIVATING" // gets no new requests, those in flight end
	TaskStopping     = "STOPPING"     // was told to end
	TaskStopped      = "STOPPED"
)

// Why a task ended (TaskStopCode of the ECS model).
const (
	StopFailedToStart   = "TaskFailedToStart"
	StopEssentialExited = "EssentialContainerExited"
	StopUserInitiated   = "UserInitiated"
	StopScheduler       = "ServiceSchedulerInitiated"
)

// Task is one run of a task definition. RunTask's are stored when they are accepted, before they start. A task of a
// service is stored only once it is to end, or has ended: while it runs the runtime knows it.
type Task struct {
	Cluster        string    `json:"cluster"`
	ID             string    `json:"id"` // 32 hex digits
	TaskDefinition string    `json:"taskDefinition"`
	Created        time.Time `json:"created"`
	By             string    `json:"by,omitempty"` // principal
	StartedBy      string    `json:"startedBy,omitempty"`
	Group          string    `json:"group,omitempty"`
	// Token makes a repeated RunTask the same.
	Token string `json:"token,omitempty"`
	// Container is the name of the container that runs, Workload what it runs, overrides applied.
	Container string          `json:"container,omitempty"`
	Workload  deploy.Workload `json:"workload,omitzero"`
	// TaskSet and Unit are the task set of a service's task, and the runner's name for it.
	TaskSet string `json:"taskSet,omitempty"`
	Unit    string `json:"unit,omitempty"`

	Status string `json:"status"`
	Health string `json:"health,omitempty"` // HEALTHY, UNHEALTHY or UNKNOWN
	// Address is where it listens, IP:port; empty before it started.
	Address  string    `json:"address,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Stopping time.Time `json:"stopping,omitzero"` // when it was asked to end
	Stopped  time.Time `json:"stopped,omitzero"`
	// StopCode is one of the Stop constants, StopReason for people. Detail says more of the container.
	StopCode   string `json:"stopCode,omitempty"`
	StopReason string `json:"stopReason,omitempty"`
	Detail     string `json:"detail,omitempty"`
	// ExitCode is nil where nobody saw how it ended; a signal is 128 and its number, as in a shell.
	ExitCode *int              `json:"exitCode,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	// Input is RunTask's as JSON, for echoing.
	Input json.RawMessage `json:"input,omitempty"`
}

// ResourceKind implements Resource.
func (Task) ResourceKind() Kind { return KindTask }

// ResourceKey implements Resource.
func (t Task) ResourceKey() string { return t.Cluster + "/" + t.ID }

// Ended reports whether the task has stopped.
func (t Task) Ended() bool { return !t.Stopped.IsZero() }
