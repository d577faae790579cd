package deploy

import (
	"fmt"
	"time"
)

// EffectKind says what is to be done.
type EffectKind string

// The kinds of effects. All but EffectHook are idempotent; a hook is started at most once for its
// identity, and where it is unknown whether it started its verdict is VerdictError.
const (
	// EffectInstall makes sure that the task set runs with its desired count and ends when every
	// task of it is healthy, or when it never will be.
	EffectInstall EffectKind = "Install"
	// EffectRoute gives the listeners absolute targets and ends when the data plane confirmed.
	EffectRoute EffectKind = "Route"
	// EffectHook starts one attempt of one hook and ends with its verdict.
	EffectHook EffectKind = "Hook"
	// EffectInspect asks for the health of a task set.
	EffectInspect EffectKind = "Inspect"
	// EffectWatch watches a task set, the alarms and the ledger until it is cancelled.
	EffectWatch EffectKind = "Watch"
	// EffectRetire drains a task set and stops it.
	EffectRetire EffectKind = "Retire"
	// EffectCancel ends another effect and confirms that it has ended.
	EffectCancel EffectKind = "Cancel"
)

// Effect is something to be done, as data.
type Effect struct {
	Deployment string     `json:"deployment"`
	Seq        int64      `json:"seq"`
	Kind       EffectKind `json:"kind"`
	TaskSet    *TaskSet   `json:"taskSet,omitempty"`
	Route      *Route     `json:"route,omitempty"`
	Hook       *HookCall  `json:"hook,omitempty"`
	Watch      *Watch     `json:"watch,omitempty"`
	// Cancels is the effect that a Cancel ends; Abandon leaves its program running and only stops
	// looking at it (a function that has reported may finish in peace).
	Cancels int64 `json:"cancels,omitempty"`
	Abandon bool  `json:"abandon,omitempty"`
	// Drain is how long a Retire leaves streams and slow requests alone.
	Drain time.Duration `json:"drain,omitempty"`
}

// ID is the effect's identity, "deployment/seq".
func (e Effect) ID() string { return fmt.Sprintf("%s/%d", e.Deployment, e.Seq) }

// Route is what the two listeners of a service shall serve, absolutely.
type Route struct {
	Service string `json:"service"`
	// Production are task set ids with weights that add up to 100; empty answers 503.
	Production []RouteWeight `json:"production,omitempty"`
	// Test is the task set behind the test listener; empty answers 503.
	Test string `json:"test,omitempty"`
	// Force overwrites weights that somebody else set; otherwise that is a conflict.
	Force bool `json:"force,omitempty"`
	// Ledger is the name under which requests are counted from now on.
	Ledger string `json:"ledger,omitempty"`
}

// RouteWeight is the share of one task set in per cent.
type RouteWeight struct {
	TaskSet string `json:"taskSet"`
	Weight  int    `json:"weight"`
}

// HookCall is one attempt of a hook with all that it is told.
type HookCall struct {
	Hook    Hook     `json:"hook"`
	List    HookList `json:"list"`
	Attempt int      `json:"attempt"`
	// TaskSet is the version under test, for task hooks and for the verdict's revision.
	TaskSet TaskSet   `json:"taskSet"`
	Service string    `json:"service"`
	Until   time.Time `json:"until"`
	// First says that there is no old version: nothing to compare with. Otherwise Blue is its task set.
	First bool   `json:"first,omitempty"`
	Blue  string `json:"blue,omitempty"`
}

// Watch says what to watch. Nothing of it is watched where it is zero.
type Watch struct {
	TaskSet TaskSet       `json:"taskSet,omitzero"`
	Grace   time.Duration `json:"grace,omitempty"`
	Alarms  []string      `json:"alarms,omitempty"`
	// IgnoreAlarmFaults goes on where alarms cannot be watched.
	IgnoreAlarmFaults bool `json:"ignoreAlarmFaults,omitempty"`
	// Ledger and MaxErrorRate watch the share of failed production requests of the task set.
	Ledger       string  `json:"ledger,omitempty"`
	MaxErrorRate float64 `json:"maxErrorRate,omitempty"`
}

// Record is one line of a deployment's history.
type Record struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"` // RecordPhase, RecordVerdict, …
	Phase   Phase     `json:"phase"`
	Reason  Reason    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
}

// The kinds of records.
const (
	RecordPhase   = "phase"   // a phase was entered
	RecordVerdict = "verdict" // a hook ended
	RecordWeights = "weights" // the data plane confirmed weights
	RecordNote    = "note"    // something that a person should know
	RecordEnd     = "end"     // the deployment ended
)
