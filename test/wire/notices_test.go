//go:build linux

package wire

import "testing"

// TestNotices: topics and their subscribers, logs, objects. A minute of the wire lasts a second.
func TestNotices(t *testing.T) {
	t.Parallel()
	i := start(t, "--minute", "1s")
	// One after the other: some kill the controller.
	for _, name := range []string{"triggers", "links", "functions", "groups", "objects"} {
		if !t.Run(name, func(t *testing.T) { i.python(t, "notices.py", name) }) {
			return
		}
	}
}
