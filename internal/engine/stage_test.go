package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/engine"
	"greengate/internal/engine/enginetest"
)

// The names of every story.
const (
	service  = "shop"
	blueID   = "ts-blue"
	greenID  = "ts-green"
	deployID = "d-1"
	recordID = "d-1-back"
)

// slowPace keeps the number of points of a story small.
var slowPace = engine.Pace{
	Poll: 200 * time.Millisecond, Watch: 2 * time.Second, Backoff: 50 * time.Millisecond, MaxPause: time.Second,
}

// stage is where one story is played: a World, and a process that is started again when it dies.
type stage struct {
	t     testing.TB
	w     *enginetest.World
	pace  engine.Pace
	stop  context.CancelFunc
	ctx   context.Context //nolint:containedctx // the life of the stage, until close
	ended sync.WaitGroup
	rest  time.Duration // between a crash and the next start, and between looks of the operator

	mu  sync.Mutex
	eng *engine.Engine
}

func newStage(tb testing.TB, cfg enginetest.Config, pace engine.Pace, rest time.Duration) *stage {
	tb.Helper()
	s := &stage{t: tb, pace: pace, rest: rest}
	s.ctx, s.stop = context.WithCancel(context.Background())
	cfg.Report = s.report
	s.w = enginetest.New(cfg)
	return s
}

// open starts the first process.
func (s *stage) open() {
	started := make(chan struct{})
	s.ended.Go(func() {
		for first := true; ; first = false {
			life := s.w.Boot(s.ctx)
			eng := engine.New(life.Config(slog.New(slog.DiscardHandler), s.pace))
			s.use(eng)
			if first {
				close(started)
			}
			if err := eng.Run(life.Context()); err != nil {
				s.t.Errorf("run: %v", err)
				return
			}
			if !life.Crashed() || s.ctx.Err() != nil {
				return
			}
			s.pause(s.rest)
		}
	})
	<-started
}

func (s *stage) close() {
	s.stop()
	s.ended.Wait()
	s.w.Close()
}

func (s *stage) pause(d time.Duration) { time.Sleep(d) }

func (s *stage) use(eng *engine.Engine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eng = eng
}

func (s *stage) engine() *engine.Engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.eng
}

func ours(err error) bool {
	var fault *deploy.Error
	return errors.As(err, &fault)
}

// create asks for a deployment until it is there.
func (s *stage) create(n deploy.New) {
	for {
		_, err := s.engine().Create(s.ctx, n)
		if err == nil || ours(err) { // it exists: the attempt before was stored
			return
		}
		s.pause(s.rest)
	}
}

// post sends an event until it is there, once.
func (s *stage) post(key string, ev deploy.Event) {
	for {
		ev.At = time.Now()
		_, err := s.engine().Post(s.ctx, deployID, key, ev)
		if err == nil || ours(err) {
			return
		}
		s.pause(s.rest)
	}
}

// report is the API's side of a callback.
func (s *stage) report(ctx context.Context, effect string, status deploy.VerdictStatus) error {
	id, n, _ := strings.Cut(effect, "/")
	seq, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		return err
	}
	_, err = s.engine().Post(ctx, id, "report/"+n, deploy.Event{
		Kind: deploy.EventReported, At: time.Now(), Seq: seq, Report: status, By: "role",
	})
	if ours(err) {
		return nil
	}
	return err
}

// until waits for a state of the deployment, without passing points; its end ends the wait as well.
func (s *stage) until(what string, ok func(d deploy.Deployment) bool) {
	s.t.Helper()
	s.await("the deployment is "+what, func() bool {
		d, err := s.w.Deployment(s.ctx, deployID)
		return err == nil && (ok(d) || d.Phase.Terminal())
	})
}

// await looks again whenever something was written, for an hour at the longest.
func (s *stage) await(what string, ok func() bool) {
	s.t.Helper()
	seen := -1
	for begin := time.Now(); time.Since(begin) < time.Hour; s.pause(s.rest) {
		if n := s.w.Writes(); n != seen {
			seen = n
			if ok() {
				return
			}
		}
	}
	s.fatalf("not seen: %s", what)
}

func (s *stage) phase(p deploy.Phase) {
	s.t.Helper()
	s.until("in "+string(p), func(d deploy.Deployment) bool { return d.Phase == p })
}

// over waits until nothing is active any more.
func (s *stage) over() {
	s.t.Helper()
	s.await("nothing is active any more", func() bool {
		d, err := s.w.Deployment(s.ctx, deployID)
		if err != nil || !d.Phase.Terminal() {
			return false
		}
		ids, err := s.w.Active(s.ctx)
		return err == nil && len(ids) == 0
	})
}

func (s *stage) fatalf(format string, args ...any) {
	s.t.Helper()
	for _, id := range []string{deployID, recordID} {
		if d, err := s.w.Deployment(context.Background(), id); err == nil {
			s.t.Logf("%s: %s since %s, cause %+v, open %d, due", id, d.Phase, d.PhaseSince.Format(time.StampMilli), d.Cause, len(d.Open))
		}
	}
	s.stop()
	s.t.Fatalf(format+"\n%s", append(args, s.w.Story())...)
}

// ending is how a story ended: what must be the same whatever happened to the process meanwhile.
type ending struct {
	Deployment, Record view
	Production         []deploy.RouteWeight
	Test               string
	Running            []string
	Hooking            []string
	Hooks              []string // attempts that were started, sorted
}

// view is the part of a deployment's end that does not depend on time.
type view struct {
	Phase     deploy.Phase
	Reason    deploy.Reason
	Weights   deploy.Weights
	TestSide  deploy.Side
	Moved     bool
	Halted    bool
	Verified  bool
	Record    string
	Triggered string
	Lifecycle []string
	Verdicts  []string
}

func viewOf(d deploy.Deployment) view {
	v := view{
		Phase: d.Phase, Weights: d.Weights, TestSide: d.TestSide, Moved: d.Moved, Halted: d.Halted,
		Verified: d.Rollback.Verified, Record: d.Rollback.DeploymentID, Triggered: d.Rollback.TriggeringID,
	}
	if d.Cause != nil {
		v.Reason = d.Cause.Reason
	}
	for _, ev := range d.Lifecycle {
		v.Lifecycle = append(v.Lifecycle, fmt.Sprintf("%s %s %s", ev.Name, ev.Status, ev.Reason))
	}
	for _, x := range d.Verdicts {
		v.Verdicts = append(v.Verdicts, fmt.Sprintf("%s in %s attempt %d: %s %s", x.Hook, x.Event, x.Attempt, x.Status, x.Reason))
	}
	return v
}

func (s *stage) ending() ending {
	s.t.Helper()
	d, err := s.w.Deployment(s.ctx, deployID)
	if err != nil {
		s.fatalf("load: %v", err)
	}
	e := ending{Deployment: viewOf(d), Running: s.w.Running(), Hooking: s.w.Hooking()}
	if d.Rollback.DeploymentID != "" {
		r, err := s.w.Deployment(s.ctx, d.Rollback.DeploymentID)
		if err != nil {
			s.fatalf("load record: %v", err)
		}
		e.Record = viewOf(r)
	}
	e.Production, e.Test = s.w.Serves(service)
	for _, x := range s.w.Journal() {
		if x.Kind == enginetest.EntryHookStart {
			e.Hooks = append(e.Hooks, fmt.Sprintf("%s %s %d", x.Call.List, x.Call.Hook.Name, x.Call.Attempt))
		}
	}
	slices.Sort(e.Hooks)
	return e
}
