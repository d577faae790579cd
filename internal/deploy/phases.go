package deploy

import (
	"fmt"
	"time"
)

// This file holds the phases of a deployment that goes well, in order.

func (m *machine) onCreated() {
	switch {
	case m.ev.Kind == EventStart:
		m.d.Status, m.d.StartedAt = StatusInProgress, m.ev.At
		if r := m.d.Plan.Refused; r != nil {
			m.failed(r.Reason, r.Message)
			return
		}
		if m.d.Kind == KindRollback {
			m.skipToTraffic()
		}
		m.advance(ReasonAdvanced, "started")
	case m.expired():
		m.fail(Cause{Status: StatusFailed, Reason: ReasonTimeout, Phase: m.d.Phase, Message: "the deployment was not started in time"})
	}
}

// skipToTraffic marks what a rollback's record does not do: it builds and verifies nothing before
// it moves traffic (spec: codedeploy-ecs 2.5; hooks do not run).
func (m *machine) skipToTraffic() {
	for i := range m.d.Lifecycle {
		ev := &m.d.Lifecycle[i]
		if ev.Name == PhaseAllowTraffic {
			return
		}
		ev.Status, ev.Start, ev.End = LifecycleSucceeded, m.ev.At, m.ev.At
	}
}

func (m *machine) enterBeforeInstall() {
	if len(m.d.Plan.Alarms) > 0 {
		m.emit(Effect{Kind: EffectWatch, Watch: &Watch{Alarms: m.d.Plan.Alarms, IgnoreAlarmFaults: m.d.Plan.IgnoreAlarmFaults}})
	}
	m.runList(HookList(PhaseBeforeInstall))
}

func (m *machine) enterInstall() {
	m.emit(Effect{Kind: EffectInstall, TaskSet: new(m.d.Green)})
	m.within(m.d.Plan.Limits.Install)
}

// onInstall ends with green healthy and, in the default order, already behind the test listener:
// people test green there from AfterInstall on.
func (m *machine) onInstall() {
	switch {
	case m.ended(EffectInstall) && !m.ev.Outcome.OK:
		m.failed(orReason(m.ev.Outcome.Reason, ReasonInstallFailed), m.ev.Outcome.Message)
	case m.ended(EffectInstall) && m.d.Plan.TestListener && !m.d.Plan.StrictTestTraffic:
		m.routeTest()
	case m.ended(EffectInstall):
		m.advance(ReasonAdvanced, "green is healthy")
	case m.ended(EffectRoute), m.isOpen(EffectRoute):
		m.onTestRouted()
	case m.expired():
		m.failed(ReasonTimeout, withDetail(fmt.Sprintf("green was not healthy within %s", m.d.Plan.Limits.Install), m.ev.Message))
	}
}

// withDetail adds what was seen last to a message, where something was.
func withDetail(msg, detail string) string {
	if detail == "" {
		return msg
	}
	return msg + ": " + detail
}

func orReason(r, otherwise Reason) Reason {
	if r == ReasonNone {
		return otherwise
	}
	return r
}

// routeTest points the test listener at green and leaves production as it is.
func (m *machine) routeTest() {
	m.emit(Effect{Kind: EffectRoute, Route: m.route(m.d.Weights, SideGreen)})
	m.within(m.d.Plan.Limits.Route)
}

// route makes the absolute targets of both listeners.
func (m *machine) route(w Weights, test Side) *Route {
	r := &Route{Service: m.d.Plan.Service, Ledger: m.d.LedgerName()}
	if m.d.HasBlue() && w.Blue+w.Green > 0 {
		r.Production = append(r.Production, RouteWeight{TaskSet: m.d.Blue.ID, Weight: w.Blue})
	}
	if w.Green > 0 || (m.d.HasBlue() && w.Blue > 0) {
		r.Production = append(r.Production, RouteWeight{TaskSet: m.d.Green.ID, Weight: w.Green})
	}
	switch {
	case !m.d.Plan.TestListener || test == SideNone:
	case test == SideBlue:
		r.Test = m.d.Blue.ID
	default:
		r.Test = m.d.Green.ID
	}
	return r
}

