// Package traffictest holds the conformance suite of the engine's Router port: every router, and
// every fake that stands in for one, must pass the same one.
package traffictest

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/engine"
)

// Harness is a router to be tested, with a service whose listeners serve nothing yet and two task sets
// that run and answer.
type Harness struct {
	Router      engine.Router
	Service     string
	Blue, Green string
	// Get sends a request and tells who answered; an empty task set is the data plane itself.
	Get func(t *testing.T, test bool) (taskSet string, status int)
	// Hold begins a request that lasts, a stream where wanted; end lets it end and tells whether it was
	// cut before.
	Hold func(t *testing.T, stream bool) (taskSet string, end func() (cut bool))
	// Edit gives the production listener weights as somebody else would.
	Edit func(t *testing.T, weights []deploy.RouteWeight)
	// Fail makes a task set answer with 500.
	Fail func(t *testing.T, taskSet string)
}

const patience = 20 * time.Second

// Exercise runs the suite. Open returns a fresh router; it lives as long as its test.
func Exercise(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(s suite)
	}{
		{"nothing is served", testEmpty},
		{"shift is confirmed", testConfirmed},
		{"shift under load", testUnderLoad},
		{"weights", testWeights},
		{"shift is idempotent", testIdempotent},
		{"conflict", testConflict},
		{"an unknown service", testUnknown},
		{"drain of nothing", testDrainNothing},
		{"drain refuses a set with weight", testDrainRouted},
		{"drain waits", testDrainWaits},
		{"drain tells streams", testDrainStreams},
		{"drain cuts at its limit", testDrainCuts},
		{"ledger", testLedger},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(suite{Harness: open(t), t: t}) })
	}
}

type suite struct {
	Harness
	t *testing.T
}

func (s suite) all(set string) []deploy.RouteWeight {
	return []deploy.RouteWeight{{TaskSet: set, Weight: 100}}
}

// shift sends production to one set, all of it.
func (s suite) shift(production, test string) {
	s.t.Helper()
	r := deploy.Route{Service: s.Service, Test: test}
	if production != "" {
		r.Production = s.all(production)
	}
	if err := s.Router.Shift(s.t.Context(), r); err != nil {
		s.t.Fatalf("shift to %q, test %q: %v", production, test, err)
	}
}

// served checks who answers the next requests.
func (s suite) served(test bool, want string) {
	s.t.Helper()
	status := http.StatusOK
	if want == "" {
		status = http.StatusServiceUnavailable
	}
	for range 20 {
		if set, got := s.Get(s.t, test); set != want || got != status {
			s.t.Fatalf("test listener %t: answered by %q with %d, want %q with %d", test, set, got, want, status)
		}
	}
}

func testEmpty(s suite) {
	s.served(false, "")
	s.served(true, "")
	s.shift(s.Blue, s.Green)
	s.served(false, s.Blue)
	s.served(true, s.Green)
	s.shift("", "")
	s.served(false, "")
	s.served(true, "")
}

func testConfirmed(s suite) {
	for range 10 {
		s.shift(s.Blue, s.Green)
		s.served(false, s.Blue)
		s.served(true, s.Green)
		s.shift(s.Green, s.Blue)
		s.served(false, s.Green)
		s.served(true, s.Blue)
	}
}

// testUnderLoad: a request that begins after Shift has returned never reaches what was there before.
func testUnderLoad(s suite) {
	s.shift(s.Blue, "")
	var epoch atomic.Int64 // of confirmed shifts; odd: one is being made
	var stop atomic.Bool
	var wg sync.WaitGroup
	sides := []string{s.Blue, s.Green}
	var wrong, served atomic.Int64
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				before := epoch.Load()
				set, status := s.Get(s.t, false)
				if before%2 == 0 && epoch.Load() == before && set != sides[(before/2)%2] || status != http.StatusOK {
					wrong.Add(1)
				}
				served.Add(1)
			}
		})
	}
	for i := range int64(30) {
		for n := served.Load(); served.Load() < n+8; {
			time.Sleep(time.Millisecond)
		}
		epoch.Add(1)
		s.shift(sides[(i+1)%2], "")
		epoch.Add(1)
	}
	stop.Store(true)
	wg.Wait()
	if wrong.Load() > 0 {
		s.t.Errorf("%d of %d requests were lost or reached what a confirmed shift had left", wrong.Load(), served.Load())
	}
}

func testWeights(s suite) {
	r := deploy.Route{Service: s.Service, Production: []deploy.RouteWeight{{TaskSet: s.Blue, Weight: 80}, {TaskSet: s.Green, Weight: 20}}}
	if err := s.Router.Shift(s.t.Context(), r); err != nil {
		s.t.Fatal(err)
	}
	got := map[string]int{}
	const n = 1000
	for range n {
		set, status := s.Get(s.t, false)
		if status != http.StatusOK {
			s.t.Fatalf("status %d", status)
		}
		got[set]++
	}
	// Of 1,000 independent choices the share of 20 % stays between 14 and 26 % but once in 400,000 runs.
	if g := got[s.Green]; g < 140 || g > 260 || got[s.Blue]+g != n {
		s.t.Errorf("of %d requests at 80:20: %v", n, got)
	}
	// A weight of 0 is none at all.
	r.Production = []deploy.RouteWeight{{TaskSet: s.Blue, Weight: 0}, {TaskSet: s.Green, Weight: 100}}
	if err := s.Router.Shift(s.t.Context(), r); err != nil {
		s.t.Fatal(err)
	}
	s.served(false, s.Green)
}

