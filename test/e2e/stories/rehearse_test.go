package stories

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greengate/internal/rehearse"
)

// TestRehearsal is the bar of the rehearsal: every fault of the example ends as expected, and no request is lost.
func TestRehearsal(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../../examples/shop")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(binDir, "greengate"), "rehearse", "--json")
	var progress strings.Builder
	cmd.Dir, cmd.Stderr = dir, &progress
	begin := time.Now()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, progress.String(), clip(string(out)))
	}
	var r rehearse.Report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests, %d lost, in %s", r.Requests.Total, r.Requests.Failed, time.Since(begin).Round(time.Second))
	want := map[string]rehearse.Outcome{
		"first": rehearse.Promoted, "none": rehearse.Promoted, "green-unhealthy": rehearse.NeverMoved, "hook-silent": rehearse.NeverMoved,
		"hook-crashing": rehearse.NeverMoved, "slow-step": rehearse.Promoted, "controller-killed": rehearse.Promoted,
		"smoke-failing": rehearse.RolledBack,
	}
	if len(r.Rows) != len(want) {
		t.Errorf("%d deployments were rehearsed, want %d", len(r.Rows), len(want))
	}
	for _, row := range r.Rows {
		if row.Outcome != want[row.Fault] || !row.AsExpected || row.Lost != 0 || row.Cut != 0 {
			t.Errorf("%+v", row)
		}
		if row.Fault != "first" && row.Requests == 0 {
			t.Errorf("%s: no request was sent while it ran", row.Fault)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 4 {
		t.Errorf("the folder of the service holds %v, %v: a rehearsal leaves nothing there", left, err)
	}
}
