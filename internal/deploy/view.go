package deploy

import "time"

// View is the deployment as people and machines read it: without environment values. The execution id of an effect, which
// a function's callback presents, comes from execution.
func (d *Deployment) View(execution func(effect string) string) DeploymentView {
	v := DeploymentView{
		ID: d.ID, Service: d.Plan.Service, Kind: d.Kind, Creator: d.Creator, StartedBy: d.StartedBy, Description: d.Description,
		From: d.Blue.Revision.Version, To: d.Green.Revision.Version, Status: d.Status, Phase: d.Phase, Waiting: d.Waiting,
		CreatedAt: d.CreatedAt, CompletedAt: d.CompletedAt, Weights: d.Weights, TestSide: d.TestSide, Lifecycle: d.Lifecycle,
		Verdicts: d.Verdicts, WayBack: d.BlueWay, Rollback: d.Rollback, Halted: d.Halted, Moved: d.Moved,
		Switch: elapsed(d.SwitchAsked, d.SwitchConfirmed), Back: elapsed(d.BackAsked, d.BackConfirmed),
		Revno: d.Revno, Promotion: d.Plan.Promotion, Actions: d.Actions(),
	}
	v.Rollback.ReservedID = ""
	if d.Kind == KindRollback {
		v.From, v.To = d.Green.Revision.Version, d.Blue.Revision.Version
	}
	if d.Cause != nil {
		v.Reason, v.Message = d.Cause.Reason, d.Cause.Message
	}
	if d.Run != nil {
		hook := d.Hooks(d.Run.List)[d.Run.Index]
		v.Running = &RunningHook{Hook: hook.Name, Kind: hook.Kind, Event: d.Run.List, Started: d.Run.Started}
		if hook.Kind == HookFunction {
			v.Running.ExecutionID = execution(Effect{Deployment: d.ID, Seq: d.Run.Seq}.ID())
		}
	}
	return v
}

func elapsed(from, to time.Time) time.Duration {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return to.Sub(from)
}
