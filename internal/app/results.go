package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/hook"
	"greengate/internal/runner"
)

const (
	// resultsLeft is how long a file is kept that a writer may have left half written.
	resultsLeft = time.Hour
	// checkpointsLeft is how long the checkpoint of a scenario is kept whose cleanup did not come about before its deployment ended.
	checkpointsLeft = 24 * time.Hour
)

// sweepResults removes what hooks of deployments that have ended left in the results folder: what counts of it stands in their
// verdicts, and jobs may hold secrets. Each file is judged by itself, so it does not matter where a crash ends a round.
func (j *janitor) sweepResults(ctx context.Context, units []runner.Status, ended func(deployment string) bool) {
	entries, err := os.ReadDir(j.results)
	if err != nil {
		j.log.WarnContext(ctx, "look at results of hooks", "err", err)
		return
	}
	busy := busyHooks(entries, units)
	for _, e := range entries {
		id, of := hook.ResultOf(e.Name())
		deployment, _, _ := strings.Cut(id, "/")
		switch {
		case !of && (!strings.HasPrefix(e.Name(), ".") || younger(e, resultsLeft)): // not ours, or being written
		case of && (busy[id] || !ended(deployment)):
		default:
			j.removeResult(ctx, e.Name(), id)
		}
	}
}

// busyHooks are those that run, or whose checkpoint is kept, by their effects.
func busyHooks(entries []fs.DirEntry, units []runner.Status) map[string]bool {
	busy, running := map[string]bool{}, map[string]bool{}
	for _, u := range units {
		if !u.State.Ended() {
			running[strings.TrimSuffix(u.ID, hook.CleanupSuffix)] = true
		}
	}
	for _, e := range entries {
		id, of := hook.ResultOf(e.Name())
		if of && (running[hook.UnitID(id)] || hook.IsCheckpoint(e.Name()) && younger(e, checkpointsLeft)) {
			busy[id] = true
		}
	}
	return busy
}

func (j *janitor) removeResult(ctx context.Context, name, hookID string) {
	if hookID != "" && hook.IsCheckpoint(name) {
		j.log.WarnContext(ctx, "the cleanup of a scenario that was killed has never run", "hook", hookID)
	}
	if err := os.Remove(filepath.Join(j.results, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		j.log.WarnContext(ctx, "remove result of hook", "file", name, "err", err)
	}
}

// younger reports whether a file was changed within the time; one that is gone was.
func younger(e fs.DirEntry, d time.Duration) bool {
	info, err := e.Info()
	return err != nil || time.Since(info.ModTime()) < d
}

// endedDeployments answers, once a round, whether deployments have ended or are not known any more. What cannot be read has not.
func (j *janitor) endedDeployments(ctx context.Context) func(id string) bool {
	known := map[string]bool{}
	return func(id string) bool {
		ended, ok := known[id]
		if !ok {
			d, err := j.db.Deployment(ctx, id)
			ended = errors.Is(err, &deploy.Error{Code: deploy.CodeNotFound}) || (err == nil && d.Phase.Terminal())
			known[id] = ended
		}
		return ended
	}
}
