// Package workloadtest holds the conformance suite of the engine's Runtime port: every runtime, and
// every fake that stands in for one, must pass the same one.
package workloadtest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/engine"
)

// Harness is a runtime to be tested, with what the suite must know of the machine below it.
type Harness struct {
	Runtime engine.Runtime
	// Healthy is a program that gets healthy, Deaf one that runs and never does, Missing one that does
	// not exist, Crashing one that ends as soon as it was started.
	Healthy, Deaf, Missing, Crashing deploy.Workload
	// Tasks names the tasks of a set that run now, from the machine itself: a task that was started
	// again has another name.
	Tasks func(t *testing.T, set string) []string
	// Tidy ends what was released and whose time has come, where the runtime leaves that to another.
	Tidy func(t *testing.T)
}

// patience is how long the suite waits for what must happen.
const patience = 30 * time.Second

// Exercise runs the suite. Open returns a runtime without any task set; it lives as long as its test.
func Exercise(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(s suite)
	}{
		{"an unknown set", testUnknown},
		{"ensure", testEnsure},
		{"ensure at the same time", testEnsureTogether},
		{"scale", testScale},
		{"a program that cannot start", testMissing},
		{"a program that ends at once", testCrashing},
		{"a program that never gets healthy", testDeaf},
		{"stop", testStop},
		{"stop a set that is starting", testStopStarting},
		{"stop leaves others alone", testStopOne},
		{"release", testRelease},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(suite{Harness: open(t), t: t}) })
	}
}

type suite struct {
	Harness
	t *testing.T
}

func set(id string, tasks int, w deploy.Workload) deploy.TaskSet {
	return deploy.TaskSet{ID: id, Service: "shop", Tasks: tasks, Revision: deploy.Revision{Version: "v1", Digest: "digest of " + id, Workload: w}}
}

func (s suite) ensure(ts deploy.TaskSet) {
	s.t.Helper()
	if err := s.Runtime.Ensure(s.t.Context(), ts); err != nil {
		s.t.Fatalf("ensure %s with %d tasks: %v", ts.ID, ts.Tasks, err)
	}
}

func (s suite) observe(id string) deploy.TaskSetStatus {
	s.t.Helper()
	st, err := s.Runtime.Observe(s.t.Context(), id)
	if err != nil {
		s.t.Fatalf("observe %s: %v", id, err)
	}
	return st
}

func (s suite) stop(id string) {
	s.t.Helper()
	if err := s.Runtime.Stop(s.t.Context(), id); err != nil {
		s.t.Fatalf("stop %s: %v", id, err)
	}
}

// await polls until the set's status is as wanted.
func (s suite) await(id, what string, ok func(deploy.TaskSetStatus) bool) deploy.TaskSetStatus {
	s.t.Helper()
	var st deploy.TaskSetStatus
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if st = s.observe(id); ok(st) {
			return st
		}
	}
	s.t.Fatalf("task set %s is not %s: %+v", id, what, st)
	return st
}

func (s suite) steady(id string, tasks int) {
	s.t.Helper()
	want := deploy.TaskSetStatus{Desired: tasks, Running: tasks, Healthy: tasks}
	s.await(id, "steady", func(st deploy.TaskSetStatus) bool {
		if st.Doomed {
			s.t.Fatalf("task set %s is doomed: %s", id, st.Message)
		}
		st.Message = ""
		return st == want
	})
	if got := s.Tasks(s.t, id); len(got) != tasks {
		s.t.Fatalf("task set %s is steady with %d tasks, but %q run", id, tasks, got)
	}
}

func (s suite) gone(id string) {
	s.t.Helper()
	if got := s.Tasks(s.t, id); len(got) > 0 {
		s.t.Errorf("task set %s has ended, but %q run", id, got)
	}
	if st := s.observe(id); st.Desired+st.Running+st.Healthy > 0 || st.Steady() {
		s.t.Errorf("task set %s has ended, but is %+v", id, st)
	}
}

func testUnknown(s suite) {
	s.gone("nobody")
	s.stop("nobody")
	if err := s.Runtime.Release(s.t.Context(), "nobody", time.Now()); err != nil {
		s.t.Errorf("release of an unknown set: %v", err)
	}
	s.gone("nobody")
}

func testEnsure(s suite) {
	ts := set("ts-1", 2, s.Healthy)
	s.ensure(ts)
	s.steady("ts-1", 2)
	before := s.Tasks(s.t, "ts-1")
	for range 3 {
		s.ensure(ts)
	}
	s.steady("ts-1", 2)
	if after := s.Tasks(s.t, "ts-1"); !slices.Equal(before, after) {
		s.t.Errorf("ensure of what runs changed the tasks from %q to %q", before, after)
	}
}

func testEnsureTogether(s suite) {
	ts := set("ts-1", 2, s.Healthy)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = s.Runtime.Ensure(s.t.Context(), ts) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatalf("ensure: %v", err)
	}
	s.steady("ts-1", 2)
}

