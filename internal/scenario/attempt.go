package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// tried is one attempt with what only this run needs of it.
type tried struct {
	record   Attempt
	captured map[string]any
	// final says that another attempt cannot end otherwise.
	final bool
}

// unready is an error of the scenario or of where it runs: the service was not asked.
type unready struct{ error }

func (u unready) Unwrap() error { return u.error }

// observation is what an attempt saw.
type observation struct {
	seen map[string]any
	// keep writes the evidence into the record, once every secret is known.
	keep func(*Attempt)
	// problems are failed checks that no expression makes.
	problems []Assertion
	checks   []Assertion // passed ones
	answered *exchange   // of a request
}

// attempt does what the step says once, or as often as repeat says, and judges what it saw.
func (x *execution) attempt(ctx context.Context, st *step, sc *scope) tried {
	t := tried{record: Attempt{Start: time.Now()}}
	if ctx.Err() != nil {
		t.record.Verdict, t.record.Message, t.final = Error, context.Cause(ctx).Error(), true
		return t
	}
	ctx, cancel := context.WithTimeoutCause(ctx, st.timeout, fmt.Errorf("no answer within the step's time limit of %s", st.timeout))
	defer cancel()
	var latencies []any
	for i := range st.repeat {
		o, err := x.observe(ctx, st, sc)
		if err != nil {
			return x.unobserved(t, o, err, sc)
		}
		if i+1 == st.repeat {
			if err := x.compare(ctx, st, sc, &o); err != nil {
				return x.unobserved(t, o, err, sc)
			}
		}
		latencies = append(latencies, o.seen["latency"])
		o.seen["latencies"] = latencies
		if x.judge(&t, st, sc, o, i+1 == st.repeat); t.record.Verdict != Pass {
			return t
		}
	}
	return t
}

func (x *execution) observe(ctx context.Context, st *step, sc *scope) (observation, error) {
	switch st.kind {
	case stepRequest:
		return x.ask(ctx, st, sc)
	case stepRun:
		return x.program(ctx, st, sc)
	case stepWebSocket:
		return x.talk(ctx, st, sc)
	case stepGRPC:
		return x.call(ctx, st, sc)
	case stepWait, stepUse, stepParallel, stepForeach:
	}
	return observation{}, unready{errors.New("the step cannot be tried")}
}

// unobserved records an attempt that saw nothing: it could not tell.
func (x *execution) unobserved(t tried, o observation, err error, sc *scope) tried {
	t.record.Verdict = Error
	if _, ok := errors.AsType[unready](err); ok {
		t.final = true
		if x.neverMade(err, sc) {
			t.record.Verdict, err = Skipped, fmt.Errorf("not run: %w", err)
		}
	}
	t.record.Message = x.mask.text(err.Error())
	if o.keep != nil {
		o.keep(&t.record)
	}
	return t
}

// judge looks at what was seen: assertions, then captures. Those that read latencies wait for the last round.
func (x *execution) judge(t *tried, st *step, sc *scope, o observation, last bool) {
	values := x.values(sc, o.seen)
	t.record.Verdict, t.record.Message = Pass, ""
	captured, message := map[string]any(nil), ""
	if last {
		captured, message = x.capture(st, sc, o.seen)
	}
	var all []Assertion
	for _, a := range st.asserts {
		if last || !a.uses["latencies"] {
			all = append(all, x.assertion(a, values)...)
		}
	}
	all = append(all, o.checks...)
	all = append(all, o.problems...)
	for i := range all {
		all[i].Message = clip(x.mask.text(all[i].Message), maxOperand)
		if all[i].Verdict == Pass {
			continue
		}
		if t.record.Verdict == Pass {
			t.record.Verdict, t.record.Message = all[i].Verdict, describe(all[i])
		}
	}
	if t.record.Verdict == Pass && message != "" {
		t.record.Verdict, t.record.Message = Fail, x.mask.text(message)
	}
	t.captured = captured
	t.record.Assertions = all
	if o.keep != nil {
		o.keep(&t.record)
	}
}

// describe says in one line what was wrong with an assertion, with the values of its operands.
func describe(a Assertion) string {
	text := a.Expression
	switch {
	case a.Message != "":
		return text + ": " + a.Message
	case a.Left != "" && a.Right != "":
		return text + ": " + a.Left + " against " + a.Right
	case a.Left != "":
		return text + ": " + a.Left
	}
	return text + " is false"
}

// assertion evaluates the parts of an assertion up to the first that does not hold.
func (x *execution) assertion(a *assertion, values map[string]any) []Assertion {
	var out []Assertion
	for _, p := range a.parts {
		r := Assertion{Expression: x.mask.text(p.source), File: a.file, Line: a.at.line, Column: a.at.column, Verdict: Pass, Operator: p.operator}
		v, err := evaluate(p.program, values)
		held, isBool := v.(bool)
		switch {
		case err != nil:
			r.Verdict, r.Message = Fail, err.Error()
		case !isBool:
			r.Verdict, r.Message = Fail, "is "+kindOf(v)+", not true or false"
		case !held:
			r.Verdict = Fail
		}
		if p.left != nil {
			if v, err := evaluate(p.left, values); err == nil {
				r.Left = x.mask.shown(v)
			}
		}
		if p.right != nil {
			if v, err := evaluate(p.right, values); err == nil {
				r.Right = x.mask.shown(v)
			}
		}
		out = append(out, r)
		if r.Verdict != Pass {
			break
		}
	}
	return out
}

// capture evaluates a step's captures; the message says what is missing.
func (x *execution) capture(st *step, sc *scope, seen map[string]any) (captured map[string]any, message string) {
	captured = map[string]any{}
	values := x.values(sc, seen)
	for _, c := range st.captures {
		v, err := c.value.value(values)
		if err != nil {
			if message == "" {
				message = "capture " + c.name + ": " + err.Error()
			}
			continue
		}
		if v == nil {
			message = "capture " + c.name + ": " + c.value.source + " is null"
			continue
		}
		if c.secret {
			x.hide(v)
		}
		captured[c.name] = v
	}
	return captured, message
}

// hide makes a captured value a secret, and every text in it.
func (x *execution) hide(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, item := range v {
			x.hide(item)
		}
	case []any:
		for _, item := range v {
			x.hide(item)
		}
	default:
		if text, err := scalarText(v); err == nil {
			x.mask.add(strings.TrimSpace(text))
		}
	}
}
