package cloud_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type world struct {
	*cloud.Cloud
	t     *testing.T
	store *cloudtest.Memory
}

// newWorld has a service with blue in production and green ready.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, store: &cloudtest.Memory{}}
	w.reopen()
	spec := deploy.Service{Name: "shop", Production: "127.0.0.1:80", Test: "127.0.0.1:81"}
	if created, err := w.Apply(t.Context(), spec, epoch); err != nil || !created {
		t.Fatalf("apply: %t %v", created, err)
	}
	for i, id := range []string{"blue", "green"} {
		w.must(w.Ensure(t.Context(), deploy.TaskSet{ID: id, Service: "shop", Tasks: 2}, epoch.Add(time.Duration(i)*time.Second)))
	}
	w.route(deploy.Route{Production: all("blue"), Test: "green", Ledger: "d-1"})
	return w
}

func (w *world) reopen() {
	w.t.Helper()
	c, err := cloud.Open(w.t.Context(), w.store)
	w.must(err)
	w.Cloud = c
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func all(set string) []deploy.RouteWeight { return []deploy.RouteWeight{{TaskSet: set, Weight: 100}} }

func (w *world) route(r deploy.Route) int64 {
	w.t.Helper()
	r.Service = "shop"
	n, err := w.Route(w.t.Context(), r)
	w.must(err)
	return n
}

// stored checks that a new process sees what this one sees.
func (w *world) stored() {
	w.t.Helper()
	other, err := cloud.Open(w.t.Context(), w.store)
	w.must(err)
	if diff := cmp.Diff(w.State(), other.State(), whole()...); diff != "" {
		w.t.Errorf("the state read from the store differs (-memory +store):\n%s", diff)
	}
}

func TestCloud_survivesItsProcess(t *testing.T) {
	w := newWorld(t)
	w.must(w.SetTargets(t.Context(), "blue", []cloud.Target{{ID: "blue/0", Address: "127.64.0.1:8080"}}))
	w.must(w.Release(t.Context(), "green", epoch))
	w.must(w.Started(t.Context(), "shop", "d-1"))
	w.stored()
	s := w.State()
	if p, ok := s.Primary("shop"); !ok || p.ID != "blue" || s.Weight("shop", "blue") != 100 || !s.Tests("shop", "green") {
		t.Errorf("primary %+v, weight %d, green tests %t", p, s.Weight("shop", "blue"), s.Tests("shop", "green"))
	}
	if sets := s.Sets("shop"); len(sets) != 2 || sets[0].ID != "blue" {
		t.Errorf("sets %+v", sets)
	}
}

// TestCloud_revision: it rises with every change, never repeats, and stays where nothing changes.
func TestCloud_revision(t *testing.T) {
	w := newWorld(t)
	last := w.State().Revision
	for name, change := range map[string]func() error{
		"release": func() error { return w.Release(t.Context(), "green", epoch) },
		"targets": func() error {
			return w.SetTargets(t.Context(), "blue", []cloud.Target{{ID: "a", Address: "127.0.0.1:1"}})
		},
		"scale": func() error {
			return w.Ensure(t.Context(), deploy.TaskSet{ID: "blue", Service: "shop", Tasks: 3}, epoch)
		},
		"edit": func() error { return w.Edit(t.Context(), "shop/production", all("green")) },
	} {
		for i, want := range []bool{true, false} {
			changed := w.Changed()
			w.must(change())
			now := w.State().Revision
			if now > last != want || now < last {
				t.Errorf("%s, time %d: revision %d after %d", name, i+1, now, last)
			}
			select {
			case <-changed:
				if !want {
					t.Errorf("%s, time %d: announced though nothing changed", name, i+1)
				}
			default:
				if want {
					t.Errorf("%s: not announced", name)
				}
			}
			last = now
		}
		w.stored()
	}
	w.reopen()
	if now := w.State().Revision; now != last {
		t.Errorf("revision %d after a restart, was %d", now, last)
	}
	w.must(w.Advance(t.Context(), last+100))
	if now := w.State().Revision; now <= last+100 {
		t.Errorf("revision %d, want more than the data plane has seen: %d", now, last+100)
	}
	w.stored()
	last = w.State().Revision
	w.must(w.Advance(t.Context(), 1))
	if now := w.State().Revision; now != last {
		t.Errorf("an older revision changed it from %d to %d", last, now)
	}
}

func TestCloud_route(t *testing.T) {
	w := newWorld(t)
	before := w.State().Revision
	if again := w.route(deploy.Route{Production: all("blue"), Test: "green", Ledger: "d-1"}); again != before {
		t.Errorf("the same route again is revision %d, was %d", again, before)
	}
	weights := []deploy.RouteWeight{{TaskSet: "blue", Weight: 90}, {TaskSet: "green", Weight: 10}}
	w.route(deploy.Route{Production: weights, Test: "blue", Ledger: "d-2"})
	weights[0].Weight = 1 // the caller's own memory
	l := w.State().Listeners["shop/production"]
	if l.Weights[0].Weight != 90 || l.Shifted[0].Weight != 90 || l.Ledger != "d-2" {
		t.Errorf("production listener %+v", l)
	}
	w.route(deploy.Route{})
	if s := w.State(); len(s.Listeners["shop/production"].Weights)+len(s.Listeners["shop/test"].Weights) != 0 {
		t.Errorf("listeners %+v", s.Listeners)
	}
	w.stored()
}

func TestCloud_routeRefuses(t *testing.T) {
	w := newWorld(t)
	before := w.State()
	for name, r := range map[string]deploy.Route{
		"an unknown service":                  {Service: "nobody", Production: all("blue")},
		"production on an unknown set":        {Service: "shop", Production: all("nobody"), Force: true},
		"the test listener on an unknown set": {Service: "shop", Production: all("blue"), Test: "nobody"},
	} {
		if _, err := w.Route(t.Context(), r); !errors.Is(err, &deploy.Error{Code: deploy.CodeNotFound}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, w.State(), whole()...); diff != "" {
		t.Errorf("a refused route changed something:\n%s", diff)
	}
}

func TestCloud_conflict(t *testing.T) {
	w := newWorld(t)
	w.must(w.Edit(t.Context(), "shop/production", all("green")))
	w.reopen() // a conflict is not forgotten with the process
	r := deploy.Route{Service: "shop", Production: all("blue"), Test: "green"}
	if _, err := w.Route(t.Context(), r); !errors.Is(err, deploy.ErrConflict) {
		t.Fatalf("route over an edit: %v, want a conflict", err)
	}
	if got := w.State().Weight("shop", "green"); got != 100 {
		t.Errorf("green has %d after the conflict", got)
	}
	r.Force = true
	w.route(r)
	r.Force = false
	w.route(deploy.Route{Production: all("green")})
	if err := w.Edit(t.Context(), "shop/nothing", nil); !errors.Is(err, &deploy.Error{Code: deploy.CodeNotFound}) {
		t.Errorf("edit of an unknown listener: %v", err)
	}
}

// TestCloud_stale: a second writer is refused, sees what is stored, and can go on.
func TestCloud_stale(t *testing.T) {
	w := newWorld(t)
	other, err := cloud.Open(t.Context(), w.store)
	w.must(err)
	w.route(deploy.Route{Production: all("green")})
	if err := other.Release(t.Context(), "blue", epoch); !errors.Is(err, deploy.ErrStale) {
		t.Fatalf("a change over another one: %v, want it to be stale", err)
	}
	if other.State().TaskSets["blue"].Released() {
		t.Error("a refused change is seen")
	}
	w.must(other.Release(t.Context(), "blue", epoch))
	if got := other.State(); got.Weight("shop", "green") != 100 || !got.TaskSets["blue"].Released() {
		t.Errorf("after reading again: %+v", got)
	}
}

// TestCloud_tornWrite: a write that fails is not seen, unless it was stored; either way the next one works.
func TestCloud_tornWrite(t *testing.T) {
	for name, stored := range map[string]bool{"not stored": false, "stored": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			before := w.State().Revision
			w.store.Fail(stored)
			if _, err := w.Route(t.Context(), deploy.Route{Service: "shop", Production: all("green")}); !errors.Is(err, cloudtest.ErrFault) {
				t.Fatalf("route on a failing disk: %v", err)
			}
			if w.State().Weight("shop", "green") != 0 {
				t.Error("a failed write is seen")
			}
			n := w.route(deploy.Route{Production: all("green")})
			if n <= before || w.State().Revision != n || w.State().Weight("shop", "green") != 100 {
				t.Errorf("revision %d after %d, state %+v", n, before, w.State())
			}
			w.stored()
			w.must(w.Release(t.Context(), "blue", epoch))
			w.stored()
		})
	}
}

