// Package deploytest plays deployments through the domain's own steps, for tests of what shows or tells of them: what they
// see is then what a controller would have.
package deploytest

import (
	"time"

	"greengate/internal/deploy"
)

// Tale is a deployment on its way. Every effect ends well, and a second after it began, but where Outcome says otherwise.
type Tale struct {
	D       deploy.Deployment
	Now     time.Time
	Records []deploy.Record
	// Spawn is the record of a rollback that it brought forth; nil: there is none.
	Spawn *deploy.Deployment
	// Outcome says how an effect ends; nil: it ends well. Silent: it does not end before its time is over.
	Outcome func(e deploy.Effect) *deploy.Outcome
}

// Silent is the outcome of what never answers.
var Silent = &deploy.Outcome{}

// New begins a deployment.
func New(n deploy.New) *Tale {
	t := &Tale{D: deploy.Create(n), Now: n.At}
	t.D.Revno = 1 // the store's
	return t
}

// Start steps into the lifecycle.
func (t *Tale) Start() *Tale { return t.Step(deploy.Event{Kind: deploy.EventStart}) }

// Step lets something happen now.
func (t *Tale) Step(ev deploy.Event) *Tale {
	ev.At = t.Now
	out := deploy.Step(t.D, ev)
	t.D = out.Deployment
	t.Records = append(t.Records, out.Records...)
	if out.Spawn != nil {
		t.Spawn = out.Spawn
	}
	return t
}

// Until lets the deployment go on until it is there. Where it waits for somebody it waits in vain.
func (t *Tale) Until(there func(deploy.Deployment) bool) *Tale {
	for !there(t.D) {
		e, out := t.next()
		switch {
		case out != nil:
			t.Now = t.Now.Add(time.Second)
			t.Step(deploy.Event{Kind: deploy.EventOutcome, Seq: e.Seq, Outcome: out})
		case !t.D.Wake.IsZero():
			t.Now = t.D.Wake
			t.Step(deploy.Event{Kind: deploy.EventTick})
		case !t.D.Deadline.IsZero():
			t.Now = t.D.Deadline
			t.Step(deploy.Event{Kind: deploy.EventTick})
		default:
			panic("the tale stands still in " + string(t.D.Phase))
		}
	}
	return t
}

// next is the next effect that ends, and how. Watches end when they are cancelled.
func (t *Tale) next() (deploy.Effect, *deploy.Outcome) {
	for _, e := range t.D.Open {
		if e.Kind == deploy.EffectWatch {
			continue
		}
		var out *deploy.Outcome
		if t.Outcome != nil {
			out = t.Outcome(e)
		}
		switch {
		case out == Silent:
			continue
		case out != nil:
			return e, out
		}
		out = &deploy.Outcome{OK: true, Healthy: true}
		if e.Kind == deploy.EffectHook {
			out.Verdict = &deploy.Verdict{Status: deploy.VerdictPass}
		}
		return e, out
	}
	return deploy.Effect{}, nil
}

// Proceed ends a wait.
func (t *Tale) Proceed(wait, by string) *Tale {
	return t.Step(deploy.Event{Kind: deploy.EventContinue, Wait: wait, By: by})
}

// Rollback is the tale of the record of the rollback that it brought forth, begun.
func (t *Tale) Rollback() *Tale {
	r := &Tale{D: *t.Spawn, Now: t.Now, Outcome: t.Outcome}
	r.D.Revno = 1
	return r.Start()
}

// In is the place of a phase.
func In(p deploy.Phase) func(deploy.Deployment) bool {
	return func(d deploy.Deployment) bool { return d.Phase == p }
}

// Ended is the end.
func Ended(d deploy.Deployment) bool { return d.Phase.Terminal() }
