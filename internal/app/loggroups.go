package app

import (
	"context"
	"errors"
	"time"

	wirelogs "greengate/internal/awsapi/logs"
	"greengate/internal/cloud"
	"greengate/internal/logstore"
	"greengate/internal/runner/sandbox"
)

// functionLogs are what functions wrote; it implements wirelogs.Functions.
type functionLogs struct{ functions *sandbox.Client }

// Logged implements wirelogs.Functions.
func (l functionLogs) Logged(ctx context.Context) ([]string, error) { return l.functions.Logged(ctx) }

// Streams implements wirelogs.Functions. A function that never ran has none.
func (l functionLogs) Streams(ctx context.Context, function string) ([]string, error) {
	names, err := l.functions.Streams(ctx, function)
	if errors.Is(err, sandbox.ErrNotFound) {
		return nil, nil
	}
	return names, err
}

// Read implements wirelogs.Functions. A stream that was deleted meanwhile has nothing.
func (l functionLogs) Read(ctx context.Context, function, stream string, since int64) ([]wirelogs.Event, int64, error) {
	page, err := l.functions.ReadLog(ctx, function, stream, since)
	if errors.Is(err, sandbox.ErrNotFound) {
		return nil, since, nil
	}
	if err != nil {
		return nil, since, err
	}
	events := make([]wirelogs.Event, len(page.Events))
	for i, e := range page.Events {
		events[i] = wirelogs.Event{Timestamp: e.Timestamp, Ingested: e.Timestamp, Message: e.Message}
		if i < len(page.Starts) {
			events[i].Pos = page.Starts[i]
		}
	}
	return events, page.Next, nil
}

// Delete implements wirelogs.Functions.
func (l functionLogs) Delete(ctx context.Context, function, stream string, before time.Time) error {
	return l.functions.DeleteLog(ctx, function, stream, before)
}

// groupLogs are what clients wrote; it implements wirelogs.Store.
type groupLogs struct{ store *logstore.Store }

func wordedLog(err error) error {
	switch {
	case errors.Is(err, logstore.ErrNotFound):
		return wirelogs.ErrNoStream
	case errors.Is(err, logstore.ErrExists):
		return wirelogs.ErrStreamExists
	case errors.Is(err, logstore.ErrFull):
		return wirelogs.ErrTooManyStreams
	}
	return err
}

// Create implements wirelogs.Store.
func (l groupLogs) Create(group, stream string, at time.Time) error {
	return wordedLog(l.store.Create(group, logstore.Stream{Name: stream, Created: at}))
}

// Streams implements wirelogs.Store.
func (l groupLogs) Streams(group string) ([]wirelogs.Stream, error) {
	list, err := l.store.Streams(group)
	out := make([]wirelogs.Stream, len(list))
	for i, v := range list {
		out[i] = wirelogs.Stream{Name: v.Name, Created: v.Created.UnixMilli(), Bytes: v.Bytes}
		if v.First != nil && v.Last != nil {
			out[i].First, out[i].Last, out[i].Arrived = v.First.Timestamp, v.Last.Timestamp, v.Last.Ingested
		}
	}
	return out, err
}

// Append implements wirelogs.Store.
func (l groupLogs) Append(group, stream string, events []wirelogs.Event) (int64, error) {
	list := make([]logstore.Event, len(events))
	for i, e := range events {
		list[i] = logstore.Event{Timestamp: e.Timestamp, Ingested: e.Ingested, Message: e.Message}
	}
	end, err := l.store.Append(group, stream, list)
	return end, wordedLog(err)
}

// Read implements wirelogs.Store.
func (l groupLogs) Read(group, stream string, since int64) ([]wirelogs.Event, int64, error) {
	list, next, err := l.store.Read(group, stream, since)
	events := make([]wirelogs.Event, len(list))
	for i, e := range list {
		events[i] = wirelogs.Event{Pos: e.Pos, Timestamp: e.Timestamp, Ingested: e.Ingested, Message: e.Message}
	}
	return events, next, wordedLog(err)
}

// Remove implements wirelogs.Store.
func (l groupLogs) Remove(group, stream string) error { return l.store.Remove(group, stream) }

// retentionPace is how often what is past the retention of its group is deleted, in minutes of the wire. Readers do not
// see it from the moment on.
const retentionPace = 10

// retain deletes what is past the retention of its group.
func (c *Controller) retain(ctx context.Context) error {
	ticker := time.NewTicker(retentionPace * c.opts.Minute)
	defer ticker.Stop()
	for {
		for _, g := range cloud.All[cloud.LogGroup](c.cloud.State()) {
			if g.Retention == 0 {
				continue
			}
			before := time.Now().AddDate(0, 0, -g.Retention)
			err := c.logGroups.Expire(g.Name, before)
			if f, ok := wirelogs.FunctionOf(g.Name); ok {
				err = errors.Join(err, c.functions.DeleteLog(ctx, f, "", before))
			}
			if err != nil && ctx.Err() == nil {
				c.opts.Log.WarnContext(ctx, "delete old log events", "group", g.Name, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
