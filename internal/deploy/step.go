package deploy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Output is what follows from one event.
type Output struct {
	Deployment Deployment
	// Effects are to be carried out after Deployment is stored; all are also in Deployment.Open.
	Effects []Effect
	Records []Record
	// Spawn is a rollback's record, to be stored with a Start event in the same transaction.
	Spawn *Deployment
}

// Step returns what follows when ev happens to d. It never fails: an event that means nothing in
// this phase changes nothing but the revision number and the time of the update.
func Step(d Deployment, ev Event) Output {
	if d.Phase.Terminal() {
		return Output{Deployment: d}
	}
	m := &machine{d: d.Clone(), ev: ev}
	m.ev.At = ev.At.Round(0).UTC() // as it will be read back from a store
	m.d.Revno++
	m.d.UpdatedAt = m.ev.At
	m.handle()
	return Output{Deployment: m.d, Effects: m.effects, Records: m.records, Spawn: m.spawn}
}

// machine carries one step: the copy that is altered, and what the step brings forth.
type machine struct {
	d       Deployment
	ev      Event
	closed  *Effect // the effect whose outcome ev is
	effects []Effect
	records []Record
	spawn   *Deployment
}

func (m *machine) handle() {
	if m.ev.Kind == EventOutcome && m.outcome() {
		return
	}
	if m.stale() {
		m.note(ReasonStale, "%s by %s was not followed: it was asked for at revision %d, and the deployment had gone on", m.ev.Kind, m.ev.By, m.ev.Revno)
		return
	}
	if m.interrupted() {
		return
	}
	if m.hookEvent() {
		return
	}
	m.on()
}

// stale reports whether somebody decided on what is not so any more. The step itself has counted the revision already.
func (m *machine) stale() bool { return m.ev.Revno != 0 && m.ev.Revno != m.d.Revno-1 }

// outcome closes the effect that has ended. It reports whether that is all that follows: for an
// outcome that is late, doubled or of something cancelled, and for a watch.
func (m *machine) outcome() bool {
	if m.closed = m.close(m.ev.Seq); m.closed == nil {
		return true
	}
	if m.ev.Outcome == nil { // an end without an outcome could not be told
		m.ev.Outcome = &Outcome{Reason: ReasonInternal, Message: "the effect ended without an outcome"}
	}
	if m.closed.Kind == EffectWatch {
		m.watchEnded()
		return true
	}
	return m.closed.Kind == EffectCancel && m.d.Phase != PhaseSettle
}

// interrupted handles what may happen in every phase in which the deployment still goes forward.
func (m *machine) interrupted() bool {
	cause := Cause{Phase: m.d.Phase, Message: m.ev.Message}
	switch m.ev.Kind {
	case EventStart, EventTick, EventOutcome, EventReported, EventDenied, EventContinue:
		return false
	case EventStop:
		cause.Status, cause.Reason, cause.GoBack = StatusStopped, ReasonStopRequested, m.d.Plan.Rollback.OnStop
		if m.ev.GoBack != nil {
			cause.GoBack = *m.ev.GoBack
		}
		cause.Message = "stopped by " + m.ev.By
	case EventAlarm:
		cause.Status, cause.Reason, cause.GoBack = StatusStopped, ReasonAlarm, m.d.Plan.Rollback.OnAlarm
		if len(m.ev.Alarms) > 0 {
			cause.Message = alarmMessage(m.ev.Alarms)
		}
	case EventUnhealthy:
		cause.Status, cause.Reason, cause.GoBack = StatusFailed, ReasonUnhealthy, m.d.Plan.Rollback.OnFailure
	case EventBudget:
		cause.Status, cause.Reason, cause.GoBack = StatusFailed, ReasonErrorBudget, m.d.Plan.Rollback.OnFailure
	}
	if m.forward() {
		m.fail(cause)
	} else {
		m.note(cause.Reason, "too late: the deployment is already ending")
	}
	return true
}

// watchEnded handles a watch that ended though nobody cancelled it. What is not watched any more is
// not known to be well, so an error turns the deployment around (as CodeDeploy does when it cannot
// poll alarms).
func (m *machine) watchEnded() {
	out := m.ev.Outcome
	if out.OK || !m.forward() {
		m.note(out.Reason, "a watch has ended: %s", out.Message)
		return
	}
	m.failed(orReason(out.Reason, ReasonInconclusive), "watching cannot go on: "+out.Message)
}

