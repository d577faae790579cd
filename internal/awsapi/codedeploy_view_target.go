package awsapi

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/deploy"
)

// ecsTarget draws the one target of a deployment: its events in order, and its task sets, the original first.
func (v view) ecsTarget(d *Deployment, sets []TaskSet) codedeploy.ECSTarget {
	t := codedeploy.ECSTarget{
		DeploymentID:    d.ID,
		TargetID:        d.Target.id(),
		TargetARN:       "arn:aws:ecs:" + v.region + ":" + v.account + ":service/" + d.Target.Cluster + "/" + d.Target.Service,
		LastUpdatedAt:   shapes.At(d.UpdatedAt),
		Status:          targetStatus(d),
		LifecycleEvents: []codedeploy.LifecycleEvent{},
		TaskSetsInfo:    []codedeploy.ECSTaskSet{},
	}
	for _, e := range d.Lifecycle {
		t.LifecycleEvents = append(t.LifecycleEvents, codedeploy.LifecycleEvent{
			LifecycleEventName: string(e.Name),
			Status:             codedeploy.LifecycleEventStatus(e.Status),
			StartTime:          shapes.At(e.Start),
			EndTime:            shapes.At(e.End),
			Diagnostics:        diagnostics(&d.Deployment, e),
		})
	}
	for _, side := range []deploy.Side{deploy.SideBlue, deploy.SideGreen} {
		for _, s := range sets {
			if s.Label == side {
				t.TaskSetsInfo = append(t.TaskSetsInfo, taskSet(&d.Deployment, s))
			}
		}
	}
	return t
}

// targetStatus is the status of the target, which runs ahead of the deployment's: it has succeeded when the termination
// wait starts, and stays so even if the deployment fails in it (AWS engineers and captures say both).
func targetStatus(d *Deployment) codedeploy.TargetStatus {
	at := d.Phase
	if d.Cause != nil {
		at = d.Cause.Phase
	}
	switch at { //nolint:exhaustive // all other phases are those of a target in progress
	case deploy.PhaseTerminationWait, deploy.PhaseRetire, deploy.PhaseSucceeded:
		return codedeploy.TargetStatusSucceeded
	}
	switch d.Status {
	case deploy.StatusCreated:
		return codedeploy.TargetStatusPending
	case deploy.StatusInProgress:
		return codedeploy.TargetStatusInProgress
	case deploy.StatusReady:
		return codedeploy.TargetStatusReady // unconfirmed
	case deploy.StatusSucceeded:
		return codedeploy.TargetStatusSucceeded
	case deploy.StatusFailed, deploy.StatusStopped:
		return endedStatus(d)
	}
	return codedeploy.TargetStatusUnknown
}

// endedStatus is Skipped where nothing had begun when the deployment ended.
func endedStatus(d *Deployment) codedeploy.TargetStatus {
	begun := slices.ContainsFunc(d.Lifecycle, func(e deploy.LifecycleEvent) bool {
		return e.Status != deploy.LifecyclePending && e.Status != deploy.LifecycleSkipped
	})
	if len(d.Lifecycle) > 0 && !begun {
		return codedeploy.TargetStatusSkipped
	}
	return codedeploy.TargetStatusFailed
}

// diagnostics says why an event failed; an event that did not has none (official sample).
func diagnostics(d *deploy.Deployment, e deploy.LifecycleEvent) *codedeploy.Diagnostics {
	if e.Status != deploy.LifecycleFailed {
		return nil
	}
	out := &codedeploy.Diagnostics{ErrorCode: codedeploy.LifecycleErrorCodeUnknownError, Message: e.Message}
	switch e.Reason { //nolint:exhaustive // the others are unknown to a model made for scripts
	case deploy.ReasonHookFailed:
		out.ErrorCode = codedeploy.LifecycleErrorCodeScriptFailed
	case deploy.ReasonHookTimeout:
		out.ErrorCode = codedeploy.LifecycleErrorCodeScriptTimedOut
	}
	for _, v := range d.Verdicts {
		if v.Event == deploy.HookList(e.Name) && v.Status != deploy.VerdictPass {
			out.ScriptName = v.Hook
		}
	}
	return out
}

func taskSet(d *deploy.Deployment, s TaskSet) codedeploy.ECSTaskSet {
	weight, label := d.Weights.Blue, codedeploy.TargetLabelBlue
	if s.Label == deploy.SideGreen {
		weight, label = d.Weights.Green, codedeploy.TargetLabelGreen
	}
	return codedeploy.ECSTaskSet{
		Identifer:     taskSetIdentifier(s.ID), //nolint:misspell // the wire's own spelling
		DesiredCount:  new(int64(s.Desired)),
		PendingCount:  new(int64(s.Pending)),
		RunningCount:  new(int64(s.Running)),
		Status:        taskSetStatus(d, s),
		TrafficWeight: new(float64(weight)),
		TargetGroup:   &codedeploy.TargetGroupInfo{Name: s.TargetGroup},
		TaskSetLabel:  label,
	}
}

// taskSetStatus: green becomes PRIMARY when all traffic is on it, not while it moves.
func taskSetStatus(d *deploy.Deployment, s TaskSet) string {
	primary := deploy.SideBlue
	if d.Weights.Green == 100 {
		primary = deploy.SideGreen
	}
	switch {
	case s.Draining:
		return "DRAINING"
	case s.Label == primary:
		return "PRIMARY"
	}
	return "ACTIVE"
}

// taskSetIdentifier gives a task set the form of an id of ECS, ecs-svc/ and 19 digits, always the same for the same set.
func taskSetIdentifier(id string) string {
	if strings.HasPrefix(id, "ecs-svc/") {
		return id
	}
	const smallest = 1_000_000_000_000_000_000 // of 19 digits
	sum := sha256.Sum256([]byte(id))
	return "ecs-svc/" + strconv.FormatUint(smallest+binary.BigEndian.Uint64(sum[:8])%(8*smallest), 10)
}
