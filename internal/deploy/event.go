package deploy

import "time"

// EventKind says what happened.
type EventKind string

// The kinds of events that Step takes.
const (
	EventStart     EventKind = "Start"     // the first one, stored with the deployment
	EventTick      EventKind = "Tick"      // Deployment.Due has come
	EventOutcome   EventKind = "Outcome"   // an effect ended
	EventReported  EventKind = "Reported"  // a hook reported through the callback
	EventDenied    EventKind = "Denied"    // a hook's callback was refused: its role may not report
	EventStop      EventKind = "Stop"      // somebody asked to stop
	EventContinue  EventKind = "Continue"  // somebody ended a wait
	EventAlarm     EventKind = "Alarm"     // the watch saw an alarm, or cannot see alarms (then Message says why)
	EventUnhealthy EventKind = "Unhealthy" // the watch saw green unhealthy for longer than the grace
	EventBudget    EventKind = "Budget"    // the watch saw the ledger over the error rate
)

// Event is one thing that happened to a deployment, at a time.
type Event struct {
	Kind EventKind `json:"kind"`
	At   time.Time `json:"at"`
	// Seq is the effect that ended, or the hook that reported or was denied.
	Seq int64 `json:"seq,omitempty"`
	// Revno is the revision number that whoever asked had seen: a Stop or Continue that bears another one than the
	// deployment's is not followed. 0 is any.
	Revno   int64    `json:"revno,omitempty"`
	Outcome *Outcome `json:"outcome,omitempty"`
	// Report is what the callback said: pass or fail.
	Report VerdictStatus `json:"report,omitempty"`
	// By is the principal behind Stop, Continue, Reported or Denied.
	By string `json:"by,omitempty"`
	// GoBack overrides the policy of a Stop; nil leaves it to the policy.
	GoBack *bool `json:"goBack,omitempty"`
	// Wait is the wait that a Continue ends.
	Wait    string   `json:"wait,omitempty"`
	Alarms  []string `json:"alarms,omitempty"`
	Message string   `json:"message,omitempty"`
}

// Outcome is how an effect ended.
type Outcome struct {
	OK      bool   `json:"ok"`
	Reason  Reason `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Healthy answers an Inspect effect.
	Healthy bool `json:"healthy,omitempty"`
	// Verdict answers a Hook effect of a kind whose own end decides, or a function that crashed.
	Verdict *Verdict `json:"verdict,omitempty"`
}
