package hook

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/runner"
)

const (
	// unitGrace is the time between SIGTERM and SIGKILL of a hook.
	unitGrace = 5 * time.Second
	// tailLines and tailBytes bound what of a failed hook's output goes into its verdict.
	tailLines = 8
	tailBytes = 1500
	// stopPoll is how often a cancel looks whether the hook has ended.
	stopPoll = 20 * time.Millisecond
)

// UnitID is the runner's unit of a command, task or scenario hook.
func UnitID(effect string) string { return "hook/" + effect }

// UnitGroup is the group of a deployment's units, by which they are forgotten when it has ended.
func UnitGroup(deployment string) string { return "hook/" + deployment }

// unit is the runner's unit of a hook, without its program.
func (h *Hooks) unit(id string, call deploy.HookCall) runner.Spec {
	deployment, _, _ := strings.Cut(id, "/")
	spec := runner.Spec{
		ID: UnitID(id), Group: UnitGroup(deployment), Mode: runner.ModeOnce, Command: call.Hook.Command, Dir: call.Hook.Dir,
		Env: map[string]string{}, Grace: unitGrace, Timeout: time.Until(call.Until), Digest: id,
	}
	if call.Hook.Kind == deploy.HookTask {
		w := call.TaskSet.Revision.Workload
		maps.Copy(spec.Env, w.Env)
		spec.EnvFile = w.EnvFile
		spec.Limits = runner.Limits{CPU: w.CPU, MemoryBytes: w.MemoryBytes, PIDs: w.PIDs}
		if spec.Dir == "" {
			spec.Dir = w.Dir
		}
	}
	maps.Copy(spec.Env, call.Hook.Env)
	maps.Copy(spec.Env, h.environment(id, call))
	if spec.Timeout < time.Second {
		spec.Timeout = time.Second
	}
	return spec
}

func (h *Hooks) startUnit(ctx context.Context, id string, call deploy.HookCall) error {
	spec := h.unit(id, call)
	var err error
	switch call.Hook.Kind {
	case deploy.HookScenario:
		spec.Command, err = h.scenarioProgram(id, call)
	case deploy.HookShadow:
		spec.Command, err = h.shadowProgram(id, call)
	case deploy.HookCommand, deploy.HookTask, deploy.HookFunction:
	}
	if err != nil {
		return fmt.Errorf("start hook %s: %w", call.Hook.Name, err)
	}
	if _, err := h.cfg.Runner.Ensure(ctx, spec); err != nil {
		if errors.Is(err, runner.ErrPermanent) {
			err = deploy.Permanent(err)
		}
		return fmt.Errorf("start hook %s: %w", call.Hook.Name, err)
	}
	return nil
}

func (h *Hooks) awaitUnit(ctx context.Context, id string, call deploy.HookCall) (deploy.Verdict, error) {
	st, err := h.cfg.Runner.Wait(ctx, UnitID(id))
	if errors.Is(err, runner.ErrNotFound) {
		return deploy.Verdict{
			Status: deploy.VerdictError, Reason: deploy.ReasonInconclusive,
			Message: "the runner does not know the hook any more; it is not known whether it ran",
		}, nil
	}
	if err != nil {
		return deploy.Verdict{}, fmt.Errorf("await hook %s: %w", call.Hook.Name, err)
	}
	v := h.judge(st)
	v.Log, v.Start, v.End = st.ID, st.StartedAt, st.EndedAt
	if v.Status == deploy.VerdictFail {
		if tail := h.tail(ctx, st.ID); tail != "" {
			v.Message += "\n" + tail
		}
	}
	return h.withResults(v, h.results(id)), nil
}

// judge makes a verdict of how the program ended. Only an exit that was seen counts, and not that of a
// program which was told to end: it may say 0 then.
func (h *Hooks) judge(st runner.Status) deploy.Verdict {
	fail := func(status deploy.VerdictStatus, r deploy.Reason, format string, args ...any) deploy.Verdict {
		return deploy.Verdict{Status: status, Reason: r, Message: fmt.Sprintf(format, args...)}
	}
	switch exit := st.Exit; {
	case st.State == runner.StateStopped:
		return fail(deploy.VerdictError, deploy.ReasonInconclusive, "the program was stopped before it ended by itself")
	case exit == nil:
		return fail(deploy.VerdictError, deploy.ReasonInconclusive, "the program never ran: %s", st.Reason)
	case exit.TimedOut:
		return fail(deploy.VerdictError, deploy.ReasonHookTimeout, "the program did not end within its time limit")
	case !exit.Known:
		return fail(deploy.VerdictError, deploy.ReasonInconclusive, "how the program ended is not known")
	case exit.Success():
		return deploy.Verdict{Status: deploy.VerdictPass, Message: "exit code 0"}
	case exit.OOM:
		return fail(deploy.VerdictFail, deploy.ReasonHookFailed, "the program was killed at its memory limit")
	case fromOutside(exit.Signal):
		return fail(deploy.VerdictError, deploy.ReasonInconclusive, "the program was ended from outside, by %s", exit.Signal)
	case exit.Signal != "":
		return fail(deploy.VerdictFail, deploy.ReasonHookFailed, "the program was ended by %s", exit.Signal)
	}
	return fail(deploy.VerdictFail, deploy.ReasonHookFailed, "exit code %d", st.Exit.Code)
}

