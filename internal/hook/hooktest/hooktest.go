// Package hooktest holds the conformance suite of the engine's Hooks port: every kind of hook, and
// every fake that stands in for one, must pass the same one.
package hooktest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/engine"
)

// Program is what a hook of the suite does.
type Program string

// The programs. Those that a kind of hook does not have are skipped.
const (
	Passes  Program = "passes"  // ends well; of a function: does not exist, a callback decides
	Fails   Program = "fails"   // ends with exit code 7, or raises
	Sleeps  Program = "sleeps"  // runs until it is ended
	Polite  Program = "polite"  // runs until SIGTERM, then ends with exit code 0
	Missing Program = "missing" // does not exist
	Returns Program = "returns" // a function that returns without a callback
)

// Harness is an implementation of Hooks to be tested.
type Harness struct {
	Hooks engine.Hooks
	// Call makes a call of a hook that runs the program; false: this kind has no such program.
	Call func(t *testing.T, p Program) (deploy.HookCall, bool)
	// Starts is how often the program of an effect was started, from its own account.
	Starts func(t *testing.T, id string) int
	// Running reports whether the program of an effect, or a descendant, runs now.
	Running func(t *testing.T, id string) bool
}

const patience = 30 * time.Second

// Exercise runs the suite. Open returns an implementation that has run nothing; it lives as long as its
// test.
func Exercise(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(s suite)
	}{
		{"pass", testPass},
		{"fail", testFail},
		{"starts at most once", testOnce},
		{"await before the end", testAwait},
		{"await of what never started", testNeverStarted},
		{"cancel", testCancel},
		{"cancel is no pass", testPolite},
		{"cancel after the end", testCancelEnded},
		{"a program that does not exist", testMissing},
		{"time limit", testTimeout},
		{"a return without a callback", testReturns},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(suite{Harness: open(t), t: t}) })
	}
}

type suite struct {
	Harness
	t *testing.T
}

const id = "d-1/7"

// call makes a call that has a minute.
func (s suite) call(p Program) deploy.HookCall {
	s.t.Helper()
	c, ok := s.Call(s.t, p)
	if !ok {
		s.t.Skipf("this kind of hook has no program that %s", p)
	}
	c.Until, c.List, c.Attempt = time.Now().Add(time.Minute), deploy.HookList(deploy.PhaseAfterInstall), 1
	c.Hook.Name = string(p)
	return c
}

func (s suite) start(c deploy.HookCall) {
	s.t.Helper()
	if err := s.Hooks.Start(s.t.Context(), id, c); err != nil {
		s.t.Fatalf("start: %v", err)
	}
}

func (s suite) await(c deploy.HookCall) deploy.Verdict {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	v, err := s.Hooks.Await(ctx, id, c)
	if err != nil {
		s.t.Fatalf("await: %v", err)
	}
	return v
}

func (s suite) eventually(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not seen in time: %s", what)
		}
	}
}

func (s suite) running() {
	s.t.Helper()
	s.eventually("it runs", func() bool { return s.Running(s.t, id) })
}

func (s suite) want(v deploy.Verdict, status deploy.VerdictStatus, reason deploy.Reason) {
	s.t.Helper()
	if v.Status != status || v.Reason != reason || v.Message == "" {
		s.t.Errorf("verdict %s %s %q, want %s %s and a message", v.Status, v.Reason, v.Message, status, reason)
	}
}

func testPass(s suite) {
	c := s.call(Passes)
	before := time.Now().Add(-time.Second)
	s.start(c)
	v := s.await(c)
	s.want(v, deploy.VerdictPass, deploy.ReasonNone)
	if v.Start.Before(before) || v.End.Before(v.Start) {
		s.t.Errorf("it ran from %s to %s", v.Start, v.End)
	}
	s.want(s.await(c), deploy.VerdictPass, deploy.ReasonNone) // as often as somebody asks
}

