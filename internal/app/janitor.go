package app

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/runner"
	"greengate/internal/store"
	"greengate/internal/traffic/l7"
	"greengate/internal/workload/process"
)

// janitorPace is how often the janitor looks at what is to end.
const janitorPace = 250 * time.Millisecond

// janitor ends what was released, once it serves nothing any more, and forgets the units of hooks
// whose deployments have ended.
type janitor struct {
	db      *store.DB
	cloud   *cloud.Cloud
	router  *l7.Router
	runtime *process.Runtime
	runner  *runner.Client
	results string // folder
	log     *slog.Logger
}

func (j *janitor) run(ctx context.Context) error {
	ticker := time.NewTicker(janitorPace)
	defer ticker.Stop()
	for n := 0; ; n++ {
		for _, ts := range j.cloud.State().TaskSets {
			if ts.Released() {
				j.end(ctx, ts)
			}
		}
		if n%240 == 0 { // each minute
			j.forget(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// end stops a released task set when nothing is in flight, or its time has come.
func (j *janitor) end(ctx context.Context, ts cloud.TaskSet) {
	left, err := j.router.Drain(ctx, ts.ID, max(0, time.Until(ts.ReleaseBy)))
	if err == nil && left != (deploy.InFlight{}) && time.Now().Before(ts.ReleaseBy) {
		return
	}
	if err == nil {
		err = j.runtime.Stop(ctx, ts.ID)
	}
	if err != nil && ctx.Err() == nil {
		j.log.WarnContext(ctx, "end released task set", "task_set", ts.ID, "err", err)
	}
}

// forget drops the records of hook units whose deployment has ended. Until then they must stay: they
// are what makes a second start of the same hook do nothing.
func (j *janitor) forget(ctx context.Context) {
	units, err := j.runner.List(ctx, "")
	if err != nil {
		return // the runner is away; the next round finds them
	}
	ended := j.endedDeployments(ctx)
	j.sweepResults(ctx, units, ended)
	for _, u := range units {
		id, isHook := strings.CutPrefix(u.Group, "hook/")
		if !isHook || !u.State.Ended() || time.Since(u.EndedAt) < time.Hour {
			continue
		}
		if !ended(id) {
			continue
		}
		if err := j.runner.Forget(ctx, u.ID); err != nil {
			j.log.WarnContext(ctx, "forget hook", "unit", u.ID, "err", err)
		}
	}
}
