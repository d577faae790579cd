//go:build linux

package kill

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// order is what internal/app/fault_inject.go reads.
type order struct {
	ID       string `json:"id"`
	When     string `json:"when"`
	Position string `json:"position"`
	// Any are positions that will do as well.
	Any []string `json:"any,omitempty"`
}

func (o order) String() string { return o.When + " " + o.Position }

// arm tells the roles of a faulty build where to end. They see it whole or not at all.
func (w *world) arm(t *testing.T, o order) {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.data, "fault", "arm")
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func (w *world) fired(id string) bool {
	data, _ := os.ReadFile(filepath.Join(w.data, "fault", "fired"))
	return slices.Contains(strings.Split(string(data), "\n"), id)
}

// reference is an uninterrupted deployment.
type reference struct {
	story     story
	end       ending
	positions []string
}

// newFaulty starts a world of the faulty build.
func newFaulty(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, built.faulty)
	if err := os.Mkdir(filepath.Join(w.data, "fault"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.first(t)
	return w
}

// record plays a story without a fault and notes every position that it passes.
func (w *world) record(t *testing.T, s story) reference {
	t.Helper()
	trace := filepath.Join(w.data, "fault", "trace")
	if err := os.WriteFile(trace, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.arm(t, order{ID: "record " + s.name})
	r := reference{story: s, end: w.play(t, s, options{hold: hold}, nil, nil)}
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(trace); err != nil {
		t.Fatal(err)
	}
	r.positions = slices.Compact(strings.Split(strings.TrimSpace(string(data)), "\n"))
	sane(t, r)
	return r
}

// sane makes sure that what the others are compared with is the story itself.
func sane(t *testing.T, r reference) {
	t.Helper()
	e := r.end
	verdicts := strings.Join(e.Verdicts, ", ")
	ok := e.Status == "Succeeded" && e.Record == nil && e.WayBack && strings.Contains(verdicts, "SmokeAfter/smoke 1 pass")
	if r.story == rolledBack {
		ok = e.Status == "Failed" && e.WayBack && strings.Contains(verdicts, "SmokeAfter/smoke 1 fail") &&
			e.Record != nil && e.Record.Status == "Succeeded" && e.Record.Verified && len(e.Record.Verdicts) == 1
	}
	if !ok {
		t.Fatalf("an uninterrupted deployment did not go as told: %+v, record %+v", e, e.Record)
	}
}

// workers is how many installations are killed side by side.
const workers = 3

// job is one deployment with one kill.
type job struct {
	ref   reference
	order order
	// place are the positions that the order's was chosen from.
	place []string
}

// The controller is killed before and after everything that it makes durable, under load, and each time the
// deployment goes on as if nothing had been.
func TestController_everyPosition(t *testing.T) {
	needPython(t)
	w := newFaulty(t)
	refs := w.records(t)
	jobs := choose(refs, "controller ")
	for _, r := range refs {
		t.Logf("%s passes %d positions of the controller", r.story.name, len(ofRole(r.positions, "controller ")))
	}
	killAll(t, w, jobs)
}

func ofRole(positions []string, role string) []string {
	var list []string
	for _, p := range positions {
		if strings.HasPrefix(p, role) {
			list = append(list, p)
		}
	}
	return list
}

// choose makes the jobs: all positions on both sides of the write; or one for each phase that a deployment or
// the record of a rollback is in, and one for each other place, in turn before and after.
func choose(refs []reference, role string) []job {
	sides := []string{"before", "after"}
	if role == "runner " { // its points lie between two writes
		sides = sides[:1]
	}
	var jobs []job
	add := func(r reference, when, position string, place []string) {
		jobs = append(jobs, job{r, order{ID: fmt.Sprintf("%s%d", role, len(jobs)), When: when, Position: position}, place})
	}
	taken := map[string]bool{}
	for _, r := range refs {
		groups, keys := map[string][]string{}, []string{}
		for _, p := range ofRole(r.positions, role) {
			key := placeOf(p)
			if groups[key] == nil {
				keys = append(keys, key)
			}
			groups[key] = append(groups[key], p)
		}
		for _, key := range keys {
			group := groups[key]
			if !*all && !taken[key] {
				n := len(jobs)
				add(r, sides[n%len(sides)], group[n/len(sides)%len(group)], group)
			}
			for _, p := range group {
				for _, side := range sides {
					if *all {
						add(r, side, p, nil)
					}
				}
			}
			taken[key] = true
		}
	}
	return jobs
}

// placeOf is the phase of a position, as "deploy Install", or else its name without the number.
func placeOf(position string) string {
	f := strings.Fields(position)
	if f[1] == "commit" || f[1] == "append" {
		return f[2] + " " + f[3]
	}
	return strings.Join(f[:len(f)-1], " ")
}

// killAll works the jobs off in several installations; w is the first. One that a job has broken is left,
// so that the next job begins in a new one.
func killAll(t *testing.T, w *world, jobs []job) {
	t.Helper()
	queue := make(chan job, len(jobs))
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	worlds := make(chan *world, workers)
	worlds <- w
	for range workers - 1 {
		worlds <- nil
	}
	t.Run("kills", func(t *testing.T) { // returns when all are done
		for i := range workers {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				w := <-worlds
				for j := range queue {
					if w == nil {
						w = newFaulty(t)
					}
					if !t.Run(j.ref.story.name+" "+j.order.String(), func(t *testing.T) { w.killed(t, j) }) {
						w = nil
					}
				}
				if w != nil {
					w.close(t)
				}
			})
		}
	})
}

// tries is how many deployments a position is waited for. In which phase an outcome is booked can depend on which of
// two things comes first, so from the second deployment on every position of the same place will do.
const tries = 4

// killed plays a job.
func (w *world) killed(t *testing.T, j job) {
	t.Helper()
	w.until(t, j, func() { w.play(t, j.ref.story, options{hold: hold}, &j.ref.end, nil) })
}

// until plays deployments with an order armed until it was carried out.
func (w *world) until(t *testing.T, j job, play func()) {
	t.Helper()
	o := j.order
	role := strings.Fields(o.Position)[0]
	before := w.pid(t, role)
	for n := range tries {
		again := o
		again.ID = fmt.Sprintf("%s try %d", o.ID, n)
		if n > 0 {
			again.Any = j.place
		}
		w.arm(t, again)
		play()
		if !w.fired(again.ID) {
			continue
		}
		if pid := w.pid(t, role); pid == before {
			t.Errorf("the order was carried out, and pid %d lives on", pid)
		}
		if n > 0 {
			t.Logf("reached in deployment %d, or another position of its place: %s", n+1, o)
		}
		return
	}
	if *all { // a rare order of events is not met at will
		t.Logf("not reached in %d deployments: %s", tries, o)
		return
	}
	t.Errorf("not reached in %d deployments, so nothing was killed: %s", tries, o)
}
