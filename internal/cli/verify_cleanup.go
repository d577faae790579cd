package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"greengate/internal/scenario"
)

const checkpointSuffix = ".checkpoint"

// checkpointName is the name of the checkpoint of one run.
func checkpointName(s *scenario.Scenario) string {
	return strings.TrimSuffix(filepath.Base(s.File), filepath.Ext(s.File)) + "-" + rand.Text()[:12] + checkpointSuffix
}

// resumeCleanup runs the cleanup of every run that was killed and left its checkpoint in a folder. It is a success when all of
// it passed; runs that go on are left alone.
func (a *app) resumeCleanup(ctx context.Context, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"+checkpointSuffix))
	if err != nil {
		return fmt.Errorf("look for checkpoints: %w", err)
	}
	results, bad := []scenario.Result{}, false
	p := a.out()
	for _, file := range files {
		tell := func(st scenario.StepResult) {
			if !a.json {
				_ = scenario.WriteStep(a.env.Stdout, st, a.colourful()) // who reads it is not part of the outcome
			}
		}
		r, err := scenario.CleanUp(ctx, file, a.env.Getenv, tell)
		switch {
		case errors.Is(err, scenario.ErrRuns):
			continue
		case err != nil:
			r.Verdict, r.Message = scenario.Error, "its cleanup could not begin: "+err.Error()
			bad = true
		}
		for _, st := range r.Steps {
			bad = bad || st.Verdict == scenario.Fail || st.Verdict == scenario.Error
		}
		results = append(results, r)
		if !a.json {
			p.line("%s: %s", clean(filepath.Base(file)), clean(r.Message))
		}
	}
	if a.json {
		if err := p.json(scenario.Summarize(results)); err != nil {
			return err
		}
	} else if len(results) == 0 {
		p.line("nothing is to be cleaned up in %s", clean(dir))
	}
	if bad {
		return exitWith(ExitFailed)
	}
	return nil
}
