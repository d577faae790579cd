package engine_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/engine/enginetest"
)

var (
	randomRuns  = flag.Int("crash.runs", 100, "random runs with several crashes and faults")
	pointStride = flag.Int("crash.stride", 3, "try each point of so many; 1 = every point")
)

// uninterrupted plays a story once, checks that it is what it says, and counts its points.
func (y story) uninterrupted(t *testing.T) (want ending, points int) {
	t.Helper()
	want, points = y.run(t, nil)
	d := want.Deployment
	if d.Phase != y.phase || d.Reason != y.reason || want.Record.Phase != y.record || want.Record.Verified != y.proven {
		t.Fatalf("the story ends otherwise than it says:\n%+v", want)
	}
	if diff := cmp.Diff(y.running, want.Running); diff != "" {
		t.Fatalf("task sets that run in the end (-want +got):\n%s", diff)
	}
	if len(want.Hooking) > 0 {
		t.Fatalf("hooks still run: %q", want.Hooking)
	}
	return want, points
}

// same plays a story with whatever on does to it and compares the ends.
func (y story) same(t *testing.T, want ending, on func(enginetest.Point) enginetest.Action) bool {
	t.Helper()
	got, _ := y.run(t, on)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the end differs from the uninterrupted one (-want +got):\n%s", diff)
		return false
	}
	return true
}

func TestEngine_stories(t *testing.T) {
	t.Parallel()
	for _, y := range stories() {
		t.Run(y.name, func(t *testing.T) {
			t.Parallel()
			_, points := y.uninterrupted(t)
			t.Logf("%d points", points)
		})
	}
}

// stride is how far two points that are tried lie apart. Where it begins is drawn anew each time. The race detector makes
// everything ten times as slow: the points belong to runs without it.
func stride() (from, by int) {
	by = *pointStride
	if raceEnabled {
		by *= 4
	}
	return 1 + rand.IntN(by), by
}

// everyPoint plays each story once for each of its points.
func everyPoint(t *testing.T, what string, at func(n int) func(enginetest.Point) enginetest.Action) {
	t.Helper()
	for _, y := range stories() {
		t.Run(y.name, func(t *testing.T) {
			t.Parallel()
			want, points := y.uninterrupted(t)
			from, by := stride()
			for k := from; k <= points; k += by {
				if !y.same(t, want, at(k)) {
					t.Fatalf("with a %s at point %d of %d", what, k, points)
				}
			}
		})
	}
}

// TestEngine_crash kills the process before and after every call of a port and of the store.
func TestEngine_crash(t *testing.T) {
	t.Parallel()
	everyPoint(t, "crash", enginetest.CrashAt)
}

// TestEngine_fault lets every call fail once, without and with its effect.
func TestEngine_fault(t *testing.T) {
	t.Parallel()
	everyPoint(t, "fault", enginetest.FaultAt)
}

// chaos crashes and fails at random, but not for ever.
func chaos(seed uint64) func(enginetest.Point) enginetest.Action {
	rng := rand.New(rand.NewPCG(seed, 1))
	crashes, faults := 6, 12
	every := 4 + rng.IntN(60)
	return func(enginetest.Point) enginetest.Action {
		switch n := rng.IntN(every); {
		case n == 0 && crashes > 0:
			crashes--
			return enginetest.Crash
		case n == 1 && faults > 0:
			faults--
			return enginetest.Fault
		}
		return enginetest.Pass
	}
}

func TestEngine_chaos(t *testing.T) {
	t.Parallel()
	list := stories()
	for i, y := range list {
		t.Run(y.name, func(t *testing.T) {
			t.Parallel()
			want, _ := y.uninterrupted(t)
			for n := i; n < *randomRuns; n += len(list) {
				seed := rand.Uint64()
				if !y.same(t, want, chaos(seed)) {
					t.Fatalf("with chaos of seed %d; the order of goroutines is not part of it", seed)
				}
			}
		})
	}
}

// FuzzEngine_chaos goes on where TestEngine_chaos ends.
func FuzzEngine_chaos(f *testing.F) {
	list := stories()
	for i := range list {
		f.Add(uint64(i), uint64(i)*7919)
	}
	f.Fuzz(func(t *testing.T, which, seed uint64) {
		y := list[which%uint64(len(list))]
		want, _ := y.uninterrupted(t)
		y.same(t, want, chaos(seed))
	})
}
