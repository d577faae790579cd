package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// list runs steps in order, until one does not pass.
func (x *execution) list(ctx context.Context, steps []*step, sc *scope) Verdict {
	for i, st := range steps {
		if v := x.step(ctx, st, sc); v != Pass && (v != Skipped || sc.section == "steps") {
			x.skip(steps[i+1:], sc, "an earlier step did not pass")
			return v
		}
	}
	return Pass
}

// cleanup runs every step of its list, whatever became of the others.
func (x *execution) cleanup(ctx context.Context, sc *scope) {
	if len(x.s.cleanup) == 0 {
		return
	}
	limit := cleanupTimeout
	if by := x.o.CleanupBy; !by.IsZero() {
		limit = min(limit, time.Until(by))
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), limit,
		fmt.Errorf("cleanup's time limit of %s has passed", limit.Round(time.Millisecond)))
	defer cancel()
	for _, st := range x.s.cleanup {
		x.step(ctx, st, sc)
	}
}

// skip books steps that are not run.
func (x *execution) skip(steps []*step, sc *scope, why string) {
	for _, st := range steps {
		r := x.newResult(st, sc)
		r.Verdict, r.Message = Skipped, "not run: "+why
		x.book(r)
	}
}

func (x *execution) newResult(st *step, sc *scope) StepResult {
	r := StepResult{
		Name: x.mask.text(sc.prefix + st.name), Section: sc.section, Kind: string(st.kind), File: st.file, Line: st.at.line,
		Column: st.at.column, Effect: st.effect,
	}
	if st.kind == stepUse || st.kind == stepParallel || st.kind == stepForeach {
		r.Effect = ""
	}
	return r
}

func (x *execution) step(ctx context.Context, st *step, sc *scope) Verdict {
	begin := time.Now()
	r := x.newResult(st, sc)
	finish := func(v Verdict, message string) Verdict {
		r.Verdict, r.Message, r.Seconds = v, x.mask.text(message), time.Since(begin).Seconds()
		x.book(r)
		return v
	}
	if st.when != nil {
		run, err := st.when.value(x.values(sc, nil))
		switch {
		case x.neverMade(err, sc):
			return finish(Skipped, "not run: "+err.Error())
		case err != nil:
			return finish(Error, "when: "+err.Error())
		case run != true:
			return finish(Skipped, "not run: "+st.when.source+" is not true")
		}
	}
	if ctx.Err() != nil {
		return finish(Error, "not run: "+context.Cause(ctx).Error())
	}
	switch st.kind {
	case stepRequest, stepRun, stepWebSocket, stepGRPC:
		return x.attempts(ctx, st, sc, r)
	case stepWait:
		return finish(wait(ctx, st.wait))
	case stepUse:
		return x.include(ctx, st, sc, finish)
	case stepParallel:
		return x.parallel(ctx, st, sc)
	case stepForeach:
		return x.foreach(ctx, st, sc, finish)
	}
	return finish(Error, "this program does not know the step")
}

// neverMade reports whether a step of cleanup lacks a value that an earlier step was to capture: then there is nothing
// to clean.
func (x *execution) neverMade(err error, sc *scope) bool {
	missing, ok := errors.AsType[*missingError](err)
	return ok && sc.section == "cleanup" && len(missing.path) > len("steps") && missing.path[:len("steps")] == "steps"
}

func wait(ctx context.Context, d time.Duration) (Verdict, string) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return Pass, ""
	case <-ctx.Done():
		return Error, context.Cause(ctx).Error()
	}
}

// attempts runs a step until it passes or may not be tried again; the last attempt decides.
func (x *execution) attempts(ctx context.Context, st *step, sc *scope, r StepResult) Verdict {
	begin := time.Now()
	if err := x.begins(st, sc); err != nil {
		r.Verdict, r.Message = Error, "not run: "+err.Error()
		x.book(r)
		return r.Verdict
	}
	limit := retry{attempts: 1}
	if st.retry != nil {
		limit = *st.retry
	}
	for {
		r.Tried++
		a := x.attempt(ctx, st, sc)
		a.record.Number = r.Tried
		r.keep(a.record)
		r.Verdict, r.Message = a.record.Verdict, a.record.Message
		if r.Verdict == Pass {
			sc.keep(st.name, a.captured)
			for _, c := range st.captures {
				r.Captured = append(r.Captured, c.name)
			}
			r.Verdict, r.Message = x.kept(sc, r.Verdict, r.Message)
			break
		}
		if a.final || (limit.attempts > 0 && r.Tried >= limit.attempts) {
			break
		}
		if st.retry != nil && time.Since(begin)+limit.interval > limit.timeout {
			break
		}
		if v, _ := wait(ctx, limit.interval); v != Pass {
			break
		}
	}
	if r.Tried > 1 && r.Verdict != Pass {
		r.Message += fmt.Sprintf(" (after %d attempts in %s)", r.Tried, time.Since(begin).Round(time.Millisecond))
	}
	r.Seconds = time.Since(begin).Seconds()
	x.book(r)
	return r.Verdict
}