func alarmMessage(names []string) string {
	var msg strings.Builder
	msg.WriteString("alarms in ALARM:")
	for _, n := range names {
		msg.WriteString(" <" + n + ">")
	}
	return msg.String()
}

// forward reports whether the deployment is still on its way to success and can be turned around:
// not while it ends, not once blue is being retired, and not the record of a rollback.
func (m *machine) forward() bool {
	return m.d.Kind == KindDeploy && m.d.Cause == nil && m.d.Phase != PhaseRetire && m.d.Phase != PhaseSettle
}

// expired reports whether the phase's deadline has come with this tick.
func (m *machine) expired() bool {
	return m.ev.Kind == EventTick && !m.d.Deadline.IsZero() && !m.ev.At.Before(m.d.Deadline)
}

// woken reports whether the phase's wake-up has come with this tick.
func (m *machine) woken() bool {
	return m.ev.Kind == EventTick && !m.d.Wake.IsZero() && !m.ev.At.Before(m.d.Wake)
}

// ended reports whether ev is the outcome of an effect of this kind.
func (m *machine) ended(k EffectKind) bool {
	return m.closed != nil && m.closed.Kind == k
}

// isOpen reports whether an effect of this kind is open.
func (m *machine) isOpen(k EffectKind) bool {
	return slices.ContainsFunc(m.d.Open, func(e Effect) bool { return e.Kind == k })
}

// emit opens an effect and returns its sequence number.
func (m *machine) emit(e Effect) int64 {
	e.Deployment, e.Seq = m.d.ID, m.d.NextSeq
	m.d.NextSeq++
	m.d.Open = append(m.d.Open, e.clone())
	m.effects = append(m.effects, e.clone())
	return e.Seq
}

// close takes an effect off the open ones.
func (m *machine) close(seq int64) *Effect {
	for i, e := range m.d.Open {
		if e.Seq == seq {
			m.d.Open = slices.Delete(m.d.Open, i, i+1)
			return &e
		}
	}
	return nil
}

// cancel replaces an open effect by its cancellation.
func (m *machine) cancel(seq int64, abandon bool) {
	if e := m.close(seq); e != nil {
		m.emit(Effect{Kind: EffectCancel, Cancels: seq, Abandon: abandon, Hook: e.Hook})
	}
}

// cancelAll cancels whatever is open and is not a cancellation itself.
func (m *machine) cancelAll() {
	var seqs []int64
	for _, e := range m.d.Open {
		if e.Kind != EffectCancel {
			seqs = append(seqs, e.Seq)
		}
	}
	for _, seq := range seqs {
		m.cancel(seq, false)
	}
}

func (m *machine) record(kind string, r Reason, msg string) {
	m.records = append(m.records, Record{At: m.ev.At, Kind: kind, Phase: m.d.Phase, Reason: r, Message: msg})
}

func (m *machine) note(r Reason, format string, args ...any) {
	m.record(RecordNote, r, fmt.Sprintf(format, args...))
}

// within sets the phase's deadline from now.
func (m *machine) within(limit time.Duration) { m.d.Deadline = m.ev.At.Add(limit) }

// enter goes to a phase, says so, and does what entering it means.
func (m *machine) enter(p Phase, r Reason, msg string) {
	m.d.Phase, m.d.PhaseSince = p, m.ev.At
	m.d.Deadline, m.d.Wake, m.d.Waiting = time.Time{}, time.Time{}, Waiting{}
	if ev := m.lifecycle(p); ev != nil {
		ev.Status, ev.Start = LifecycleInProgress, m.ev.At
	}
	kind := RecordPhase
	if p.Terminal() {
		kind = RecordEnd
	}
	m.record(kind, r, msg)
	m.entered()
}

// advance finishes the current phase and goes to the next one.
func (m *machine) advance(r Reason, msg string) {
	if ev := m.lifecycle(m.d.Phase); ev != nil {
		ev.Status, ev.End = LifecycleSucceeded, m.ev.At
	}
	m.enter(m.next(), r, msg)
}

func (m *machine) lifecycle(p Phase) *LifecycleEvent {
	for i := range m.d.Lifecycle {
		if m.d.Lifecycle[i].Name == p {
			return &m.d.Lifecycle[i]
		}
	}
	return nil
}

