package lambdahook

import (
	"encoding/json"
	"errors"
	"maps"
	"time"

	"greengate/internal/scenario"
)

// call is one invocation: who asks, and of what.
type call struct {
	// deployment and execution are the ids of a CodeDeploy event, which are told back to it.
	deployment, execution string
	// native says that the verdict is what the function returns (ECS's own blue/green deployments).
	native bool
	stage  string
	// release is what the event says of it.
	release scenario.Release
	// details are the hook's details as they came; since is when the first of the calls that belong together began.
	details map[string]json.RawMessage
	since   time.Time
}

// ownDetail is the key of the hook's details under which we find again what we returned.
const ownDetail = "greengate"

type carried struct {
	Since time.Time `json:"since"`
}

// decodeEvent reads an event: the two ids of CodeDeploy (user guide, "AppSpec 'hooks' section"), or what ECS sends to a
// lifecycle hook (developer guide, "Lifecycle hooks for Amazon ECS service deployments"). The latter is documented with and
// without its outer object, and may grow: any event that is not CodeDeploy's is taken for one.
func decodeEvent(event []byte, now time.Time) (call, error) {
	var e struct {
		DeploymentID string `json:"DeploymentId"`
		ExecutionID  string `json:"LifecycleEventHookExecutionId"`

		NativeExecution string `json:"executionId"`
		Stage           string `json:"lifecycleStage"`
		Resource        string `json:"resourceArn"`
		Service         string `json:"serviceArn"`
		Revision        string `json:"targetServiceRevisionArn"`
		Details         struct {
			Service  string `json:"serviceArn"`
			Revision string `json:"targetServiceRevisionArn"`
		} `json:"executionDetails"`
		HookDetails json.RawMessage `json:"hookDetails"`
	}
	c := call{since: now}
	if err := json.Unmarshal(event, &e); err != nil {
		return c, errors.New("the event is not the JSON object of a hook")
	}
	if (e.DeploymentID == "") != (e.ExecutionID == "") {
		return c, errors.New("the event has one of DeploymentId and LifecycleEventHookExecutionId; CodeDeploy sends both")
	}
	if e.DeploymentID != "" {
		c.deployment, c.execution, c.release.Deployment = e.DeploymentID, e.ExecutionID, e.DeploymentID
		return c, nil
	}
	c.native, c.stage, c.deployment, c.execution = true, e.Stage, e.Resource, e.NativeExecution
	c.release = scenario.Release{
		Deployment: e.Resource, Service: either(e.Details.Service, e.Service), Revision: either(e.Details.Revision, e.Revision),
	}
	c.resume(e.HookDetails, now)
	return c, nil
}

// resume reads what an earlier call returned. Details that are no object, or not ours, are left alone.
func (c *call) resume(details json.RawMessage, now time.Time) {
	if json.Unmarshal(details, &c.details) != nil {
		c.details = nil
		return
	}
	var own carried
	if json.Unmarshal(c.details[ownDetail], &own) == nil && !own.Since.IsZero() && own.Since.Before(now) {
		c.since = own.Since
	}
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// moved reports whether production traffic is on the new version, as far as the event says.
func (c *call) moved() bool {
	return c.stage == "PRODUCTION_TRAFFIC_SHIFT" || c.stage == "POST_PRODUCTION_TRAFFIC_SHIFT"
}

// The answers to ECS.
const (
	nativeSucceeded  = "SUCCEEDED"
	nativeFailed     = "FAILED"
	nativeInProgress = "IN_PROGRESS"
)

// nativeAnswer is what ECS reads of a hook that has returned.
type nativeAnswer struct {
	Status string `json:"hookStatus"`
	// Delay is after how many seconds it calls again.
	Delay   int                        `json:"callBackDelay,omitempty"`
	Details map[string]json.RawMessage `json:"hookDetails,omitempty"`
}

// maxDelay is how long ECS waits by itself between two calls.
const maxDelay = 30 * time.Second

// answer makes the answer to ECS. Where it could not be told, and the scenario's own time limit has not passed since the
// first call, ECS shall call again: a scenario may take longer than a function may run, and what was not there yet may
// come. A call that could not tell never passes.
func (c *call) answer(v scenario.Verdict, limit time.Duration, now time.Time) (nativeAnswer, error) {
	left := limit - now.Sub(c.since)
	switch {
	case v == scenario.Pass:
		return nativeAnswer{Status: nativeSucceeded}, nil
	case v != scenario.Error || left <= 0:
		return nativeAnswer{Status: nativeFailed}, nil
	}
	own, err := json.Marshal(carried{c.since.UTC()})
	if err != nil {
		return nativeAnswer{}, err
	}
	a := nativeAnswer{Status: nativeInProgress, Delay: int(max(time.Second, min(left, maxDelay)) / time.Second), Details: maps.Clone(c.details)}
	if a.Details == nil {
		a.Details = map[string]json.RawMessage{}
	}
	a.Details[ownDetail] = own
	return a, nil
}
