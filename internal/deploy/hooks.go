package deploy

import (
	"fmt"
	"time"
)

// This file runs lists of hooks: those of a lifecycle event, and the smoke set. One list runs at a
// time, one hook of it at a time, and only a pass goes on to the next.

// runList starts a list; an empty one is done at once.
func (m *machine) runList(l HookList) {
	if len(m.d.Hooks(l)) == 0 {
		m.listDone(l)
		return
	}
	m.startHook(l, 0, 1)
}

func (m *machine) startHook(l HookList, index, attempt int) {
	hook := m.d.Hooks(l)[index]
	limit := hook.Timeout
	if limit <= 0 || limit > m.d.Plan.Limits.Hook {
		limit = m.d.Plan.Limits.Hook
	}
	m.within(limit)
	under := m.d.Green
	if l == SmokeBefore || l == SmokeRollback {
		under = m.d.Blue
	}
	seq := m.emit(Effect{Kind: EffectHook, Hook: &HookCall{
		Hook: hook, List: l, Attempt: attempt, TaskSet: under, Service: m.d.Plan.Service, Until: m.d.Deadline,
		First: !m.d.HasBlue(), Blue: m.d.Blue.ID,
	}})
	m.d.Run = &HookRun{List: l, Index: index, Attempt: attempt, Seq: seq, Started: m.ev.At}
}

// hookEvent handles events that belong to the hook in progress.
func (m *machine) hookEvent() bool {
	run := m.d.Run
	if run == nil {
		return m.ev.Kind == EventReported || m.ev.Kind == EventDenied // nobody waits for it
	}
	switch {
	case m.closed != nil && m.closed.Seq == run.Seq:
		m.judge(m.outcomeVerdict())
	case m.ev.Kind == EventReported && m.ev.Seq == run.Seq:
		m.cancel(run.Seq, true)
		m.d.Run.Denied = "" // this one got through
		v := Verdict{Status: m.ev.Report, Message: withDetail("reported by "+m.ev.By, m.ev.Message)}
		if v.Status != VerdictPass {
			v.Reason = ReasonHookFailed
			v.Status = VerdictFail
		}
		m.judge(v)
	case m.ev.Kind == EventDenied && m.ev.Seq == run.Seq:
		m.d.Run.Denied = m.ev.Message
		m.note(ReasonPermissions, "the callback of hook %s was refused: %s", m.d.Hooks(run.List)[run.Index].Name, m.ev.Message)
	case m.ev.Kind == EventReported, m.ev.Kind == EventDenied:
	case m.expired():
		m.cancel(run.Seq, false)
		m.judge(Verdict{
			Status: VerdictError, Reason: ReasonHookTimeout,
			Message: fmt.Sprintf("no verdict within %s", m.d.Deadline.Sub(run.Started)),
		})
	default:
		return false
	}
	return true
}

// outcomeVerdict is the verdict that the effect's outcome brought; an outcome without one could not tell.
func (m *machine) outcomeVerdict() Verdict {
	if v := m.ev.Outcome.Verdict; v != nil {
		return v.clone()
	}
	return Verdict{Status: VerdictError, Reason: orReason(m.ev.Outcome.Reason, ReasonInconclusive), Message: m.ev.Outcome.Message}
}

// judge books the verdict of the hook in progress and decides how its list goes on.
func (m *machine) judge(v Verdict) {
	run := *m.d.Run
	m.d.Run, m.d.Deadline = nil, time.Time{}
	hook := m.d.Hooks(run.List)[run.Index]
	if run.Denied != "" && v.Status != VerdictPass {
		// What the hook found nobody knows, so the version is not blamed.
		v.Status, v.Reason = VerdictError, ReasonInconclusive
		v.Message = withDetail("its verdict could not be reported: "+run.Denied, v.Message)
	}
	v.Hook, v.Kind, v.Event, v.Attempt, v.Seq = hook.Name, hook.Kind, run.List, run.Attempt, run.Seq
	if v.Start.IsZero() {
		v.Start = run.Started
	}
	if v.End.IsZero() {
		v.End = m.ev.At
	}
	tested := m.d.Green
	if run.List == SmokeBefore || run.List == SmokeRollback {
		tested = m.d.Blue
	}
	v.Revision, v.Version = tested.Revision.Digest, tested.Revision.Version
	m.d.Verdicts = append(m.d.Verdicts, v)
	m.record(RecordVerdict, v.Reason, v.Headline())
	switch {
	case v.Status == VerdictPass && run.Index+1 < len(m.d.Hooks(run.List)):
		m.startHook(run.List, run.Index+1, 1)
	case v.Status == VerdictPass:
		m.listDone(run.List)
	case v.Status == VerdictError && run.Attempt <= hook.Retries:
		m.startHook(run.List, run.Index, run.Attempt+1)
	default:
		m.listFailed(run.List, v)
	}
}

// listDone goes on after every hook of a list has passed.
func (m *machine) listDone(l HookList) {
	switch l {
	case HookList(PhaseAfterAllowTraffic):
		m.runList(SmokeAfter)
	case SmokeBefore:
		m.d.BlueWay.Verified = true
		m.wayBackKnown()
	case SmokeRollback:
		m.rolledBack()
	case SmokeAfter, SmokeBake:
		m.advance(ReasonAdvanced, m.passed(l))
	default: // the hooks of any other lifecycle event
		m.advance(ReasonAdvanced, m.passed(l))
	}
}

// passed says for the history why a list is done.
func (m *machine) passed(l HookList) string {
	name := "in " + string(l)
	if l.Smoke() {
		name = "in the smoke set"
	}
	switch n := len(m.d.Hooks(l)); n {
	case 0:
		return "no hooks " + name
	case 1:
		return "the hook " + name + " has passed"
	default:
		return fmt.Sprintf("all %d hooks %s have passed", n, name)
	}
}

// rolledBack ends the verification of a rollback. Without a smoke set, blue's health is the proof.
func (m *machine) rolledBack() {
	m.d.Rollback.Verified = true
	switch {
	case len(m.d.Plan.Smoke) > 0:
		m.advance(ReasonVerified, "the smoke set passed on the old version")
	case !m.d.Moved:
		m.advance(ReasonVerified, "there is no smoke set; production never left the old version")
	case m.d.BlueWay.Healthy:
		m.advance(ReasonVerified, "there is no smoke set; the old version is healthy")
	default:
		m.d.Rollback.Verified = false
		m.notVerified("there is no smoke set, and the old version is not known to be healthy")
	}
}

// notVerified ends the verification of a rollback without proof.
func (m *machine) notVerified(why string) {
	m.d.Rollback.Message += "; not verified: " + why
	m.advance(ReasonAdvanced, "the old version is not verified")
}

// listFailed goes on after a hook of a list did not pass.
func (m *machine) listFailed(l HookList, v Verdict) {
	switch l {
	case SmokeBefore:
		m.d.BlueWay.Message = v.Headline()
		m.wayBackKnown()
	case SmokeRollback:
		m.notVerified(v.Headline())
	case SmokeAfter, SmokeBake:
		m.failed(failReason(l, v), v.Headline())
	default: // the hooks of a lifecycle event
		m.failed(failReason(l, v), v.Headline())
	}
}

// failReason is the deployment's reason for a hook that did not pass. A verdict that could not tell
// does not blame the version.
func failReason(l HookList, v Verdict) Reason {
	switch {
	case v.Reason == ReasonPermissions:
		return ReasonPermissions
	case v.Status == VerdictError:
		return ReasonInconclusive
	case l.Smoke():
		return ReasonSmokeFailed
	}
	return ReasonHookFailed
}
