package runner

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"greengate/internal/durable"
)

// recordVersion is the layout of a record; a runner refuses records of a later one.
const recordVersion = 1

// Wishes of a record.
const (
	wishRun  = "run"
	wishStop = "stop"
)

// Why the runner ends a main process.
const (
	endStop    = "stop"
	endTimeout = "timeout"
	endRestart = "restart"
)

// record is what the journal holds of one unit.
type record struct {
	Version int    `json:"version"`
	Spec    Spec   `json:"spec"`
	Wish    string `json:"wish"`

	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
	Health string `json:"health,omitempty"`

	Address string    `json:"address"`
	Port    int       `json:"port,omitempty"`
	Cgroups cgroupSet `json:"cgroups,omitzero"`

	// The present main process; PID 0 without one. Written before the program's first instruction.
	Boot  string `json:"boot,omitempty"`
	PID   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"`
	// Session is the pid of the last main process, by which what it left behind is found.
	Session int `json:"session,omitempty"`
	// Ending says why the present process is being ended; "" when it is not.
	Ending string `json:"ending,omitempty"`

	Starts   int   `json:"starts,omitempty"`   // times a program was started
	Failures int   `json:"failures,omitempty"` // ends in a row, for the back-off
	OOMKills int   `json:"oom_kills,omitempty"`
	Exit     *Exit `json:"exit,omitempty"`

	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// LastEnd outlives Reason, which is of the present process.
	LastEnd string `json:"last_end,omitempty"`

	Enforced    []string `json:"enforced,omitempty"`
	NotEnforced []string `json:"not_enforced,omitempty"`
}

// cgroupSet names the cgroup folders of one unit; "" where there is none. It is part of the journal, so that a later
// runner finds them whatever cgroup it runs in itself.
type cgroupSet struct {
	// Tree holds all processes of the unit.
	Tree   string `json:"tree,omitempty"`
	Memory string `json:"memory,omitempty"`
	CPU    string `json:"cpu,omitempty"`
	PIDs   string `json:"pids,omitempty"`
}

// journal is the folder of records.
type journal struct{ dir string }

func (j journal) path(id string) string { return filepath.Join(j.dir, fileName(id)+".json") }

// base is the beginning of the paths of a unit's FIFOs.
func (j journal) base(id string) string { return filepath.Join(j.dir, fileName(id)) }

// fifoPaths are the FIFOs of the unit whose files begin with base.
func fifoPaths(base string) [2]string { return [2]string{base + ".out", base + ".err"} }

// save makes the record durable.
func (j journal) save(r *record) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	return durable.WriteFile(j.path(r.Spec.ID), data, 0o600)
}

// remove forgets a unit durably.
func (j journal) remove(id string) error {
	for _, path := range fifoPaths(j.base(id)) {
		_ = os.Remove(path)
	}
	return durable.Remove(j.path(id))
}

// load reads all records. Temporary files of a write that a crash cut short are removed. A record that cannot be read
// is an error: it may stand for a running program, so nothing may be guessed.
func (j journal) load() ([]*record, error) {
	_ = durable.Sweep(j.dir) // what stays is of no use to anybody; tried again next time
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	var list []*record
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		r, err := loadRecord(filepath.Join(j.dir, e.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

func loadRecord(path string) (*record, error) {
	data, err := os.ReadFile(path) //nolint:gosec // a file of the journal
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read record %s: %w; if it cannot be mended, end its program and remove the file", path, err)
	}
	if r.Version > recordVersion {
		return nil, fmt.Errorf("read record %s: written by a later version (layout %d, this one knows %d)", path, r.Version, recordVersion)
	}
	if validID(r.Spec.ID) != nil || len(r.Spec.Command) == 0 {
		return nil, fmt.Errorf("read record %s: no unit in it; if it cannot be mended, remove the file", path)
	}
	return r, nil
}