func testIdempotent(s suite) {
	for range 3 {
		s.shift(s.Blue, s.Green)
	}
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			errs[i] = s.Router.Shift(s.t.Context(), deploy.Route{Service: s.Service, Production: s.all(s.Green), Test: s.Green})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatal(err)
	}
	s.served(false, s.Green)
	s.served(true, s.Green)
}

func testConflict(s suite) {
	s.shift(s.Blue, s.Green)
	s.Edit(s.t, s.all(s.Green))
	route := deploy.Route{Service: s.Service, Production: s.all(s.Blue), Test: s.Blue}
	if err := s.Router.Shift(s.t.Context(), route); !errors.Is(err, deploy.ErrConflict) {
		s.t.Fatalf("shift over somebody else's weights: %v, want a conflict", err)
	}
	s.served(false, s.Green) // a conflict changes nothing
	s.served(true, s.Green)
	route.Force = true
	if err := s.Router.Shift(s.t.Context(), route); err != nil {
		s.t.Fatalf("forced shift: %v", err)
	}
	s.served(false, s.Blue)
	s.served(true, s.Blue)
	s.shift(s.Green, s.Blue) // the weights are ours again
	s.served(false, s.Green)
}

func testUnknown(s suite) {
	if err := s.Router.Shift(s.t.Context(), deploy.Route{Service: "nobody", Production: s.all(s.Blue)}); err == nil {
		s.t.Error("a service that does not exist was routed")
	}
}

func (s suite) drain(set string, limit time.Duration) deploy.InFlight {
	s.t.Helper()
	left, err := s.Router.Drain(s.t.Context(), set, limit)
	if err != nil {
		s.t.Fatalf("drain %s: %v", set, err)
	}
	return left
}

func (s suite) drained(set string, limit time.Duration) {
	s.t.Helper()
	var left deploy.InFlight
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if left = s.drain(set, limit); left == (deploy.InFlight{}) {
			return
		}
	}
	s.t.Fatalf("task set %s still serves %+v", set, left)
}

func testDrainNothing(s suite) {
	s.shift(s.Blue, s.Blue)
	s.served(false, s.Blue)
	s.shift(s.Green, s.Green)
	s.drained(s.Blue, time.Minute)
	if left := s.drain("nobody", time.Minute); left != (deploy.InFlight{}) {
		s.t.Errorf("an unknown set serves %+v", left)
	}
}

func testDrainRouted(s suite) {
	s.shift(s.Blue, s.Green)
	if _, err := s.Router.Drain(s.t.Context(), s.Blue, time.Minute); err == nil {
		s.t.Error("the set behind production was drained")
	}
	s.served(false, s.Blue)
}

// hold begins a request on blue and takes blue out of the listeners.
func (s suite) hold(stream bool) (end func() bool) {
	s.t.Helper()
	s.shift(s.Blue, s.Green)
	set, end := s.Hold(s.t, stream)
	if set != s.Blue {
		s.t.Fatalf("the request is at %q, want %q", set, s.Blue)
	}
	s.shift(s.Green, s.Green)
	return end
}

func testDrainWaits(s suite) {
	end := s.hold(false)
	for range 5 {
		if left := s.drain(s.Blue, time.Minute); left.Requests != 1 || left.Streams != 0 {
			s.t.Fatalf("with one request in flight: %+v", left)
		}
	}
	if end() {
		s.t.Error("the request was cut though the drain had a minute")
	}
	s.drained(s.Blue, time.Minute)
}

func testDrainStreams(s suite) {
	end := s.hold(true)
	if left := s.drain(s.Blue, time.Minute); left.Streams != 1 || left.Requests != 0 {
		s.t.Fatalf("with one stream in flight: %+v", left)
	}
	if end() {
		s.t.Error("the stream was cut though the drain had a minute")
	}
	s.drained(s.Blue, time.Minute)
}

func testDrainCuts(s suite) {
	end := s.hold(true)
	s.drain(s.Blue, time.Minute)
	s.drained(s.Blue, 0)
	if !end() {
		s.t.Error("the stream goes on beyond the limit of its drain")
	}
}

func testLedger(s suite) {
	route := deploy.Route{Service: s.Service, Production: s.all(s.Blue), Test: s.Green, Ledger: "d-1"}
	if err := s.Router.Shift(s.t.Context(), route); err != nil {
		s.t.Fatal(err)
	}
	s.served(false, s.Blue) // 20 requests
	s.served(true, s.Green)
	s.counted("d-1", s.Blue, deploy.Count{Requests: 20})
	s.counted("d-1", s.Green, deploy.Count{}) // the test listener is not production
	s.Fail(s.t, s.Green)
	route.Production = s.all(s.Green)
	if err := s.Router.Shift(s.t.Context(), route); err != nil {
		s.t.Fatal(err)
	}
	for range 7 {
		if set, status := s.Get(s.t, false); set != s.Green || status != http.StatusInternalServerError {
			s.t.Fatalf("answered by %q with %d", set, status)
		}
	}
	s.counted("d-1", s.Green, deploy.Count{Requests: 7, Failed: 7})
	s.counted("d-1", s.Blue, deploy.Count{Requests: 20})
	s.counted("nothing", s.Blue, deploy.Count{})
	s.counted("d-1", "nobody", deploy.Count{})
}

func (s suite) counted(ledger, set string, want deploy.Count) {
	s.t.Helper()
	var got deploy.Count
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got, err = s.Router.Ledger(s.t.Context(), ledger, set); err == nil && got == want {
			return
		}
	}
	s.t.Errorf("ledger %s of %s: %+v %v, want %+v", ledger, set, got, err, want)
}
