package engine_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/engine"
	"greengate/internal/engine/enginetest"
)

// stopwatch takes the time from the verdict that decides to the weights that follow from it.
type stopwatch struct {
	engine.Store
	engine.Router

	mu      sync.Mutex
	verdict time.Time
	green   int // the weight that was confirmed last
	forth   []time.Duration
	back    []time.Duration
}

// Append notes when a verdict goes into the inbox.
func (s *stopwatch) Append(ctx context.Context, id, key string, ev deploy.Event) (bool, error) {
	if ev.Outcome != nil && ev.Outcome.Verdict != nil {
		s.mu.Lock()
		s.verdict = time.Now()
		s.mu.Unlock()
	}
	return s.Store.Append(ctx, id, key, ev)
}

// Shift notes when the weights are confirmed.
func (s *stopwatch) Shift(ctx context.Context, r deploy.Route) error {
	err := s.Router.Shift(ctx, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := slices.MaxFunc(append(r.Production, deploy.RouteWeight{}), func(a, b deploy.RouteWeight) int { return a.Weight - b.Weight })
	switch green := now.TaskSet == greenID; {
	case green && s.green == 0:
		s.forth, s.green = append(s.forth, time.Since(s.verdict)), 100
	case !green && s.green == 100:
		s.back, s.green = append(s.back, time.Since(s.verdict)), 0
	}
	return err
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}

// BenchmarkVerdictToWeights deploys over SQLite and World: the hook before the switch passes, and the
// smoke set after it fails. It reports the medians from each verdict to the weights that were confirmed
// after it: forth-ms with blue's health and its smoke set in between, back-ms with blue's health.
func BenchmarkVerdictToWeights(b *testing.B) {
	db := openDB(b, b.TempDir())
	defer func() { _ = db.Close() }()
	watch := &stopwatch{Store: db}
	y := story{
		plan: func(p *deploy.Plan) {
			p.Hooks = map[deploy.Phase][]deploy.Hook{
				deploy.PhaseBeforeAllowTraffic: {command("probe")}, deploy.PhaseAfterAllowTraffic: {command("look")},
			}
		},
		world: func(w *enginetest.World) { w.Hook("look", enginetest.Behaviour{How: enginetest.Fails}) },
	}
	for b.Loop() {
		if err := y.timed(b, watch, db, len(watch.forth)); err != nil {
			b.Fatal(err)
		}
	}
	if len(watch.forth) != b.N || len(watch.back) != b.N {
		b.Fatalf("%d switches and %d ways back in %d deployments", len(watch.forth), len(watch.back), b.N)
	}
	b.ReportMetric(median(watch.forth), "forth-ms")
	b.ReportMetric(median(watch.back), "back-ms")
	b.ReportMetric(0, "ns/op")
}

// timed runs one deployment with the default pace.
func (y story) timed(b *testing.B, watch *stopwatch, db engine.Store, n int) error {
	b.Helper()
	s := newStage(b, enginetest.Config{Store: db}, engine.Pace{}, 5*time.Millisecond)
	defer s.close()
	y.set(s)
	s.w.Program("green", enginetest.Program{})
	life := s.w.Boot(s.ctx)
	cfg := life.Config(slog.New(slog.DiscardHandler), engine.Pace{})
	watch.Router = cfg.Router
	cfg.Store, cfg.Router = watch, watch
	eng := engine.New(cfg)
	s.use(eng)
	s.ended.Go(func() { _ = eng.Run(life.Context()) })
	r := y.request()
	r.ID += "-" + time.Duration(n).String()
	r.RollbackID = r.ID + "-back"
	r.At = time.Now()
	if _, err := eng.Create(s.ctx, r); err != nil {
		return err
	}
	for {
		ids, err := s.w.Active(s.ctx)
		if err != nil || len(ids) == 0 {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
}
