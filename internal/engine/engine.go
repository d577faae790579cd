package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"greengate/internal/deploy"
)

// Config is what an Engine needs.
type Config struct {
	Store   Store
	Runtime Runtime
	Router  Router
	Hooks   Hooks
	Alarms  Alarms // may be nil: no alarm is ever in ALARM
	Logger  *slog.Logger
	Pace    Pace
}

// Pace says how often an Engine looks at the world; zero fields take the default.
type Pace struct {
	Poll     time.Duration // between looks at a task set that is being installed or drained; 20 ms, growing to Watch
	Watch    time.Duration // between looks at what is watched for long; 500 ms
	Backoff  time.Duration // after a first passing fault; 50 ms
	MaxPause time.Duration // the longest pause between repetitions; 5 s
}

func (p Pace) withDefaults() Pace {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&p.Poll, 20*time.Millisecond)
	set(&p.Watch, 500*time.Millisecond)
	set(&p.Backoff, 50*time.Millisecond)
	set(&p.MaxPause, 5*time.Second)
	return p
}

// Engine runs deployments.
type Engine struct {
	cfg Config
	log *slog.Logger

	mu      sync.Mutex
	workers map[string]*worker
	run     context.Context //nolint:containedctx // the life of Run, under which workers that Create starts live
	ended   bool            // Run has begun to wait for the workers; no new one may start
	wg      sync.WaitGroup
}

// New returns an engine; Run makes it work.
func New(cfg Config) *Engine {
	cfg.Pace = cfg.Pace.withDefaults()
	return &Engine{cfg: cfg, log: cfg.Logger, workers: map[string]*worker{}}
}

// Run resumes every deployment that is not terminal and serves until ctx ends. It returns when all
// workers and effects have ended; nothing is written because of the shutdown.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	if e.run != nil {
		e.mu.Unlock()
		return errors.New("engine runs already")
	}
	e.run = ctx
	e.mu.Unlock()
	err := e.resume(ctx)
	if err == nil {
		<-ctx.Done()
	}
	e.mu.Lock()
	e.ended = true
	e.mu.Unlock()
	e.wg.Wait()
	return err
}

func (e *Engine) resume(ctx context.Context) error {
	pause := e.cfg.Pace.Backoff
	for {
		ids, err := e.cfg.Store.Active(ctx)
		if err == nil {
			for _, id := range ids {
				e.start(id)
			}
			return nil
		}
		e.log.ErrorContext(ctx, "list active deployments", "err", err)
		if !sleep(ctx, pause) {
			return nil
		}
		pause = min(2*pause, e.cfg.Pace.MaxPause)
	}
}

// Create stores a new deployment and starts it. The error is a *deploy.Error where the caller is to
// blame: CodeActiveDeployment when its group has one that is not terminal. After any other error the
// deployment may have been stored all the same; then it runs.
func (e *Engine) Create(ctx context.Context, n deploy.New) (deploy.Deployment, error) {
	d := deploy.Create(n)
	if err := e.cfg.Store.Create(ctx, d, deploy.Event{Kind: deploy.EventStart, At: n.At}); err != nil {
		e.unsure(d.ID, err)
		return deploy.Deployment{}, fmt.Errorf("create deployment: %w", err)
	}
	e.start(d.ID)
	return d, nil
}

// Post appends an event to a deployment's inbox and wakes its goroutine. With a key that was used
// before nothing is appended and the answer is false.
func (e *Engine) Post(ctx context.Context, id, key string, ev deploy.Event) (bool, error) {
	added, err := e.cfg.Store.Append(ctx, id, key, ev)
	if err != nil {
		e.unsure(id, err)
		return false, fmt.Errorf("post %s to deployment %s: %w", ev.Kind, id, err)
	}
	if added {
		e.start(id)
	}
	return added, nil
}

// unsure wakes a deployment after a write that returned an error and may have been stored all the same.
func (e *Engine) unsure(id string, err error) {
	if _, told := errors.AsType[*deploy.Error](err); !told {
		e.start(id)
	}
}

// start makes sure that the deployment has its worker, and wakes it.
func (e *Engine) start(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.run == nil || e.run.Err() != nil || e.ended {
		return // the next Run finds it
	}
	if w := e.workers[id]; w != nil {
		w.wake()
		return
	}
	w := newWorker(e, id)
	e.workers[id] = w
	e.wg.Go(func() { e.work(w) })
}

// work runs a worker to its end and then takes it off, unless it was woken meanwhile.
func (e *Engine) work(w *worker) {
	for {
		w.loop(e.run)
		e.mu.Lock()
		if e.run.Err() != nil || !w.woken() {
			delete(e.workers, w.id)
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
	}
}

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