// LedgerName is the ledger in which the data plane counts from the deployment's first route on. A
// rollback's record goes on in the ledger of the deployment that it rolls back.
func (d *Deployment) LedgerName() string {
	if d.Kind == KindRollback {
		return d.Rollback.TriggeringID
	}
	return d.ID
}

func (m *machine) onTestRouted() {
	switch {
	case m.ended(EffectRoute) && m.ev.Outcome.OK:
		m.d.TestSide = SideGreen
		m.advance(ReasonAdvanced, "the test listener serves green")
	case m.ended(EffectRoute):
		m.failed(orReason(m.ev.Outcome.Reason, ReasonRouteFailed), m.ev.Outcome.Message)
	case m.expired():
		m.failed(ReasonTimeout, "the data plane did not confirm the test listener in time")
	}
}

func (m *machine) enterAfterInstall() {
	m.emit(Effect{Kind: EffectWatch, Watch: &Watch{
		TaskSet: m.d.Green, Grace: m.d.Plan.UnhealthyGrace, Ledger: m.d.LedgerName(), MaxErrorRate: m.d.Plan.MaxErrorRate,
	}})
	m.runList(HookList(PhaseAfterInstall))
}

func (m *machine) enterReadyWait() {
	switch m.d.Plan.Promotion {
	case PromoteAuto:
		m.advance(ReasonAutomatic, "promotion is automatic")
		return
	case PromoteVerified:
		if why, ok := m.verified(); ok {
			m.advance(ReasonVerified, why)
			return
		}
	case PromoteManual:
	}
	limit := m.d.Plan.ReadyLimit
	if limit <= 0 {
		limit = m.d.Plan.Limits.Hook
	}
	m.within(limit)
	m.d.Status, m.d.Waiting = StatusReady, Waiting{For: WaitReady, Until: m.d.Deadline}
	m.note(ReasonWaiting, "waiting until %s for somebody to continue", m.d.Deadline.UTC().Format("15:04:05"))
}

// verified reports whether promotion "verified" may go past the ready wait: a hook has passed, or
// everything that verifies comes later and will decide there.
func (m *machine) verified() (string, bool) {
	for _, v := range m.d.Verdicts {
		if v.Status == VerdictPass && !v.Event.Smoke() {
			return fmt.Sprintf("verified by %s in %s", v.Hook, v.Event), true
		}
	}
	for _, p := range []Phase{PhaseBeforeInstall, PhaseAfterInstall, PhaseAfterAllowTestTraffic} {
		if len(m.d.Plan.Hooks[p]) > 0 && m.lifecycle(p) != nil {
			return "", false
		}
	}
	if len(m.d.Plan.Hooks[PhaseBeforeAllowTraffic])+len(m.d.Plan.Hooks[PhaseAfterAllowTraffic])+len(m.d.Plan.Smoke) > 0 {
		return "verification follows", true
	}
	return "", false
}

func (m *machine) onReadyWait() {
	switch {
	case m.ev.Kind == EventContinue && (m.ev.Wait == "" || m.ev.Wait == WaitReady):
		m.d.Status = StatusInProgress
		m.advance(ReasonContinued, "continued by "+m.ev.By)
	case m.expired():
		m.fail(Cause{
			Status: StatusStopped, Reason: ReasonReadyWaitExpired, Phase: m.d.Phase, GoBack: m.d.Plan.Rollback.OnStop,
			Message: "nobody continued the deployment within the wait",
		})
	}
}

func (m *machine) enterAllowTraffic() {
	if m.d.Kind == KindRollback {
		r := m.route(Weights{Blue: 100}, SideBlue)
		r.Force = true
		m.emit(Effect{Kind: EffectRoute, Route: r})
		m.within(m.d.Plan.Limits.Route)
		return
	}
	m.d.ShiftStep = 0
	m.d.SwitchAsked = m.ev.At
	m.shift()
}

// shift asks for the weights of the current step.
func (m *machine) shift() {
	green := m.d.Plan.Traffic.Steps()[m.d.ShiftStep].Green
	if !m.d.HasBlue() {
		green = 100 // nobody else can take the rest
	}
	m.d.Moved = true
	m.emit(Effect{Kind: EffectRoute, Route: m.route(Weights{Blue: 100 - green, Green: green}, m.d.TestSide)})
	m.d.Wake = time.Time{}
	m.within(m.d.Plan.Limits.Route)
}

