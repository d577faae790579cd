package deploy

// This file says what people may ask of a deployment; Step ignores what these refuse.

// CanStop says why a deployment cannot be stopped, or nil.
func (d *Deployment) CanStop() error {
	switch {
	case d.Phase.Terminal():
		return Errorf(CodeAlreadyCompleted, "deployment %s has ended with status %s", d.ID, d.Status)
	case d.Kind == KindRollback:
		return Errorf(CodeConflict, "deployment %s is a rollback; stopping it would leave production unproven", d.ID)
	case d.Cause == nil && (d.Phase == PhaseRetire || d.Phase == PhaseSettle):
		return Errorf(CodeAlreadyCompleted, "deployment %s has passed the point of return: the old version is being stopped; deploy it again to go back", d.ID)
	}
	return nil
}

// CanContinue says why a wait of a deployment cannot be ended, or nil. An empty wait is WaitReady.
func (d *Deployment) CanContinue(wait string) error {
	if wait == "" {
		wait = WaitReady
	}
	switch {
	case wait != WaitReady && wait != WaitTermination:
		return &Error{Code: CodeInvalid, Field: "deploymentWaitType", Message: "deployment wait type " + wait + " is not READY_WAIT or TERMINATION_WAIT"}
	case d.Phase.Terminal():
		return Errorf(CodeAlreadyCompleted, "deployment %s has ended with status %s", d.ID, d.Status)
	case d.Waiting.For != wait:
		return Errorf(CodeNotInReadyState, "deployment %s is in %s, not in %s", d.ID, d.Phase, wait)
	}
	return nil
}

// CanReport says why a hook's report is not taken, or nil.
func (d *Deployment) CanReport(seq int64) error {
	for _, v := range d.Verdicts {
		if v.Seq == seq {
			return Errorf(CodeHookCompleted, "hook %s of deployment %s has its verdict already: %s", v.Hook, d.ID, v.Status)
		}
	}
	switch {
	case d.Run != nil && d.Run.Seq == seq:
		return nil
	case seq > 0 && seq < d.NextSeq:
		return Errorf(CodeHookCompleted, "the hook of deployment %s is not running any more", d.ID)
	}
	return Errorf(CodeHookUnknown, "deployment %s has no such hook", d.ID)
}
