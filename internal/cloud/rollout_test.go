package cloud_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"greengate/internal/cloud"
)

// TestRollingConfig_Roll: whatever the percentages, and whenever tasks become healthy, a rollout that may begin comes to its
// end, never has too few healthy tasks (or fewer than it began with) and never too many at all. Some of the old tasks may
// be lost.
func TestRollingConfig_Roll(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		c := cloud.RollingConfig{MinHealthy: r.IntN(101), Max: 100 + r.IntN(101)}
		desired := r.IntN(12)
		if !c.Moves(desired) {
			continue
		}
		floor, ceiling := (desired*c.MinHealthy+99)/100, desired*c.Max/100
		next := cloud.Batch{ID: "new"}
		lost := r.IntN(desired + 1)
		floor = min(floor, desired-lost)
		old := []cloud.Batch{{ID: "old", Tasks: desired, Healthy: desired - lost, Lost: lost}}
		if desired == 0 {
			old = nil
		}
		steps := 0
		for ; ; steps++ {
			tasks, rest, done := c.Roll(desired, next, old)
			if done {
				break
			}
			if steps > 200 {
				t.Fatalf("%+v of %d does not end: %+v, %+v", c, desired, next, old)
			}
			next.Tasks = tasks
			var left []cloud.Batch
			total, healthy := next.Tasks, next.Healthy
			for _, b := range old {
				gone := b.Tasks - rest[b.ID] // lost ones go first
				b.Lost = max(0, b.Lost-gone)
				if b.Tasks = rest[b.ID]; b.Tasks > 0 {
					b.Healthy = min(b.Healthy, b.Tasks)
					left = append(left, b)
				}
				total += b.Tasks
				healthy += b.Healthy
			}
			if old = left; total > ceiling || healthy < floor {
				t.Fatalf("%+v of %d: %d tasks (at most %d), %d healthy (at least %d)", c, desired, total, ceiling, healthy, floor)
			}
			next.Healthy += r.IntN(next.Tasks - next.Healthy + 1)
		}
	}
}

func TestRollingConfig_Roll_lost(t *testing.T) {
	t.Parallel()
	c := cloud.RollingConfig{MinHealthy: 50, Max: 100}
	if _, rest, _ := c.Roll(2, cloud.Batch{}, []cloud.Batch{{ID: "old", Tasks: 2, Lost: 2}}); rest["old"] != 0 {
		t.Errorf("tasks that do not serve hold the rollout up: %v", rest)
	}
	// With no room for more, lost tasks make it, and no healthy one that cannot be spared.
	if tasks, rest, _ := c.Roll(4, cloud.Batch{}, []cloud.Batch{{ID: "old", Tasks: 4, Healthy: 2, Lost: 2}}); tasks != 0 || rest["old"] != 2 {
		t.Errorf("lost tasks stand in the way: %d new, %v", tasks, rest)
	}
	// With room they stay: they may come back.
	roomy := cloud.RollingConfig{MinHealthy: 100, Max: 200}
	if tasks, rest, _ := roomy.Roll(4, cloud.Batch{}, []cloud.Batch{{ID: "old", Tasks: 4, Healthy: 2, Lost: 2}}); tasks != 4 || rest["old"] != 4 {
		t.Errorf("lost tasks are ended without need: %d new, %v", tasks, rest)
	}
	// After a new runner has taken over, tasks are not known to be healthy yet; that is no reason to end them.
	if _, rest, _ := c.Roll(2, cloud.Batch{}, []cloud.Batch{{ID: "old", Tasks: 2}}); rest["old"] != 2 {
		t.Errorf("tasks of which nothing is known are ended: %v", rest)
	}
	for _, c := range []struct{ desired, want int }{{0, 3}, {1, 3}, {7, 4}, {1000, 200}} {
		if got := (cloud.RollingConfig{}).Threshold(c.desired); got != c.want {
			t.Errorf("threshold of %d: %d, want %d", c.desired, got, c.want)
		}
	}
}

func TestRollouts(t *testing.T) {
	t.Parallel()
	var h cloud.Rollouts
	now := time.Now()
	for _, id := range []string{"a", "b", "c"} {
		h = h.With(cloud.Rollout{TaskSet: id, State: cloud.RolloutInProgress, Created: now})
		if id == "a" {
			a, _ := h.Find("a")
			a.State = cloud.RolloutCompleted
			h = h.With(a)
		}
	}
	if b, _ := h.Find("b"); b.State != cloud.RolloutReplaced || len(h.List) != 3 {
		t.Errorf("a rollout that another took the place of: %+v", h.List)
	}
	if last, ok := h.LastCompleted("c"); !ok || last.TaskSet != "a" {
		t.Errorf("last completed: %+v, %v", last, ok)
	}
	if _, ok := h.LastCompleted("a"); ok {
		t.Error("a version is gone back to itself")
	}
	for range 150 {
		h = h.Tell(cloud.ServiceEvent{Message: "x"})
	}
	if len(h.Events) != 100 {
		t.Errorf("%d events are kept", len(h.Events))
	}
}