func (m *machine) onAllowTraffic() {
	switch {
	case m.ended(EffectRoute) && m.ev.Outcome.OK:
		m.shifted()
	case m.ended(EffectRoute):
		m.failed(orReason(m.ev.Outcome.Reason, ReasonRouteFailed), m.ev.Outcome.Message)
	case m.woken():
		m.d.ShiftStep++
		m.shift()
	case m.expired():
		m.failed(ReasonTimeout, "the data plane did not confirm the weights in time")
	}
}

// shifted books confirmed weights and says when the next step is due.
func (m *machine) shifted() {
	if m.d.Kind == KindRollback {
		m.d.Weights, m.d.TestSide = Weights{Blue: 100}, m.d.testSide(SideBlue)
		m.record(RecordWeights, ReasonRolledBack, m.weightsLine())
		m.advance(ReasonAdvanced, "production is on the old version")
		return
	}
	r := m.closed.Route
	m.d.Weights = Weights{}
	for _, w := range r.Production {
		if w.TaskSet == m.d.Green.ID {
			m.d.Weights.Green = w.Weight
		} else {
			m.d.Weights.Blue = w.Weight
		}
	}
	if m.d.SwitchConfirmed.IsZero() {
		m.d.SwitchConfirmed = m.ev.At
	}
	m.record(RecordWeights, ReasonAdvanced, m.weightsLine())
	if m.d.Weights.Green == 100 {
		m.advance(ReasonAdvanced, "production is on the new version")
		return
	}
	steps := m.d.Plan.Traffic.Steps()
	m.d.Wake = m.ev.At.Add(steps[m.d.ShiftStep+1].After)
	m.d.Deadline = m.d.Wake.Add(m.d.Plan.Limits.Route)
}

func (m *machine) weightsLine() string {
	return fmt.Sprintf("blue %d green %d", m.d.Weights.Blue, m.d.Weights.Green)
}

func (m *machine) enterAfterAllowTraffic() {
	if m.d.Kind == KindRollback {
		m.runList(SmokeRollback)
		return
	}
	m.runList(HookList(PhaseAfterAllowTraffic))
}

func (m *machine) enterTerminationWait() {
	if m.d.Plan.Bake <= 0 || !m.d.HasBlue() {
		m.advance(ReasonAdvanced, "no bake")
		return
	}
	m.d.Wake = m.ev.At.Add(m.d.Plan.Bake)
	m.d.Deadline = m.d.Wake.Add(m.d.Plan.Limits.Route)
	m.d.Waiting = Waiting{For: WaitTermination, Until: m.d.Wake}
	m.note(ReasonWaiting, "blue stays warm until %s", m.d.Wake.UTC().Format("15:04:05"))
}

func (m *machine) onTerminationWait() {
	switch {
	case m.ev.Kind == EventContinue && m.ev.Wait == WaitTermination && m.d.Run == nil:
		m.advance(ReasonContinued, "bake ended by "+m.ev.By)
	case m.woken() && m.d.Run == nil:
		m.d.Waiting, m.d.Wake = Waiting{}, time.Time{}
		m.runList(SmokeBake)
	}
}

// enterRetire drains and stops the task set that lost: blue, or the green of a rolled back deployment.
func (m *machine) enterRetire() {
	m.cancelAll()
	loser := m.d.Blue
	if m.d.Kind == KindRollback {
		loser = m.d.Green
	}
	if loser.IsZero() {
		m.finish()
		return
	}
	m.emit(Effect{Kind: EffectRetire, TaskSet: &loser, Drain: m.d.Plan.Drain})
	m.within(m.d.Plan.Drain + loser.Revision.Workload.Grace + m.d.Plan.Limits.Retire)
}

func (m *machine) onRetire() {
	switch {
	case m.ended(EffectRetire) && m.ev.Outcome.OK:
		m.finish()
	case m.ended(EffectRetire), m.expired():
		m.note(ReasonRetirementUnconfirmed, "the retired task set is not confirmed to be gone; it gets no traffic and is stopped as soon as that is possible")
		m.cancelAll()
		m.finish()
	}
}
