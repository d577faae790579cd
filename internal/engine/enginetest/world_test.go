package enginetest_test

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"greengate/internal/deploy"
	"greengate/internal/engine"
	"greengate/internal/engine/enginetest"
	"greengate/internal/hook/hooktest"
	"greengate/internal/store/storetest"
	"greengate/internal/traffic/traffictest"
	"greengate/internal/workload/workloadtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newWorld(t *testing.T) (*enginetest.World, *enginetest.Life) {
	t.Helper()
	w := enginetest.New(enginetest.Config{})
	t.Cleanup(w.Close)
	return w, w.Boot(t.Context())
}

func TestWorld_store(t *testing.T) {
	t.Parallel()
	storetest.Exercise(t, func(t *testing.T) engine.Store {
		t.Helper()
		_, l := newWorld(t)
		return l.Store()
	})
}

func TestWorld_runtime(t *testing.T) {
	t.Parallel()
	workloadtest.Exercise(t, func(t *testing.T) workloadtest.Harness {
		t.Helper()
		w, l := newWorld(t)
		w.Program("slow", enginetest.Program{Ready: 20 * time.Millisecond})
		w.Program("deaf", enginetest.Program{Deaf: true})
		w.Program("missing", enginetest.Program{Missing: true})
		w.Program("crashing", enginetest.Program{Doomed: true})
		program := func(name string) deploy.Workload { return deploy.Workload{Command: []string{name}} }
		return workloadtest.Harness{
			Runtime: l.Runtime(), Healthy: program("slow"), Deaf: program("deaf"), Missing: program("missing"), Crashing: program("crashing"),
			Tasks: func(_ *testing.T, set string) []string { return w.Tasks(set) },
		}
	})
}

func TestWorld_router(t *testing.T) {
	t.Parallel()
	traffictest.Exercise(t, func(t *testing.T) traffictest.Harness {
		t.Helper()
		w, l := newWorld(t)
		w.Service("shop", "")
		for _, id := range []string{"blue", "green"} {
			w.Run(deploy.TaskSet{ID: id, Service: "shop", Tasks: 1})
		}
		return traffictest.Harness{
			Router: l.Router(), Service: "shop", Blue: "blue", Green: "green",
			Get: func(_ *testing.T, test bool) (string, int) {
				x := w.Begin("shop", test, false)
				x.End()
				return x.TaskSet, x.Status
			},
			Hold: func(_ *testing.T, stream bool) (string, func() bool) {
				x := w.Begin("shop", false, stream)
				return x.TaskSet, x.End
			},
			Edit: func(_ *testing.T, weights []deploy.RouteWeight) { w.Edit("shop", weights) },
			Fail: func(_ *testing.T, set string) { w.Fail(set, true) },
		}
	})
}

func TestWorld_hooks(t *testing.T) {
	t.Parallel()
	for _, kind := range []deploy.HookKind{deploy.HookCommand, deploy.HookFunction} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			hooktest.Exercise(t, func(t *testing.T) hooktest.Harness {
				t.Helper()
				return hookHarness(t, kind)
			})
		})
	}
}

func hookHarness(t *testing.T, kind deploy.HookKind) hooktest.Harness {
	t.Helper()
	w, l := newWorld(t)
	does := map[hooktest.Program]enginetest.Behaviour{
		hooktest.Fails:   {How: enginetest.Fails, After: time.Millisecond},
		hooktest.Sleeps:  {How: enginetest.Silent},
		hooktest.Missing: {How: enginetest.Refused},
	}
	if kind == deploy.HookFunction {
		does[hooktest.Returns] = enginetest.Behaviour{How: enginetest.Returns, After: time.Millisecond}
	} else {
		does[hooktest.Passes] = enginetest.Behaviour{How: enginetest.Passes, After: time.Millisecond}
		does[hooktest.Polite] = enginetest.Behaviour{How: enginetest.Silent}
	}
	for p, b := range does {
		w.Hook(string(p), b)
	}
	return hooktest.Harness{
		Hooks: l.Hooks(),
		Call: func(_ *testing.T, p hooktest.Program) (deploy.HookCall, bool) {
			_, ok := does[p]
			return deploy.HookCall{Hook: deploy.Hook{Name: string(p), Kind: kind}, Service: "shop"}, ok
		},
		Starts: func(_ *testing.T, id string) int {
			n := 0
			for _, e := range w.Journal() {
				if e.Kind == enginetest.EntryHookStart && e.ID == id {
					n++
				}
			}
			return n
		},
		Running: func(_ *testing.T, id string) bool { return slices.Contains(w.Hooking(), id) },
	}
}
