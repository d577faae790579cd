package app

import (
	"crypto/sha256"
	"fmt"
	"time"

	"greengate/internal/deploy"
)

// stableUUID names something that has no stored id; it is the same for the same name.
func stableUUID(kind, name string) string {
	sum := sha256.Sum256([]byte("greengate " + kind + "\n" + name))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// view is a deployment as people and machines read it: without environment values.
func view(d deploy.Deployment, execution func(effect string) string) deploy.DeploymentView {
	v := deploy.DeploymentView{
		ID: d.ID, Service: d.Plan.Service, Kind: d.Kind, Creator: d.Creator, StartedBy: d.StartedBy, Description: d.Description,
		From: d.Blue.Revision.Version, To: d.Green.Revision.Version, Status: d.Status, Phase: d.Phase, Waiting: d.Waiting,
		CreatedAt: d.CreatedAt, CompletedAt: d.CompletedAt, Weights: d.Weights, TestSide: d.TestSide, Lifecycle: d.Lifecycle,
		Verdicts: d.Verdicts, WayBack: d.BlueWay, Rollback: d.Rollback, Halted: d.Halted, Moved: d.Moved,
		Switch: between(d.SwitchAsked, d.SwitchConfirmed), Back: between(d.BackAsked, d.BackConfirmed),
		Revno: d.Revno, Promotion: d.Plan.Promotion, Actions: d.Actions(),
	}
	v.Rollback.ReservedID = ""
	if d.Kind == deploy.KindRollback {
		v.From, v.To = d.Green.Revision.Version, d.Blue.Revision.Version
	}
	if d.Cause != nil {
		v.Reason, v.Message = d.Cause.Reason, d.Cause.Message
	}
	if d.Run != nil {
		hook := d.Hooks(d.Run.List)[d.Run.Index]
		v.Running = &deploy.RunningHook{Hook: hook.Name, Kind: hook.Kind, Event: d.Run.List, Started: d.Run.Started}
		if hook.Kind == deploy.HookFunction {
			v.Running.ExecutionID = execution(deploy.Effect{Deployment: d.ID, Seq: d.Run.Seq}.ID())
		}
	}
	return v
}

func between(from, to time.Time) time.Duration {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return to.Sub(from)
}
