package deploy

import "time"

// VerdictStatus is the outcome of one hook.
type VerdictStatus string

// A verdict is pass, fail, or error: it could not be told. Only pass lets a deployment go on.
const (
	VerdictPass  VerdictStatus = "pass"
	VerdictFail  VerdictStatus = "fail"
	VerdictError VerdictStatus = "error"
)

// CheckSkipped is the status of a check that was not made. It is no verdict.
const CheckSkipped VerdictStatus = "skipped"

// Verdict is the outcome of one attempt of one hook, with its evidence.
type Verdict struct {
	Hook    string        `json:"hook"`
	Kind    HookKind      `json:"kind"`
	Event   HookList      `json:"event"`
	Attempt int           `json:"attempt"`
	Seq     int64         `json:"seq"`
	Status  VerdictStatus `json:"status"`
	Reason  Reason        `json:"reason,omitempty"`
	Message string        `json:"message,omitempty"`
	// Revision is the digest of the revision that was tested.
	Revision      string    `json:"revision,omitempty"`
	Version       string    `json:"version,omitempty"`
	TestURL       string    `json:"testUrl,omitempty"`
	ProductionURL string    `json:"productionUrl,omitempty"`
	Start         time.Time `json:"start"`
	End           time.Time `json:"end"`
	Checks        []Check   `json:"checks,omitempty"`
	// Log says where the hook's output is: a log group and stream, or a unit of the runner.
	Log string `json:"log,omitempty"`
}

// Check is one assertion of a hook.
type Check struct {
	Name     string        `json:"name"`
	Status   VerdictStatus `json:"status"`
	Expected string        `json:"expected,omitempty"`
	Actual   string        `json:"actual,omitempty"`
	Message  string        `json:"message,omitempty"`
	Duration time.Duration `json:"duration,omitempty"`
}
