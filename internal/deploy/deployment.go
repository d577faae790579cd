package deploy

import (
	"slices"
	"time"
)

// Kind tells a deployment that somebody asked for from the record of a rollback.
type Kind string

// The kinds of deployments.
const (
	KindDeploy   Kind = "deploy"
	KindRollback Kind = "rollback"
)

// CreatorRollback is the creator of a rollback's record (DeploymentCreator of the CodeDeploy model).
const CreatorRollback = "codeDeployRollback"

// Deployment is the whole state of one deployment. It is a value: Clone before altering it.
type Deployment struct {
	ID string `json:"id"`
	// Revno counts the commits of this deployment; the store refuses a commit over another one.
	Revno       int64     `json:"revno"`
	Kind        Kind      `json:"kind"`
	Creator     string    `json:"creator"`
	StartedBy   string    `json:"startedBy,omitempty"` // principal
	Description string    `json:"description,omitempty"`
	CreatedAt   time.Time `json:"createdAt"`
	StartedAt   time.Time `json:"startedAt,omitzero"`
	CompletedAt time.Time `json:"completedAt,omitzero"`
	UpdatedAt   time.Time `json:"updatedAt"`

	Plan  Plan    `json:"plan"`
	Blue  TaskSet `json:"blue,omitzero"` // zero: first deployment of the service
	Green TaskSet `json:"green"`

	Phase      Phase            `json:"phase"`
	PhaseSince time.Time        `json:"phaseSince"`
	Status     Status           `json:"status"`
	Lifecycle  []LifecycleEvent `json:"lifecycle"`
	// Deadline ends the phase; Wake continues it. Zero is none.
	Deadline time.Time `json:"deadline,omitzero"`
	Wake     time.Time `json:"wake,omitzero"`

	// Weights are the production weights that the data plane last confirmed, in per cent.
	Weights Weights `json:"weights"`
	// Moved is set when a shift of production traffic to green was first asked for.
	Moved bool `json:"moved,omitempty"`
	// TestSide is what the test listener serves, as last confirmed.
	TestSide  Side `json:"testSide,omitempty"`
	ShiftStep int  `json:"shiftStep,omitempty"`
	// SwitchAsked and SwitchConfirmed bracket the first weights that favoured green;
	// BackAsked and BackConfirmed bracket the way back.
	SwitchAsked     time.Time `json:"switchAsked,omitzero"`
	SwitchConfirmed time.Time `json:"switchConfirmed,omitzero"`
	BackAsked       time.Time `json:"backAsked,omitzero"`
	BackConfirmed   time.Time `json:"backConfirmed,omitzero"`

	Run      *HookRun  `json:"run,omitempty"` // the hook in progress
	Verdicts []Verdict `json:"verdicts,omitempty"`

	BlueWay BlueWay `json:"blueWay,omitzero"`
	Waiting Waiting `json:"waiting,omitzero"`
	// Cause says why the deployment is failing or stopping; nil while all is well.
	Cause    *Cause       `json:"cause,omitempty"`
	Rollback RollbackInfo `json:"rollback,omitzero"`
	// Halted: production could not be proven to be on the old version and was left alone.
	Halted bool `json:"halted,omitempty"`

	Open    []Effect `json:"open,omitempty"`
	NextSeq int64    `json:"nextSeq"`
}

// TaskSet is one version of the service as it runs.
type TaskSet struct {
	ID       string   `json:"id,omitempty"`
	Service  string   `json:"service,omitempty"`
	Revision Revision `json:"revision,omitzero"`
	Tasks    int      `json:"tasks,omitempty"` // desired count
	// Without are places that no task of the set takes any more: those of tasks that were ended one by one. The tasks have
	// the first places that are left.
	Without []int `json:"without,omitempty"`
	// TargetGroup is the name of the target group that its tasks are registered with, where it has one.
	TargetGroup string `json:"targetGroup,omitempty"`
}

// IsZero reports whether there is no task set.
func (t TaskSet) IsZero() bool { return t.ID == "" }

// Has reports whether a task of the set has the place, which are counted from 0.
func (t TaskSet) Has(place int) bool {
	before := 0
	for _, gone := range t.Without {
		if gone == place {
			return false
		}
		if gone < place {
			before++
		}
	}
	return place >= 0 && place-before < t.Tasks
}

// Drop is the set without some of its tasks, which keep no place.
func (t TaskSet) Drop(places []int) TaskSet {
	t.Without = append(slices.Clone(t.Without), places...)
	t.Tasks -= len(places)
	return t
}

// Weights are the shares of production traffic; they add up to 100, or to 0 where nothing serves.
type Weights struct {
	Blue  int `json:"blue"`
	Green int `json:"green"`
}

// LifecycleEvent is the record of one lifecycle event.
type LifecycleEvent struct {
	Name    Phase           `json:"name"`
	Status  LifecycleStatus `json:"status"`
	Start   time.Time       `json:"start,omitzero"`
	End     time.Time       `json:"end,omitzero"`
	Reason  Reason          `json:"reason,omitempty"`
	Message string          `json:"message,omitempty"`
}

// Waiting says for what a deployment waits, so that nobody needs to guess.
type Waiting struct {
	For   string    `json:"for,omitempty"` // WaitReady or WaitTermination
	Until time.Time `json:"until,omitzero"`
}

// The waits that ContinueDeployment can end (DeploymentWaitType of the CodeDeploy model).
const (
	WaitReady       = "READY_WAIT"
	WaitTermination = "TERMINATION_WAIT"
)

