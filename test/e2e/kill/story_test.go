//go:build linux

package kill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/deploy"
)

// story is one way in which a deployment of a service that runs can go.
type story struct {
	name  string
	fault string // of the new version
	exit  int    // of greengate deploy --wait
}

// The two stories: a version that is promoted, and one whose fault only the smoke set after the switch
// can see, which is rolled back and verified.
var (
	promoted   = story{name: "promoted", exit: 0}
	rolledBack = story{name: "rolled-back", fault: "production", exit: 4}
)

// ending is how a deployment ended, without what differs from run to run.
type ending struct {
	Status    deploy.Status
	Reason    deploy.Reason
	Phase     deploy.Phase
	Weights   deploy.Weights
	TestSide  deploy.Side
	Lifecycle []string
	Verdicts  []string
	WayBack   bool
	Verified  bool
	Record    *ending // of the rollback
}

func endingOf(v deploy.DeploymentView) ending {
	e := ending{
		Status: v.Status, Reason: v.Reason, Phase: v.Phase, Weights: v.Weights, TestSide: v.TestSide,
		WayBack: v.WayBack.Verified, Verified: v.Rollback.Verified,
	}
	for _, l := range v.Lifecycle {
		e.Lifecycle = append(e.Lifecycle, fmt.Sprintf("%s %s", l.Name, l.Status))
	}
	for _, d := range v.Verdicts {
		e.Verdicts = append(e.Verdicts, fmt.Sprintf("%s/%s %d %s", d.Event, d.Hook, d.Attempt, d.Status))
	}
	return e
}

// untold lists the verdicts that say that it cannot be known whether, or how, a hook ran.
func untold(v deploy.DeploymentView) []deploy.Verdict {
	var list []deploy.Verdict
	for _, d := range v.Verdicts {
		if d.Status == deploy.VerdictError && d.Reason == deploy.ReasonInconclusive && strings.Contains(d.Message, "not known") {
			list = append(list, d)
		}
	}
	return list
}

// checkUntold makes sure that what is not known is not taken for a success.
func checkUntold(t *testing.T, v deploy.DeploymentView) {
	t.Helper()
	for _, d := range untold(v) {
		t.Logf("%s/%s of %s: %s", d.Event, d.Hook, v.ID, d.Message)
		switch d.Event { //nolint:exhaustive // two lists are no part of the way to production
		case deploy.SmokeBefore:
			if v.WayBack.Verified {
				t.Errorf("the way back of %s counts as verified", v.ID)
			}
		case deploy.SmokeRollback:
			if v.Rollback.Verified {
				t.Errorf("the rollback %s counts as verified", v.ID)
			}
		default:
			if v.Status != deploy.StatusFailed || v.Reason != deploy.ReasonInconclusive {
				t.Errorf("%s ended %s, %s", v.ID, v.Status, v.Reason)
			}
		}
	}
}

// options of a service file, beside its version.
type options struct {
	fault   string
	hold    time.Duration // that each hook takes
	step    time.Duration // from the first weights to all
	failing string        // the hook that exits with 1
}