// next is the phase after the current one when all is well.
func (m *machine) next() Phase {
	switch m.d.Phase {
	case PhaseCreated:
		if m.d.Kind == KindRollback {
			return PhaseAllowTraffic
		}
		return PhaseBeforeInstall
	case PhaseBeforeInstall:
		return PhaseInstall
	case PhaseInstall:
		return PhaseAfterInstall
	case PhaseAfterInstall:
		if m.d.Plan.TestListener {
			return PhaseAllowTestTraffic
		}
		return PhaseReadyWait
	case PhaseAllowTestTraffic:
		return PhaseAfterAllowTestTraffic
	case PhaseAfterAllowTestTraffic:
		return PhaseReadyWait
	case PhaseReadyWait:
		return PhaseBeforeAllowTraffic
	case PhaseBeforeAllowTraffic:
		return PhaseWayBack
	case PhaseWayBack:
		return PhaseAllowTraffic
	case PhaseAllowTraffic:
		return PhaseAfterAllowTraffic
	case PhaseAfterAllowTraffic:
		if m.d.Kind == KindRollback {
			return PhaseRetire
		}
		return PhaseTerminationWait
	case PhaseTerminationWait:
		return PhaseRetire
	case PhaseInspect:
		return PhaseRollback
	case PhaseRetire, PhaseRollback, PhaseDiscard, PhaseSettle, PhaseSucceeded, PhaseFailed, PhaseStopped:
		return m.end()
	}
	return m.end()
}

// end is the terminal phase in which the deployment will end as things stand.
func (m *machine) end() Phase {
	if m.d.Cause == nil {
		return PhaseSucceeded
	}
	if m.d.Cause.Status == StatusStopped && !m.d.Halted {
		return PhaseStopped
	}
	return PhaseFailed
}

// entered does what entering the current phase means.
func (m *machine) entered() {
	switch m.d.Phase {
	case PhaseBeforeInstall:
		m.enterBeforeInstall()
	case PhaseInstall:
		m.enterInstall()
	case PhaseAfterInstall:
		m.enterAfterInstall()
	case PhaseAllowTestTraffic:
		m.routeTest()
	case PhaseAfterAllowTestTraffic, PhaseBeforeAllowTraffic:
		m.runList(HookList(m.d.Phase))
	case PhaseReadyWait:
		m.enterReadyWait()
	case PhaseWayBack:
		m.enterWayBack()
	case PhaseAllowTraffic:
		m.enterAllowTraffic()
	case PhaseAfterAllowTraffic:
		m.enterAfterAllowTraffic()
	case PhaseTerminationWait:
		m.enterTerminationWait()
	case PhaseRetire:
		m.enterRetire()
	case PhaseInspect:
		m.emit(Effect{Kind: EffectInspect, TaskSet: new(m.d.Blue)})
		m.within(m.d.Plan.Limits.Inspect)
	case PhaseRollback:
		m.enterRollback()
	case PhaseDiscard:
		m.enterDiscard()
	case PhaseSettle:
		m.enterSettle()
	case PhaseSucceeded, PhaseFailed, PhaseStopped:
		m.enterEnd()
	case PhaseCreated:
	}
}

// on hands the event to the current phase.
func (m *machine) on() {
	switch m.d.Phase {
	case PhaseCreated:
		m.onCreated()
	case PhaseInstall:
		m.onInstall()
	case PhaseAllowTestTraffic:
		m.onTestRouted()
	case PhaseReadyWait:
		m.onReadyWait()
	case PhaseWayBack:
		m.onWayBack()
	case PhaseAllowTraffic:
		m.onAllowTraffic()
	case PhaseTerminationWait:
		m.onTerminationWait()
	case PhaseRetire:
		m.onRetire()
	case PhaseInspect:
		m.onInspect()
	case PhaseRollback:
		m.onRollback()
	case PhaseDiscard:
		m.onDiscard()
	case PhaseSettle:
		m.onSettle()
	case PhaseBeforeInstall, PhaseAfterInstall, PhaseAfterAllowTestTraffic, PhaseBeforeAllowTraffic,
		PhaseAfterAllowTraffic: // only hooks run here
	case PhaseSucceeded, PhaseFailed, PhaseStopped:
	}
}
