//go:build linux

package wire

import "testing"

// TestAlarms: alarms on what the data plane counts, and by hand, stop deployments. A minute of an alarm's period lasts a
// second.
func TestAlarms(t *testing.T) {
	t.Parallel()
	i := start(t, "--minute", "1s")
	for _, name := range []string{"by_hand", "burst", "percentile", "hosts", "unknown"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i.python(t, "alarms.py", name)
		})
	}
}
