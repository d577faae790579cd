package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/store"
	"greengate/internal/store/storetest"
)

// fill stores ten deployments d-0 to d-9, a minute apart. Even ones are of group "even" and end, so
// that the next may begin; odd ones are of groups of their own and stay active. d-4 is a rollback.
func fill(t *testing.T, db *store.DB) {
	t.Helper()
	for i := range 10 {
		group := "even"
		if i%2 == 1 {
			group = fmt.Sprintf("odd-%d", i)
		}
		d := storetest.New(fmt.Sprintf("d-%d", i), group)
		d.CreatedAt = storetest.Start().Add(time.Duration(i) * time.Minute)
		if i == 4 {
			d.Kind = deploy.KindRollback
		}
		if i >= 8 {
			d.Plan.Application, d.Plan.Service = "blog", "blog"
		}
		if err := db.Create(t.Context(), d, storetest.Event("begin")); err != nil {
			t.Fatalf("create: %v", err)
		}
		if i%2 == 1 {
			continue
		}
		end := storetest.Next(d, []deploy.Phase{deploy.PhaseSucceeded, deploy.PhaseFailed}[i/2%2])
		if err := db.Commit(t.Context(), deploy.Commit{Deployment: end}); err != nil {
			t.Fatalf("commit: %v", err)
		}
	}
}

func TestList(t *testing.T) {
	db := open(t, t.TempDir())
	fill(t, db)
	minute := func(i int) time.Time { return storetest.Start().Add(time.Duration(i) * time.Minute) }
	for name, c := range map[string]struct {
		filter store.Filter
		want   string
	}{
		"all":               {store.Filter{}, "9876543210"},
		"service":           {store.Filter{Service: "blog"}, "98"},
		"application":       {store.Filter{Application: "shop"}, "76543210"},
		"group":             {store.Filter{Application: "shop", Group: "even"}, "6420"},
		"kind":              {store.Filter{Kind: deploy.KindRollback}, "4"},
		"one status":        {store.Filter{Statuses: []deploy.Status{deploy.StatusSucceeded}}, "840"},
		"two statuses":      {store.Filter{Statuses: []deploy.Status{deploy.StatusSucceeded, deploy.StatusFailed}}, "86420"},
		"from is included":  {store.Filter{CreatedFrom: minute(7)}, "987"},
		"to is not":         {store.Filter{CreatedTo: minute(2)}, "10"},
		"between":           {store.Filter{CreatedFrom: minute(3).Add(time.Nanosecond), CreatedTo: minute(5).Add(time.Nanosecond)}, "54"},
		"other time zone":   {store.Filter{CreatedFrom: minute(7).In(time.FixedZone("", 3600))}, "987"},
		"first page":        {store.Filter{Limit: 3}, "987"},
		"next page":         {store.Filter{Limit: 3, After: "d-7"}, "654"},
		"last page":         {store.Filter{Limit: 3, After: "d-2"}, "10"},
		"page of a filter":  {store.Filter{Group: "even", Limit: 2, After: "d-5"}, "42"},
		"page before":       {store.Filter{Limit: 3, Before: "d-4"}, "765"},
		"before the newest": {store.Filter{Before: "d-9"}, ""},
		"after the oldest":  {store.Filter{After: "d-0"}, ""},
		"everything at once": {store.Filter{
			Service: "shop", Application: "shop", Group: "even", Kind: deploy.KindDeploy, Statuses: []deploy.Status{deploy.StatusFailed},
			CreatedFrom: minute(1), CreatedTo: minute(9), Limit: 5, After: "d-9",
		}, "62"},
		"nothing": {store.Filter{Service: "' OR TRUE --"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := db.List(t.Context(), c.filter)
			if err != nil {
				t.Fatalf("list: %v", err)
			}
			var got strings.Builder
			for _, d := range list {
				got.WriteString(strings.TrimPrefix(d.ID, "d-"))
			}
			if got.String() != c.want {
				t.Errorf("got %q, want %q", got.String(), c.want)
			}
		})
	}
	for field, f := range map[string]store.Filter{"After": {After: "d-x"}, "Before": {Before: "d-x"}} {
		_, err := db.List(t.Context(), f)
		var fault *deploy.Error
		if !errors.As(err, &fault) || fault.Code != deploy.CodeInvalid || fault.Field != field {
			t.Errorf("unknown cursor in %s: got %v", field, err)
		}
	}
	if _, err := db.List(t.Context(), store.Filter{After: "d-1", Before: "d-2"}); !errors.Is(err, &deploy.Error{Code: deploy.CodeInvalid}) {
		t.Errorf("two cursors: got %v, want CodeInvalid", err)
	}
}

func TestList_limits(t *testing.T) {
	db := open(t, t.TempDir())
	for i := range 130 {
		id := fmt.Sprintf("d-%d", i)
		if err := db.Create(t.Context(), storetest.New(id, id), storetest.Event("begin")); err != nil {
			t.Fatalf("create: %v", err)
		}
	}
	for limit, want := range map[int]int{0: 100, -1: 100, 7: 7, 5000: 130} {
		list, err := db.List(t.Context(), store.Filter{Limit: limit})
		if err != nil || len(list) != want {
			t.Errorf("limit %d gives %d, %v; want %d", limit, len(list), err, want)
		}
	}
}

