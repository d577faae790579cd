package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/internal/runner"
)

// What hooks left goes with their deployments, and nothing else does.
func TestJanitor_sweepResults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(age time.Duration, names ...string) {
		for _, name := range names {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Now(), time.Now().Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
	}
	gone := []string{
		"d-ENDED-3.job.json", "d-ENDED-3.result.json", "d-ENDED-4.xml", "d-ENDED-5.cleanup.json", "d-OLD-7.job.json", "d-OLD-7.checkpoint",
		".scenario-123", ".shadow-1",
	}
	stays := []string{
		"d-ACTIVE-3.job.json", "d-ACTIVE-3.result.json", "d-ENDED-6.job.json", "d-ENDED-6.result.json", "d-ENDED-8.job.json", "d-ENDED-8.checkpoint",
		"d-ENDED-9.job.json", "notes.txt", "d-ENDED.xml", ".scenario-456",
	}
	write(48*time.Hour, gone...)
	write(48*time.Hour, stays[:4]...)
	write(48*time.Hour, "d-ENDED-9.job.json", "notes.txt", "d-ENDED.xml")
	write(time.Minute, "d-ENDED-8.job.json", "d-ENDED-8.checkpoint", ".scenario-456")
	var log strings.Builder
	j := &janitor{results: dir, log: slog.New(slog.NewTextHandler(&log, nil))}
	units := []runner.Status{
		{ID: "hook/d-ENDED/6", State: runner.StateRunning},
		{ID: "hook/d-ENDED/9/cleanup", State: runner.StateRunning},
		{ID: "hook/d-ENDED/3", State: runner.StateExited},
	}
	ended := func(id string) bool { return id != "d-ACTIVE" }
	for range 2 {
		j.sweepResults(t.Context(), units, ended)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(stays)
	if !slices.Equal(got, stays) {
		t.Errorf("left\n%q, want\n%q", got, stays)
	}
	if n := strings.Count(log.String(), "has never run"); n != 1 || !strings.Contains(log.String(), "hook=d-OLD/7") {
		t.Errorf("log %s", log.String())
	}
}