func testFail(s suite) {
	c := s.call(Fails)
	s.start(c)
	s.want(s.await(c), deploy.VerdictFail, deploy.ReasonHookFailed)
	s.want(s.await(c), deploy.VerdictFail, deploy.ReasonHookFailed)
}

func testOnce(s suite) {
	c := s.call(Sleeps)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = s.Hooks.Start(s.t.Context(), id, c) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatalf("start: %v", err)
	}
	s.running()
	s.cancel(c)
	s.start(c) // also of one that has ended
	s.await(c)
	if n := s.Starts(s.t, id); n != 1 {
		s.t.Errorf("the program was started %d times, want once", n)
	}
	if s.Running(s.t, id) {
		s.t.Error("a second start of a cancelled hook runs it again")
	}
}

func testAwait(s suite) {
	c := s.call(Sleeps)
	s.start(c)
	s.running()
	ctx, cancel := context.WithTimeout(s.t.Context(), 50*time.Millisecond)
	defer cancel()
	if v, err := s.Hooks.Await(ctx, id, c); err == nil {
		s.t.Errorf("a verdict of a hook that runs: %+v", v)
	}
	if !s.Running(s.t, id) {
		s.t.Error("the hook ended because nobody waits for it")
	}
	s.cancel(c)
}

func testNeverStarted(s suite) {
	c, ok := s.Call(s.t, Passes)
	if !ok {
		c = s.call(Fails)
	}
	s.want(s.await(c), deploy.VerdictError, deploy.ReasonInconclusive)
	if n := s.Starts(s.t, id); n != 0 {
		s.t.Errorf("await started it %d times", n)
	}
	s.cancel(c) // no error
}

func (s suite) cancel(c deploy.HookCall) {
	s.t.Helper()
	if err := s.Hooks.Cancel(s.t.Context(), id, c); err != nil {
		s.t.Fatalf("cancel: %v", err)
	}
}

// testCancel: when Cancel has returned the program is gone, so that the next attempt runs alone.
func testCancel(s suite) {
	c := s.call(Sleeps)
	s.start(c)
	s.running()
	s.cancel(c)
	if s.Running(s.t, id) {
		s.t.Error("the program runs though its hook was cancelled")
	}
	s.cancel(c)
	s.want(s.await(c), deploy.VerdictError, deploy.ReasonInconclusive)
}

func testPolite(s suite) {
	c := s.call(Polite)
	s.start(c)
	s.running()
	s.cancel(c)
	s.want(s.await(c), deploy.VerdictError, deploy.ReasonInconclusive)
}

func testCancelEnded(s suite) {
	c := s.call(Passes)
	s.start(c)
	s.want(s.await(c), deploy.VerdictPass, deploy.ReasonNone)
	s.cancel(c)
	s.want(s.await(c), deploy.VerdictPass, deploy.ReasonNone)
}

// testMissing: that a hook cannot be started blames nobody, and is not tried for ever.
func testMissing(s suite) {
	c := s.call(Missing)
	if err := s.Hooks.Start(s.t.Context(), id, c); err != nil {
		if !errors.Is(err, deploy.ErrPermanent) {
			s.t.Errorf("start of a missing program: %v, which is not permanent", err)
		}
		return
	}
	s.want(s.await(c), deploy.VerdictError, deploy.ReasonInconclusive)
}

func testTimeout(s suite) {
	c := s.call(Sleeps)
	c.Until = time.Now().Add(1500 * time.Millisecond)
	s.start(c)
	s.want(s.await(c), deploy.VerdictError, deploy.ReasonHookTimeout)
	s.eventually("the program has ended at its limit", func() bool { return !s.Running(s.t, id) })
}

func testReturns(s suite) {
	c := s.call(Returns)
	s.start(c)
	s.eventually("it was started", func() bool { return s.Starts(s.t, id) == 1 })
	ctx, cancel := context.WithTimeout(s.t.Context(), 300*time.Millisecond)
	defer cancel()
	if v, err := s.Hooks.Await(ctx, id, c); err == nil {
		s.t.Errorf("a verdict of a function that returned without a callback: %+v", v)
	}
}
