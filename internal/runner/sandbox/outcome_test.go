package sandbox

import (
	"strings"
	"testing"
	"time"
)

func TestExitOutcome(t *testing.T) {
	t.Parallel()
	tests := []struct {
		exit          Exit
		kind, message string
	}{
		{Exit{Known: true, Code: 1}, ErrorTypeExit, "RequestId: i Error: Runtime exited with error: exit status 1"},
		{Exit{Known: true}, ErrorTypeExit, "RequestId: i Error: Runtime exited without providing a reason"},
		{Exit{Known: true, Code: -1, Signal: "SIGSEGV"}, ErrorTypeExit, "RequestId: i Error: Runtime exited with error: signal: segmentation fault"},
		{Exit{Known: true, Signal: "killed"}, ErrorTypeExit, "RequestId: i Error: Runtime exited with error: signal: killed"},
		{Exit{Known: true, Signal: "SIGKILL", OOM: true}, ErrorTypeOutOfMemory, "RequestId: i Error: Runtime exited with error: signal: killed (out of memory)"},
		{Exit{}, ErrorTypeExit, "RequestId: i Error: Runtime exited with error: exit status not known"},
	}
	for _, tt := range tests {
		out := exitOutcome("i", tt.exit)
		if out.State != StateFailed || out.ErrorType != tt.kind || out.ErrorMessage != tt.message {
			t.Errorf("%+v: got %s %q, want %s %q", tt.exit, out.ErrorType, out.ErrorMessage, tt.kind, tt.message)
		}
	}
}

func TestReportLines(t *testing.T) {
	t.Parallel()
	start := time.Unix(100, 0)
	rec := record{ID: "i", Handed: start, Invocation: Invocation{Function: Function{MemoryMB: 128}}}
	tests := []struct {
		out  outcome
		init time.Duration
		want string
	}{
		{
			outcome{State: StateSucceeded, MaxMemoryMB: 40, Ended: start.Add(1500 * time.Microsecond)},
			20 * time.Millisecond,
			"END RequestId: i\nREPORT RequestId: i\tDuration: 1.50 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB\tInit Duration: 20.00 ms\t",
		},
		{
			outcome{State: StateFailed, ErrorType: "E", Ended: start, logLine: "why"},
			0,
			"why\nEND RequestId: i\nREPORT RequestId: i\tDuration: 0.00 ms\tBilled Duration: 0 ms\tMemory Size: 128 MB\tMax Memory Used: 0 MB\tStatus: error\tError Type: E",
		},
		{
			outcome{State: StateFailed, TimedOut: true, Ended: start.Add(-time.Second)}, 0, // the clock went back
			"END RequestId: i\nREPORT RequestId: i\tDuration: 0.00 ms\tBilled Duration: 0 ms\tMemory Size: 128 MB\tMax Memory Used: 0 MB\tStatus: timeout",
		},
	}
	for _, tt := range tests {
		if got := strings.Join(reportLines(rec, tt.out, tt.init), "\n"); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

func TestStatusPeak(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n": 2 << 20, "VmHWM: x kB\n": 0, "": 0} {
		if got := statusPeak([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}
