//go:build linux

package wire

import (
	"path/filepath"
	"testing"
)

// TestRegistered: scenarios and commands as hooks of an AppSpec file.
func TestRegistered(t *testing.T) {
	t.Parallel()
	hooks, err := filepath.Abs("testdata/registered/hooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	i := start(t, "--minute", "1s", "--hooks", hooks)
	for _, name := range []string{"verified", "early", "unknown"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i.python(t, "registered.py", name)
		})
	}
}
