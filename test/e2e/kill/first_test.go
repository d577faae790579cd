//go:build linux

package kill

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/deploy"
)

// A first deployment that fails has nothing to go back to: its green is taken away, and production stays closed.
// The controller is killed at the positions that only this way passes.
func TestController_firstDeployment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, built.faulty)
	if err := os.Mkdir(filepath.Join(w.data, "fault"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.noFunction = true
	trace := filepath.Join(w.data, "fault", "trace")
	if err := os.WriteFile(trace, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := w.playFirst(t, nil)
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	places := map[string][]string{}
	for p := range strings.Lines(string(data)) {
		if p = strings.TrimSpace(p); strings.HasPrefix(p, "controller ") {
			places[placeOf(p)] = append(places[placeOf(p)], p)
		}
	}
	var jobs []job
	for p := range strings.Lines(string(data)) {
		p = strings.TrimSpace(p)
		if !strings.HasPrefix(p, "controller ") {
			continue
		}
		if !strings.Contains(p, " Discard ") && !strings.Contains(p, " Settle ") && !*all {
			continue
		}
		for _, side := range []string{"before", "after"} {
			jobs = append(jobs, job{order: order{ID: fmt.Sprint(len(jobs)), When: side, Position: p}, place: places[placeOf(p)]})
		}
	}
	if !slices.ContainsFunc(jobs, func(j job) bool { return strings.Contains(j.order.Position, " Discard ") }) {
		t.Errorf("the deployment did not pass Discard: %s", data)
	}
	for _, j := range jobs {
		t.Run(j.order.String(), func(t *testing.T) {
			w.until(t, j, func() { w.playFirst(t, &want) })
		})
	}
}

// playFirst deploys a version whose hook fails to a service that has none.
func (w *world) playFirst(t *testing.T, want *ending) ending {
	t.Helper()
	v := w.deploy(t, options{failing: "probe"}, 4, nil)
	got := endingOf(v)
	if v.Status != deploy.StatusFailed || v.Moved || v.Rollback.DeploymentID != "" {
		t.Errorf("it ended %s, moved %t, rollback %+v", v.Status, v.Moved, v.Rollback)
	}
	if want != nil {
		if diff := cmp.Diff(*want, got); diff != "" {
			t.Errorf("it did not end as an uninterrupted deployment (-uninterrupted +got):\n%s", diff)
		}
	}
	w.checkHooks(t, []deploy.DeploymentView{v})
	eventually(t, settleLimit, "no task is left", func() (string, bool) {
		left := marked(w.id())
		d, err := w.describe()
		return fmt.Sprintf("%+v, %+v, %v", left, d.TaskSets, err), err == nil && len(left) == 0 && len(d.TaskSets) == 0
	})
	for _, address := range []string{w.production, w.test} {
		c := client{address: address}
		if body, err := c.send(request(0, false, address)); err == nil || !strings.Contains(err.Error(), "status 503") {
			t.Errorf("%s should answer 503: %q, %v", address, body, err)
		}
	}
	w.census.check(t)
	return got
}
