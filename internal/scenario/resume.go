package scenario

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// resume runs cleanup with what a run that was killed knew.
func (s *Scenario) resume(ctx context.Context, o Options, last progress) (Result, error) {
	begin := time.Now()
	x := newExecution(s, o)
	sc, err := x.scope(&s.program, nil)
	if err != nil {
		return Result{}, fmt.Errorf("clean up after step %q: %w", last.Began, err)
	}
	if x.client, x.calls, err = newClient(s); err != nil {
		return Result{}, fmt.Errorf("clean up after step %q: %w", last.Began, err)
	}
	defer x.client.CloseIdleConnections()
	defer x.calls.CloseIdleConnections()
	for name, values := range last.Steps {
		sc.steps[name] = exact(values)
	}
	for _, list := range [][]*step{s.setup, s.steps} {
		x.hideCaptured(list, sc.steps)
	}
	x.restoreCookies(last.Cookies)
	x.cleanup(ctx, sc.in("cleanup"))
	r := Result{
		Version: resultVersion, Scenario: s.Name, File: s.File, Digest: s.Digest, BaseURL: x.mask.text(o.BaseURL), Release: o.Release, TraceID: x.trace,
		Start: begin, Seconds: time.Since(begin).Seconds(), Steps: x.results, Verdict: Error,
	}
	r.Message = fmt.Sprintf("the run was killed when step %q had begun; its cleanup ran afterwards", last.Began)
	if r.Steps == nil {
		r.Steps = []StepResult{}
	}
	ran := 0
	for _, st := range r.Steps {
		switch st.Verdict {
		case Skipped:
		case Pass:
			ran++
		case Fail, Error:
			r.Message = fmt.Sprintf("the run was killed when step %q had begun; its cleanup ran afterwards and did not pass: %s: %s", last.Began, st.Name, st.Message)
			return r, nil
		}
	}
	if ran == 0 {
		r.Message = fmt.Sprintf("the run was killed when step %q had begun; what that step may have made is not known, so its cleanup had nothing to clean", last.Began)
	}
	return r, nil
}

// hideCaptured makes secrets of the captured values that are to be masked.
func (x *execution) hideCaptured(steps []*step, known map[string]any) {
	for _, st := range steps {
		x.hideCaptured(st.children, known)
		values, _ := known[st.name].(map[string]any)
		for _, c := range st.captures {
			if v, ok := values[c.name]; ok && c.secret {
				x.hide(v)
			}
		}
	}
}

func (x *execution) restoreCookies(all []setCookies) {
	for _, s := range all {
		u, err := url.Parse(s.URL)
		if err != nil || x.client.Jar == nil {
			continue
		}
		x.client.Jar.SetCookies(u, s.Cookies)
		for _, c := range s.Cookies {
			if len(c.Value) >= minCookie {
				x.mask.add(c.Value)
			}
		}
	}
}
