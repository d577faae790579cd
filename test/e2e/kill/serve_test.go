//go:build linux

package kill

import (
	"fmt"
	"maps"
	"syscall"
	"testing"
	"time"

	"greengate/internal/deploy"
)

// roles are the processes below serve.
var roles = []string{"controller", "proxy", "runner"}

// units are the pids of the marked processes by unit.
func (w *world) units() map[string]int {
	found := map[string]int{}
	for _, p := range marked(w.id()) {
		found[p.unit] = p.pid
	}
	return found
}

// The supervisor is killed: nobody below it notices. A new one takes over the same processes with their
// sockets, and heals a later death.
func TestSupervisor_killed(t *testing.T) {
	needPython(t)
	t.Parallel()
	w := newWorld(t, built.greengate)
	w.first(t)
	refs := w.references(t)
	before, tasksBefore := processesOf(w.data), w.units()
	for range 2 {
		killProcess(before["serve"], started(before["serve"]))
		<-w.served
		w.flows(t)
		// Another one while there is none: the roles go on as they are.
		w.start(t)
		after := processesOf(w.data)
		for _, r := range roles {
			if after[r] != before[r] {
				t.Errorf("%s was not taken over: pid %d before, %d after", r, before[r], after[r])
			}
			eventually(t, startLimit, r+" is known as taken over", func() (string, bool) { // the record lags behind
				s, err := w.role(r)
				return fmt.Sprintf("%+v %v", s, err), err == nil && s.Adopted && s.PID == before[r]
			})
		}
		before = after
	}
	if now := w.units(); !maps.Equal(now, tasksBefore) {
		t.Errorf("tasks and sandboxes were %v, they are %v", tasksBefore, now)
	}
	for _, r := range []string{"controller", "runner"} {
		pid := w.killRole(t, r)
		w.ready(t, r, pid)
	}
	w.play(t, promoted, options{hold: hold}, &refs[0].end, nil)

	// And in the middle of a deployment, with a function in flight and its controller killed right after.
	done := w.onStart(t, flight{hook: "verify", event: deploy.HookList(deploy.PhaseAfterAllowTestTraffic)}, func() {
		p := processesOf(w.data)
		killProcess(p["serve"], started(p["serve"]))
		<-w.served
		killProcess(p["controller"], started(p["controller"]))
		w.start(t)
	})
	w.play(t, promoted, options{hold: 500 * time.Millisecond}, &refs[0].end, nil)
	if !done() {
		t.Error("the function was never seen in flight")
	}
	w.close(t)
}

// flows waits until the load has got answers after this moment.
func (w *world) flows(t *testing.T) {
	t.Helper()
	before := w.load.counts()
	eventually(t, startLimit, "traffic goes on", func() (string, bool) {
		now := w.load.counts()
		return fmt.Sprintf("%+v", now), now.OK > before.OK+100
	})
}

// SIGTERM ends the control plane alone; the next serve finds everything as it was; down ends all of it.
func TestSupervisor_terminated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, built.greengate)
	w.plain(t)
	before, tasksBefore := processesOf(w.data), w.units()
	if err := syscall.Kill(before["serve"], syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-w.served
	eventually(t, settleLimit, "the control plane has ended and nothing else", func() (string, bool) {
		now := processesOf(w.data)
		return fmt.Sprint(now), maps.Equal(now, map[string]int{"proxy": before["proxy"], "runner": before["runner"]})
	})
	w.flows(t)
	w.start(t)
	after := processesOf(w.data)
	if after["proxy"] != before["proxy"] || after["runner"] != before["runner"] || after["controller"] == before["controller"] {
		t.Errorf("the processes were %v, they are %v", before, after)
	}
	if now := w.units(); !maps.Equal(now, tasksBefore) {
		t.Errorf("tasks were %v, they are %v", tasksBefore, now)
	}
	w.play(t, promoted, options{}, nil, nil)
	w.close(t)
}

