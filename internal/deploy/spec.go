package deploy

import "time"

// Revision is one immutable version of a service: what its tasks run.
type Revision struct {
	// Version is the label that people read: the version field of greengate.yaml, or a prefix of Digest.
	Version string `json:"version"`
	// Digest is the lower-case hex SHA-256 of the revision's canonical content.
	Digest string `json:"digest"`
	// TaskDefinition is the family:revision or ARN under which the wire knows it, when it has one.
	TaskDefinition string   `json:"taskDefinition,omitempty"`
	Workload       Workload `json:"workload"`
}

// Workload says what a task runs and how it is known to be well.
type Workload struct {
	Command []string          `json:"command,omitempty"`
	Image   string            `json:"image,omitempty"`
	Dir     string            `json:"dir,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	EnvFile string            `json:"envFile,omitempty"`
	// Port is the port that each task listens on; 0 gives each task a unique one.
	Port    int          `json:"port,omitempty"`
	Network string       `json:"network,omitempty"` // "host" or "namespace"
	Health  *HealthCheck `json:"health,omitempty"`
	// CPU in cores, MemoryBytes and PIDs are limits; 0 is none.
	CPU         float64 `json:"cpu,omitempty"`
	MemoryBytes int64   `json:"memoryBytes,omitempty"`
	PIDs        int64   `json:"pids,omitempty"`
	// Grace is the time between SIGTERM and SIGKILL.
	Grace time.Duration `json:"grace,omitempty"`
	// Protocol is what tasks speak: "http1" (default) or "h2c".
	Protocol string `json:"protocol,omitempty"`
}

// HealthCheck says how a task proves that it is well.
type HealthCheck struct {
	Type     string        `json:"type"` // "http" or "tcp"
	Path     string        `json:"path,omitempty"`
	Statuses string        `json:"statuses,omitempty"` // "200", "200,204", "200-299"
	Interval time.Duration `json:"interval,omitempty"`
	Timeout  time.Duration `json:"timeout,omitempty"`
	// HealthyThreshold and UnhealthyThreshold count consecutive results.
	HealthyThreshold   int           `json:"healthyThreshold,omitempty"`
	UnhealthyThreshold int           `json:"unhealthyThreshold,omitempty"`
	StartPeriod        time.Duration `json:"startPeriod,omitempty"`
}

// HookKind says what a hook is.
type HookKind string

// The kinds of hooks.
const (
	// HookFunction is a Lambda handler; its callback decides, not its return value.
	HookFunction HookKind = "function"
	// HookCommand is a program beside the service; its exit code decides.
	HookCommand HookKind = "command"
	// HookTask is a one-off task of the new version; its exit code decides.
	HookTask HookKind = "task"
	// HookScenario is an end-to-end check that a file describes; its result decides.
	HookScenario HookKind = "scenario"
	// HookShadow compares what the new version answers to copies of live requests with what users got of the old one.
	HookShadow HookKind = "shadow"
)

// Hook is one check or action registered for a lifecycle event or in the smoke set.
type Hook struct {
	Name string   `json:"name"`
	Kind HookKind `json:"kind"`
	// Command, Dir and Env serve command and task hooks, Dir and Env also scenarios. A task hook without Dir runs in the
	// workload's.
	Command  []string          `json:"command,omitempty"`
	Dir      string            `json:"dir,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Function *Function         `json:"function,omitempty"`
	Scenario *Scenario         `json:"scenario,omitempty"`
	Shadow   *Shadow           `json:"shadow,omitempty"`
	// Timeout is the time limit of one attempt. For a function it is the event's limit within which the
	// callback must come (CodeDeploy: 3600 s).
	Timeout time.Duration `json:"timeout,omitempty"`
	// Retries is how often an attempt that could not tell is repeated.
	Retries int `json:"retries,omitempty"`
	// StrictReturn waits for the callback also after the function crashed, as AWS does.
	StrictReturn bool `json:"strictReturn,omitempty"`
}

