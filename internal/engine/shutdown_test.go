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

// slowRouter takes its time, also when it was cancelled, and notes what it is asked for.
type slowRouter struct {
	engine.Router
	mu     sync.Mutex
	calls  int
	beside bool
	first  func()
}

func (r *slowRouter) Shift(ctx context.Context, route deploy.Route) error {
	r.mu.Lock()
	r.calls++
	r.beside = r.beside || r.calls > 1
	first := r.first
	r.mu.Unlock()
	if first != nil && weight(route.Production, greenID) > 0 {
		first()
		time.Sleep(2 * time.Second) // an adapter that sees its cancellation late
	}
	err := r.Router.Shift(context.WithoutCancel(ctx), route)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls--
	return err
}

// TestEngine_routesInOrder: the way back waits until the shift that it cancels has let go, so that the
// old weights are the last word.
func TestEngine_routesInOrder(t *testing.T) {
	t.Parallel()
	y := story{}
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, enginetest.Config{}, slowPace, 100*time.Millisecond)
		y.set(s)
		life := s.w.Boot(t.Context())
		cfg := life.Config(slog.New(slog.DiscardHandler), slowPace)
		asked := make(chan struct{})
		router := &slowRouter{Router: cfg.Router, first: sync.OnceFunc(func() { close(asked) })}
		cfg.Router = router
		eng := engine.New(cfg)
		s.use(eng)
		s.ended.Go(func() { _ = eng.Run(life.Context()) })
		s.create(y.request())
		<-asked
		s.post("stop", deploy.Event{Kind: deploy.EventStop, By: "ann"})
		s.over()
		if got, _ := s.w.Serves(service); weight(got, blueID) != 100 {
			t.Errorf("production is at %v in the end", got)
		}
		if router.beside {
			t.Error("two shifts were made beside each other")
		}
		y.judge(s, y.request())
		life.Shutdown()
		s.close()
	})
}
