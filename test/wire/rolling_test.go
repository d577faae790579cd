//go:build linux

package wire

import "testing"

// TestRolling_killed: a rolling service and a single task outlive their controller. It has an installation of its own: a
// killed controller is in the way of others.
func TestRolling_killed(t *testing.T) {
	start(t, "--minute", "1s").python(t, "rolling.py", "killed")
}