// begins and kept keep what cleanup needs, where the run may be killed; cleanup itself needs nothing more.
func (x *execution) begins(st *step, sc *scope) error {
	if sc.section == "cleanup" {
		return nil
	}
	return x.keeps.begins(st)
}

func (x *execution) kept(sc *scope, v Verdict, message string) (verdict Verdict, why string) {
	if sc.section == "cleanup" {
		return v, message
	}
	if err := x.keeps.captured(); err != nil {
		return Error, err.Error()
	}
	return v, message
}

// keptAttempts bounds what a result keeps of a step that was tried often.
const keptAttempts = 5

// keep adds an attempt; of many the first and the last ones stay.
func (r *StepResult) keep(a Attempt) {
	if len(r.Attempts) == keptAttempts {
		r.Attempts = append(r.Attempts[:1], r.Attempts[2:]...)
	}
	r.Attempts = append(r.Attempts, a)
}

// include runs the steps of another file with names of its own.
func (x *execution) include(ctx context.Context, st *step, sc *scope, finish func(Verdict, string) Verdict) Verdict {
	given := map[string]any{}
	values := x.values(sc, nil)
	for _, g := range st.use.given {
		v, err := g.value.resolve(values)
		if x.neverMade(err, sc) {
			return finish(Skipped, "not run: "+err.Error())
		}
		if err != nil {
			return finish(Error, g.name+": "+err.Error())
		}
		given[g.name] = v
	}
	inner, err := x.scope(&st.use.program, given)
	if err != nil {
		return finish(Error, err.Error())
	}
	inner.section, inner.prefix = sc.section, sc.prefix+st.name+" > "
	if v := x.list(ctx, st.use.steps, inner); v != Pass {
		return v
	}
	captured, message := x.capture(st, inner, map[string]any{})
	if message != "" {
		return finish(Fail, message)
	}
	sc.keep(st.name, captured)
	if v, message := x.kept(sc, Pass, ""); v != Pass {
		return finish(v, message)
	}
	return Pass
}

// parallel runs steps at the same time and waits for all of them.
func (x *execution) parallel(ctx context.Context, st *step, sc *scope) Verdict {
	own := *sc
	own.prefix += st.name + " > "
	verdicts := make([]Verdict, len(st.children))
	var wg sync.WaitGroup
	for i, child := range st.children {
		wg.Go(func() { verdicts[i] = x.step(ctx, child, &own) })
	}
	wg.Wait()
	all := Pass
	for _, v := range verdicts {
		if v == Skipped && sc.section != "steps" {
			continue
		}
		all = worse(all, v)
	}
	return all
}

// maxItems bounds how often foreach may run its steps.
const maxItems = 10_000

// foreach runs steps once for each item of a list.
func (x *execution) foreach(ctx context.Context, st *step, sc *scope, finish func(Verdict, string) Verdict) Verdict {
	v, err := st.over.resolve(x.values(sc, nil))
	if x.neverMade(err, sc) {
		return finish(Skipped, "not run: "+err.Error())
	}
	if err != nil {
		return finish(Error, "foreach: "+err.Error())
	}
	items, ok := listOf(v)
	switch {
	case !ok:
		return finish(Error, "foreach needs a list, not "+kindOf(v))
	case len(items) == 0:
		return finish(Error, "foreach has an empty list, so nothing was checked")
	case len(items) > maxItems:
		return finish(Error, fmt.Sprintf("foreach has %d items; %d is the limit", len(items), maxItems))
	}
	for i, item := range items {
		own := *sc
		own.mu, own.steps = &sync.Mutex{}, x.values(sc, nil)["steps"].(map[string]any) //nolint:errcheck,forcetypeassert // values makes it
		own.item, own.index, own.loop = item, i, true
		own.prefix += fmt.Sprintf("%s[%d] > ", st.name, i)
		if v := x.list(ctx, st.children, &own); v != Pass {
			return v
		}
	}
	return Pass
}
