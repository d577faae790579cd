//go:build linux

package kill

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"greengate/internal/deploy"
)

const settleLimit = 40 * time.Second

// check holds the installation at rest against what must be so after any deployment.
func (w *world) check(t *testing.T, views []deploy.DeploymentView) {
	t.Helper()
	w.checkHooks(t, views)
	w.checkTasks(t)
	w.checkProduction(t)
	w.checkLedger(t)
	if w.census != nil {
		w.census.check(t)
	}
}

// checkHooks compares the hooks' own file with the verdicts: nothing was started twice, and what has a
// verdict of its own was started.
func (w *world) checkHooks(t *testing.T, views []deploy.DeploymentView) {
	t.Helper()
	executions := map[string]int{}
	starts := map[string]int{}
	for _, l := range w.lines(t) {
		if l.Kind != "start" {
			continue
		}
		if executions[l.Execution]++; executions[l.Execution] > 1 {
			t.Errorf("hook %s in %s of %s was started %d times (execution %s)", l.Hook, l.Event, l.Deployment, executions[l.Execution], l.Execution)
		}
		starts[l.Deployment+" "+l.Event+"/"+l.Hook]++
	}
	for _, v := range views {
		expected := map[string][]deploy.VerdictStatus{}
		for _, d := range v.Verdicts {
			key := fmt.Sprintf("%s %s/%s", v.ID, d.Event, d.Hook)
			expected[key] = append(expected[key], d.Status)
		}
		for key, statuses := range expected {
			sure := 0
			for _, s := range statuses {
				if s != deploy.VerdictError {
					sure++
				}
			}
			if n := starts[key]; n < sure || n > len(statuses) {
				t.Errorf("%s: %d starts for the verdicts %v", key, n, statuses)
			}
		}
		for key := range starts {
			if strings.HasPrefix(key, v.ID+" ") && expected[key] == nil {
				t.Errorf("%s: started, and there is no verdict", key)
			}
		}
	}
}

// checkTasks counts processes and listening sockets: exactly the tasks of the one live task set, and of
// hooks nothing but idle sandboxes.
func (w *world) checkTasks(t *testing.T) {
	t.Helper()
	eventually(t, settleLimit, "exactly the tasks of one task set run", func() (string, bool) {
		var v deploy.ServiceView
		if err := w.call(deploy.TargetPrefix+"DescribeService", deploy.ServiceInput{Name: service}, &v); err != nil {
			return err.Error(), false
		}
		want := map[string]int{}
		for _, set := range v.TaskSets {
			for _, task := range set.Tasks {
				want[task.ID] = task.PID
			}
		}
		var running []proc
		for _, p := range marked(w.id()) {
			if strings.HasPrefix(p.unit, "sandbox-") {
				continue
			}
			running = append(running, p)
			if want[p.unit] != p.pid {
				return fmt.Sprintf("process %+v; the controller knows %v", p, want), false
			}
		}
		sockets := listening(running)
		seen := fmt.Sprintf("%d task sets, %d tasks known, %d processes, %d listening sockets", len(v.TaskSets), len(want), len(running), sockets)
		return seen, len(v.TaskSets) == 1 && len(want) == tasks && len(running) == tasks && sockets == tasks
	})
}

// checkProduction looks at the weights as they are told and as they are.
func (w *world) checkProduction(t *testing.T) {
	t.Helper()
	v, err := w.describe()
	if err != nil {
		t.Fatal(err)
	}
	if v.Version != w.live || len(v.TaskSets) != 1 || v.TaskSets[0].Weight != 100 || v.TaskSets[0].Version != w.live || !v.TaskSets[0].Test {
		t.Errorf("production should be on %s alone: %+v", w.live, v)
	}
	for _, address := range []string{w.production, w.test} {
		c := client{address: address}
		for n := range 10 {
			body, err := c.send(request(n, false, address))
			if err != nil || body != w.live {
				t.Errorf("request %d to %s: %q, %v; should be %s", n, address, body, err, w.live)
			}
			if err == nil && address == w.production {
				w.looked[body]++
			}
		}
	}
}