func testScale(s suite) {
	s.ensure(set("ts-1", 1, s.Healthy))
	s.steady("ts-1", 1)
	first := s.Tasks(s.t, "ts-1")
	s.ensure(set("ts-1", 3, s.Healthy))
	s.steady("ts-1", 3)
	if all := s.Tasks(s.t, "ts-1"); !slices.Contains(all, first[0]) {
		s.t.Errorf("scaling out replaced %q: %q", first, all)
	}
	s.ensure(set("ts-1", 1, s.Healthy))
	s.awaitTasks("ts-1", 1)
	s.steady("ts-1", 1)
	if left := s.Tasks(s.t, "ts-1"); !slices.Equal(left, first) {
		s.t.Errorf("scaling in left %q, want the first: %q", left, first)
	}
	s.ensure(set("ts-1", 2, s.Healthy))
	s.steady("ts-1", 2)
	s.stop("ts-1")
	s.gone("ts-1")
}

func (s suite) awaitTasks(id string, n int) {
	s.t.Helper()
	var got []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got = s.Tasks(s.t, id); len(got) == n {
			return
		}
	}
	s.t.Fatalf("task set %s: %q run, want %d", id, got, n)
}

// testMissing: a program that cannot be started is told at once or soon, and not as a passing fault.
func testMissing(s suite) {
	err := s.Runtime.Ensure(s.t.Context(), set("ts-1", 1, s.Missing))
	if err != nil && !errors.Is(err, deploy.ErrPermanent) {
		s.t.Fatalf("ensure of a missing program: %v, which is not permanent", err)
	}
	if err == nil {
		s.doomed("ts-1")
	}
	s.stop("ts-1")
	s.gone("ts-1")
}

func (s suite) doomed(id string) {
	s.t.Helper()
	st := s.await(id, "doomed", func(st deploy.TaskSetStatus) bool {
		if st.Steady() {
			s.t.Fatalf("task set %s is steady: %+v", id, st)
		}
		return st.Doomed
	})
	if st.Message == "" {
		s.t.Errorf("doomed without a word: %+v", st)
	}
}

func testCrashing(s suite) {
	s.ensure(set("ts-1", 1, s.Crashing))
	s.doomed("ts-1")
	s.stop("ts-1")
	s.gone("ts-1")
}

func testDeaf(s suite) {
	s.ensure(set("ts-1", 2, s.Deaf))
	st := s.await("ts-1", "running", func(st deploy.TaskSetStatus) bool { return st.Running == 2 })
	for range 20 {
		if st = s.observe("ts-1"); st.Steady() || st.Doomed || st.Healthy > 0 {
			s.t.Fatalf("a program that only does not answer is %+v", st)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if st.Message == "" {
		s.t.Errorf("nothing says what is missing: %+v", st)
	}
	s.stop("ts-1")
	s.gone("ts-1")
}

func testStop(s suite) {
	s.ensure(set("ts-1", 2, s.Healthy))
	s.steady("ts-1", 2)
	s.stop("ts-1")
	s.gone("ts-1")
	s.stop("ts-1")
	var wg sync.WaitGroup
	s.ensure(set("ts-2", 2, s.Healthy))
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { errs[i] = s.Runtime.Stop(s.t.Context(), "ts-2") })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		s.t.Errorf("stop at the same time: %v", err)
	}
	s.gone("ts-2")
}

func testStopStarting(s suite) {
	s.ensure(set("ts-1", 2, s.Deaf))
	s.stop("ts-1")
	s.gone("ts-1")
}

func testStopOne(s suite) {
	s.ensure(set("ts-1", 1, s.Healthy))
	s.ensure(set("ts-1-b", 1, s.Healthy)) // a name that begins like the other
	s.steady("ts-1", 1)
	s.steady("ts-1-b", 1)
	s.stop("ts-1")
	s.gone("ts-1")
	s.steady("ts-1-b", 1)
}

// testRelease: a released set ends when its time has come, and asking twice changes nothing.
func testRelease(s suite) {
	s.ensure(set("ts-1", 1, s.Healthy))
	s.steady("ts-1", 1)
	s.ensure(set("other", 1, s.Healthy))
	for _, by := range []time.Time{time.Now().Add(time.Hour), time.Now().Add(50 * time.Millisecond), time.Now().Add(time.Hour)} {
		if err := s.Runtime.Release(s.t.Context(), "ts-1", by); err != nil {
			s.t.Fatalf("release: %v", err)
		}
	}
	for end := time.Now().Add(patience); len(s.Tasks(s.t, "ts-1")) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("the released set still runs: %q", s.Tasks(s.t, "ts-1"))
		}
		if s.Tidy != nil {
			s.Tidy(s.t)
		}
	}
	s.gone("ts-1")
	s.steady("other", 1)
	s.stop("ts-1")
}