// write makes the service file of the next version.
func (w *world) write(t *testing.T, o options) (file, version string) {
	t.Helper()
	code := filepath.Join(w.dir, "verify") // a copy: Python writes beside it
	if err := os.CopyFS(code, os.DirFS("testdata/verify")); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	w.version++
	version = fmt.Sprintf("v%d", w.version)
	hook := func(kind, name, variable string) string {
		return fmt.Sprintf("{name: %s, %s: [%q, hook, %s, %q], env: {STARTS: %q, HOLD_MS: %q, FAILS: %q}, timeout: 1m}",
			name, kind, built.shop, name, variable, w.starts, fmt.Sprint(o.hold.Milliseconds()), fmt.Sprint(name == o.failing))
	}
	// What the function wants is in a file, so that its sandbox is warm for every other version, and cold for the rest.
	want := fmt.Sprintf(`{"version": %q, "hold": %v}`, version, o.hold.Seconds())
	if err := os.WriteFile(filepath.Join(w.dir, "want.json"), []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	verify := fmt.Sprintf(`{name: verify, function: {name: verify, code: %q, handler: verify.handler, runtime: python3, timeout: 1m,
     env: {STARTS: %q, TEST_URL: "http://%s", WANT_FILE: %q, COLD: %q}}}`, code, w.starts, w.test,
		filepath.Join(w.dir, "want.json"), fmt.Sprint(w.version%2*w.version))
	if w.noFunction {
		verify = hook("command", "verify", "GREENGATE_TEST_URL")
	}
	text := fmt.Sprintf(`name: %[1]s
version: %[2]s
command: [%[3]q, serve]
tasks: %[4]d
env: {VERSION: %[2]s, FAULT: %[5]q, PRODUCTION: %[6]q}
health: {path: /healthz, interval: 1s, healthy_threshold: 1, timeout: 10s}
grace: 5s
listeners: {production: %[6]q, test: %[7]q}
traffic: {canary: 30%%, interval: %[14]s}
hooks:
  BeforeInstall: [%[8]s]
  AfterInstall: [%[9]s]
  AfterAllowTestTraffic: [%[10]s]
  BeforeAllowTraffic: [%[11]s]
  AfterAllowTraffic: [%[12]s]
smoke: [%[13]s]
promote: manual
bake: 200ms
drain: 10s
`, service, version, built.shop, tasks, o.fault, w.production, w.test,
		hook("task", "migrate", "-"), hook("command", "probe", "GREENGATE_TEST_URL"), verify,
		hook("command", "gate", "-"), hook("command", "after", "-"), hook("command", "smoke", "GREENGATE_PRODUCTION_URL"),
		max(o.step, 200*time.Millisecond))
	file = filepath.Join(w.dir, version+".yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, version
}

// hold is how long a hook takes where nothing else is asked for: long enough to be met in flight.
const hold = 150 * time.Millisecond

// first deploys v1 and starts the load on it.
func (w *world) first(t *testing.T) {
	t.Helper()
	if v := w.deploy(t, options{hold: hold}, 0, nil); v.Status != deploy.StatusSucceeded {
		t.Fatalf("the first deployment ended %s: %s", v.Status, v.Message)
	}
	w.live = fmt.Sprintf("v%d", w.version)
	w.load = startLoad(w.production)
}

// deploy deploys the next version with the command, presses the button at the ready wait, and hands every
// event to see while it waits. exit -1 is any.
func (w *world) deploy(t *testing.T, o options, exit int, see func(deploy.HistoryEvent)) deploy.DeploymentView {
	t.Helper()
	file, version := w.write(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	done, after := make(chan struct{}), w.cursor()
	defer func() { cancel(); <-done }()
	go func() {
		defer close(done)
		w.follow(ctx, after, func(e deploy.HistoryEvent) { //nolint:contextcheck // what one event leads to is ended, not cut
			if see != nil {
				see(e)
			}
			if e.Kind == deploy.RecordPhase && e.Phase == deploy.PhaseReadyWait {
				w.proceed(e.Deployment)
			}
		})
	}()
	r, err := w.cli("deploy", "--file", file, "--wait", "--timeout", deployLimit.String())
	if err != nil {
		t.Fatal(err)
	}
	v, found := w.find(t, version)
	if !found && r.exit == 9 { // a kill hid the answer, and nothing had begun: what a person would do
		t.Logf("the controller was killed before it had begun; deployed again")
		if r, err = w.cli("deploy", "--file", file, "--wait", "--timeout", deployLimit.String()); err != nil {
			t.Fatal(err)
		}
		v, found = w.find(t, version)
	}
	if found && r.exit == 9 { // the answer was lost, the deployment was not
		t.Logf("the answer of the controller was lost; waited for %s by its id", v.ID)
		if r, err = w.cli("wait", v.ID, "--timeout", deployLimit.String()); err != nil {
			t.Fatal(err)
		}
		v, found = w.find(t, version)
	}
	if !found {
		t.Fatalf("there is no deployment of %s; the command ended with %d:\n%s%s", version, r.exit, r.stdout, r.stderr)
	}
	unsure := len(untold(v)) > 0
	if id := v.Rollback.DeploymentID; id != "" {
		record, err := w.deployment(id)
		if err != nil {
			t.Fatal(err)
		}
		unsure = unsure || len(untold(record)) > 0
	}
	if exit >= 0 && r.exit != exit && !unsure {
		t.Errorf("the command ended with %d instead of %d:\n%s%s", r.exit, exit, r.stdout, r.stderr)
	}
	return v
}

func (w *world) find(t *testing.T, version string) (deploy.DeploymentView, bool) {
	t.Helper()
	list, err := w.deployments()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.To != version || d.Kind != deploy.KindDeploy {
			continue
		}
		v, err := w.deployment(d.ID)
		if err != nil {
			t.Fatal(err)
		}
		return v, true
	}
	return deploy.DeploymentView{}, false
}

// play deploys one version through a story and holds everything against what must be so, the way it ended
// against want where that is given. It returns the way it ended.
func (w *world) play(t *testing.T, s story, o options, want *ending, see func(deploy.HistoryEvent)) ending {
	t.Helper()
	o.fault = s.fault
	v := w.deploy(t, o, s.exit, see)
	got := endingOf(v)
	views := []deploy.DeploymentView{v}
	if id := v.Rollback.DeploymentID; id != "" {
		record, err := w.deployment(id)
		if err != nil {
			t.Fatal(err)
		}
		views = append(views, record)
		got.Record = new(endingOf(record))
	}
	if v.Status == deploy.StatusSucceeded {
		w.live = v.To
	}
	for _, v := range views {
		if len(untold(v)) > 0 {
			checkUntold(t, v)
			want = nil
		}
	}
	if want != nil {
		if diff := cmp.Diff(*want, got); diff != "" {
			t.Errorf("it did not end as an uninterrupted deployment (-uninterrupted +got):\n%s", diff)
		}
	}
	w.check(t, views)
	return got
}

// noted is a line of the hooks' own file.
type noted struct {
	Kind, Hook, Event, Deployment, Execution, Version string
}

func (w *world) lines(t *testing.T) []noted {
	t.Helper()
	data, err := os.ReadFile(w.starts)
	if err != nil {
		t.Fatal(err)
	}
	var list []noted
	for line := range strings.Lines(string(data)) {
		var l noted
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		list = append(list, l)
	}
	return list
}
