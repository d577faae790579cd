package logs_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/awsapitest"
	"greengate/internal/awsapi/logs"
	shape "greengate/internal/awsapi/shapes/logs"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/logstore"
)

// functions are the logs of functions, in memory.
type functions struct {
	mu  sync.Mutex
	log map[string]map[string][]logs.Event
}

func (f *functions) Logged(context.Context) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for name, streams := range f.log {
		if len(streams) > 0 {
			names = append(names, name)
		}
	}
	return names, nil
}

func (f *functions) Streams(_ context.Context, function string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for name := range f.log[function] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (f *functions) Read(_ context.Context, function, stream string, since int64) ([]logs.Event, int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.log[function][stream]
	since = min(since, int64(len(all)))
	return slices.Clone(all[since:]), int64(len(all)), nil
}

func (f *functions) Delete(_ context.Context, function, stream string, _ time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if stream == "" {
		delete(f.log, function)
	}
	delete(f.log[function], stream)
	return nil
}

// store keeps what clients write, for real.
type store struct{ *logstore.Store }

func worded(err error) error {
	switch {
	case errors.Is(err, logstore.ErrNotFound):
		return logs.ErrNoStream
	case errors.Is(err, logstore.ErrExists):
		return logs.ErrStreamExists
	}
	return err
}

func (s store) Create(group, stream string, at time.Time) error {
	return worded(s.Store.Create(group, logstore.Stream{Name: stream, Created: at}))
}

func (s store) Streams(group string) ([]logs.Stream, error) {
	list, err := s.Store.Streams(group)
	var out []logs.Stream
	for _, v := range list {
		st := logs.Stream{Name: v.Name, Created: v.Created.UnixMilli(), Bytes: v.Bytes}
		if v.First != nil {
			st.First, st.Last, st.Arrived = v.First.Timestamp, v.Last.Timestamp, v.Last.Ingested
		}
		out = append(out, st)
	}
	return out, err
}

func (s store) Append(group, stream string, events []logs.Event) (int64, error) {
	var list []logstore.Event
	for _, e := range events {
		list = append(list, logstore.Event{Timestamp: e.Timestamp, Ingested: e.Ingested, Message: e.Message})
	}
	end, err := s.Store.Append(group, stream, list)
	return end, worded(err)
}

func (s store) Read(group, stream string, since int64) ([]logs.Event, int64, error) {
	list, next, err := s.Store.Read(group, stream, since)
	var out []logs.Event
	for _, e := range list {
		out = append(out, logs.Event{Pos: e.Pos, Timestamp: e.Timestamp, Ingested: e.Ingested, Message: e.Message})
	}
	return out, next, worded(err)
}

func newService(t *testing.T, now func() time.Time) *logs.Service {
	t.Helper()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Update(t.Context(), func(d *cloud.Draft) error {
		d.Put(cloud.Function{Name: "hook", Latest: cloud.FunctionVersion{Modified: time.Now()}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour).UnixMilli()
	f := &functions{log: map[string]map[string][]logs.Event{
		"hook": {"2026/11/27/[$LATEST]0": {{Pos: 0, Timestamp: at, Message: "START\n"}, {Pos: 1, Timestamp: at + 1, Message: "got v3, want v9\n"}}},
		"gone": {"2026/11/26/[$LATEST]1": {{Pos: 0, Timestamp: at, Message: "left behind\n"}}},
	}}
	return logs.New(logs.Config{
		Region: awsapitest.Region, AccountID: awsapitest.AccountID, Resources: c, Functions: f, Store: store{logstore.New(t.TempDir())}, Now: now,
	})
}

func TestBoto3(t *testing.T) {
	t.Parallel()
	srv := awsapitest.Start(t, map[string]awsapi.Handlers{"logs": newService(t, time.Now).Handlers()}, nil)
	srv.Python(t, "testdata/logs.py")
}

// Events that become older than the retention of their group are not there any more.
func TestRetention(t *testing.T) {
	t.Parallel()
	var later atomic.Int64 // a duration: the service reads its clock in goroutines of its own
	s := newService(t, func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
	srv := awsapitest.Start(t, map[string]awsapi.Handlers{"logs": s.Handlers()}, nil)
	srv.Python(t, "testdata/retention.py", "put")
	later.Store(int64(48 * time.Hour))
	if out := srv.Python(t, "testdata/retention.py", "get"); strings.TrimSpace(out) != "0 0" {
		t.Errorf("after two days: %q", out)
	}
}

// Every operation of the model is served.
func TestHandlers_areTheModel(t *testing.T) {
	t.Parallel()
	h := newService(t, time.Now).Handlers()
	for _, op := range shape.Model().Operations {
		if _, ok := h[op.Name]; !ok {
			t.Errorf("%s is not served", op.Name)
		}
	}
}