func TestCloud_ended(t *testing.T) {
	w := newWorld(t)
	w.route(deploy.Route{Production: []deploy.RouteWeight{{TaskSet: "blue", Weight: 0}, {TaskSet: "green", Weight: 100}}, Test: "blue"})
	for range 2 {
		w.must(w.Ended(t.Context(), "blue"))
	}
	s := w.State()
	if _, ok := s.TaskSets["blue"]; ok || len(s.Listeners["shop/test"].Weights) != 0 {
		t.Errorf("state %+v", s)
	}
	if l := s.Listeners["shop/production"]; !slices.Equal(l.Weights, all("green")) || !slices.Equal(l.Shifted, l.Weights) {
		t.Errorf("production %+v", l)
	}
	w.stored()
	w.route(deploy.Route{Production: all("green")}) // no conflict with ourselves
	w.must(w.SetTargets(t.Context(), "blue", []cloud.Target{{ID: "late"}}))
	w.must(w.Release(t.Context(), "blue", epoch))
	if _, ok := w.State().TaskSets["blue"]; ok {
		t.Error("an ended set came back")
	}
}

func TestCloud_release(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ by, want time.Time }{
		{epoch.Add(time.Hour), epoch.Add(time.Hour)},
		{epoch.Add(2 * time.Hour), epoch.Add(time.Hour)},
		{epoch, epoch},
	} {
		w.must(w.Release(t.Context(), "green", c.by))
		if got := w.State().TaskSets["green"].ReleaseBy; !got.Equal(c.want) {
			t.Errorf("released by %s, want %s", got, c.want)
		}
	}
	w.must(w.Ensure(t.Context(), deploy.TaskSet{ID: "green", Service: "shop", Tasks: 5}, epoch))
	if ts := w.State().TaskSets["green"]; !ts.Released() || ts.Tasks != 5 {
		t.Errorf("ensure of a released set: %+v", ts)
	}
}