// Function describes a Lambda function that a hook invokes.
type Function struct {
	Name     string            `json:"name"`
	Runtime  string            `json:"runtime"`
	Handler  string            `json:"handler,omitempty"`
	CodeDir  string            `json:"codeDir"`
	Timeout  time.Duration     `json:"timeout,omitempty"` // of one invocation
	MemoryMB int               `json:"memoryMb,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	// Digest is of code and configuration; a warm sandbox serves only the same one.
	Digest string `json:"digest,omitempty"`
	// ARN is the function's, Role the role that it runs as, and Invoker the role that invokes it: the service role of the
	// deployment group. They are empty for functions of greengate.yaml, which have no roles.
	ARN     string `json:"arn,omitempty"`
	Role    string `json:"role,omitempty"`
	Invoker string `json:"invoker,omitempty"`
}

// Scenario is a scenario file as it was when its service was read: a later edit of the file changes nothing.
type Scenario struct {
	// File is the name of the main file in Bundle, Digest the lower-case hex SHA-256 over the content of all files.
	File   string `json:"file"`
	Bundle string `json:"bundle"`
	Digest string `json:"digest"`
	// Vars are values of the scenario's vars.
	Vars map[string]string `json:"vars,omitempty"`
	// Allow is the strongest effect of its steps: read, write-and-clean or write. Empty is what its place allows: all before
	// the switch, read on the production address.
	Allow string `json:"allow,omitempty"`
}

// OnProduction reports whether hooks of a list look at the production address and not at the test listener.
func (l HookList) OnProduction() bool { return l.Smoke() || l == HookList(PhaseAfterAllowTraffic) }

// Promotion says what moves a deployment past the ready wait.
type Promotion string

// The promotion policies.
const (
	PromoteVerified Promotion = "verified"
	PromoteManual   Promotion = "manual"
	PromoteAuto     Promotion = "auto"
)

// WayBackPolicy says what an unproven blue means for a deployment.
type WayBackPolicy string

// The way-back policies.
const (
	WayBackWarn    WayBackPolicy = "warn"
	WayBackRequire WayBackPolicy = "require"
)

// RollbackPolicy says on which causes a deployment goes back by itself
// (autoRollbackConfiguration of the CodeDeploy model).
type RollbackPolicy struct {
	OnFailure bool `json:"onFailure"`
	OnAlarm   bool `json:"onAlarm"`
	OnStop    bool `json:"onStop"`
}

// TrafficKind is the way in which production traffic moves.
type TrafficKind string

// The kinds of traffic routing (TrafficRoutingType of the CodeDeploy model).
const (
	TrafficAllAtOnce TrafficKind = "AllAtOnce"
	TrafficCanary    TrafficKind = "TimeBasedCanary"
	TrafficLinear    TrafficKind = "TimeBasedLinear"
)

// Traffic is how production traffic moves from blue to green.
type Traffic struct {
	Kind TrafficKind `json:"kind"`
	// Percent is the first canary step or each linear step, 1 to 99.
	Percent  int           `json:"percent,omitempty"`
	Interval time.Duration `json:"interval,omitempty"`
}

// Limits are the deadlines of phases that no policy names.
type Limits struct {
	Install time.Duration `json:"install"` // CodeDeploy: 60 min
	Hook    time.Duration `json:"hook"`    // CodeDeploy: 3600 s for an event
	Route   time.Duration `json:"route"`   // until the data plane has confirmed weights
	Inspect time.Duration `json:"inspect"` // until blue's health is known
	Settle  time.Duration `json:"settle"`  // until cancelled effects have ended
	Retire  time.Duration `json:"retire"`  // beyond drain and grace, until a task set is gone
	Start   time.Duration `json:"start"`   // from created to started
}

// DefaultLimits are AWS's own where AWS documents one.
func DefaultLimits() Limits {
	return Limits{
		Install: time.Hour, Hook: time.Hour, Route: 2 * time.Minute, Inspect: 10 * time.Second,
		Settle: 30 * time.Second, Retire: 2 * time.Minute, Start: 5 * time.Minute,
	}
}

// Plan is all that decides how a deployment runs, frozen when it is created.
type Plan struct {
	Service     string `json:"service"`
	Application string `json:"application"`
	Group       string `json:"group"`
	ConfigName  string `json:"configName,omitempty"`
	// TestListener says whether the service has one; without it six events remain of eight.
	TestListener bool `json:"testListener"`
	// StrictTestTraffic gives AWS's documented order: the test listener moves in AllowTestTraffic,
	// not at the end of Install.
	StrictTestTraffic bool             `json:"strictTestTraffic,omitempty"`
	Traffic           Traffic          `json:"traffic"`
	Hooks             map[Phase][]Hook `json:"hooks,omitempty"`
	Smoke             []Hook           `json:"smoke,omitempty"`
	Promotion         Promotion        `json:"promotion"`
	// ReadyLimit is how long the ready wait may last; its end stops the deployment.
	ReadyLimit time.Duration  `json:"readyLimit,omitempty"`
	WayBack    WayBackPolicy  `json:"wayBack"`
	Bake       time.Duration  `json:"bake,omitempty"`
	Rollback   RollbackPolicy `json:"rollback"`
	// Drain is how long streams and slow requests may stay on a task set that is retired.
	Drain time.Duration `json:"drain,omitempty"`
	// Alarms are names; any of them in ALARM stops the deployment.
	Alarms []string `json:"alarms,omitempty"`
	// IgnoreAlarmFaults goes on where alarms cannot be watched; else that stops the deployment too.
	IgnoreAlarmFaults bool `json:"ignoreAlarmFaults,omitempty"`
	// AlarmOverride is what the deployment itself says of alarms, in place of its group; nil where it says nothing. It is
	// only told: Alarms holds what is watched.
	AlarmOverride *AlarmOverride `json:"alarmOverride,omitempty"`
	// MaxErrorRate fails the deployment when more than this share of green's production requests are
	// 5xx or cut, counted from the switch to the end of the bake; 0 is no limit.
	MaxErrorRate float64 `json:"maxErrorRate,omitempty"`
	// UnhealthyGrace is how long green may be unhealthy after Install before that fails it.
	UnhealthyGrace time.Duration `json:"unhealthyGrace,omitempty"`
	Limits         Limits        `json:"limits"`
	// Source is where the wire names the revision; Previous that of the one before. Zero for greengate.yaml.
	Source   Source `json:"source,omitzero"`
	Previous Source `json:"previous,omitzero"`
	// Refused says why the deployment cannot begin: it fails as soon as it is started, and nothing is done. AWS looks at
	// an AppSpec only then.
	Refused *Refusal `json:"refused,omitempty"`
}

// AlarmOverride is overrideAlarmConfiguration of CreateDeployment.
type AlarmOverride struct {
	Enabled           bool     `json:"enabled,omitempty"`
	IgnorePollFailure bool     `json:"ignorePollFailure,omitempty"`
	Names             []string `json:"names,omitempty"`
}

// Source is where a revision comes from (RevisionLocation of the CodeDeploy model).
type Source struct {
	Type   string `json:"type,omitempty"` // AppSpecContent, String or S3
	SHA256 string `json:"sha256,omitempty"`
	// The place in S3.
	Bucket     string `json:"bucket,omitempty"`
	Key        string `json:"key,omitempty"`
	BundleType string `json:"bundleType,omitempty"`
	Version    string `json:"version,omitempty"`
	ETag       string `json:"etag,omitempty"`
}

// Refusal is why a deployment cannot begin.
type Refusal struct {
	Reason  Reason `json:"reason"`
	Message string `json:"message"`
}
