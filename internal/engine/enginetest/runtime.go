package enginetest

import (
	"fmt"
	"slices"
	"time"

	"greengate/internal/deploy"
)

// Program says how the tasks behave whose command begins with its name.
type Program struct {
	// Ready is the time from a task's start until it is healthy.
	Ready time.Duration
	// Missing cannot be started, Doomed ends again and again, Deaf never gets healthy.
	Missing, Doomed, Deaf bool
}

// set is a task set that runs.
type set struct {
	want    deploy.TaskSet
	started []time.Time // of each task
	sick    bool
	until   time.Time // when a released one ends at the latest
	serving map[*Exchange]bool
	cut     time.Time // when a drain ends what is in flight; zero: no drain
}

// Program says how tasks behave whose command begins with name; others are healthy at once.
func (w *World) Program(name string, p Program) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.programs[name] = p
}

// Sicken makes a task set unhealthy, or well again.
func (w *World) Sicken(taskSet string, sick bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.sets[taskSet]; s != nil {
		s.sick = sick
	}
}

// Run makes a task set run that no deployment of this World has started.
func (w *World) Run(ts deploy.TaskSet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.startLocked(ts)
}

// Running lists the task sets that run, sorted.
func (w *World) Running() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settleLocked()
	var ids []string
	for id := range w.sets {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (w *World) startLocked(ts deploy.TaskSet) {
	s := w.sets[ts.ID]
	if s == nil {
		s = &set{serving: map[*Exchange]bool{}}
		w.sets[ts.ID] = s
	}
	before := len(s.started)
	s.want = ts
	for len(s.started) < ts.Tasks {
		s.started = append(s.started, time.Now())
	}
	s.started = s.started[:ts.Tasks]
	if before != ts.Tasks {
		w.noteLocked(Entry{Kind: EntryEnsure, ID: ts.ID, Text: fmt.Sprintf("%d tasks", ts.Tasks)})
	}
}

func program(w *World, ts deploy.TaskSet) Program {
	if c := ts.Revision.Workload.Command; len(c) > 0 {
		return w.programs[c[0]]
	}
	return Program{}
}

// ensure answers Runtime.Ensure.
func (w *World) ensure(ts deploy.TaskSet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settleLocked()
	if program(w, ts).Missing {
		return fmt.Errorf("%w: start task %s/0: no such program", deploy.ErrPermanent, ts.ID)
	}
	w.startLocked(ts)
	return nil
}

// observe answers Runtime.Observe.
func (w *World) observe(id string) deploy.TaskSetStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settleLocked()
	s := w.sets[id]
	if s == nil {
		return deploy.TaskSetStatus{}
	}
	p := program(w, s.want)
	st := deploy.TaskSetStatus{Desired: s.want.Tasks, Doomed: p.Doomed}
	for _, at := range s.started {
		if p.Doomed {
			continue
		}
		st.Running++
		if !p.Deaf && !s.sick && time.Since(at) >= p.Ready {
			st.Healthy++
		}
	}
	if st.Healthy < st.Desired {
		st.Message = fmt.Sprintf("a task of %s is not healthy", id)
	}
	return st
}

// stop answers Runtime.Stop.
func (w *World) stop(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settleLocked()
	w.stopLocked(id, "")
}

func (w *World) stopLocked(id, why string) {
	if w.sets[id] == nil {
		return
	}
	name := w.sets[id].want.Service
	if svc := w.services[name]; svc != nil && svc.weight(id) > 0 {
		w.violateLocked("task set %s was stopped with %d %% of production of %s", id, svc.weight(id), name)
	}
	for x := range w.sets[id].serving {
		x.ended, x.cut = true, true
	}
	delete(w.sets, id)
	delete(w.ending, id)
	w.noteLocked(Entry{Kind: EntryStop, ID: id, Text: why})
}

// release answers Runtime.Release.
func (w *World) release(id string, by time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settleLocked()
	s := w.sets[id]
	if s == nil || (!s.until.IsZero() && !by.Before(s.until)) {
		return
	}
	if s.until.IsZero() {
		w.noteLocked(Entry{Kind: EntryRelease, ID: id})
	}
	s.until = by
	w.ending[id] = s
}

// settleLocked does what has become due: requests that a drain cuts, released sets that end.
func (w *World) settleLocked() {
	now := time.Now()
	for id, s := range w.ending {
		if !s.cut.IsZero() && !now.Before(s.cut) {
			for x := range s.serving {
				x.ended, x.cut = true, true
				delete(s.serving, x)
			}
		}
		idle := len(s.serving) == 0 && !w.routedLocked(s)
		if !s.until.IsZero() && (idle || !now.Before(s.until)) {
			w.stopLocked(id, "it was released")
		}
	}
}

// Tasks names the tasks of a set that run now; one that was started again has another name.
func (w *World) Tasks(taskSet string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settleLocked()
	s := w.sets[taskSet]
	if s == nil || program(w, s.want).Doomed {
		return nil
	}
	var names []string
	for i, at := range s.started {
		names = append(names, fmt.Sprintf("%s/%d started %s", taskSet, i, at.Format(time.RFC3339Nano)))
	}
	return names
}