func TestDeployment(t *testing.T) {
	db := open(t, t.TempDir())
	d := storetest.New("d-1", "g")
	if err := db.Create(t.Context(), d, storetest.Event("begin")); err != nil {
		t.Fatalf("create: %v", err)
	}
	next := storetest.Next(d, deploy.PhaseInstall)
	if err := db.Commit(t.Context(), deploy.Commit{Deployment: next}); err != nil {
		t.Fatalf("commit: %v", err)
	}
	got, err := db.Deployment(t.Context(), "d-1")
	if err != nil || got.Revno != 1 || got.Phase != deploy.PhaseInstall || got.Plan.Group != "g" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = db.Deployment(t.Context(), "d-2")
	if !errors.Is(err, &deploy.Error{Code: deploy.CodeNotFound}) {
		t.Errorf("unknown deployment: got %v, want CodeNotFound", err)
	}
}

// commitRecords stores one revision more with records of these messages.
func commitRecords(t *testing.T, db *store.DB, d deploy.Deployment, messages ...string) deploy.Deployment {
	t.Helper()
	next := storetest.Next(d, deploy.PhaseInstall)
	c := deploy.Commit{Deployment: next}
	for _, m := range messages {
		c.Records = append(c.Records, deploy.Record{
			At: storetest.Start(), Kind: deploy.RecordPhase, Phase: deploy.PhaseInstall, Reason: deploy.ReasonAdvanced, Message: m,
		})
	}
	if err := db.Commit(t.Context(), c); err != nil {
		t.Fatalf("commit: %v", err)
	}
	return next
}

func TestRecords(t *testing.T) {
	db := open(t, t.TempDir())
	one, two := storetest.New("d-1", "g"), storetest.New("d-2", "h")
	for _, d := range []deploy.Deployment{one, two} {
		if err := db.Create(t.Context(), d, storetest.Event("begin")); err != nil {
			t.Fatalf("create: %v", err)
		}
	}
	one = commitRecords(t, db, one, "a", "b")
	commitRecords(t, db, two, "c")
	one = commitRecords(t, db, one)
	commitRecords(t, db, one, "d")

	all, err := db.Records(t.Context(), "", 0, 0)
	if err != nil || len(all) != 4 {
		t.Fatalf("all: %v, %v", all, err)
	}
	want := deploy.Record{At: storetest.Start(), Kind: deploy.RecordPhase, Phase: deploy.PhaseInstall, Reason: deploy.ReasonAdvanced, Message: "c"}
	if all[2].Deployment != "d-2" || all[2].Record != want {
		t.Errorf("third record: got %+v, want %+v of d-2", all[2], want)
	}
	for name, c := range map[string]struct {
		id    string
		after int64
		limit int
		want  string
	}{
		"all":                     {"", 0, 0, "abcd"},
		"one deployment":          {"d-1", 0, 0, "abd"},
		"after":                   {"", all[1].Seq, 0, "cd"},
		"after, one deployment":   {"d-1", all[0].Seq, 0, "bd"},
		"limit":                   {"", 0, 3, "abc"},
		"after the last":          {"", all[3].Seq, 0, ""},
		"unknown deployment":      {"d-3", 0, 0, ""},
		"after a record of other": {"d-1", all[2].Seq, 1, "d"},
	} {
		got, err := db.Records(t.Context(), c.id, c.after, c.limit)
		var text strings.Builder
		for _, r := range got {
			text.WriteString(r.Message)
		}
		if err != nil || text.String() != c.want {
			t.Errorf("%s: got %q, %v; want %q", name, text.String(), err, c.want)
		}
	}
	if !slices.IsSortedFunc(all, func(a, b store.StoredRecord) int { return int(a.Seq - b.Seq) }) {
		t.Errorf("not in order: %v", all)
	}
}

// A follower that uses Wait sees every record once, however fast they are written.
func TestWait_missesNothing(t *testing.T) {
	db := open(t, t.TempDir())
	d := storetest.New("d-1", "g")
	if err := db.Create(t.Context(), d, storetest.Event("begin")); err != nil {
		t.Fatalf("create: %v", err)
	}
	const commits = 100
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	followed := make(chan error)
	for range 4 {
		go func() {
			followed <- func() error {
				var seen, after int64
				for seen < commits {
					records, err := db.Wait(ctx, "d-1", after, 3)
					if err != nil {
						return err
					}
					for _, r := range records {
						if seen++; r.Message != fmt.Sprint(seen) {
							return fmt.Errorf("saw record %q, want %d", r.Message, seen)
						}
						after = r.Seq
					}
				}
				return nil
			}()
		}()
	}
	for i := range commits {
		d = commitRecords(t, db, d, fmt.Sprint(i+1))
	}
	for range 4 {
		if err := <-followed; err != nil {
			t.Error(err)
		}
	}
}

func TestWait_endsWithItsContext(t *testing.T) {
	db := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error)
	go func() {
		_, err := db.Wait(ctx, "", 0, 0)
		waited <- err
	}()
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestChanged(t *testing.T) {
	db := open(t, t.TempDir())
	d := storetest.New("d-1", "g")
	told := func(name string, write func() error) {
		t.Helper()
		changed := db.Changed()
		if err := write(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		select {
		case <-changed:
		default:
			t.Errorf("%s told nobody", name)
		}
	}
	told("create", func() error { return db.Create(t.Context(), d, storetest.Event("begin")) })
	told("commit without records", func() error {
		return db.Commit(t.Context(), deploy.Commit{Deployment: storetest.Next(d, deploy.PhaseInstall)})
	})
	told("resource", func() error {
		_, err := db.PutResource(t.Context(), "service", "shop", 0, []byte(`{}`))
		return err
	})
	changed := db.Changed()
	if err := db.Commit(t.Context(), deploy.Commit{Deployment: d}); !errors.Is(err, deploy.ErrStale) {
		t.Fatalf("commit: got %v, want ErrStale", err)
	}
	select {
	case <-changed:
		t.Error("a refused commit told of a change")
	default:
	}
}
