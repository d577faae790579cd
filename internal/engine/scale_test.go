package engine_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

const (
	// scaleEnv makes this binary run the deployments of the scale test in the folder that it names.
	scaleEnv = "GG_TEST_SCALE"
	// crowdSize and crowdMemory are the bar: so many deployments at once within so many bytes.
	crowdSize   = 1000
	crowdMemory = 256 << 20
)

func bg() context.Context { return context.Background() }

// scaleMain is the process that is measured.
func scaleMain() int {
	dir := os.Getenv(scaleEnv) //nolint:forbidigo // this is main here
	if err := scale(dir, crowdSize, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	peak, err := peakMemory()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, "peak", peak)
	return 0
}

// peakMemory is the most memory that this process has held, from the kernel.
func peakMemory() (int64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no VmHWM in /proc/self/status")
}

// TestEngine_scale runs 1,000 deployments at once over World and SQLite in a process of its own.
func TestEngine_scale(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector memory is not what it is; go test without -race measures it")
	}
	peak := measure(t)
	if peak > crowdMemory {
		t.Errorf("%d deployments at once took %d MiB, want %d at most", crowdSize, peak>>20, crowdMemory>>20)
	}
}

func measure(tb testing.TB) int64 {
	tb.Helper()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		tb.Skip("no /proc: peak memory is not measured here")
	}
	cmd := exec.CommandContext(tb.Context(), os.Args[0])
	cmd.Env = append(cmd.Environ(), scaleEnv+"="+tb.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	said, last, ok := strings.Cut(strings.TrimSpace(string(out)), "\npeak ")
	peak, err := strconv.ParseInt(last, 10, 64)
	if !ok || err != nil {
		tb.Fatalf("no measurement in %q", out)
	}
	tb.Logf("%s, peak memory %d MiB", said, peak>>20)
	return peak
}

// BenchmarkScale is TestEngine_scale with its numbers.
func BenchmarkScale(b *testing.B) {
	for b.Loop() {
		peak := measure(b)
		b.ReportMetric(float64(peak>>20), "peak-MiB")
	}
	b.ReportMetric(float64(crowdSize)*float64(b.N)/b.Elapsed().Seconds(), "deployments/s")
}
