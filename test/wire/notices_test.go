//go:build linux

package wire

import "testing"

// TestNotices: topics and their subscribers, log groups of one's own. A minute of the wire lasts a second.
func TestNotices(t *testing.T) {
	i := start(t, "--minute", "1s")
	// One after the other: triggers kills the controller.
	for _, name := range []string{"triggers", "links"} {
		if !t.Run(name, func(t *testing.T) { i.python(t, "notices.py", name) }) {
			return
		}
	}
}
