package cloud

import (
	"encoding/json"
	"time"

	"greengate/internal/deploy"
)

// Application is a CodeDeploy application.
type Application struct {
	Name     string            `json:"name"`
	ID       string            `json:"id"`       // UUID
	Platform string            `json:"platform"` // ECS, Lambda or Server
	Created  time.Time         `json:"created"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// ResourceKind implements Resource.
func (Application) ResourceKind() Kind { return KindApplication }

// ResourceKey implements Resource.
func (a Application) ResourceKey() string { return a.Name }

// DeploymentGroup is a CodeDeploy deployment group of the ECS platform.
type DeploymentGroup struct {
	Application string    `json:"application"`
	Name        string    `json:"name"`
	ID          string    `json:"id"` // UUID
	ServiceRole string    `json:"serviceRole"`
	Config      string    `json:"config"` // name of its deployment configuration
	Created     time.Time `json:"created"`
	// Cluster and Service are as they were given: names or ARNs.
	Cluster string `json:"cluster"`
	Service string `json:"service"`
	// TargetGroups are two names; the listeners are ARNs, Test may be empty.
	TargetGroups       []string `json:"targetGroups"`
	ProductionListener string   `json:"productionListener"`
	TestListener       string   `json:"testListener,omitempty"`
	// ReadyAction is CONTINUE_DEPLOYMENT or STOP_DEPLOYMENT; the waits are in minutes of the wire.
	ReadyAction     string `json:"readyAction"`
	ReadyWait       int    `json:"readyWait,omitempty"`
	TerminationWait int    `json:"terminationWait,omitempty"`

	Rollback RollbackConfig    `json:"rollback,omitzero"`
	Alarms   AlarmConfig       `json:"alarms,omitzero"`
	Triggers []Trigger         `json:"triggers,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	// Input holds members that are only echoed (CreateDeploymentGroup's input as JSON).
	Input json.RawMessage `json:"input,omitempty"`
}

// RollbackConfig is autoRollbackConfiguration.
type RollbackConfig struct {
	Enabled bool     `json:"enabled,omitempty"`
	Events  []string `json:"events,omitempty"`
}

// AlarmConfig is alarmConfiguration.
type AlarmConfig struct {
	Enabled           bool     `json:"enabled,omitempty"`
	IgnorePollFailure bool     `json:"ignorePollFailure,omitempty"`
	Names             []string `json:"names,omitempty"`
}

// Trigger tells a topic of events of deployments.
type Trigger struct {
	Name   string   `json:"name"`
	Topic  string   `json:"topic"` // ARN
	Events []string `json:"events"`
}

// ResourceKind implements Resource.
func (DeploymentGroup) ResourceKind() Kind { return KindDeploymentGroup }

// ResourceKey implements Resource: "application/group".
func (g DeploymentGroup) ResourceKey() string { return g.Application + "/" + g.Name }

// DeploymentConfig is a custom deployment configuration.
type DeploymentConfig struct {
	Name     string             `json:"name"`
	ID       string             `json:"id"` // UUID
	Platform string             `json:"platform"`
	Created  time.Time          `json:"created"`
	Kind     deploy.TrafficKind `json:"kind,omitempty"`
	Percent  int                `json:"percent,omitempty"`
	Minutes  int                `json:"minutes,omitempty"`
	Tags     map[string]string  `json:"tags,omitempty"`
}

// ResourceKind implements Resource.
func (DeploymentConfig) ResourceKind() Kind { return KindDeploymentConfig }

// ResourceKey implements Resource.
func (c DeploymentConfig) ResourceKey() string { return c.Name }

// Revision is a registered revision of an application.
type Revision struct {
	Application string `json:"application"`
	// Type is AppSpecContent, String or S3.
	Type string `json:"type"`
	// SHA256 and Content serve AppSpecContent and String.
	SHA256  string `json:"sha256,omitempty"`
	Content string `json:"content,omitempty"`
	// The S3 location; Version and ETag may be empty.
	Bucket     string `json:"bucket,omitempty"`
	Object     string `json:"object,omitempty"`
	BundleType string `json:"bundleType,omitempty"`
	Version    string `json:"version,omitempty"`
	ETag       string `json:"etag,omitempty"`

	Description string    `json:"description,omitempty"`
	Registered  time.Time `json:"registered"`
	FirstUsed   time.Time `json:"firstUsed,omitzero"`
	LastUsed    time.Time `json:"lastUsed,omitzero"`
	// Groups are the deployment groups that used it.
	Groups []string `json:"groups,omitempty"`
}

// ResourceKind implements Resource.
func (Revision) ResourceKind() Kind { return KindRevision }

// ResourceKey implements Resource.
func (r Revision) ResourceKey() string {
	if r.Type == "S3" {
		return r.Application + "/s3/" + r.Bucket + "/" + r.Object + "/" + r.Version + "/" + r.ETag
	}
	return r.Application + "/" + r.SHA256
}

// ServiceKey is the key of the ECS service that the group deploys.
func (g DeploymentGroup) ServiceKey() string { return ServiceKey(g.Cluster, g.Service) }

// Tags of a deployment group by which Greengate differs from AWS, or does as AWS does.
const (
	// TagPromote is "verified", "manual" or "auto": what ends the ready wait.
	TagPromote = "greengate:promote"
	// TagTestTraffic "strict" lets the test listener move in AllowTestTraffic, not at the end of Install.
	TagTestTraffic = "greengate:test-traffic"
	// TagHookReturn "strict" waits for the callback also of a function that ended without one.
	TagHookReturn = "greengate:hook-return"
)
