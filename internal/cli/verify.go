package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"greengate/internal/scenario"
)

// verifyOptions are the flags of verify.
type verifyOptions struct {
	baseURL, allow   string
	compareURL       string
	vars, tags       []string
	release          []string
	parallel, repeat int
	junit, html      string
	summary          string
	job, cleanupJob  string
	checkpoints      string
	resume           string
}

func (a *app) verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := a.command(spec{
		use: "verify FILE...", group: groupService, short: "Run scenarios against an address",
		long: `Runs scenario files: end-to-end checks that are the same here, in CI, and as hooks of a deployment. Exit codes: 0 all
have passed, 4 an assertion was false, 5 it could not be told, 2 a file is wrong. Only a pass is a pass: a key that is
not known, a field that is not there, a step that was not run, an empty list are none.

Secrets come from the environment or from files, as the scenario says; no result holds one.`,
		example: `  greengate verify shop.yaml --base-url http://127.0.0.1:8081
  greengate verify checks/*.yaml --base-url http://127.0.0.1:8081 --release version=v2 --junit results.xml
  greengate verify schema > scenario.schema.json`,
		args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && o.job+o.cleanupJob+o.resume == "" {
				return errors.New("name the scenario files")
			}
			if len(args) > 0 && o.resume != "" {
				return errors.New("--resume-cleanup takes no scenario files: the folder holds what it needs")
			}
			return nil
		},
		run: func(ctx context.Context, args []string) error {
			switch {
			case o.job != "":
				return a.verifyJob(ctx, o.job, scenario.RunJob)
			case o.cleanupJob != "":
				return a.verifyJob(ctx, o.cleanupJob, scenario.RunCleanup)
			case o.resume != "":
				return a.resumeCleanup(ctx, o.resume)
			}
			return a.verify(ctx, args, o)
		},
	})
	f := cmd.Flags()
	f.StringVar(&o.baseURL, "base-url", "", "URL that the paths of requests are below")
	f.StringVar(&o.compareURL, "compare-url", "", "URL at which the old version answers, for scenarios with compare: blue")
	f.StringArrayVar(&o.vars, "var", nil, "NAME=VALUE of one of the scenario's vars; repeat for more")
	f.StringArrayVar(&o.tags, "tag", nil, "run only scenarios with this tag; repeat for any of several")
	f.StringArrayVar(&o.release, "release", nil, "what is known of the release under test: version=, revision=, service=, task_set=")
	f.StringVar(&o.allow, "allow", string(scenario.EffectWrite), "strongest effect of a step: read, write-and-clean or write")
	f.IntVar(&o.parallel, "parallel", 1, "how many scenarios run at the same time")
	f.IntVar(&o.repeat, "repeat", 1, "how often each scenario runs")
	f.StringVar(&o.junit, "junit", "", "file that gets the results as JUnit XML")
	f.StringVar(&o.html, "html", "", "file that gets the results as one HTML page")
	f.StringVar(&o.summary, "summary", "", "file that gets the results as Markdown (default: added to $GITHUB_STEP_SUMMARY where that is set)")
	f.StringVar(&o.job, "hook", "", "job of a scenario hook")
	f.StringVar(&o.cleanupJob, "hook-cleanup", "", "job of a scenario hook that was killed")
	f.StringVar(&o.checkpoints, "checkpoints", "", "folder that keeps what cleanup needs while scenarios run, so that a killed run can be cleaned up")
	f.StringVar(&o.resume, "resume-cleanup", "", "run only the cleanup of the runs that were killed and left a checkpoint in this folder")
	_, _ = f.MarkHidden("hook"), f.MarkHidden("hook-cleanup") // the flags are there
	cmd.AddCommand(a.verifySchemaCommand())
	return cmd
}

func (a *app) verifySchemaCommand() *cobra.Command {
	return a.command(spec{
		use: "schema", short: "Print the JSON Schema of scenario files",
		long:    "Prints the JSON Schema of scenario files, for editors: # yaml-language-server: $schema=FILE in the first line.",
		example: "  greengate verify schema > scenario.schema.json",
		args:    cobra.NoArgs,
		run: func(context.Context, []string) error {
			_, err := a.env.Stdout.Write(scenario.Schema())
			return err
		},
	})
}

// jobRunner is scenario.RunJob, or what runs after it was killed.
type jobRunner func(ctx context.Context, path string, getenv func(string) string, out io.Writer) (scenario.Result, error)

// verifyJob runs a scenario hook; its result goes where the job says.
func (a *app) verifyJob(ctx context.Context, path string, run jobRunner) error {
	r, err := run(ctx, path, a.env.Getenv, a.env.Stdout)
	if err != nil {
		return &exitError{ExitFailed, err}
	}
	return exitWith(verifyCode(r.Verdict))
}

func verifyCode(v scenario.Verdict) int {
	switch v {
	case scenario.Pass:
		return ExitDone
	case scenario.Fail:
		return ExitFailedSafe
	case scenario.Error, scenario.Skipped:
	}
	return ExitFailed
}

