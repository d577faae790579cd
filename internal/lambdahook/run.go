package lambdahook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"greengate/internal/scenario"
)

// reportTime is kept back of the function's time: a run that takes too long is still told. A function that has less than
// twice as much keeps half of it. Cleanup has the first half of it.
const reportTime = 10 * time.Second

func limits(now, deadline time.Time) (steps, cleanup time.Time) {
	kept := min(reportTime, deadline.Sub(now)/2)
	return deadline.Add(-kept), deadline.Add(-kept / 2)
}

// hook runs the scenario of a function, once for each event.
type hook struct {
	settings Settings
	scenario *scenario.Scenario
	reporter codedeploy
	getenv   func(string) string
	out      io.Writer // the function's log
}

// handle does one event and returns the function's answer. An error fails the invocation.
func (h *hook) handle(ctx context.Context, event []byte, deadline time.Time) (answer []byte, err error) {
	c, err := decodeEvent(event, time.Now())
	if err != nil {
		return nil, err
	}
	r := h.run(ctx, c, deadline)
	line, err := resultLine(c, r)
	if err == nil {
		_, err = fmt.Fprintln(h.out, line)
	}
	if err != nil {
		h.note("the result was not logged: %v", err) // the verdict stands
	}
	v := Verdict{Verdict: r.Verdict, Deployment: c.deployment, Execution: c.execution, Text: verdictText(r)}
	answer, err = h.tell(ctx, c, &v)
	if err != nil {
		v.Text += "; it was not told: " + err.Error()
	}
	_, _ = fmt.Fprintln(h.out, v) // whoever asked knows it already
	return answer, err
}

// run runs the scenario and logs its steps.
func (h *hook) run(ctx context.Context, c call, deadline time.Time) scenario.Result {
	steps, cleanup := limits(time.Now(), deadline)
	ctx, cancel := context.WithDeadlineCause(ctx, steps, fmt.Errorf("the function's time is over: its scenario ends %s before it", reportTime))
	defer cancel()
	o := scenario.Options{
		BaseURL: either(either(h.getenv("TEST_URL"), h.getenv("BASE_URL")), h.settings.BaseURL),
		Vars:    h.settings.Vars, Release: h.release(c), Allow: h.settings.Allow, Where: "in this function", Getenv: h.getenv, CleanupBy: cleanup,
		Progress: func(s scenario.StepResult) { h.step(s) },
	}
	if o.Allow == "" && c.moved() {
		o.Allow, o.Where = scenario.EffectRead, "at "+c.stage
	}
	return h.scenario.Run(ctx, o)
}

// release is what is known of the release: the event knows most.
func (h *hook) release(c call) scenario.Release {
	r, given := c.release, h.settings.Release
	r.Version = either(h.getenv("RELEASE_VERSION"), given.Version)
	r.Revision, r.Service = either(r.Revision, given.Revision), either(r.Service, given.Service)
	r.TaskSet, r.Deployment = given.TaskSet, either(r.Deployment, given.Deployment)
	return r
}

// step logs a step. What a service answered never begins a line: only the two lines of ours begin at the margin.
func (h *hook) step(s scenario.StepResult) {
	var b bytes.Buffer
	_ = scenario.WriteStep(&b, s, false)
	h.note("%s", strings.TrimSpace(b.String()))
}

func (h *hook) note(format string, args ...any) {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\r", " ")
	_, _ = fmt.Fprintln(h.out, "  "+strings.ReplaceAll(text, "\n", "\n  ")) // who reads the log is not part of the outcome
}

func verdictText(r scenario.Result) string {
	var b bytes.Buffer
	_ = scenario.WriteVerdict(&b, r, false)
	text := strings.TrimSpace(strings.TrimPrefix(b.String(), string(r.Verdict)))
	if r.Verdict != scenario.Pass && !strings.HasSuffix(text, r.Message) {
		text += ": " + r.Message
	}
	return text
}

// tell tells who asked, and books in v what was told.
func (h *hook) tell(ctx context.Context, c call, v *Verdict) ([]byte, error) {
	if c.native {
		a, err := c.answer(v.Verdict, h.scenario.TimeLimit(), time.Now())
		if err != nil {
			return nil, err
		}
		v.Told = a.Status
		return json.Marshal(a)
	}
	status := reportFailed
	if v.Verdict == scenario.Pass {
		status = reportSucceeded
	}
	if err := h.reporter.report(ctx, c, status); err != nil {
		return nil, err
	}
	v.Told = status
	return json.Marshal(map[string]string{"status": status})
}
