//go:build linux

package wire

import "testing"

// TestPermissions: who may do what, and what a deployment says of a permission that is missing.
func TestPermissions(t *testing.T) {
	t.Parallel()
	i := start(t, "--minute", "1s")
	for _, name := range []string{"users", "administrators", "keys", "outsiders", "service_role", "function_role", "callers"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i.python(t, "permissions.py", name)
		})
	}
}
