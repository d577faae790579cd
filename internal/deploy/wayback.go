package deploy

import "fmt"

// This file holds the way back: proving blue before the switch, and what happens after a failure.

func (m *machine) enterWayBack() {
	if !m.d.HasBlue() {
		m.advance(ReasonAdvanced, "first deployment: there is no way back to prove")
		return
	}
	m.emit(Effect{Kind: EffectInspect, TaskSet: new(m.d.Blue)})
	m.within(m.d.Plan.Limits.Inspect)
}

// onWayBack takes blue's health; the smoke set on production follows where blue is healthy.
func (m *machine) onWayBack() {
	switch {
	case m.ended(EffectInspect):
		m.d.BlueWay.Checked = true
		m.d.BlueWay.Healthy = m.ev.Outcome.OK && m.ev.Outcome.Healthy
		m.d.BlueWay.Message = m.ev.Outcome.Message
		if m.d.BlueWay.Healthy {
			m.runList(SmokeBefore)
			return
		}
		m.wayBackKnown()
	case m.expired():
		m.d.BlueWay = BlueWay{Checked: true, Message: "blue's health could not be told in time"}
		m.cancelInspect()
		m.wayBackKnown()
	}
}

func (m *machine) cancelInspect() {
	for _, e := range m.d.Open {
		if e.Kind == EffectInspect {
			m.cancel(e.Seq, false)
			return
		}
	}
}

// wayBackKnown goes on to the switch, or refuses it where policy requires a verified way back.
func (m *machine) wayBackKnown() {
	if m.d.BlueWay.Verified {
		m.advance(ReasonVerified, "the way back is verified")
		return
	}
	msg := "no verified way back: blue is not known to be healthy"
	if m.d.BlueWay.Healthy {
		msg = "no verified way back: the smoke set does not pass on blue"
	}
	if m.d.BlueWay.Message != "" {
		msg += " (" + m.d.BlueWay.Message + ")"
	}
	if m.d.Plan.WayBack == WayBackRequire {
		m.failed(ReasonNoWayBack, msg)
		return
	}
	m.note(ReasonNoWayBack, "%s", msg)
	m.advance(ReasonNoWayBack, msg)
}

// failed fails the deployment; policy decides whether it goes back.
func (m *machine) failed(r Reason, msg string) {
	m.fail(Cause{Status: StatusFailed, Reason: r, Message: msg, Phase: m.d.Phase, GoBack: m.d.Plan.Rollback.OnFailure})
}

// fail turns the deployment around: what runs is cancelled, the event in flight has failed, later
// ones are skipped, and where policy says so production goes back to blue.
func (m *machine) fail(c Cause) {
	m.d.Cause = &c
	m.d.Status, m.d.Run, m.d.Waiting = StatusInProgress, nil, Waiting{}
	m.failLifecycle(c)
	m.cancelAll()
	m.record(RecordNote, c.Reason, c.Message)
	switch {
	case m.d.Kind == KindRollback:
		m.d.Halted = true
		m.d.Rollback.Message = "the way back is not confirmed: " + c.Message
		m.finish()
	case c.Phase == PhaseCreated || c.Phase == PhaseBeforeInstall:
		m.d.Rollback.Message = "nothing to roll back: green was not installed"
		m.finish()
	case !m.d.HasBlue() && (c.GoBack || !m.d.Moved):
		m.d.Rollback.Message = "nothing to roll back to: this is the first deployment of the service"
		m.enter(PhaseDiscard, c.Reason, "taking green away")
	case !c.GoBack:
		m.d.Rollback.Message = "automatic rollback is off for this cause; task sets and weights stay as they are"
		m.finish()
	case m.d.Moved:
		m.d.BackAsked = m.ev.At
		m.enter(PhaseInspect, c.Reason, "is blue healthy?")
	default:
		m.d.BackAsked = m.ev.At
		m.enter(PhaseRollback, c.Reason, "production never left blue")
	}
}

func (m *machine) failLifecycle(c Cause) {
	for i := range m.d.Lifecycle {
		ev := &m.d.Lifecycle[i]
		switch ev.Status { //nolint:exhaustive // only events that have not ended change
		case LifecycleInProgress:
			ev.Status, ev.End, ev.Reason, ev.Message = LifecycleFailed, m.ev.At, c.Reason, c.Message
		case LifecyclePending:
			ev.Status = LifecycleSkipped
		}
	}
}

// onInspect goes back only to a blue that can serve. Where that cannot be told, what was known of it
// before the switch decides.
func (m *machine) onInspect() {
	switch {
	case m.ended(EffectInspect) && m.ev.Outcome.OK && m.ev.Outcome.Healthy:
		m.d.BlueWay.Healthy = true
		m.advance(ReasonAdvanced, "blue is healthy")
	case m.ended(EffectInspect) && m.ev.Outcome.OK:
		m.d.BlueWay.Healthy = false
		m.halt(ReasonBlueUnhealthy, "blue is not healthy: "+m.ev.Outcome.Message)
	case m.ended(EffectInspect), m.expired():
		if !m.d.BlueWay.Healthy {
			m.halt(ReasonBlueUnhealthy, "blue's health cannot be told, and it was not healthy before the switch")
			return
		}
		m.cancelInspect()
		m.d.BlueWay.Healthy, m.d.BlueWay.Message = false, "blue's health could not be told after the switch"
		m.advance(ReasonAdvanced, "blue's health cannot be told now; it was healthy before the switch")
	}
}

