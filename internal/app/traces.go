package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/store"
	"greengate/internal/tracing"
)

// tracer sends the trace of every deployment that ends. Like a receiver of notices it follows the stored history from a
// stored place, which moves on after a trace was taken or given up: no trace is lost with a controller, and one that is
// sent twice is the same.
type tracer struct {
	db   history
	keep cloud.Resources
	to   traceReceiver
	log  *slog.Logger
	// pause is between attempts at first, patience how long one trace is tried.
	pause, patience time.Duration
}

type traceReceiver interface {
	Export(ctx context.Context, d deploy.Deployment, records []deploy.Record) error
}

// tracesPlace names the place of traces among those of receivers, whose names are digests.
const tracesPlace = "traces"

// newTracer is nil where there are no traces: they are off, or the variables that say where they go cannot be read, which
// must not keep a controller from its work.
func newTracer(ctx context.Context, c *Controller) (*tracer, error) {
	if !c.opts.Traces {
		return nil, nil
	}
	to, err := tracing.New(ctx)
	if err != nil {
		c.opts.Log.ErrorContext(ctx, "there are no traces", "err", err)
		return nil, nil
	}
	t := &tracer{db: c.db, keep: resourcesOf(c.db, c.opts.Paths), to: to, log: c.opts.Log, pause: time.Second, patience: time.Hour}
	return t, t.begin(ctx)
}

// begin stores where traces begin, before any deployment goes on: with what ends from now on.
func (t *tracer) begin(ctx context.Context) error {
	known, err := places(ctx, t.keep)
	if err != nil {
		return err
	}
	if _, ok := known[tracesPlace]; ok {
		return nil
	}
	newest, err := newestRecord(ctx, t.db)
	if err != nil {
		return err
	}
	return move(ctx, t.keep, tracesPlace, &announced{}, newest)
}

func (t *tracer) run(ctx context.Context) error {
	if t == nil {
		return nil
	}
	for ctx.Err() == nil {
		err := t.follow(ctx) // it ends with an error only
		if ctx.Err() == nil {
			t.log.WarnContext(ctx, "follow history for traces", "err", err)
			wait(ctx, t.pause)
		}
	}
	return nil
}

// follow sends traces until something of ours fails. The place is stored at ends only: what is between two of them means
// nothing when it is read again.
func (t *tracer) follow(ctx context.Context) error {
	known, err := places(ctx, t.keep)
	if err != nil {
		return err
	}
	at := known[tracesPlace]
	for after := at.After; ; {
		records, err := t.db.Wait(ctx, "", after, announceBatch)
		if err != nil {
			return err
		}
		for _, r := range records {
			after = r.Seq
			if r.Kind != deploy.RecordEnd {
				continue
			}
			if err := t.send(ctx, r.Deployment); err != nil {
				return err
			}
			if err := move(ctx, t.keep, tracesPlace, &at, r.Seq); err != nil {
				return err
			}
		}
	}
}

// send sends the trace of a deployment. It gives up on one that is not taken, and says so.
func (t *tracer) send(ctx context.Context, id string) error {
	d, err := t.db.Deployment(ctx, id)
	if err != nil {
		return err
	}
	records, err := allRecords(ctx, t.db, id)
	if err != nil {
		return err
	}
	give := time.Now().Add(t.patience)
	for pause := t.pause; ; pause = min(2*pause, longestPause) {
		err := t.to.Export(ctx, d, records)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return errors.Join(ctx.Err(), err)
		case time.Now().After(give):
			t.log.ErrorContext(ctx, "a trace was dropped", "deployment", id, "err", err)
			return nil
		case pause == t.pause:
			t.log.WarnContext(ctx, "a trace is not taken and is sent again", "deployment", id, "err", err)
		}
		wait(ctx, pause)
	}
}

// allRecords is the whole history of a deployment.
func allRecords(ctx context.Context, db history, id string) ([]deploy.Record, error) {
	var all []deploy.Record
	for after := int64(0); ; {
		page, err := db.Records(ctx, id, after, 1000)
		if err != nil || len(page) == 0 {
			return all, err
		}
		for _, r := range page {
			all, after = append(all, r.Record), r.Seq
		}
	}
}

var _ history = (*store.DB)(nil)
