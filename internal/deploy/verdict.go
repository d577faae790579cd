package deploy

import (
	"fmt"
	"strings"
	"time"
)

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
	// Evidence is what was seen, such as the request and the response, with secrets masked.
	Evidence string `json:"evidence,omitempty"`
}

// Headline is the verdict in one line: which hook, how it ended, and the first thing that was wrong.
func (v Verdict) Headline() string {
	line := fmt.Sprintf("%s in %s: %s", v.Hook, v.Event, v.Status)
	for _, c := range v.Checks {
		if c.Status == VerdictFail || c.Status == VerdictError {
			return withDetail(line+": "+c.Name, firstLine(c.Message))
		}
	}
	message := strings.TrimSpace(v.Message)
	line = withDetail(line, firstLine(message))
	if at := strings.LastIndexByte(message, '\n'); at >= 0 && v.Status != VerdictPass {
		line += ": " + message[at+1:]
	}
	return line
}

func firstLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return first
}
