//go:build linux

package kill

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"greengate/internal/deploy"
)

// The runner is killed at the points between its own durable steps.
func TestRunner_everyPosition(t *testing.T) {
	needPython(t)
	t.Parallel()
	w := newFaulty(t)
	refs := w.records(t)
	for _, r := range refs {
		t.Logf("%s passes %d positions of the runner", r.story.name, len(ofRole(r.positions, "runner ")))
	}
	killAll(t, w, choose(refs, "runner "))
}

// The program as it is shipped, with its runner killed at random times in each phase.
func TestRunner_everyPhase(t *testing.T) {
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
		// A hook that is met in flight may end the deployment, so each comes last in its hand.
		w.everyPhase(t, "runner", refs, [][]deploy.Phase{
			{deploy.PhaseBeforeInstall},
			{deploy.PhaseInstall, deploy.PhaseAfterInstall},
			{deploy.PhaseAllowTestTraffic, deploy.PhaseAfterAllowTestTraffic, deploy.PhaseReadyWait, deploy.PhaseBeforeAllowTraffic},
			{deploy.PhaseWayBack, deploy.PhaseAllowTraffic, deploy.PhaseAfterAllowTraffic},
			{deploy.PhaseTerminationWait},
			{deploy.PhaseRetire},
		}, uint64(round))
	}
	w.close(t)
}

// flight is a hook that is met in flight.
type flight struct {
	hook  string
	event deploy.HookList
	away  bool // there is no runner until the hook has ended
	fails bool // it exits with 1
}

func (f flight) String() string {
	return fmt.Sprintf("%s away=%t fails=%t", f.hook, f.away, f.fails)
}

// The runner is killed while a hook of each kind is surely in flight, and comes back at once or after the hook
// has ended. What a process ended with is then known only where the kernel keeps it; what is not known is not
// taken for a success, and what failed never passes. A function's verdict is its callback, which comes.
func TestRunner_hookInFlight(t *testing.T) {
	needPython(t)
	t.Parallel()
	w := newWorld(t, built.greengate)
	w.first(t)
	want := w.references(t)[0].end
	before, after, verify := deploy.HookList(deploy.PhaseBeforeInstall), deploy.HookList(deploy.PhaseAfterInstall), deploy.HookList(deploy.PhaseAfterAllowTestTraffic)
	for _, f := range []flight{
		{hook: "migrate", event: before},
		{hook: "migrate", event: before, away: true},
		{hook: "migrate", event: before, away: true, fails: true},
		{hook: "probe", event: after, away: true},
		{hook: "probe", event: after, fails: true},
		{hook: "verify", event: verify},
		{hook: "verify", event: verify, away: true},
		{hook: "smoke", event: deploy.SmokeAfter, away: true},
	} {
		t.Run(f.String(), func(t *testing.T) { w.inFlight(t, f, want) })
	}
	w.close(t)
}

func (w *world) inFlight(t *testing.T, f flight, want ending) {
	t.Helper()
	done := w.onStart(t, f, func() { w.takeRunner(t, f) })
	o := options{hold: 700 * time.Millisecond}
	if !f.fails {
		w.play(t, promoted, o, &want, nil)
	} else {
		o.failing = f.hook
		got := w.play(t, story{exit: 4}, o, nil, nil)
		verdicts := strings.Join(got.Verdicts, ", ")
		if got.Status != deploy.StatusFailed || strings.Contains(verdicts, string(f.event)+"/"+f.hook+" 1 pass") {
			t.Errorf("hook %s has failed, and the deployment ended %s with %s", f.hook, got.Status, verdicts)
		}
	}
	if !done() {
		t.Fatalf("hook %s was never seen in flight", f.hook)
	}
}

// takeRunner ends the runner. Where it is to be away a stopped supervisor does not start another one until the
// hook's process has ended.
func (w *world) takeRunner(t *testing.T, f flight) {
	t.Helper()
	roles := processesOf(w.data)
	if f.away {
		if err := syscall.Kill(roles["serve"], syscall.SIGSTOP); err != nil {
			t.Error(err)
		}
		defer func() { _ = syscall.Kill(roles["serve"], syscall.SIGCONT) }()
	}
	killProcess(roles["runner"], started(roles["runner"]))
	if !f.away {
		return
	}
	// A sandbox does not end; it has said its verdict, or waits for somebody to say it to.
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		running := slices.ContainsFunc(marked(w.id()), func(p proc) bool { return strings.HasPrefix(p.unit, "hook/") })
		if !running && (f.hook != "verify" || time.Until(end) < 3*time.Second) {
			return
		}
	}
}

// onStart calls do once when the hook's own line is in the file. The function that it returns waits for the
// watching to end and reports whether that was so.
func (w *world) onStart(t *testing.T, f flight, do func()) (done func() bool) {
	t.Helper()
	info, err := os.Stat(w.starts)
	if err != nil {
		t.Fatal(err)
	}
	stop, ended := make(chan struct{}), make(chan bool, 1)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				ended <- false
				return
			case <-tick.C:
			}
			data, err := os.ReadFile(w.starts)
			if err != nil || int64(len(data)) <= info.Size() {
				continue
			}
			for line := range strings.Lines(string(data[info.Size():])) {
				if strings.Contains(line, `"`+f.hook+`"`) && strings.Contains(line, `"`+string(f.event)+`"`) {
					do()
					ended <- true
					return
				}
			}
		}
	}()
	return func() bool {
		close(stop)
		return <-ended
	}
}
