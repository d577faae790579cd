package shadow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"greengate/internal/proxy"
	"greengate/internal/scenario"
)

// Source is the data plane that copies; *proxy.Client is one.
type Source interface {
	Shadow(ctx context.Context, id string, spec proxy.ShadowSpec) (proxy.ShadowBatch, error)
	EndShadow(ctx context.Context, id string) error
}

const (
	// lease ends copying where this program is killed.
	lease = 5 * time.Second
	poll  = 200 * time.Millisecond
	// patience is how long copies that are on their way at the end are waited for.
	patience = 30 * time.Second
	// enough differences to show end a comparison that tolerates none.
	enough = 10
)

// Run compares until the job's time is over and leaves the result where the job says. An error says that there is none.
func Run(ctx context.Context, j Job, from Source, out io.Writer) (scenario.Result, error) {
	t, err := newTally(j)
	if err != nil {
		return scenario.Result{}, err
	}
	begin := time.Now()
	var fault error
	if !j.First {
		fault = t.follow(ctx, from)
	}
	r := t.result(fault)
	r.Start, r.Seconds = begin, time.Since(begin).Seconds()
	for _, s := range r.Steps {
		_ = scenario.WriteStep(out, s, false) // who reads the log is not part of the outcome
	}
	_, _ = fmt.Fprintf(out, "%s: %s\n", r.Verdict, r.Message)
	return r, scenario.WriteFile(j.Result, r)
}

// follow takes pairs until the time is over, then waits for the copies that are on their way. An error says why there can be
// no verdict.
func (t *tally) follow(ctx context.Context, from Source) (fault error) {
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease)
		defer cancel()
		_ = from.EndShadow(end, t.job.ID) // its lease ends it otherwise
	}()
	headers := append([]string{"Content-Type", "Content-Encoding"}, t.job.Headers...)
	spec := proxy.ShadowSpec{From: t.job.Blue, To: t.job.Green, Percent: t.job.Percent, Headers: headers, Lease: lease}
	over := time.Now().Add(t.job.For)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		b, err := from.Shadow(ctx, t.job.ID, spec)
		if err == nil {
			t.batch(b)
		}
		fault = err
		now := time.Now()
		ended := now.After(over) || (t.job.MaxDiffering == 0 && t.differing >= enough)
		switch {
		case ended && (err != nil || b.InFlight == 0 || now.After(over.Add(patience))) && spec.Percent == 0:
			return fault
		case ended:
			spec.Percent = 0
		}
		select {
		case <-ctx.Done():
			return errors.New("it was ended before its time was over")
		case <-tick.C:
		}
	}
}