// halt leaves production as it is and says so: there is no side known to be better. Production that
// never left blue is where it should be; then only the record of the rollback is left to try again.
func (m *machine) halt(r Reason, msg string) {
	m.d.Halted = m.d.Moved
	m.d.Rollback.Message = fmt.Sprintf("halted with %s: %s", m.weightsLine(), msg)
	if !m.d.Halted {
		m.d.Rollback.Message = "production never left blue: " + msg
	}
	m.cancelAll()
	m.note(r, "%s", m.d.Rollback.Message)
	m.finish()
}

func (m *machine) enterRollback() {
	r := m.route(Weights{Blue: 100}, SideBlue)
	r.Force = true
	m.emit(Effect{Kind: EffectRoute, Route: r})
	m.within(m.d.Plan.Limits.Route)
}

func (m *machine) onRollback() {
	switch {
	case m.ended(EffectRoute) && m.ev.Outcome.OK:
		m.d.Weights, m.d.TestSide, m.d.BackConfirmed = Weights{Blue: 100}, m.d.testSide(SideBlue), m.ev.At
		m.record(RecordWeights, ReasonRolledBack, m.weightsLine())
		m.finish()
	case m.ended(EffectRoute):
		m.halt(ReasonRollbackUnconfirmed, "the weights could not be put back: "+m.ev.Outcome.Message)
	case m.expired():
		m.halt(ReasonRollbackUnconfirmed, "the data plane did not confirm the old weights in time")
	}
}

// enterDiscard takes a first green away: first its traffic, then its tasks.
func (m *machine) enterDiscard() {
	r := &Route{Service: m.d.Plan.Service, Force: true, Ledger: m.d.LedgerName()}
	m.emit(Effect{Kind: EffectRoute, Route: r})
	m.within(m.d.Plan.Limits.Route)
}

func (m *machine) onDiscard() {
	switch {
	case m.ended(EffectRoute) && m.ev.Outcome.OK:
		m.d.Weights, m.d.TestSide = Weights{}, SideNone
		m.record(RecordWeights, ReasonRolledBack, "nothing serves production")
		m.emit(Effect{Kind: EffectRetire, TaskSet: new(m.d.Green), Drain: m.d.Plan.Drain})
		m.within(m.d.Plan.Drain + m.d.Green.Revision.Workload.Grace + m.d.Plan.Limits.Retire)
	case m.ended(EffectRetire) && m.ev.Outcome.OK:
		m.finish()
	case m.ended(EffectRoute), m.ended(EffectRetire), m.expired():
		unrouted := !m.ended(EffectRetire) && !m.isOpen(EffectRetire)
		if unrouted && m.d.Moved { // green may serve whatever was last asked for
			m.d.Halted = true
			m.d.Rollback.Message = "halted: production is not confirmed to have left green"
		}
		m.note(ReasonRetirementUnconfirmed, "green is not confirmed to be gone")
		m.cancelAll()
		m.finish()
	}
}

// finish ends the deployment once nothing is open.
func (m *machine) finish() {
	if len(m.d.Open) > 0 {
		m.enter(PhaseSettle, ReasonAdvanced, "waiting for what was cancelled to end")
		return
	}
	m.enter(m.end(), m.endReason(), m.endMessage())
}

func (m *machine) enterSettle() { m.within(m.d.Plan.Limits.Settle) }

func (m *machine) onSettle() {
	if m.expired() {
		m.note(ReasonTimeout, "%d cancelled effects did not confirm their end", len(m.d.Open))
		m.d.Open = nil
	}
	if len(m.d.Open) == 0 {
		m.enter(m.end(), m.endReason(), m.endMessage())
	}
}

func (m *machine) endReason() Reason {
	switch {
	case m.d.Halted:
		return ReasonHalted
	case m.d.Cause != nil:
		return m.d.Cause.Reason
	}
	return ReasonNone
}

// endMessage adds what nothing before it has said: the cause was told when it came.
func (m *machine) endMessage() string {
	if m.d.Halted {
		return m.d.Rollback.Message
	}
	return ""
}

// enterEnd makes the deployment terminal and, where it went back, brings forth the record of it.
func (m *machine) enterEnd() {
	m.d.Status, m.d.CompletedAt = Status(m.d.Phase), m.ev.At
	c := m.d.Cause
	if c == nil || !c.GoBack || m.d.Halted || !m.d.HasBlue() || m.d.Kind == KindRollback ||
		c.Phase == PhaseCreated || c.Phase == PhaseBeforeInstall {
		return
	}
	rec := m.rollbackRecord()
	m.d.Rollback.DeploymentID = rec.ID
	m.d.Rollback.Message = fmt.Sprintf("deployment %s ended with %s; rollback %s was started", m.d.ID, m.d.Cause.Reason, rec.ID)
	m.spawn = &rec
}

// rollbackRecord is the deployment that shows, proves and cleans up the way back (spec: codedeploy-ecs 2.5).
func (m *machine) rollbackRecord() Deployment {
	plan := m.d.Plan
	plan.Traffic = Traffic{Kind: TrafficAllAtOnce}
	plan.ConfigName = "CodeDeployDefault.ECSAllAtOnce"
	plan.Source, plan.Previous = plan.Previous, plan.Source
	rec := Create(New{
		ID: m.d.Rollback.ReservedID, Creator: CreatorRollback, StartedBy: m.d.ID, At: m.ev.At,
		Plan: plan, Blue: m.d.Blue, Green: m.d.Green, TestSide: m.d.TestSide,
	})
	rec.Kind = KindRollback
	rec = rec.Clone() // it lives on beside this one
	rec.Weights, rec.Moved, rec.BlueWay = m.d.Weights, m.d.Moved, m.d.BlueWay
	rec.Rollback = RollbackInfo{
		TriggeringID: m.d.ID,
		Message:      fmt.Sprintf("deployment %s was started to roll back %s", rec.ID, m.d.ID),
	}
	return rec
}