func (a *app) verify(ctx context.Context, files []string, o verifyOptions) error {
	base, err := o.options()
	if err != nil {
		return err
	}
	base.Getenv = a.env.Getenv
	all, err := loadScenarios(files)
	if err != nil {
		return err
	}
	if o.compareURL != "" && !slices.ContainsFunc(all, (*scenario.Scenario).Compares) {
		return usagef("--compare-url: no scenario compares with the old version (compare: blue)")
	}
	vars, err := o.variables(all)
	if err != nil {
		return err
	}
	if o.checkpoints != "" {
		if err := os.MkdirAll(o.checkpoints, 0o700); err != nil {
			return fmt.Errorf("make folder of checkpoints: %w", err)
		}
	}
	if len(o.tags) > 0 {
		all = slices.DeleteFunc(all, func(s *scenario.Scenario) bool {
			return !slices.ContainsFunc(s.Tags, func(t string) bool { return slices.Contains(o.tags, t) })
		})
	}
	v := &verification{app: a, o: o, base: base, vars: vars}
	summary := scenario.Summarize(v.run(ctx, all))
	if err := errors.Join(
		writeReport(o.junit, summary, scenario.WriteJUnit), writeReport(o.html, summary, scenario.WriteHTML), a.writeSummary(o.summary, summary),
	); err != nil {
		return err
	}
	if a.json {
		if err := a.out().json(summary); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		return &exitError{ExitFailed, fmt.Errorf("no scenario has the tag %s, so nothing was checked", strings.Join(o.tags, " or "))}
	}
	return exitWith(verifyCode(summary.Verdict))
}

func loadScenarios(files []string) ([]*scenario.Scenario, error) {
	var all []*scenario.Scenario
	var bad []error
	faults := 0
	for _, f := range files {
		s, err := scenario.Load(f)
		if fe, ok := errors.AsType[*scenario.FileError](err); ok {
			faults += len(fe.Faults)
		}
		if err != nil {
			bad = append(bad, err)
			continue
		}
		all = append(all, s)
	}
	switch {
	case faults > 0:
		return nil, usagef("the scenarios have %s\n%w", plural(faults, "fault"), errors.Join(bad...))
	case len(bad) > 0:
		return nil, usage(errors.Join(bad...))
	}
	return all, nil
}

// options are those that all runs share.
func (o verifyOptions) options() (scenario.Options, error) {
	opts := scenario.Options{BaseURL: o.baseURL, CompareURL: o.compareURL, Allow: scenario.Effect(o.allow), Where: "by --allow"}
	if !slices.Contains(scenario.Effects(), opts.Allow) {
		return opts, usagef("--allow is read, write-and-clean or write, not %q", o.allow)
	}
	if o.parallel < 1 || o.repeat < 1 {
		return opts, usagef("--parallel and --repeat are at least 1")
	}
	r := &opts.Release
	for _, pair := range o.release {
		name, value, ok := strings.Cut(pair, "=")
		to := map[string]*string{
			"version": &r.Version, "revision": &r.Revision, "service": &r.Service, "task_set": &r.TaskSet, "deployment": &r.Deployment,
		}[name]
		if !ok || to == nil || value == "" {
			return opts, usagef("--release is version=, revision=, service=, task_set= or deployment= with a value, not %q", pair)
		}
		*to = value
	}
	return opts, nil
}

// variables reads --var. A name that no scenario has is a mistake.
func (o verifyOptions) variables(all []*scenario.Scenario) (map[string]string, error) {
	vars := map[string]string{}
	for _, pair := range o.vars {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usagef("--var is NAME=VALUE, not %q", pair)
		}
		if !slices.ContainsFunc(all, func(s *scenario.Scenario) bool { return slices.Contains(s.Vars(), name) }) {
			return nil, usagef("--var %s: no scenario has that var", name)
		}
		vars[name] = value
	}
	return vars, nil
}

func writeReport(path string, s scenario.Summary, write func(io.Writer, scenario.Summary) error) error {
	if path == "" {
		return nil
	}
	var b bytes.Buffer
	if err := write(&b, s); err != nil {
		return err
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// writeSummary writes the page of a CI job. That of GitHub Actions may have been begun by others in the same step: it is added to.
func (a *app) writeSummary(path string, s scenario.Summary) error {
	if path != "" {
		return writeReport(path, s, scenario.WriteMarkdown)
	}
	if path = a.env.Getenv("GITHUB_STEP_SUMMARY"); path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the runner of the job names it
	if err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	if err := errors.Join(scenario.WriteMarkdown(f, s), f.Close()); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

// verification runs scenarios and tells of them. Where several run at the same time, each is told of at its end.
type verification struct {
	app  *app
	o    verifyOptions
	base scenario.Options
	vars map[string]string
	mu   sync.Mutex
}

func (v *verification) run(ctx context.Context, all []*scenario.Scenario) []scenario.Result {
	results := make([]scenario.Result, len(all)*v.o.repeat)
	slots := make(chan struct{}, v.o.parallel)
	var wg sync.WaitGroup
	for i := range results {
		slots <- struct{}{}
		wg.Go(func() {
			results[i] = v.one(ctx, all[i/v.o.repeat])
			<-slots
		})
	}
	wg.Wait()
	return results
}

// one runs a scenario once and prints what becomes of it.
func (v *verification) one(ctx context.Context, s *scenario.Scenario) scenario.Result {
	opts := v.base
	opts.Vars = map[string]string{}
	for _, name := range s.Vars() {
		if value, ok := v.vars[name]; ok {
			opts.Vars[name] = value
		}
	}
	if v.o.checkpoints != "" {
		opts.Checkpoint = filepath.Join(v.o.checkpoints, checkpointName(s))
	}
	out, colour := v.app.env.Stdout, v.app.colourful()
	if v.app.json {
		out = io.Discard
	}
	var told bytes.Buffer
	live := v.o.parallel == 1 && v.o.repeat == 1
	opts.Progress = func(st scenario.StepResult) {
		switch {
		case st.Verdict == scenario.Pass && (v.app.quiet || v.o.repeat > 1):
		case live:
			_ = scenario.WriteStep(out, st, colour) // the verdict stands whoever reads it
		default:
			_ = scenario.WriteStep(&told, st, colour)
		}
	}
	r := s.Run(ctx, opts)
	v.mu.Lock()
	defer v.mu.Unlock()
	_, _ = out.Write(told.Bytes())
	_ = scenario.WriteVerdict(out, r, colour)
	return r
}
