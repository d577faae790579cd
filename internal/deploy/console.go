package deploy

import (
	"fmt"
	"time"
)

// What only the console and its like ask for: who did what, what can be done to a deployment, and everything of an
// installation at a glance.
type (
	// AuditEntry is one thing that somebody did, or tried to do.
	AuditEntry struct {
		Seq       int64     `json:"seq"`
		At        time.Time `json:"at"`
		Principal string    `json:"principal"` // ARN; empty where nobody was signed in
		// Source is the address that the request came from, Agent the program that sent it.
		Source string `json:"source,omitempty"`
		Agent  string `json:"agent,omitempty"`
		// Service and Operation are as in IAM actions: "codedeploy", "StopDeployment".
		Service   string `json:"service"`
		Operation string `json:"operation"`
		// Resource names what it was done to, as far as the input says.
		Resource string `json:"resource,omitempty"`
		// Outcome is "ok", or the name of the error.
		Outcome string `json:"outcome"`
	}
	// ListAuditInput selects entries; they come newest first.
	ListAuditInput struct {
		// Before is the Seq of the last entry of the page before; 0 begins with the newest.
		Before int64 `json:"before,omitempty"`
		Limit  int   `json:"limit,omitempty"` // 0 is 100, 1000 the most
	}
	// ListAuditOutput holds entries, newest first.
	ListAuditOutput struct {
		Entries []AuditEntry `json:"entries"`
	}

	// ActionView says whether something can be done to a deployment now, and why not.
	ActionView struct {
		Name     string `json:"name"`
		Possible bool   `json:"possible"`
		Why      string `json:"why,omitempty"`
	}

	// DescribeOverviewOutput lists the services of greengate.yaml and those that were made over the AWS wire.
	DescribeOverviewOutput struct {
		Services []ServiceView `json:"services"`
	}
	// DescribeTargetsOutput holds the task sets of a deployment that exist now, blue first.
	DescribeTargetsOutput struct {
		TaskSets []TaskSetView `json:"taskSets"`
	}

	// ListFunctionsOutput lists the functions that are known here.
	ListFunctionsOutput struct {
		Functions []FunctionView `json:"functions"`
	}
	// FunctionView is a function with its newest invocations.
	FunctionView struct {
		Name    string `json:"name"`
		Runtime string `json:"runtime"`
		Handler string `json:"handler,omitempty"`
		// Origin is the service whose greengate.yaml has it, or "lambda" where it was made over the wire.
		Origin      string           `json:"origin"`
		Timeout     time.Duration    `json:"timeout,omitempty"`
		MemoryMB    int              `json:"memoryMb,omitempty"`
		Invocations []InvocationView `json:"invocations,omitempty"` // newest first
		Log         []string         `json:"log,omitempty"`         // the last lines, where one function was asked for
	}
	// InvocationView is one invocation as the function's log tells it.
	InvocationView struct {
		ID       string    `json:"id"`
		At       time.Time `json:"at"`
		Duration string    `json:"duration,omitempty"` // as the REPORT line says; empty while it runs
		Memory   string    `json:"memory,omitempty"`
	}
	// FunctionInput names a function.
	FunctionInput struct {
		Name string `json:"name"`
	}

	// DescribeChecksOutput holds what check says of every service.
	DescribeChecksOutput struct {
		Services []ServiceFindings `json:"services"`
	}
	// ServiceFindings are the findings of one service.
	ServiceFindings struct {
		Service  string    `json:"service"`
		Findings []Finding `json:"findings"`
	}

	// MetricsOutput is all metrics in the text format of Prometheus: DescribeMetrics.
	MetricsOutput struct {
		Text string `json:"text"`
	}

	// ConsoleLinkOutput is a link that signs in to the console once: CreateConsoleLink.
	ConsoleLinkOutput struct {
		// Path is below the address of the API.
		Path    string    `json:"path"`
		Expires time.Time `json:"expires"`
	}
)

// The actions that people take on deployments.
const (
	ActionReroute  = "reroute"
	ActionEndBake  = "end-bake"
	ActionStop     = "stop"
	ActionStopBack = "stop-and-roll-back"
)

// Actions says what can be done to a deployment now.
func (d *Deployment) Actions() []ActionView {
	action := func(name string, err error) ActionView {
		if err != nil {
			return ActionView{Name: name, Why: err.Error()}
		}
		return ActionView{Name: name, Possible: true}
	}
	stop := d.CanStop()
	if stop == nil && d.Cause != nil {
		stop = Errorf(CodeConflict, "deployment %s is ending already: %s", d.ID, d.Cause.Message)
	}
	back := stop
	if back == nil && !d.HasBlue() {
		back = Errorf(CodeConflict, "deployment %s is the first one of its service: there is no old version to go back to", d.ID)
	}
	return []ActionView{
		action(ActionReroute, d.CanContinue(WaitReady)), action(ActionEndBake, d.CanContinue(WaitTermination)),
		action(ActionStop, stop), action(ActionStopBack, back),
	}
}

// ParseWeights reads the message of a record of kind RecordWeights; false where nothing serves production.
func ParseWeights(message string) (Weights, bool) {
	var w Weights
	n, err := fmt.Sscanf(message, "blue %d green %d", &w.Blue, &w.Green)
	return w, err == nil && n == 2
}
