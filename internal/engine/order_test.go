package engine_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/engine"
	"greengate/internal/engine/enginetest"
)

// This file holds what effects that act on the same thing owe each other: their order.

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

// slowRuntime starts tasks late, also when it was cancelled meanwhile.
type slowRuntime struct {
	engine.Runtime
	asked func()
}

func (r *slowRuntime) Ensure(ctx context.Context, ts deploy.TaskSet) error {
	r.asked()
	time.Sleep(2 * time.Second)
	return r.Runtime.Ensure(context.WithoutCancel(ctx), ts)
}

// TestEngine_retiresAfterInstall: a set is retired after the install of it has let go, so that nothing
// starts in it afterwards.
func TestEngine_retiresAfterInstall(t *testing.T) {
	t.Parallel()
	y := story{first: true}
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, enginetest.Config{}, slowPace, 100*time.Millisecond)
		y.set(s)
		life := s.w.Boot(s.ctx)
		cfg := life.Config(slog.New(slog.DiscardHandler), slowPace)
		asked := make(chan struct{})
		cfg.Runtime = &slowRuntime{Runtime: cfg.Runtime, asked: sync.OnceFunc(func() { close(asked) })}
		eng := engine.New(cfg)
		s.use(eng)
		s.ended.Go(func() { _ = eng.Run(life.Context()) })
		s.create(y.request())
		<-asked
		s.post("stop", deploy.Event{Kind: deploy.EventStop, By: "ann"})
		s.over()
		s.pause(time.Minute)
		if got := s.w.Running(); len(got) > 0 {
			t.Errorf("%q run though the deployment was taken back\n%s", got, s.w.Story())
		}
		if !slices.ContainsFunc(s.w.Journal(), func(e enginetest.Entry) bool { return e.Kind == enginetest.EntryEnsure && e.ID == greenID }) {
			t.Error("green was never started: the test tests nothing")
		}
		s.close()
	})
}

// TestEngine_nothingAfterRun: when Run has returned nothing is done any more, also for deployments that
// came at the last moment.
func TestEngine_nothingAfterRun(t *testing.T) {
	t.Parallel()
	for range 100 {
		w := enginetest.New(enginetest.Config{})
		story{}.set(&stage{w: w})
		life := w.Boot(t.Context())
		eng := engine.New(life.Config(slog.New(slog.DiscardHandler), quickPace))
		var run, create sync.WaitGroup
		run.Go(func() {
			if err := eng.Run(life.Context()); err != nil {
				t.Error(err)
			}
		})
		create.Go(func() { _, _ = eng.Create(t.Context(), story{}.request()) })
		create.Go(life.Shutdown)
		run.Wait()
		create.Wait()
		points := w.Points()
		time.Sleep(2 * time.Millisecond) // nothing is awaited here, the longer the surer
		if now := w.Points(); now != points {
			t.Fatalf("%d calls were made after Run had returned", now-points)
		}
		w.Close()
	}
}
