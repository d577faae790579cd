package hook_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/shadow"
)

// TestHooks_shadow: what the unit is told, and that there is none where nothing can be compared.
func TestHooks_shadow(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	s := deploy.DefaultShadow()
	c := m.call(deploy.Hook{Name: "live", Kind: deploy.HookShadow, Shadow: &s})
	for name, edit := range map[string]func(*deploy.HookCall){
		"no settings":      func(c *deploy.HookCall) { c.Hook.Shadow, c.Blue = nil, "blue" },
		"no old version":   func(*deploy.HookCall) {},
		"after the switch": func(c *deploy.HookCall) { c.Blue, c.List = "blue", deploy.HookList(deploy.PhaseAfterAllowTraffic) },
	} {
		bad := c
		edit(&bad)
		if err := m.hooks.Start(t.Context(), "d-1/3", bad); err == nil || !isPermanent(err) {
			t.Errorf("%s: %v, want a permanent fault", name, err)
		}
	}
	c.Blue = "blue"
	if err := m.hooks.Start(t.Context(), "d-1/3", c); err != nil {
		t.Fatal(err)
	}
	j, err := shadow.ReadJob(filepath.Join(m.dir, "d-1-3.job.json"))
	if err != nil {
		t.Fatal(err)
	}
	if j.Blue != "blue" || j.Green != "green" || j.ID != "d-1/3" || j.Percent != 10 || j.For != time.Minute || j.Minimum != 50 || j.MaxLatencyRatio != 3 {
		t.Errorf("job %+v", j)
	}
	// A unit that ended without a result, and one with another's.
	if v, err := m.hooks.Await(t.Context(), "d-1/3", c); err != nil || v.Status == deploy.VerdictPass {
		t.Errorf("no result: %+v, %v", v, err)
	}
	content, err := json.Marshal(map[string]any{"verdict": "pass", "digest": "d-1/4", "steps": []map[string]string{{"name": "live traffic", "section": "steps", "verdict": "pass"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(j.Result, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := m.hooks.Await(t.Context(), "d-1/3", c); err != nil || v.Status == deploy.VerdictPass {
		t.Errorf("the result of another: %+v, %v", v, err)
	}
}
