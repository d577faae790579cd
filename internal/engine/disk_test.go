package engine_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/deploy"
	"greengate/internal/engine"
	"greengate/internal/engine/enginetest"
	"greengate/internal/store"
)

// quickPace is for real time.
var quickPace = engine.Pace{
	Poll: 2 * time.Millisecond, Watch: 20 * time.Millisecond, Backoff: 2 * time.Millisecond, MaxPause: 20 * time.Millisecond,
}

func openDB(tb testing.TB, dir string) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), store.Config{Dir: dir})
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

// onDisk plays a story over a real database, in real time.
func (y story) onDisk(t *testing.T, on func(enginetest.Point) enginetest.Action) (ending, int) {
	t.Helper()
	db := openDB(t, t.TempDir())
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := newStage(t, enginetest.Config{Store: db, OnPoint: on, Confirm: time.Millisecond}, quickPace, 5*time.Millisecond)
	defer s.close()
	e := y.perform(s)
	return e, s.w.Points()
}

// TestEngine_crashOnDisk plays some of the stories over SQLite, with crashes spread over each.
func TestEngine_crashOnDisk(t *testing.T) {
	t.Parallel()
	const crashes = 4
	names := []string{"every kind of hook passes", "a hook fails", "the smoke set fails after the switch", "first deployment fails", "manual wait"}
	for _, y := range stories() {
		if !slices.Contains(names, y.name) {
			continue
		}
		t.Run(y.name, func(t *testing.T) {
			t.Parallel()
			want, _ := y.uninterrupted(t) // in memory: the store must not matter
			got, points := y.onDisk(t, nil)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("the end over SQLite differs from the one in memory (-want +got):\n%s", diff)
			}
			for i := range crashes {
				k := 1 + (2*i+1)*points/(2*crashes)
				got, _ := y.onDisk(t, enginetest.CrashAt(k))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("crash at point %d of about %d: the end differs (-want +got):\n%s", k, points, diff)
				}
			}
		})
	}
}

// TestEngine_shutdownLeavesTheFile compares the database's files byte by byte.
func TestEngine_shutdownLeavesTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openDB(t, dir)
	defer func() { _ = db.Close() }()
	y := story{plan: func(p *deploy.Plan) { p.Promotion, p.ReadyLimit = deploy.PromoteManual, time.Hour }}
	s := newStage(t, enginetest.Config{Store: db}, quickPace, 5*time.Millisecond)
	defer s.close()
	y.set(s)
	s.open()
	s.create(y.request())
	s.phase(deploy.PhaseReadyWait)
	before := files(t, dir)
	s.stop()
	s.ended.Wait()
	if diff := cmp.Diff(before, files(t, dir)); diff != "" {
		t.Errorf("the shutdown changed the files of the database")
	}
}

// files reads the database and its log, without the shared memory of its readers.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "-shm") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(data)
	}
	if len(all) < 2 {
		t.Fatalf("only %d files in the data folder", len(all))
	}
	return all
}

// crowd is many deployments at the same time, each of a service of its own.
func crowd(w *enginetest.World, n int, create func(deploy.New) error) error {
	w.Program("green", enginetest.Program{Ready: 20 * time.Millisecond})
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			r := story{}.request()
			name := fmt.Sprintf("shop-%d", i)
			r.ID, r.RollbackID = "d-"+name, "b-"+name
			r.Plan.Service, r.Plan.Application, r.Plan.Group = name, name, name
			r.Plan.Hooks = map[deploy.Phase][]deploy.Hook{deploy.PhaseAfterAllowTestTraffic: {command("probe")}}
			r.Plan.Smoke = []deploy.Hook{command("home")}
			r.Blue.ID, r.Green.ID = "blue-"+name, "green-"+name
			r.Blue.Service, r.Green.Service = name, name
			w.Run(r.Blue)
			w.Service(name, r.Blue.ID)
			errs[i] = create(r)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// scale runs n deployments at once over SQLite and says how long they took.
func scale(dir string, n int, out io.Writer) error {
	db, err := store.Open(bg(), store.Config{Dir: dir})
	if err != nil {
		return err
	}
	w := enginetest.New(enginetest.Config{Store: db})
	defer w.Close()
	life := w.Boot(bg())
	eng := engine.New(life.Config(slog.New(slog.DiscardHandler), engine.Pace{}))
	var run sync.WaitGroup
	run.Go(func() { err = errors.Join(err, eng.Run(life.Context())) })
	began := time.Now()
	failed := crowd(w, n, func(r deploy.New) error {
		_, err := eng.Create(bg(), r)
		return err
	})
	for failed == nil {
		ids, err := db.Active(bg())
		if failed = err; len(ids) == 0 {
			break
		}
		if time.Since(began) > 5*time.Minute {
			failed = fmt.Errorf("%d of %d deployments have not ended after 5 min", len(ids), n)
		}
		time.Sleep(20 * time.Millisecond)
	}
	took := time.Since(began)
	life.Shutdown()
	run.Wait()
	for i := 0; i < n && failed == nil; i++ {
		d, err := db.Deployment(bg(), fmt.Sprintf("d-shop-%d", i))
		if failed = err; err == nil && d.Phase != deploy.PhaseSucceeded {
			failed = fmt.Errorf("deployment %s ended %s: %+v", d.ID, d.Phase, d.Cause)
		}
	}
	if v := w.Violations(); failed == nil && len(v) > 0 {
		failed = errors.New(strings.Join(v, "\n"))
	}
	if err := errors.Join(failed, err, db.Close()); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d deployments in %s: %.0f a second, %d goroutines left\n", n, took.Round(time.Millisecond),
		float64(n)/took.Seconds(), runtime.NumGoroutine())
	return nil
}
