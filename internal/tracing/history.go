package tracing

import (
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"greengate/internal/deploy"
)

// span is one span as the history tells it. Its key is unique in its trace and always the same, so that a trace that is
// sent again has the same ids.
type span struct {
	key, parent string // parent is empty for the root
	name        string
	start, end  time.Time
	attributes  []attribute.KeyValue
	events      []event
	links       []string // deployments
	ok          bool
	failure     string // not empty: it failed
}

type event struct {
	at         time.Time
	name       string
	attributes []attribute.KeyValue
}

const rootKey = "deployment"

// teller makes spans of records, in the order of the history; a parent comes before its children.
type teller struct {
	d     deploy.Deployment
	spans []*span
	// phase and effect are those that have begun and not ended; nil: none.
	phase, effect *span
	in            deploy.Phase
	verdicts      int // the history has one record a verdict, in the same order
	steps         int // shifts of traffic that were confirmed
}

// history is the trace of a deployment that has ended: a span for it, below that one for each phase that it was in (the
// lifecycle events are phases), and below those one for each hook and for each effect whose beginning and end the history
// tells. Watches and cancellations are not in it.
func history(d deploy.Deployment, records []deploy.Record) []*span {
	root := &span{key: rootKey, name: string(d.Kind), start: d.CreatedAt, end: d.CompletedAt, attributes: about(d), ok: d.Status == deploy.StatusSucceeded}
	for _, other := range []string{d.Rollback.DeploymentID, d.Rollback.TriggeringID} {
		if other != "" {
			root.links = append(root.links, other)
		}
	}
	if d.Status == deploy.StatusFailed {
		root.failure = string(d.Status)
		if d.Cause != nil {
			root.failure = because(d.Cause.Reason, d.Cause.Message)
		}
	}
	t := &teller{d: d, spans: []*span{root}}
	for _, r := range records {
		t.record(r)
	}
	return t.spans
}

// about are the attributes of a deployment.
func about(d deploy.Deployment) []attribute.KeyValue {
	list := []attribute.KeyValue{
		attribute.String("deployment.id", d.ID),
		attribute.String("greengate.kind", string(d.Kind)),
		attribute.String("greengate.service", d.Plan.Service),
		attribute.String("greengate.application", d.Plan.Application),
		attribute.String("greengate.deployment_group", d.Plan.Group),
		attribute.String("greengate.version", d.Green.Revision.Version),
		attribute.String("greengate.status", string(d.Status)),
	}
	if d.HasBlue() {
		list = append(list, attribute.String("greengate.version.before", d.Blue.Revision.Version))
	}
	if d.Cause != nil {
		list = append(list, attribute.String("greengate.reason", string(d.Cause.Reason)), attribute.String("greengate.failed_in", string(d.Cause.Phase)))
	}
	if d.Halted {
		list = append(list, attribute.Bool("greengate.halted", true))
	}
	if d.Kind == deploy.KindRollback {
		list = append(list, attribute.Bool("greengate.verified", d.Rollback.Verified))
	}
	return list
}

func because(r deploy.Reason, message string) string { return fmt.Sprintf("%s: %s", r, message) }

func (t *teller) record(r deploy.Record) {
	switch r.Kind {
	case deploy.RecordPhase:
		t.leave(r.At)
		t.enter(r)
	case deploy.RecordEnd:
		t.leave(r.At)
		t.spans[0].end = r.At
	case deploy.RecordVerdict:
		t.verdict()
	case deploy.RecordWeights:
		t.routed(r)
	case deploy.RecordNote:
		t.note(r)
	}
}

func (t *teller) enter(r deploy.Record) {
	t.in = r.Phase
	t.phase = t.add(t.spans[0], "phase/"+string(r.Phase), string(r.Phase), r.At)
	t.phase.attributes = []attribute.KeyValue{attribute.String("greengate.phase", string(r.Phase))}
	for _, e := range t.d.Lifecycle {
		if e.Name == r.Phase {
			t.phase.attributes = append(t.phase.attributes, attribute.String("greengate.lifecycle.status", string(e.Status)))
		}
	}
	if c := t.d.Cause; c != nil && c.Phase == r.Phase {
		t.phase.attributes = append(t.phase.attributes, attribute.String("greengate.reason", string(c.Reason)))
		if c.Status == deploy.StatusFailed {
			t.phase.failure = because(c.Reason, c.Message)
		}
	}
	if kind := t.first(r.Phase); kind != "" {
		t.begin(kind, r.At)
	}
}

