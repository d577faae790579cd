//go:build linux

package kill

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/supervise"
)

// measured is how often the data plane is killed for the median.
const measured = 15

// recoveryLimit is far above what is promised (docs/performance.md has the figure of this test): a test machine
// may be busy.
const recoveryLimit = time.Second

// The data plane is killed: no connect is refused, it serves again at once by its last table, and exactly what
// was in flight is counted as cut.
func TestProxy_killed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, built.greengate)
	w.plain(t)
	w.load.pause()
	var took []time.Duration
	for n := range measured {
		took = append(took, w.killProxy(t, n%4))
	}
	w.load.resume()
	slices.Sort(took)
	median := took[len(took)/2]
	t.Logf("from SIGKILL of the data plane to the first answer on a new connection: median %s, least %s, most %s, of %d",
		median.Round(100*time.Microsecond), took[0].Round(100*time.Microsecond), took[len(took)-1].Round(100*time.Microsecond), len(took))
	if median > recoveryLimit {
		t.Errorf("the median is %s; it should be far under %s", median, recoveryLimit)
	}
	// The same under load: now the accounts can differ by what was on the way.
	for range 5 {
		w.steady(t, "proxy")
		before := w.load.counts()
		pid := w.killRole(t, "proxy")
		w.cuts++
		w.ready(t, "proxy", pid)
		eventually(t, startLimit, "the load goes on", func() (string, bool) {
			now := w.load.counts()
			return fmt.Sprintf("%+v", now), now.OK > before.OK+50
		})
	}
	w.checkTasks(t)
	w.checkProduction(t)
	w.checkLedger(t)
	w.close(t)
}

// plain deploys v1 and puts load on it, with hooks that need no interpreter.
func (w *world) plain(t *testing.T) {
	t.Helper()
	w.noFunction = true
	w.first(t)
}

// killProxy ends the data plane while so many requests are in flight, and returns how long it took until a new
// connection was served. Nothing else is on the way.
func (w *world) killProxy(t *testing.T, flying int) time.Duration {
	t.Helper()
	w.steady(t, "proxy")
	before := w.totals(t)
	ended := make(chan error, flying)
	for range flying {
		go func() {
			c := client{address: w.production}
			_, err := c.send("GET /slow?for=30s HTTP/1.1\r\nHost: " + w.production + "\r\nConnection: close\r\n\r\n")
			ended <- err
		}()
	}
	eventually(t, startLimit, "the requests are in flight", func() (string, bool) {
		l := w.totals(t)
		return fmt.Sprintf("%+v", l), l.Requests-before.Requests == int64(flying)
	})
	pid := w.pid(t, "proxy")
	since := started(pid)
	begin := time.Now()
	killProcess(pid, since)
	w.cuts++
	c := client{address: w.production}
	body, err := c.send(request(0, false, w.production))
	took := time.Since(begin)
	if errors.Is(err, errRefused) {
		t.Errorf("a connect was refused: %v", err)
	}
	unsure := int64(0)
	if err != nil {
		// It was accepted by the process that was about to die; a client tries once more.
		unsure = 1
		body, err = c.send(request(0, false, w.production))
		took = time.Since(begin)
	}
	if err == nil {
		w.looked[body]++
	}
	if err != nil || body != w.live {
		t.Errorf("after the kill: %q, %v", body, err)
	}
	for range flying {
		if err := <-ended; err == nil || errors.Is(err, errRefused) {
			t.Errorf("a request in flight ended with %v instead of being cut", err)
		}
	}
	w.slow += int64(flying)
	w.ready(t, "proxy", pid)
	eventually(t, settleLimit, "what was in flight is counted as cut", func() (string, bool) {
		l := w.totals(t)
		cut := l.Cut - before.Cut
		return fmt.Sprintf("before %+v, after %+v, in flight %d", before, l, flying),
			cut >= int64(flying) && cut <= int64(flying)+unsure && l.Requests-before.Requests == cut+l.Served-before.Served
	})
	return took
}

// steady waits until a role has been ready for so long that its next death does not count as one of many, which
// its supervisor answers with a pause.
func (w *world) steady(t *testing.T, name string) {
	t.Helper()
	eventually(t, startLimit, name+" has lived for a while", func() (string, bool) {
		s, err := w.role(name)
		return fmt.Sprintf("%+v %v", s, err), err == nil && s.State == supervise.StateReady && time.Since(s.Since) > 1200*time.Millisecond
	})
}

// totals is the sum of all ledgers.
func (w *world) totals(t *testing.T) deploy.LedgerVersion {
	t.Helper()
	var sum deploy.LedgerVersion
	for _, l := range w.ledger(t) {
		sum.Requests += l.Requests
		sum.Served += l.Served
		sum.Cut += l.Cut
		sum.ClientCut += l.ClientCut
		sum.Failed += l.Failed
	}
	return sum
}

// The data plane serves by its last table also while there is no controller, in the middle of a switch.
func TestProxy_lastTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, built.greengate)
	w.plain(t)
	old := w.live
	split := make(chan struct{})
	w.deploy(t, options{step: 3 * time.Second}, 0, func(e deploy.HistoryEvent) {
		if e.Kind != deploy.RecordWeights || !strings.Contains(e.Message, "green 30") {
			return
		}
		defer close(split)
		controller := w.pid(t, "controller")
		if err := syscall.Kill(controller, syscall.SIGSTOP); err != nil {
			t.Error(err)
		}
		defer func() { _ = syscall.Kill(controller, syscall.SIGCONT) }()
		for range 2 {
			w.afterKill(t, map[string]bool{old: true, fmt.Sprintf("v%d", w.version): true})
		}
	})
	select {
	case <-split:
	default:
		t.Fatal("the deployment never was between the versions")
	}
	w.live = fmt.Sprintf("v%d", w.version)
	w.checkTasks(t)
	w.checkProduction(t)
	w.checkLedger(t)
	w.close(t)
}

// afterKill ends the data plane and looks who answers then: every version of want, and nobody else.
func (w *world) afterKill(t *testing.T, want map[string]bool) {
	t.Helper()
	pid := processesOf(w.data)["proxy"]
	killProcess(pid, started(pid))
	w.cuts++
	got := map[string]int{}
	c := client{address: w.production}
	for n := range 60 {
		body, err := c.send(request(n, false, w.production))
		if err != nil {
			if errors.Is(err, errRefused) {
				t.Errorf("a connect was refused: %v", err)
			}
			continue
		}
		w.looked[body]++
		got[body]++
	}
	for v := range got {
		if !want[v] {
			t.Errorf("%s answered after the data plane was killed; the table had %v", v, want)
		}
	}
	if len(got) != len(want) {
		t.Errorf("after the data plane was killed %v answered; the table had %v", got, want)
	}
}

// A deployment does not notice that the data plane was killed under it, where no hook was asking just then.
func TestProxy_duringDeployment(t *testing.T) {
	needPython(t)
	t.Parallel()
	w := newWorld(t, built.greengate)
	w.first(t)
	refs := w.references(t)
	for i, phases := range spread([]deploy.Phase{deploy.PhaseInstall, deploy.PhaseReadyWait, deploy.PhaseAllowTraffic}, 3) {
		t.Run(fmt.Sprint(phases), func(t *testing.T) {
			w.cuts += len(phases)
			k := newKiller("proxy", phases, uint64(i))
			k.upTo = 100 * time.Millisecond
			k.done(t, w.play(t, promoted, options{hold: hold, step: time.Second}, &refs[0].end, k.see(w)))
		})
	}
	w.close(t)
}
