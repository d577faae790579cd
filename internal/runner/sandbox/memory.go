package sandbox

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// procMemoryPeak is the peak resident size in bytes (VmHWM) of the largest process whose environment names this Runtime
// API, which is unique to a sandbox. 0 where /proc does not tell.
func procMemoryPeak(api string) int64 {
	marker := []byte("AWS_LAMBDA_RUNTIME_API=" + api + "\x00")
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return 0
	}
	var peak int64
	for _, name := range files {
		env, err := os.ReadFile(name) //nolint:gosec // a path of /proc
		if err != nil || !bytes.Contains(env, marker) {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(name), "status"))
		if err == nil {
			peak = max(peak, statusPeak(status))
		}
	}
	return peak
}

// statusPeak reads VmHWM of a /proc/PID/status.
func statusPeak(status []byte) int64 {
	for line := range bytes.Lines(status) {
		rest, ok := bytes.CutPrefix(line, []byte("VmHWM:"))
		if !ok {
			continue
		}
		kb, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
		if err == nil {
			return kb << 10
		}
	}
	return 0
}
