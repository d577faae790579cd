package sandbox

import (
	"strings"
	"testing"
	"time"
)

// The log of a function goes while its sandbox runs on: what it prints later is there once, also after the manager was
// started again, and nothing of before comes back.
func TestDeleteLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python("def handler(event, context):\n    print('said', event)\n    return 1\n")
	first := w.run(f, `"first"`)
	want(t, first, StateSucceeded, "", "")
	eventually(t, "the log", func() bool { return strings.Contains(w.logOf(first), "said first") })
	if err := w.DeleteLog(f.Name, "", time.Now().Add(-time.Hour)); err != nil || !strings.Contains(w.logOf(first), "said first") {
		t.Fatalf("what is young enough is gone: %v", err)
	}
	if err := w.DeleteLog(f.Name, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if streams, err := Streams(w.cfg.Dir, f.Name); err != nil || len(streams) != 0 {
		t.Errorf("left %q, %v", streams, err)
	}
	if names, err := Logged(w.cfg.Dir); err != nil || len(names) != 0 {
		t.Errorf("functions with a log: %q, %v", names, err)
	}
	w.restart()
	second := w.run(f, `"second"`)
	want(t, second, StateSucceeded, "", "")
	if second.LogStream != first.LogStream {
		t.Fatalf("it ran in another sandbox: %s, %s", first.LogStream, second.LogStream)
	}
	eventually(t, "the log", func() bool { return strings.Contains(w.logOf(second), "said second") })
	if log := w.logOf(second); strings.Contains(log, "first") || strings.Count(log, "said second") != 1 {
		t.Errorf("the log is\n%s", log)
	}
	if names, err := Logged(w.cfg.Dir); err != nil || len(names) != 1 || names[0] != f.Name {
		t.Errorf("functions with a log: %q, %v", names, err)
	}
	for _, bad := range [][2]string{{"../x", ""}, {f.Name, "../x"}} {
		if err := w.DeleteLog(bad[0], bad[1], time.Time{}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
