package engine_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/engine"
	"greengate/internal/engine/enginetest"
)

// TestEngine_shutdownWritesNothing ends Run's context again and again: what is stored stays as it is,
// and nothing is done to the world.
func TestEngine_shutdownWritesNothing(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[deploy.Phase]bool{}
	t.Cleanup(func() {
		for _, p := range []deploy.Phase{
			deploy.PhaseBeforeInstall, deploy.PhaseInstall, deploy.PhaseAfterInstall, deploy.PhaseAfterAllowTestTraffic,
			deploy.PhaseReadyWait, deploy.PhaseBeforeAllowTraffic, deploy.PhaseAllowTraffic,
			deploy.PhaseAfterAllowTraffic, deploy.PhaseTerminationWait, deploy.PhaseSucceeded, deploy.PhaseFailed,
		} {
			if !seen[p] {
				t.Errorf("no shutdown came in %s", p)
			}
		}
	})
	for _, y := range stories() {
		t.Run(y.name, func(t *testing.T) {
			t.Parallel()
			for at := 50 * time.Millisecond; at < 8*time.Second; at += 5 * takes / 6 {
				phase := y.shutdown(t, at)
				mu.Lock()
				seen[phase] = true
				mu.Unlock()
			}
		})
	}
}

// shutdown plays a story up to a time and ends the process in an orderly way.
func (y story) shutdown(t *testing.T, at time.Duration) (phase deploy.Phase) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, enginetest.Config{Confirm: 5 * time.Millisecond}, slowPace, 100*time.Millisecond)
		y.set(s)
		s.open()
		s.create(y.request())
		time.Sleep(at)
		synctest.Wait()
		before, done := s.w.Dump(), len(s.w.Journal())
		if d, err := s.w.Deployment(t.Context(), deployID); err == nil {
			phase = d.Phase
		}
		s.stop()
		s.ended.Wait()
		if after := s.w.Dump(); after != before {
			t.Errorf("the shutdown in %s after %s wrote:\n%s\nbefore:\n%s", phase, at, after, before)
		}
		if j := s.w.Journal(); len(j) != done {
			t.Errorf("the shutdown in %s after %s did %v", phase, at, j[done:])
		}
		s.close()
	})
	return phase
}

// TestEngine_shutdownResumes: a deployment gets on though no process lives for long.
func TestEngine_shutdownResumes(t *testing.T) {
	t.Parallel()
	y := stories()[0]
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, enginetest.Config{Confirm: 300 * time.Millisecond}, slowPace, 100*time.Millisecond)
		y.set(s)
		n := y.request()
		for i := range 60 {
			life := s.w.Boot(t.Context())
			eng := engine.New(life.Config(slog.New(slog.DiscardHandler), slowPace))
			s.use(eng)
			var run sync.WaitGroup
			run.Go(func() {
				if err := eng.Run(life.Context()); err != nil {
					t.Error(err)
				}
			})
			if i == 0 {
				s.create(n)
			}
			time.Sleep(450 * time.Millisecond)
			life.Shutdown()
			run.Wait()
		}
		d, err := s.w.Deployment(t.Context(), deployID)
		if err != nil || d.Phase != deploy.PhaseSucceeded {
			t.Errorf("with a process that is ended all the time: %s %v\n%s", d.Phase, err, s.w.Story())
		}
		s.close()
	})
}

// TestEngine_runTwice: one engine runs once.
func TestEngine_runTwice(t *testing.T) {
	t.Parallel()
	w := enginetest.New(enginetest.Config{})
	defer w.Close()
	life := w.Boot(t.Context())
	eng := engine.New(life.Config(slog.New(slog.DiscardHandler), engine.Pace{}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := eng.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := eng.Run(ctx); err == nil {
		t.Error("a second Run of one engine was accepted")
	}
}