// checkLedger compares what the data plane counted with what was sent: by the load, by the smoke sets and
// by the checks here. An answer can be with the client before its outcome is counted, so it waits a little.
func (w *world) checkLedger(t *testing.T) {
	t.Helper()
	if w.load == nil {
		return
	}
	w.load.pause()
	defer w.load.resume()
	sent := w.load.counts()
	others := w.others(t)
	if w.cuts > 0 {
		w.checkCuts(t, sent, others)
		return
	}
	if sent.failed() > 0 {
		t.Errorf("%d of %d requests failed: %v", sent.failed(), sent.Total, sent.Faults)
	}
	for v, n := range others {
		sent.Version[v] += n
	}
	eventually(t, settleLimit, "the ledgers hold what was sent", func() (string, bool) {
		rows := w.ledger(t)
		served := map[string]int64{}
		for v, l := range rows {
			if l.Requests != l.Served {
				return fmt.Sprintf("not all of %s was served: %+v; sent %v", v, l, sent.Version), false
			}
			served[v] = l.Served
		}
		return fmt.Sprintf("served %v, sent %v", served, sent.Version), maps.Equal(served, sent.Version)
	})
}

// checkCuts is checkLedger after the data plane was killed. A client and the ledger can differ by what was on
// the way at a kill: a request that was not read yet, an answer that was not counted yet; at most one a
// connection.
func (w *world) checkCuts(t *testing.T, sent counts, others map[string]int64) {
	t.Helper()
	if sent.Bad+sent.Refused > 0 {
		t.Errorf("%d bad answers, %d refused connects: %v", sent.Bad, sent.Refused, sent.Faults)
	}
	slack := int64(w.cuts) * loadWorkers
	good, broken := sent.OK, sent.Broken+w.slow
	for _, n := range others {
		good += n
	}
	eventually(t, settleLimit, "the ledgers hold what was sent, and what was cut", func() (string, bool) {
		var l deploy.LedgerVersion
		for _, r := range w.ledger(t) {
			l.Requests += r.Requests
			l.Served += r.Served
			l.Cut += r.Cut
			l.ClientCut += r.ClientCut
			l.Failed += r.Failed
		}
		seen := fmt.Sprintf("clients: %d good, %d broken; ledger: %+v", good, broken, l)
		return seen, l.Requests == l.Served+l.Cut && // nothing is left without an outcome
			good-l.Served >= 0 && good-l.Served <= slack && // answered, and not counted as served
			l.Cut <= broken+slack && broken <= l.Cut+slack && // the rest was cut, or not read
			l.Requests <= good+broken
	})
}

// others are the requests to production that were not sent by the load, by version.
func (w *world) others(t *testing.T) map[string]int64 {
	t.Helper()
	n := maps.Clone(w.looked)
	for _, l := range w.lines(t) {
		if l.Kind == "request" {
			n[l.Version]++
		}
	}
	return n
}

// ledger is the sum over the ledgers of all deployments, by version.
func (w *world) ledger(t *testing.T) map[string]deploy.LedgerVersion {
	t.Helper()
	list, err := w.deployments()
	if err != nil {
		t.Fatal(err)
	}
	sum := map[string]deploy.LedgerVersion{}
	for _, d := range list {
		if d.Kind != deploy.KindDeploy { // a rollback counts on in the ledger of what it rolls back
			continue
		}
		var out deploy.LedgerOutput
		if err := w.ask("DescribeLedger", deploy.DeploymentInput{ID: d.ID}, &out); err != nil {
			t.Fatal(err)
		}
		for _, l := range out.Versions {
			if l.Requests == 0 {
				continue
			}
			have := sum[l.Version]
			have.Requests += l.Requests
			have.Served += l.Served
			have.Failed += l.Failed
			have.Cut += l.Cut
			have.ClientCut += l.ClientCut
			sum[l.Version] = have
		}
	}
	return sum
}
