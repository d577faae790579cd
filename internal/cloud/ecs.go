package cloud

import (
	"encoding/json"
	"strconv"
	"time"
)

// Cluster is an ECS cluster. The cluster "default" exists without being made.
type Cluster struct {
	Name    string            `json:"name"`
	Created time.Time         `json:"created"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// ResourceKind implements Resource.
func (Cluster) ResourceKind() Kind { return KindCluster }

// ResourceKey implements Resource.
func (c Cluster) ResourceKey() string { return c.Name }

// TaskDefinition is one revision of a family. It never changes but for its status.
type TaskDefinition struct {
	Family     string    `json:"family"`
	Revision   int       `json:"revision"`
	Status     string    `json:"status"` // ACTIVE or INACTIVE
	Registered time.Time `json:"registered"`
	// Deregistered is zero while it is ACTIVE.
	Deregistered time.Time         `json:"deregistered,omitzero"`
	By           string            `json:"by,omitempty"` // principal
	TaskRole     string            `json:"taskRole,omitempty"`
	Containers   []Container       `json:"containers"`
	Tags         map[string]string `json:"tags,omitempty"`
	// Input is the whole definition as it was registered, for echoing (RegisterTaskDefinition's input as JSON).
	Input json.RawMessage `json:"input"`
}

// Container is what we use of a container definition.
type Container struct {
	Name string `json:"name"`
	// Image beginning with "process:" runs EntryPoint and Command as a process of this machine.
	Image      string            `json:"image"`
	EntryPoint []string          `json:"entryPoint,omitempty"`
	Command    []string          `json:"command,omitempty"`
	Dir        string            `json:"dir,omitempty"`
	Env        map[string]string `json:"env,omitempty"`
	Essential  bool              `json:"essential,omitempty"`
	// Ports are the containerPorts of its port mappings.
	Ports []int `json:"ports,omitempty"`
	// CPU is in units of 1/1024 core, MemoryMiB the hard limit; 0 is none.
	CPU       int `json:"cpu,omitempty"`
	MemoryMiB int `json:"memoryMib,omitempty"`
	// StopTimeout is between SIGTERM and SIGKILL.
	StopTimeout time.Duration `json:"stopTimeout,omitempty"`
}

// ResourceKind implements Resource.
func (TaskDefinition) ResourceKind() Kind { return KindTaskDefinition }

// ResourceKey implements Resource: "family:revision".
func (d TaskDefinition) ResourceKey() string { return d.Family + ":" + strconv.Itoa(d.Revision) }

// Controllers of an ECS service (DeploymentControllerType).
const (
	ControllerECS        = "ECS"
	ControllerCodeDeploy = "CODE_DEPLOY"
	ControllerExternal   = "EXTERNAL"
)

// ECSService is a service that was made over the wire. Its task sets bear its key as their Service.
type ECSService struct {
	Cluster    string    `json:"cluster"`
	Name       string    `json:"name"`
	Controller string    `json:"controller"`
	Status     string    `json:"status"` // ACTIVE, DRAINING or INACTIVE
	Created    time.Time `json:"created"`
	By         string    `json:"by,omitempty"` // principal
	// TaskDefinition is "family:revision"; empty for EXTERNAL before it has a primary task set.
	TaskDefinition string `json:"taskDefinition,omitempty"`
	Desired        int    `json:"desired"`
	// Primary is the id of its primary task set; Deployment that of the last CodeDeploy deployment.
	Primary       string            `json:"primary,omitempty"`
	Deployment    string            `json:"deployment,omitempty"`
	LoadBalancers []ServiceEndpoint `json:"loadBalancers,omitempty"`
	// Routing is which listeners a deployment moves; set by the deployment group that deploys the service.
	Routing Routing `json:"routing,omitzero"`
	// Rolling is for the ECS controller.
	Rolling RollingConfig `json:"rolling,omitzero"`
	// Sets is what is known of its task sets beside what they run, by their ids.
	Sets map[string]SetInfo `json:"sets,omitempty"`
	Tags map[string]string  `json:"tags,omitempty"`
	// Input is what the service was made with and since updated by, for echoing (CreateService's input as JSON).
	Input json.RawMessage `json:"input,omitempty"`
}

// ServiceEndpoint is where tasks are registered: a target group by its name and the container port that it reaches.
type ServiceEndpoint struct {
	TargetGroup string `json:"targetGroup"`
	Container   string `json:"container"`
	Port        int    `json:"port"`
}

// SetInfo is what whoever made a task set said of it.
type SetInfo struct {
	ExternalID string `json:"externalId,omitempty"`
	StartedBy  string `json:"startedBy,omitempty"`
	// Token makes a repeated CreateTaskSet the same.
	Token string `json:"token,omitempty"`
	// Scale is in per cent of the service's desired count.
	Scale    float64           `json:"scale"`
	Endpoint ServiceEndpoint   `json:"endpoint,omitzero"`
	Created  time.Time         `json:"created,omitzero"`
	Tags     map[string]string `json:"tags,omitempty"`
	// Input holds members that are only echoed (CreateTaskSet's input as JSON).
	Input json.RawMessage `json:"input,omitempty"`
}

// Routing names the listeners and the two target groups between which deployments of a service move.
type Routing struct {
	// Production and Test are keys of ELBListeners; Test may be empty.
	Production string `json:"production,omitempty"`
	Test       string `json:"test,omitempty"`
	// TargetGroups are the names of the pair.
	TargetGroups []string `json:"targetGroups,omitempty"`
}

// ResourceKind implements Resource.
func (ECSService) ResourceKind() Kind { return KindECSService }

// ResourceKey implements Resource: "cluster/service". No service of greengate.yaml has a slash in its name.
func (s ECSService) ResourceKey() string { return s.Cluster + "/" + s.Name }