// BlueWay is what is known of the way back: what was proven before the switch, and blue's health as
// it was last asked for (again when the deployment turns around).
type BlueWay struct {
	Checked  bool   `json:"checked,omitempty"`
	Healthy  bool   `json:"healthy,omitempty"`  // false also where it could not be told
	Verified bool   `json:"verified,omitempty"` // before the switch: healthy, and the smoke set passed on it
	Message  string `json:"message,omitempty"`
}

// Cause is why a deployment fails or stops.
type Cause struct {
	Status  Status `json:"status"` // StatusFailed or StatusStopped
	Reason  Reason `json:"reason"`
	Message string `json:"message"`
	Phase   Phase  `json:"phase"` // where it happened
	// GoBack is whether policy or the one who stopped it wants blue restored.
	GoBack bool `json:"goBack"`
}

// RollbackInfo connects a deployment with the record of its rollback.
type RollbackInfo struct {
	// ReservedID is the id that the record will have if there is one; the creator draws it.
	ReservedID string `json:"reservedId,omitempty"`
	// DeploymentID is the record of this deployment's rollback.
	DeploymentID string `json:"deploymentId,omitempty"`
	// TriggeringID is the deployment that this record rolls back.
	TriggeringID string `json:"triggeringId,omitempty"`
	Message      string `json:"message,omitempty"`
	// Verified is set on a finished record: the smoke set passed on production after the rollback.
	Verified bool `json:"verified,omitempty"`
}

// IsZero reports whether nothing is known of a rollback.
func (r RollbackInfo) IsZero() bool { return r == RollbackInfo{} }

// HookRun is the hook that is running now: which list, which hook of it, which attempt.
type HookRun struct {
	List    HookList  `json:"list"`
	Index   int       `json:"index"`
	Attempt int       `json:"attempt"` // from 1
	Seq     int64     `json:"seq"`
	Started time.Time `json:"started"`
	// Denied says which permission its callback was refused for; empty where none was.
	Denied string `json:"denied,omitempty"`
}

// HookList names a list of hooks that runs in order.
type HookList string

// The lists: those of the lifecycle events bear the event's name.
const (
	SmokeBefore   HookList = "SmokeBefore"   // on production while blue serves it: the way back
	SmokeAfter    HookList = "SmokeAfter"    // after the switch
	SmokeBake     HookList = "SmokeBake"     // at the end of the bake
	SmokeRollback HookList = "SmokeRollback" // after a rollback
)

// Smoke reports whether the list is the smoke set rather than the hooks of a lifecycle event.
func (l HookList) Smoke() bool {
	return l == SmokeBefore || l == SmokeAfter || l == SmokeBake || l == SmokeRollback
}

// HasBlue reports whether there is an original task set to go back to.
func (d *Deployment) HasBlue() bool { return !d.Blue.IsZero() }

// Hooks returns the hooks of a list.
func (d *Deployment) Hooks(l HookList) []Hook {
	if l.Smoke() {
		return d.Plan.Smoke
	}
	return d.Plan.Hooks[Phase(l)]
}

// Due returns when the next Tick must be sent, and false where nothing is due.
func (d *Deployment) Due() (time.Time, bool) {
	if d.Phase.Terminal() {
		return time.Time{}, false
	}
	due := d.Deadline
	if due.IsZero() || (!d.Wake.IsZero() && d.Wake.Before(due)) {
		due = d.Wake
	}
	return due, !due.IsZero()
}

// ProductionProven reports whether production is proven to be on the old version: for a deployment
// that did not succeed, because it never moved; for the record of a rollback, because it ended
// verified. Where production moved and was moved back, ask the record.
func (d *Deployment) ProductionProven() bool {
	if d.Kind == KindRollback {
		return d.Phase == PhaseSucceeded && d.Rollback.Verified
	}
	return !d.Halted && !d.Moved
}

// Safe names the task set that must hold production traffic if everything stopped now. It knows
// more than Phase.Safe: a rollback's record is never safe on green, and what ends well is.
func (d *Deployment) Safe() Side {
	switch {
	case d.Kind == KindDeploy && d.Phase == PhaseSettle && d.Cause == nil:
		return SideGreen
	case d.Kind == KindDeploy && d.Phase.Safe() == SideGreen:
		return SideGreen
	case d.HasBlue():
		return SideBlue
	}
	return SideNone
}

// testSide is what the test listener serves once it was pointed at s: nothing where there is none.
func (d *Deployment) testSide(s Side) Side {
	if !d.Plan.TestListener {
		return SideNone
	}
	return s
}

// New describes a deployment to be created.
type New struct {
	ID, RollbackID string
	Creator        string
	StartedBy      string
	Description    string
	At             time.Time
	Plan           Plan
	Blue, Green    TaskSet
	TestSide       Side // what the test listener serves now
}

// Create makes the first state of a deployment. The caller stores it together with a Start event.
func Create(n New) Deployment {
	d := Deployment{
		ID: n.ID, Kind: KindDeploy, Creator: n.Creator, StartedBy: n.StartedBy, Description: n.Description,
		CreatedAt: n.At, UpdatedAt: n.At, Plan: n.Plan, Blue: n.Blue, Green: n.Green,
		Phase: PhaseCreated, PhaseSince: n.At, Status: StatusCreated,
		Deadline: n.At.Add(n.Plan.Limits.Start), TestSide: n.TestSide,
		Rollback: RollbackInfo{ReservedID: n.RollbackID}, NextSeq: 1,
	}
	if d.HasBlue() {
		d.Weights.Blue = 100
	}
	for _, name := range LifecycleEvents(n.Plan.TestListener) {
		d.Lifecycle = append(d.Lifecycle, LifecycleEvent{Name: name, Status: LifecyclePending})
	}
	return d
}
