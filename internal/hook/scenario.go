package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/runner"
	"greengate/internal/scenario"
)

// A scenario is a unit of the runner like a command: this program again, with a job. So it is started at most once and
// goes on when the controller is killed, and its result is a file that the next controller finds.

// jobMargin is what a scenario leaves of its hook's time for cleanup and for its result.
const jobMargin = 10 * time.Second

const (
	jobSuffix     = ".job.json"
	resultSuffix  = ".result.json"
	cleanupSuffix = ".cleanup.json"
)

func (h *Hooks) job(id string) string    { return h.beside(id, jobSuffix) }
func (h *Hooks) result(id string) string { return h.beside(id, resultSuffix) }

// checkpoint is there while a scenario may leave something behind, cleanupResult once that was cleaned up for it.
func (h *Hooks) checkpoint(id string) string    { return h.beside(id, checkpointSuffix) }
func (h *Hooks) cleanupResult(id string) string { return h.beside(id, cleanupSuffix) }

func (h *Hooks) beside(id, suffix string) string {
	return filepath.Join(h.cfg.Dir, strings.ReplaceAll(id, "/", "-")+suffix)
}

// scenarioProgram leaves for the unit what it is to do, and says how it is run.
func (h *Hooks) scenarioProgram(id string, call deploy.HookCall) ([]string, error) {
	job, err := h.writeJob(id, call)
	return []string{h.cfg.Executable, "verify", "--hook", job}, err
}

func (h *Hooks) writeJob(id string, call deploy.HookCall) (string, error) {
	s := call.Hook.Scenario
	if s == nil || s.Bundle == "" {
		return "", deploy.Permanent(errors.New("the service holds no scenario"))
	}
	files, err := scenario.Unpack(s.Bundle)
	if err != nil {
		return "", deploy.Permanent(err)
	}
	production, test := h.urls(call.Service)
	deployment, _, _ := strings.Cut(id, "/")
	rev := call.TaskSet.Revision
	left := time.Until(call.Until)
	j := scenario.Job{
		File: s.File, Files: files, BaseURL: test, Vars: s.Vars, Allow: scenario.Effect(s.Allow), Where: "before the switch",
		Release: scenario.Release{
			Service: call.Service, Version: rev.Version, Revision: rev.Digest, TaskSet: call.TaskSet.ID, Deployment: deployment,
		},
		Until: call.Until.Add(-min(jobMargin, left/5)), Result: h.result(id),
		Checkpoint: h.checkpoint(id), CleanupResult: h.cleanupResult(id),
	}
	if !call.List.OnProduction() {
		j.CompareURL, j.First = production, call.First // production is blue until the switch
		j.Identity = &scenario.Identity{Header: scenario.HeaderTaskSet, Value: call.TaskSet.ID}
	}
	if call.List.OnProduction() {
		j.BaseURL, j.Where = production, "on the production address"
		if j.Allow == "" {
			j.Allow = scenario.EffectRead
		}
	}
	if j.BaseURL == "" {
		return "", deploy.Permanent(errors.New("the service has no listener for the scenario"))
	}
	return h.job(id), scenario.WriteJob(h.job(id), j)
}

func (h *Hooks) awaitScenario(ctx context.Context, id string, call deploy.HookCall) (deploy.Verdict, error) {
	st, err := h.cfg.Runner.Wait(ctx, UnitID(id))
	if errors.Is(err, runner.ErrNotFound) {
		return deploy.Verdict{
			Status: deploy.VerdictError, Reason: deploy.ReasonInconclusive,
			Message: "the runner does not know the scenario any more; it is not known whether it ran",
		}, nil
	}
	if err != nil {
		return deploy.Verdict{}, fmt.Errorf("await scenario %s: %w", call.Hook.Name, err)
	}
	v := h.judge(st)
	if v.Status != deploy.VerdictError {
		v = h.resultVerdict(st.Exit.Code, id, call)
	}
	v.Log, v.Start, v.End = st.ID, st.StartedAt, st.EndedAt
	if v.Status == deploy.VerdictError {
		if err := h.cleanUp(ctx, id, call, &v); err != nil {
			return deploy.Verdict{}, fmt.Errorf("await cleanup of scenario %s: %w", call.Hook.Name, err)
		}
	}
	if v.Status != deploy.VerdictPass && len(v.Checks) == 0 {
		if tail := h.tail(ctx, st.ID); tail != "" {
			v.Message += "\n" + tail
		}
	}
	return v, nil
}

