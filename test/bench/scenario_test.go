package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// BenchmarkVerify is the real greengate verify beside the CLI of Bruno, on the same two requests and assertions: one run from
// start to end, and 200 runs in one process. Both are asked in turn, so that what else the machine does falls on both.
func BenchmarkVerify(b *testing.B) {
	server := twoSteps(b)
	binary := filepath.Join(b.TempDir(), "greengate")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "greengate/cmd/greengate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	ours := []string{binary, "verify", "testdata/two.yaml", "--base-url", server}
	var theirs []string
	if bru := bruno(b); bru != "" {
		theirs = []string{bru, "run", "--sandbox", "developer", "--env-var", "base=" + server}
	}
	for _, c := range []struct {
		name         string
		rounds       int
		ours, theirs []string
	}{
		{"start", 15, nil, nil},
		{"200runs", 3, []string{"--repeat", "200", "--quiet"}, []string{"--iteration-count", "200"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				var own, peer []usage
				for i := range c.rounds {
					own = append(own, timed(b, "", append(slices.Clone(ours), c.ours...)))
					if theirs != nil && i < peerRounds {
						peer = append(peer, timed(b, "testdata/bruno", append(slices.Clone(theirs), c.theirs...)))
					}
				}
				report(b, "greengate", own)
				report(b, "bruno", peer)
			}
		})
	}
}

// peerRounds bounds how often the peer is asked: it takes seconds each time.
const peerRounds = 3

// twoSteps is the service that both look at.
func twoSteps(tb testing.TB) string {
	tb.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/thing", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"name":"bob","n":3,"items":[{"id":"a","qty":1},{"id":"b","qty":2}]}`)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"method":%q}`, r.Method)
	})
	s := httptest.NewServer(mux)
	tb.Cleanup(s.Close)
	return s.URL
}

// bruno is the path of Bruno's CLI, which is installed for this run where npm can; "" with a word where it cannot.
func bruno(tb testing.TB) string {
	tb.Helper()
	if path, err := exec.LookPath("bru"); err == nil {
		return path
	}
	dir := tb.TempDir()
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--prefix", dir, "@usebruno/cli@4.1.0")
	if out, err := install.CombinedOutput(); err != nil {
		tb.Logf("skipped: Bruno is not installed and cannot be, so greengate stands alone: %v\n%s", err, out)
		return ""
	}
	return filepath.Join(dir, "node_modules", ".bin", "bru")
}

// usage is what one run of a program took.
type usage struct {
	wall, cpu time.Duration
	peakMiB   float64
}

func timed(tb testing.TB, dir string, command []string) usage {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	u := usage{wall: time.Since(begin)}
	if err != nil {
		tb.Fatalf("%q: %v\n%s", command, err, out)
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.peakMiB = float64(r.Maxrss) / 1024
	}
	return u
}

// report tells the best and the median time, the median of the processor's, and the largest peak of memory.
func report(b *testing.B, who string, all []usage) {
	b.Helper()
	if len(all) == 0 {
		return
	}
	var wall, cpu []time.Duration
	peak := 0.0
	for _, u := range all {
		wall, cpu = append(wall, u.wall), append(cpu, u.cpu)
		peak = max(peak, u.peakMiB)
	}
	b.ReportMetric(float64(slices.Min(wall).Microseconds())/1000, who+"-min-ms")
	b.ReportMetric(median(wall), who+"-ms")
	b.ReportMetric(median(cpu), who+"-cpu-ms")
	b.ReportMetric(peak, who+"-peak-MiB")
}
