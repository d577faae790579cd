//go:build linux

package kill

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"greengate/internal/deploy"
)

// The phases that the two stories pass, in order. Settle is passed only where something that was cancelled
// takes its time, and Discard is for a service without an old version.
var (
	promotedPhases = []deploy.Phase{
		deploy.PhaseBeforeInstall, deploy.PhaseInstall, deploy.PhaseAfterInstall, deploy.PhaseAllowTestTraffic,
		deploy.PhaseAfterAllowTestTraffic, deploy.PhaseReadyWait, deploy.PhaseBeforeAllowTraffic, deploy.PhaseWayBack,
		deploy.PhaseAllowTraffic, deploy.PhaseAfterAllowTraffic, deploy.PhaseTerminationWait, deploy.PhaseRetire,
	}
	rolledBackPhases = []deploy.Phase{deploy.PhaseInspect, deploy.PhaseRollback}
	recordPhases     = []deploy.Phase{deploy.PhaseAllowTraffic, deploy.PhaseAfterAllowTraffic, deploy.PhaseRetire}
)

// killer ends a role a random time after the deployment was seen to enter one of its phases.
type killer struct {
	role   string
	phases []deploy.Phase
	record bool // the phases are those of the rollback's record
	upTo   time.Duration
	chance *rand.Rand

	mu     sync.Mutex
	first  string // deployment; the record is another one
	killed []string
	wg     sync.WaitGroup
}

func newKiller(role string, phases []deploy.Phase, seed uint64) *killer {
	return &killer{role: role, phases: phases, upTo: hold, chance: rand.New(rand.NewPCG(seed, 1))}
}

func (k *killer) see(w *world) func(deploy.HistoryEvent) {
	return func(e deploy.HistoryEvent) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.first == "" {
			k.first = e.Deployment
		}
		name := fmt.Sprintf("%s of %s", e.Phase, map[bool]string{false: "deployment", true: "rollback"}[k.record])
		if e.Kind != deploy.RecordPhase || (e.Deployment != k.first) != k.record || !slices.Contains(k.phases, e.Phase) ||
			slices.Contains(k.killed, name) {
			return
		}
		k.killed = append(k.killed, name)
		pause := time.Duration(k.chance.Int64N(int64(k.upTo)))
		k.wg.Go(func() {
			time.Sleep(pause) // at random: that is what is tested
			if pid := processesOf(w.data)[k.role]; pid != 0 {
				killProcess(pid, started(pid))
			}
		})
	}
}

// done fails if a phase was never seen, so that no kill is missing. A deployment that ended because a hook could
// not tell has not seen those that come later.
func (k *killer) done(t *testing.T, got ending) {
	t.Helper()
	k.wg.Wait()
	if len(k.killed) > 0 && got.Reason == deploy.ReasonInconclusive {
		t.Logf("killed in %v", k.killed)
		return
	}
	if len(k.killed) != len(k.phases) {
		t.Errorf("killed in %v, which should have been %v", k.killed, k.phases)
	}
}

// random plays a story with a killer.
func (w *world) random(t *testing.T, r reference, k *killer) {
	t.Helper()
	k.done(t, w.play(t, r.story, options{hold: hold}, &r.end, k.see(w)))
}

// spread deals phases out, so that the kills of one deployment are far enough from each other not to be
// taken for a role that cannot live.
func spread(phases []deploy.Phase, hands int) [][]deploy.Phase {
	list := make([][]deploy.Phase, hands)
	for i, p := range phases {
		list[i%hands] = append(list[i%hands], p)
	}
	return list
}

// uninterrupted are the references that have been played in this run. How a deployment ends, and what it passes, depends on
// the story alone, so one installation plays for all.
var uninterrupted struct {
	mu   sync.Mutex
	refs []reference
}

// references are both stories without a kill: those of another test, or else played here.
func (w *world) references(t *testing.T) []reference {
	t.Helper()
	return references(t, false, func(s story) reference {
		r := reference{story: s, end: w.play(t, s, options{hold: hold}, nil, nil)}
		sane(t, r)
		return r
	})
}

// records are references with their positions.
func (w *world) records(t *testing.T) []reference {
	t.Helper()
	return references(t, true, func(s story) reference { return w.record(t, s) })
}

func references(t *testing.T, positions bool, play func(story) reference) []reference {
	t.Helper()
	uninterrupted.mu.Lock()
	defer uninterrupted.mu.Unlock()
	if refs := uninterrupted.refs; refs != nil && (!positions || refs[0].positions != nil) {
		return refs
	}
	var refs []reference
	for _, s := range []story{promoted, rolledBack} {
		refs = append(refs, play(s))
	}
	if t.Failed() {
		t.FailNow()
	}
	uninterrupted.refs = refs
	return refs
}

// The program as it is shipped, with its controller killed at random times in each phase.
func TestController_everyPhase(t *testing.T) {
	needPython(t)
	t.Parallel()
	w := newWorld(t, built.greengate)
	w.first(t)
	refs := w.references(t)
	rounds := 1
	if *all {
		rounds = 10
	}
	for round := range rounds {
		w.everyPhase(t, "controller", refs, spread(promotedPhases, 3), uint64(round))
	}
	w.close(t)
}

// everyPhase kills a role in every phase of both stories; hands are those of one deployment each.
func (w *world) everyPhase(t *testing.T, role string, refs []reference, hands [][]deploy.Phase, seed uint64) {
	t.Helper()
	for i, phases := range hands {
		t.Run(fmt.Sprintf("%s %d %v", promoted.name, seed, phases), func(t *testing.T) {
			w.random(t, refs[0], newKiller(role, phases, seed*100+uint64(i)))
		})
	}
	t.Run(fmt.Sprintf("%s %d %v", rolledBack.name, seed, rolledBackPhases), func(t *testing.T) {
		w.random(t, refs[1], newKiller(role, rolledBackPhases, seed*100+50))
	})
	t.Run(fmt.Sprintf("%s %d record %v", rolledBack.name, seed, recordPhases), func(t *testing.T) {
		k := newKiller(role, recordPhases, seed*100+51)
		k.record = true
		w.random(t, refs[1], k)
	})
}
