//go:build linux

package wire

import "testing"

// TestTasks: single tasks, and services that ECS deploys itself.
func TestTasks(t *testing.T) {
	t.Parallel()
	i := start(t, "--minute", "1s")
	for _, name := range []string{"one_off", "cli", "replaced", "no_docker", "rolls", "breaker"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i.python(t, "tasks.py", name)
		})
	}
	t.Run("no_room", func(t *testing.T) {
		t.Parallel()
		i.python(t, "rolling.py", "no_room")
	})
}