// first is the effect with which a phase begins.
func (t *teller) first(p deploy.Phase) deploy.EffectKind {
	switch p { //nolint:exhaustive // the other phases begin with hooks or wait
	case deploy.PhaseInstall:
		return deploy.EffectInstall
	case deploy.PhaseAllowTestTraffic, deploy.PhaseAllowTraffic, deploy.PhaseRollback, deploy.PhaseDiscard:
		return deploy.EffectRoute
	case deploy.PhaseWayBack:
		if t.d.HasBlue() {
			return deploy.EffectInspect
		}
	case deploy.PhaseInspect:
		return deploy.EffectInspect
	case deploy.PhaseRetire:
		if t.d.HasBlue() || t.d.Kind == deploy.KindRollback {
			return deploy.EffectRetire
		}
	}
	return ""
}

func (t *teller) add(parent *span, key, name string, start time.Time) *span {
	s := &span{key: key, parent: parent.key, name: name, start: start, end: start}
	t.spans = append(t.spans, s)
	return s
}

func (t *teller) begin(kind deploy.EffectKind, at time.Time) {
	t.effect = t.add(t.phase, fmt.Sprintf("effect/%s/%s/%d", t.in, kind, t.steps), "effect "+string(kind), at)
	t.effect.attributes = []attribute.KeyValue{attribute.String("greengate.effect", string(kind))}
}

// done ends the effect in progress.
func (t *teller) done(at time.Time) {
	if t.effect != nil {
		t.effect.end = at
		t.effect = nil
	}
}

// leave ends the phase. A shift that was not due yet was never asked for.
func (t *teller) leave(at time.Time) {
	if t.effect != nil && t.effect.start.After(at) {
		t.spans, t.effect = t.spans[:len(t.spans)-1], nil
	}
	t.done(at)
	if t.phase != nil {
		t.phase.end, t.phase = at, nil
	}
}

// routed books confirmed weights. The next shift is asked for when its wait is over; a first green that lost its traffic
// is retired at once.
func (t *teller) routed(r deploy.Record) {
	if t.effect != nil {
		t.effect.attributes = append(t.effect.attributes, attribute.String("greengate.weights", r.Message))
	}
	t.done(r.At)
	if t.phase == nil {
		return
	}
	t.steps++
	steps := t.d.Plan.Traffic.Steps()
	switch {
	case t.in == deploy.PhaseDiscard:
		t.begin(deploy.EffectRetire, r.At)
	case t.in == deploy.PhaseAllowTraffic && t.d.Kind == deploy.KindDeploy && t.d.HasBlue() && t.steps < len(steps):
		t.begin(deploy.EffectRoute, r.At.Add(steps[t.steps].After))
	}
}

// verdict adds the hook whose verdict comes next.
func (t *teller) verdict() {
	if t.verdicts == len(t.d.Verdicts) || t.phase == nil {
		return
	}
	v := t.d.Verdicts[t.verdicts]
	t.verdicts++
	t.done(v.Start)
	s := t.add(t.phase, fmt.Sprintf("hook/%d", t.verdicts), "hook "+v.Hook, v.Start)
	s.end, s.ok = v.End, v.Status == deploy.VerdictPass
	s.attributes = []attribute.KeyValue{
		attribute.String("greengate.effect", string(deploy.EffectHook)),
		attribute.String("greengate.hook", v.Hook),
		attribute.String("greengate.hook.kind", string(v.Kind)),
		attribute.String("greengate.hook.list", string(v.Event)),
		attribute.Int("greengate.hook.attempt", v.Attempt),
		attribute.String("greengate.version", v.Version),
		attribute.String("greengate.verdict", string(v.Status)),
		attribute.Int("greengate.checks", len(v.Checks)),
	}
	if v.Reason != deploy.ReasonNone {
		s.attributes = append(s.attributes, attribute.String("greengate.reason", string(v.Reason)))
	}
	if !s.ok {
		s.failure = v.Headline()
	}
}

// note adds what a person should know to the phase in which it happened. A way back that was not confirmed fails it.
func (t *teller) note(r deploy.Record) {
	in := t.phase
	if in == nil {
		in = t.spans[0]
	}
	in.events = append(in.events, event{at: r.At, name: "note", attributes: []attribute.KeyValue{
		attribute.String("greengate.reason", string(r.Reason)), attribute.String("greengate.message", r.Message),
	}})
	if r.Reason == deploy.ReasonBlueUnhealthy || r.Reason == deploy.ReasonRollbackUnconfirmed {
		in.failure = because(r.Reason, r.Message)
	}
}
