package scenario

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// programGrace is the time between SIGTERM and SIGKILL of a program whose time is over.
const programGrace = 2 * time.Second

// program runs the step's program and returns how it ended.
func (x *execution) program(ctx context.Context, st *step, sc *scope) (observation, error) {
	words, env, err := x.commandLine(st.run, x.values(sc, nil))
	if err != nil {
		return observation{}, unready{err}
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // the scenario names the program
	stdout, stderr := &tail{}, &tail{}
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = env, st.run.dir, stdout, stderr, programGrace
	ownGroup(cmd)
	if st.run.junit != "" {
		if err := os.Remove(x.junitFile(st.run)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return observation{}, unready{fmt.Errorf("remove the results of before: %w", err)}
		}
	}
	begin := time.Now()
	err = cmd.Run()
	latency := time.Since(begin)
	if ctx.Err() != nil {
		endGroup(cmd)
	}
	code := cmd.ProcessState.ExitCode() // -1 where it did not exit by itself
	o := observation{keep: func(a *Attempt) {
		a.Program = &Program{ExitCode: code, Stdout: x.mask.body(stdout.bytes()), Stderr: x.mask.body(stderr.bytes())}
		for _, w := range words {
			a.Program.Command = append(a.Program.Command, x.mask.text(w))
		}
	}}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return o, context.Cause(ctx)
	case err != nil && !errors.As(err, &exit):
		return o, fmt.Errorf("run %s: %w", words[0], err)
	case code < 0:
		return o, fmt.Errorf("%s was ended: %s", words[0], cmd.ProcessState)
	}
	o.seen = map[string]any{
		"exit_code": code, "stdout": string(stdout.bytes()), "stderr": string(stderr.bytes()), "latency": latency,
	}
	if st.run.junit == "" {
		return o, nil
	}
	if o.checks, o.problems, err = x.junit(st); err != nil {
		return o, fmt.Errorf("results in %s: %w", st.run.junit, err)
	}
	return o, nil
}

func (x *execution) commandLine(c *command, values map[string]any) (words, env []string, err error) {
	for _, w := range c.words {
		text, err := w.string(values)
		if err != nil {
			return nil, nil, fmt.Errorf("run: %w", err)
		}
		words = append(words, text)
	}
	r := x.o.Release
	for name, v := range map[string]string{
		"PATH": x.o.Getenv("PATH"), "HOME": x.o.Getenv("HOME"), "BASE_URL": x.o.BaseURL, "GREENGATE_SERVICE": r.Service,
		"GREENGATE_VERSION": r.Version, "GREENGATE_TASK_SET": r.TaskSet, "GREENGATE_DEPLOYMENT_ID": r.Deployment,
	} {
		if v != "" {
			env = append(env, name+"="+v)
		}
	}
	for _, f := range c.env {
		v, err := f.value.string(values)
		if err != nil {
			return nil, nil, fmt.Errorf("run: env %s: %w", f.name, err)
		}
		if strings.ContainsRune(v, 0) {
			return nil, nil, fmt.Errorf("run: env %s holds a NUL character", f.name)
		}
		env = append(env, f.name+"="+v)
	}
	return words, env, nil
}

func (x *execution) junitFile(c *command) string {
	if filepath.IsAbs(c.junit) {
		return c.junit
	}
	return filepath.Join(c.dir, c.junit)
}

func (x *execution) junit(st *step) (passed, failed []Assertion, err error) {
	content, err := readBounded(x.junitFile(st.run))
	if err != nil {
		return nil, nil, err
	}
	err = ReadJUnit(bytes.NewReader(content), func(c JUnitCase) {
		a := Assertion{Expression: x.mask.text(c.Name), Verdict: Pass, File: st.file, Line: st.at.line, Column: st.at.column}
		switch c.Status {
		case JUnitPassed:
			passed = append(passed, a)
		case JUnitFailed, JUnitErrored:
			a.Verdict, a.Message = Fail, cmp.Or(c.Message, "the case failed")
			failed = append(failed, a)
		case JUnitSkipped:
		}
	})
	if err != nil {
		return nil, nil, err
	}
	if len(passed)+len(failed) == 0 {
		return nil, nil, errors.New("every case was skipped, so nothing was tested")
	}
	return passed, failed, nil
}

// tail keeps the last bytes of an output.
type tail struct{ content []byte }

const maxOutput = 1 << 20

func (t *tail) Write(p []byte) (int, error) {
	t.content = append(t.content, p...)
	if len(t.content) > 2*maxOutput {
		t.content = append(t.content[:0], t.content[len(t.content)-maxOutput:]...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte {
	if len(t.content) > maxOutput {
		return t.content[len(t.content)-maxOutput:]
	}
	return t.content
}
