//go:build linux

package wire

import (
	"path/filepath"
	"testing"
)

// TestPackaged: a scenario that greengate package hook made a function of, by both ways in which a hook is told, and what
// check and watch say of functions.
func TestPackaged(t *testing.T) {
	t.Parallel()
	i := start(t, "--minute", "1s")
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"codedeploy", "native", "same", "watch", "check"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i.run(t, dir, "env", "GREENGATE="+binary, "python3", "packaged.py", name)
		})
	}
}