// resultVerdict makes a verdict of the result. Exit code and result must say the same, of the scenario that was asked
// for: otherwise it is not known what was tested.
func (h *Hooks) resultVerdict(code int, id string, call deploy.HookCall) deploy.Verdict {
	v := deploy.Verdict{Status: deploy.VerdictError, Reason: deploy.ReasonInconclusive}
	r, err := readResult(h.result(id))
	if err != nil {
		v.Message = fmt.Sprintf("exit code %d, and the result cannot be read: %s", code, err)
		return v
	}
	v.Checks = checks(r, call)
	v.Message = Mask(r.Message, call)
	switch {
	case r.Digest != resultDigest(id, call):
		v.Message = "the result is of another hook"
	case code == 0 && r.Verdict == scenario.Pass && len(v.Checks) > 0:
		v.Status, v.Reason = deploy.VerdictPass, deploy.ReasonNone
		if call.Hook.Kind == deploy.HookScenario {
			v.Message = fmt.Sprintf("scenario %q: %d checks", r.Scenario, len(v.Checks))
		}
	case code == 4 && r.Verdict == scenario.Fail: // greengate verify: an assertion was false
		v.Status, v.Reason = deploy.VerdictFail, deploy.ReasonHookFailed
	case code == 5 && r.Verdict == scenario.Error: // it could not be told
		if r.TimedOut {
			v.Reason = deploy.ReasonHookTimeout
		}
	default:
		v.Message = fmt.Sprintf("exit code %d does not fit the result %s", code, r.Verdict)
	}
	return v
}

// resultDigest is what a result must bear: the content of the scenario, or the identity of a shadow.
func resultDigest(id string, call deploy.HookCall) string {
	if call.Hook.Kind == deploy.HookScenario {
		return call.Hook.Scenario.Digest
	}
	return id
}

func readResult(path string) (scenario.Result, error) {
	var r scenario.Result
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r, errors.New("there is none")
	case err != nil:
		return r, err
	case !info.Mode().IsRegular():
		return r, errors.New("it is not a regular file")
	case info.Size() > maxResults:
		return r, fmt.Errorf("it has %d bytes, %d is the limit", info.Size(), maxResults)
	}
	content, err := os.ReadFile(path) //nolint:gosec // a file in our own folder
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("decode result: %w", err)
	}
	return r, nil
}

// checks are the assertions of a result as the verdict holds them, each with its values and a failed one with evidence.
func checks(r scenario.Result, call deploy.HookCall) []deploy.Check {
	var report Report
	for _, s := range r.Steps {
		took := time.Duration(s.Seconds * float64(time.Second))
		name := s.Name
		if s.Section != "steps" {
			name = s.Section + ": " + name
		}
		var asserted []scenario.Assertion
		if n := len(s.Attempts); n > 0 && s.Verdict != scenario.Error {
			asserted = s.Attempts[n-1].Assertions
		}
		told := false // whether an assertion says why the step did not pass
		for _, a := range asserted {
			c := check(name, a)
			c.Duration = took
			if a.Verdict != scenario.Pass {
				told, c.Evidence = true, s.Evidence()
			}
			report.add(masked(c, call))
		}
		if !told && (s.Verdict != scenario.Pass || len(asserted) == 0) {
			c := deploy.Check{Name: name, Status: status(s.Verdict), Message: s.Message, Duration: took}
			if s.Verdict == scenario.Fail || s.Verdict == scenario.Error {
				c.Evidence = s.Evidence()
			}
			report.add(masked(c, call))
		}
	}
	report.shorten()
	return report.Checks
}

func status(v scenario.Verdict) deploy.VerdictStatus {
	switch v {
	case scenario.Pass:
		return deploy.VerdictPass
	case scenario.Fail:
		return deploy.VerdictFail
	case scenario.Skipped:
		return deploy.CheckSkipped
	case scenario.Error:
	}
	return deploy.VerdictError
}

func check(step string, a scenario.Assertion) deploy.Check {
	c := deploy.Check{
		Name: step + ": " + a.Expression, Status: status(a.Verdict), Actual: a.Left, Expected: a.Right, Message: a.Message,
	}
	if a.Right != "" && a.Operator != "==" {
		c.Expected = a.Operator + " " + a.Right
	}
	if a.Verdict != scenario.Pass && a.File != "" {
		at := fmt.Sprintf("%s:%d:%d", a.File, a.Line, a.Column)
		if c.Message != "" {
			at = c.Message + " (" + at + ")"
		}
		c.Message = at
	}
	return c
}

// masked takes the secrets of the hook's environment out of a check, whether the scenario declares them or not.
func masked(c deploy.Check, call deploy.HookCall) deploy.Check {
	for _, text := range []*string{&c.Name, &c.Message, &c.Expected, &c.Actual, &c.Evidence} {
		*text = clip(Mask(*text, call))
	}
	return c
}
