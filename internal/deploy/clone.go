package deploy

import (
	"maps"
	"slices"
)

// This file copies values so that no two of them share memory: a deployment is read by the loop
// while its effects are carried out beside it.

// Clone returns a copy that shares no memory with d.
func (d Deployment) Clone() Deployment {
	d.Plan = d.Plan.clone()
	d.Blue, d.Green = d.Blue.clone(), d.Green.clone()
	d.Lifecycle = slices.Clone(d.Lifecycle)
	d.Verdicts = each(d.Verdicts, Verdict.clone)
	d.Open = each(d.Open, Effect.clone)
	d.Run, d.Cause = ptr(d.Run), ptr(d.Cause)
	return d
}

// each copies a slice with every element; nil stays nil.
func each[T any](in []T, clone func(T) T) []T {
	if in == nil {
		return nil
	}
	out := make([]T, len(in))
	for i, v := range in {
		out[i] = clone(v)
	}
	return out
}

// ptr copies what a pointer points to; nil stays nil.
func ptr[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}

func (p Plan) clone() Plan {
	p.Hooks = maps.Clone(p.Hooks)
	for phase, list := range p.Hooks {
		p.Hooks[phase] = each(list, Hook.clone)
	}
	p.Smoke = each(p.Smoke, Hook.clone)
	p.Alarms = slices.Clone(p.Alarms)
	p.Refused = ptr(p.Refused)
	if p.AlarmOverride = ptr(p.AlarmOverride); p.AlarmOverride != nil {
		p.AlarmOverride.Names = slices.Clone(p.AlarmOverride.Names)
	}
	return p
}

func (h Hook) clone() Hook {
	h.Command, h.Env, h.Function, h.Scenario = slices.Clone(h.Command), maps.Clone(h.Env), ptr(h.Function), ptr(h.Scenario)
	if h.Shadow = ptr(h.Shadow); h.Shadow != nil {
		h.Shadow.Headers, h.Shadow.Ignore = slices.Clone(h.Shadow.Headers), slices.Clone(h.Shadow.Ignore)
	}
	if h.Function != nil {
		h.Function.Env = maps.Clone(h.Function.Env)
	}
	if h.Scenario != nil {
		h.Scenario.Vars = maps.Clone(h.Scenario.Vars)
	}
	return h
}

func (t TaskSet) clone() TaskSet {
	t.Without = slices.Clone(t.Without)
	w := &t.Revision.Workload
	w.Command, w.Env, w.Health = slices.Clone(w.Command), maps.Clone(w.Env), ptr(w.Health)
	return t
}

func (v Verdict) clone() Verdict {
	v.Checks = slices.Clone(v.Checks)
	return v
}

func (e Effect) clone() Effect {
	e.TaskSet, e.Route, e.Hook, e.Watch = ptr(e.TaskSet), ptr(e.Route), ptr(e.Hook), ptr(e.Watch)
	if e.TaskSet != nil {
		*e.TaskSet = e.TaskSet.clone()
	}
	if e.Route != nil {
		e.Route.Production = slices.Clone(e.Route.Production)
	}
	if e.Hook != nil {
		e.Hook.Hook, e.Hook.TaskSet = e.Hook.Hook.clone(), e.Hook.TaskSet.clone()
	}
	if e.Watch != nil {
		e.Watch.TaskSet, e.Watch.Alarms = e.Watch.TaskSet.clone(), slices.Clone(e.Watch.Alarms)
	}
	return e
}