// fromOutside reports whether a signal is one that others send: the machine, an operator. A program that
// they have ended has not told anything; one that crashed has.
func fromOutside(signal string) bool {
	return slices.Contains([]string{"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"}, signal)
}

// withResults adds the checks that the hook wrote as JUnit XML. They can only make a verdict worse:
// a failed check fails a hook that exited with 0, and results that cannot be read leave it untold.
func (h *Hooks) withResults(v deploy.Verdict, path string) deploy.Verdict {
	report, err := readResults(path)
	if errors.Is(err, fs.ErrNotExist) {
		return v // the hook wrote none
	}
	if err != nil {
		if v.Status == deploy.VerdictPass {
			v.Status, v.Reason = deploy.VerdictError, deploy.ReasonInconclusive
		}
		v.Message += "; the results at $GREENGATE_RESULTS cannot be read: " + err.Error()
		return v
	}
	v.Checks = report.Checks
	switch {
	case v.Status != deploy.VerdictPass:
	case report.Bad > 0:
		v.Status, v.Reason = deploy.VerdictFail, deploy.ReasonHookFailed
		v.Message = fmt.Sprintf("%d of %d checks did not pass, though the exit code is 0", report.Bad, report.Total())
	case report.Passed == 0:
		v.Status, v.Reason = deploy.VerdictError, deploy.ReasonInconclusive
		v.Message = fmt.Sprintf("all %d checks were skipped: nothing was tested", report.Total())
	}
	return v
}

// readResults reads the file that a hook left. Anything else at that path (a pipe, say, at which a
// reader would wait for ever) is refused.
func readResults(path string) (Report, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Report{}, err
	}
	if !info.Mode().IsRegular() {
		return Report{}, errors.New("it is not a regular file")
	}
	if info.Size() > maxResults {
		return Report{}, fmt.Errorf("it has %d bytes, %d is the limit", info.Size(), maxResults)
	}
	f, err := os.Open(path) //nolint:gosec // a file in our own folder
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = f.Close() }()
	return ParseJUnit(io.LimitReader(f, maxResults))
}

// tail is the end of a hook's output. What cannot be read is left out: the verdict stands without it.
func (h *Hooks) tail(ctx context.Context, unit string) string {
	body, err := h.cfg.Runner.Logs(ctx, unit, runner.LogQuery{Tail: tailLines})
	if err != nil {
		return ""
	}
	defer func() { _ = body.Close() }()
	var lines []string
	scan := bufio.NewScanner(io.LimitReader(body, 64<<10))
	scan.Buffer(nil, 64<<10)
	for scan.Scan() {
		lines = append(lines, text(scan.Text()))
	}
	tail := strings.Join(lines, "\n")
	if len(tail) > tailBytes {
		tail = "…" + strings.ToValidUTF8(tail[len(tail)-tailBytes:], "")
	}
	return tail
}

// text is a log line without the time, stream and tag that stand before it in the runner's files.
func text(line string) string {
	parts := strings.SplitN(line, " ", 4)
	if len(parts) < 4 {
		return line
	}
	return parts[3]
}

func (h *Hooks) cancelUnit(ctx context.Context, unit string) error {
	for {
		st, err := h.cfg.Runner.Get(ctx, unit)
		switch {
		case errors.Is(err, runner.ErrNotFound) || (err == nil && st.State.Ended()):
			return nil
		case err != nil:
			return fmt.Errorf("look at %s: %w", unit, err)
		case st.State != runner.StateStopping:
			if err := h.cfg.Runner.Stop(ctx, unit); err != nil {
				return fmt.Errorf("stop %s: %w", unit, err)
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(stopPoll):
		}
	}
}
