package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestJournal_cannotBeWritten: nothing is started that could not be recorded, what runs goes on, and all mends itself
// when the disk does. A missing folder stands for a full disk.
func TestJournal_cannotBeWritten(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	runs := ensure(t, s, program("runs", ModeService, "sleep"))
	units := filepath.Join(s.cfg.Dir, "units")
	if err := os.Rename(units, units+"-away"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ensure(t.Context(), program("new", ModeService, "sleep")); err == nil || errors.Is(err, ErrPermanent) {
		t.Errorf("ensure without a journal: %v, want a passing fault", err)
	}
	if _, err := s.Get(t.Context(), "new"); !errors.Is(err, ErrNotFound) {
		t.Errorf("unit that was not recorded: %v", err)
	}
	if pids := unitProcesses(t, s.installation, "new"); len(pids) != 0 {
		t.Errorf("started without a record: %v", pids)
	}
	if err := s.Stop(t.Context(), "runs"); err == nil {
		t.Error("stop was accepted without being recorded")
	}
	killProcess(t, runs.PID)
	await(t, s, "runs", "waiting for the disk", func(st Status) bool {
		return st.State == StateBackoff && strings.Contains(st.Reason, "not started")
	})
	if err := os.Rename(units+"-away", units); err != nil {
		t.Fatal(err)
	}
	await(t, s, "runs", "running again", func(st Status) bool { return st.State == StateRunning && st.PID != runs.PID })
	ensure(t, s, program("new", ModeService, "sleep"))
}

func TestJournal_refusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"torn":   `{"version":1,"spec":{"id":"a"`,
		"empty":  ``,
		"later":  `{"version":2,"spec":{"id":"a","command":["x"]}}`,
		"nobody": `{"version":1}`,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.json")
		writeFile(t, path, text, 0o600)
		writeFile(t, filepath.Join(dir, ".b.json.123.tmp"), "half", 0o600)
		list, err := journal{dir: dir}.load()
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v %v", name, list, err)
		}
	}
}

func TestListen_longPathAndMode(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "control.sock")
	s := startServer(t, func(c *Config) {
		l, err := Listen(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		c.Control = l
	})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v %v", info, err)
	}
	c := NewClient(path)
	defer c.Close()
	ensure(t, c, program("far", ModeService, "sleep"))
	if list, err := c.List(t.Context(), ""); err != nil || len(list) != 1 {
		t.Errorf("list: %v %v", list, err)
	}
	if _, err := Listen(t.Context(), path); err == nil {
		t.Error("a second runner took the socket")
	}
	spec := program("far", ModeService, "other")
	if _, err := c.Ensure(t.Context(), spec); !errors.Is(err, ErrConflict) {
		t.Errorf("conflict over the socket: %v", err)
	}
	if _, err := c.Get(t.Context(), "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get of nobody over the socket: %v", err)
	}
	if err := c.Stop(t.Context(), "nobody"); err != nil {
		t.Errorf("stop of nobody: %v", err)
	}
	if err := c.Stop(t.Context(), "../x y"); !errors.Is(err, ErrInvalid) {
		t.Errorf("bad id over the socket: %v", err)
	}
	if _, next, err := c.Watch(t.Context(), 0); err != nil || next == 0 {
		t.Errorf("watch: %d %v", next, err)
	}
	res, err := c.http.Post("http://runner/v1/units", "application/json", strings.NewReader(`{"id":"x","unknown":1}`))
	if err != nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("unknown key: %v %v", res, err)
	}
	_ = res.Body.Close()
	_ = s
}

func FuzzSpec(f *testing.F) {
	for _, seed := range []string{
		`{"id":"a","mode":"once","command":["true"]}`,
		`{"id":"a/b","mode":"service","command":["x","y"],"need_port":true,"health":{"type":"http","statuses":"200-299"},"limits":{"cpu":0.5}}`,
		`{"id":"a","mode":"once","command":["true"],"dir":"/a/../b","env_file":"x","timeout":1,"log_file":"/l","network":"namespace"}`,
		`{"id":"..","mode":"once","command":[""],"address":"127.0.0.1"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var spec Spec
		if json.Unmarshal(data, &spec) != nil || spec.normalise("/logs") != nil {
			return
		}
		if !idPattern.MatchString(spec.ID) || !filepath.IsAbs(spec.Dir) || !filepath.IsAbs(spec.LogFile) || spec.Digest == "" ||
			spec.Grace == 0 || spec.LogMaxBytes <= 0 || len(spec.Command) == 0 {
			t.Errorf("accepted %+v", spec)
		}
		if spec.EnvFile != "" && !filepath.IsAbs(spec.EnvFile) {
			t.Errorf("env file %q", spec.EnvFile)
		}
		if h := spec.Health; h != nil && (h.Interval <= 0 || h.Timeout <= 0 || h.HealthyThreshold < 1 || h.UnhealthyThreshold < 1) {
			t.Errorf("health check %+v", h)
		}
		once, _ := json.Marshal(spec)
		if err := spec.normalise("/logs"); err != nil {
			t.Errorf("normalised spec refused: %v", err)
		}
		if twice, _ := json.Marshal(spec); !bytes.Equal(once, twice) {
			t.Errorf("normalised twice: %s, once: %s", twice, once)
		}
	})
}

func FuzzLoadRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"spec":{"id":"a","command":["x"]},"pid":-1}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "r.json")
		writeFile(t, path, string(data), 0o600)
		r, err := loadRecord(path)
		if err == nil && (validID(r.Spec.ID) != nil || len(r.Spec.Command) == 0) {
			t.Errorf("accepted %+v", r)
		}
	})
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	check := HealthCheck{Interval: time.Second, HealthyThreshold: 2, UnhealthyThreshold: 2, StartPeriod: 5 * time.Second}
	begin := time.Unix(1000, 0)
	v := verdicts{check: check, started: begin, health: HealthStarting}
	for i, step := range []struct {
		after time.Duration
		ok    bool
		want  string
	}{
		{0, false, HealthStarting},
		{4 * time.Second, false, HealthStarting}, // start period
		{6 * time.Second, false, HealthStarting},
		{6*time.Second + 200*time.Millisecond, false, HealthStarting}, // too soon to count
		{7 * time.Second, false, HealthUnhealthy},
		{8 * time.Second, true, HealthUnhealthy},
		{9 * time.Second, true, HealthHealthy},
		{10 * time.Second, false, HealthHealthy},
		{11 * time.Second, true, HealthHealthy},
		{12 * time.Second, false, HealthHealthy},
		{13 * time.Second, false, HealthUnhealthy},
	} {
		if got := v.add(step.ok, begin.Add(step.after)); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}