// An ephemeral serve takes everything with it.
func TestSupervisor_ephemeral(t *testing.T) {
	t.Parallel()
	w := newWorld(t, built.greengate)
	w.down(t)
	w.start(t, "--ephemeral")
	w.plain(t)
	w.load.stop()
	if err := syscall.Kill(processesOf(w.data)["serve"], syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.gone(t)
}

// All three roles die at once, at rest and with a function in flight.
func TestRoles_killedAtOnce(t *testing.T) {
	needPython(t)
	t.Parallel()
	w := newWorld(t, built.greengate)
	w.first(t)
	refs := w.references(t)
	tasksBefore := w.units()
	w.cuts++
	killRoles(w)
	for _, r := range roles {
		w.ready(t, r, 0)
	}
	w.flows(t)
	if now := w.units(); !maps.Equal(now, tasksBefore) {
		t.Errorf("tasks and sandboxes were %v, they are %v", tasksBefore, now)
	}
	w.checkTasks(t)
	w.checkProduction(t)
	w.checkLedger(t)

	w.cuts++
	// The hook holds before it asks the test listener, so that the data plane is back by then.
	done := w.onStart(t, flight{hook: "verify", event: deploy.HookList(deploy.PhaseAfterAllowTestTraffic)}, func() { killRoles(w) })
	w.play(t, promoted, options{hold: 2 * time.Second}, &refs[0].end, nil)
	if !done() {
		t.Error("the function was never seen in flight")
	}
	w.close(t)
}

func killRoles(w *world) {
	p := processesOf(w.data)
	for _, r := range roles {
		killProcess(p[r], started(p[r]))
	}
}

// Everything dies, tasks too, as in a loss of the host. With the next serve what is wanted runs again, traffic is
// served, and a deployment that was waiting goes on.
func TestHost_lost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, built.greengate)
	w.plain(t)
	w.load.pause() // nobody is served while there is no host
	w.lose(t)
	w.checkTasks(t)
	w.checkProduction(t)

	// In the ready wait both versions are wanted.
	lost := make(chan struct{})
	v := w.deploy(t, options{}, 0, func(e deploy.HistoryEvent) {
		if e.Kind == deploy.RecordPhase && e.Phase == deploy.PhaseReadyWait {
			w.lose(t)
			close(lost)
		}
	})
	w.load.resume()
	select {
	case <-lost:
	default:
		t.Fatal("the deployment never waited")
	}
	if v.Status != deploy.StatusSucceeded {
		t.Fatalf("it ended %s, %s: %s", v.Status, v.Reason, v.Message)
	}
	w.live = v.To
	w.checkHooks(t, []deploy.DeploymentView{v})
	w.checkTasks(t)
	w.checkProduction(t)
	w.flows(t)
	w.checkLedger(t)
	w.close(t)
}

// lose ends everything at once and starts serve again; it returns when every task is healthy again.
func (w *world) lose(t *testing.T) {
	t.Helper()
	for _, name := range append([]string{"serve"}, roles...) {
		pid := processesOf(w.data)[name]
		killProcess(pid, started(pid))
	}
	for _, p := range marked(w.id()) {
		killProcess(p.pid, p.start)
	}
	<-w.served
	w.cuts++
	eventually(t, settleLimit, "everything has ended", func() (string, bool) {
		left := w.units()
		return fmt.Sprint(left), len(left) == 0
	})
	w.start(t)
	eventually(t, settleLimit, "every wanted task is healthy again", func() (string, bool) {
		v, err := w.describe()
		ok := err == nil && len(v.TaskSets) > 0
		for _, set := range v.TaskSets {
			ok = ok && set.Healthy == set.Desired
		}
		return fmt.Sprintf("%+v %v", v.TaskSets, err), ok
	})
	eventually(t, settleLimit, "production is served again", func() (string, bool) {
		c := client{address: w.production}
		body, err := c.send(request(0, false, w.production))
		if err == nil {
			w.looked[body]++
		}
		return fmt.Sprint(body, err), err == nil && body == w.live
	})
}
