package bench

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// kills is how often one iteration kills the data plane.
const kills = 15

// BenchmarkDataPlaneKilled measures the time from SIGKILL of the data plane to the next whole answer
// on a new connection, which waits meanwhile and is not refused. The bar is a median under 50 ms.
func BenchmarkDataPlaneKilled(b *testing.B) {
	in := newInstallation(b)
	in.deploy("v1", "hooks: {AfterAllowTestTraffic: [{name: e2e, command: [/bin/true]}]}", 0)
	var gaps []time.Duration
	for b.Loop() {
		for range kills {
			gaps = append(gaps, in.killDataPlane())
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(gaps), "ms-killed-to-served")
}

// killDataPlane kills the role's process and returns how long the next request then took.
func (in *installation) killDataPlane() time.Duration {
	in.tb.Helper()
	pid := in.proxyPID(0)
	start := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		in.tb.Fatalf("kill data plane: %v", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Get("http://" + in.production + "/version")
	if err != nil {
		in.tb.Fatalf("request after the kill: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		in.tb.Fatalf("request after the kill: status %d, %v", res.StatusCode, err)
	}
	gap := time.Since(start)
	in.proxyPID(pid)
	time.Sleep(1200 * time.Millisecond) // the supervisor forgets a death after a second of health; see its Backoff
	return gap
}

// proxyPID is the process of the data plane, once it is another one than not.
func (in *installation) proxyPID(not int) int {
	in.tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		data, err := os.ReadFile(filepath.Join(in.data, "roles", "proxy.json"))
		if err != nil {
			continue
		}
		var status struct{ PID int }
		if json.Unmarshal(data, &status) == nil && status.PID != 0 && status.PID != not {
			return status.PID
		}
	}
	in.tb.Fatal("the data plane did not come back")
	return 0
}