func TestCloud_listeners(t *testing.T) {
	w := newWorld(t)
	spec := w.State().Services["shop"].Spec
	spec.Test, spec.Production = "", "127.0.0.1:90"
	if created, err := w.Apply(t.Context(), spec, epoch); err != nil || created {
		t.Fatalf("apply again: %t %v", created, err)
	}
	s := w.State()
	if _, ok := s.Listeners["shop/test"]; ok || s.Listeners["shop/production"].Address != "127.0.0.1:90" || s.Weight("shop", "blue") != 100 {
		t.Errorf("listeners %+v", s.Listeners)
	}
	w.stored()
	w.must(w.Delete(t.Context(), "shop"))
	if s := w.State(); len(s.Services)+len(s.Listeners) != 0 {
		t.Errorf("after delete: %+v", s)
	}
	w.stored()
	for name, err := range map[string]error{
		"delete": w.Delete(t.Context(), "shop"), "started": w.Started(t.Context(), "shop", "d-1"),
	} {
		if !errors.Is(err, &deploy.Error{Code: deploy.CodeNotFound}) {
			t.Errorf("%s of an unknown service: %v", name, err)
		}
	}
}

// whole compares states with what they keep to themselves.
func whole() []cmp.Option {
	return []cmp.Option{cmp.AllowUnexported(cloud.State{}), cmpopts.EquateEmpty()}
}
