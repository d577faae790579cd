package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"greengate/internal/durable"
)

// phase is the last thing that is durable about an invocation.
type phase string

const (
	phaseAccepted phase = "accepted" // may be run
	phaseHanded   phase = "handed"   // must never be run again
	phaseAnswered phase = "answered" // the runtime has answered; the log is not complete yet
	phaseFinished phase = "finished" // the result is final
)

// record is the journal's file of one invocation, Dir/invocations/<id>.json.
type record struct {
	ID       string    `json:"id"`
	Phase    phase     `json:"phase"`
	Accepted time.Time `json:"accepted"`
	// Invocation is whole while accepted; from "handed" on payload, credentials and environment are dropped.
	Invocation Invocation `json:"invocation"`
	Sandbox    string     `json:"sandbox,omitempty"` // which sandbox it was handed to
	Handed     time.Time  `json:"handed"`
	Deadline   time.Time  `json:"deadline"` // when it times out
	Outcome    *outcome   `json:"outcome,omitempty"`
	Result     Result     `json:"result"`
}

// outcome is how an invocation ended, before its log was completed.
type outcome struct {
	State        State     `json:"state"`
	ErrorType    string    `json:"error_type,omitempty"`
	ErrorMessage string    `json:"error_message,omitempty"`
	StackTrace   []string  `json:"stack_trace,omitempty"`
	Payload      []byte    `json:"payload,omitempty"`
	Ended        time.Time `json:"ended"`
	TimedOut     bool      `json:"timed_out,omitempty"`
	MaxMemoryMB  int       `json:"max_memory_mb,omitempty"`
	// logLine is written to the log before END; it is not kept, since an outcome that needs one is decided and finished in one go.
	logLine string
}

// boxRecord is the journal's file of one sandbox, Dir/sandboxes/<id>.json, written before its program is started.
type boxRecord struct {
	ID       string    `json:"id"` // 32 hex digits
	Unit     string    `json:"unit"`
	Function string    `json:"function"` // name
	Key      string    `json:"key"`      // what it may be reused for
	Address  string    `json:"address"`  // host:port of its Runtime API
	Stream   string    `json:"stream"`
	Expires  time.Time `json:"expires"` // of its credentials, zero = never
	Started  time.Time `json:"started"`
	Marks    bool      `json:"marks"` // its bootstrap marks the end of an invocation's output
}

// strip drops what only a run that is still to come needs.
func (r *record) strip() {
	r.Invocation.Payload = nil
	r.Invocation.Credentials = nil
	r.Invocation.Function.Env = nil
}

// decodeRecord reads a journal file; id is what its name says.
func decodeRecord(id string, data []byte) (record, error) {
	var r record
	if err := decodeStrict(data, &r); err != nil {
		return r, err
	}
	if r.ID != id || r.Invocation.ID != id || !idPattern.MatchString(id) {
		return r, fmt.Errorf("journal of invocation %q holds %q", id, r.ID)
	}
	switch r.Phase {
	case phaseAccepted:
		return r, r.Invocation.check()
	case phaseHanded:
		return r, checkHanded(r)
	case phaseAnswered:
		if r.Outcome == nil || !r.Outcome.State.Final() {
			return r, errors.New("answered without an outcome")
		}
		return r, checkHanded(r)
	case phaseFinished:
		if r.Result.ID != id || !r.Result.State.Final() {
			return r, fmt.Errorf("finished as %q for %q", r.Result.State, r.Result.ID)
		}
		return r, nil
	}
	return r, fmt.Errorf("unknown phase %q", r.Phase)
}

func checkHanded(r record) error {
	if !boxIDPattern.MatchString(r.Sandbox) || r.Deadline.IsZero() || r.Handed.IsZero() {
		return errors.New("handed without sandbox or deadline")
	}
	return r.Invocation.Function.check()
}

func decodeBox(id string, data []byte) (boxRecord, error) {
	var r boxRecord
	if err := decodeStrict(data, &r); err != nil {
		return r, err
	}
	if r.ID != id || !boxIDPattern.MatchString(id) || r.Unit != unitID(id) || !streamPattern.MatchString(r.Stream) ||
		!functionPattern.MatchString(r.Function) {
		return r, fmt.Errorf("journal of sandbox %q is not one of ours", id)
	}
	return r, nil
}

func decodeStrict(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("decode journal: %w", err)
	}
	return nil
}

// journal is the folder of both kinds of records.
type journal struct{ dir string }

func (j journal) invocationPath(id string) string {
	return filepath.Join(j.dir, "invocations", id+".json")
}
func (j journal) boxPath(id string) string { return filepath.Join(j.dir, "sandboxes", id+".json") }

// prepare makes the folders and removes temporary files of a writer that was killed.
func (j journal) prepare() error {
	for _, sub := range []string{"invocations", "sandboxes", "output", "scratch", "runtime", "logs"} {
		if err := os.MkdirAll(filepath.Join(j.dir, sub), 0o700); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		_ = durable.Sweep(filepath.Join(j.dir, sub)) // what stays is of no use to anybody; tried again next time
	}
	return errors.Join(j.sweep("scratch"), j.sweep("output"))
}

// sweep removes what belongs to no sandbox of the journal: a manager may be killed when it has made files for a sandbox
// and not yet its record.
func (j journal) sweep(sub string) error {
	entries, err := os.ReadDir(filepath.Join(j.dir, sub))
	if err != nil {
		return fmt.Errorf("list journal: %w", err)
	}
	for _, e := range entries {
		id, _, _ := strings.Cut(e.Name(), ".")
		if _, err := os.Stat(j.boxPath(id)); errors.Is(err, fs.ErrNotExist) {
			_ = os.RemoveAll(filepath.Join(j.dir, sub, e.Name())) // tried again next time
		}
	}
	return nil
}

func (j journal) save(r record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode journal: %w", err)
	}
	return durable.WriteFile(j.invocationPath(r.ID), data, 0o600)
}

func (j journal) saveBox(r boxRecord) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode journal: %w", err)
	}
	return durable.WriteFile(j.boxPath(r.ID), data, 0o600)
}

// has reports whether an invocation was accepted before. A record that cannot be read counts: its invocation must not run again.
func (j journal) has(id string) (bool, error) {
	_, err := os.Lstat(j.invocationPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up invocation: %w", err)
	}
	return true, nil
}

func (j journal) load(id string) (record, error) {
	data, err := os.ReadFile(j.invocationPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, fmt.Errorf("invocation %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return record{}, fmt.Errorf("read journal: %w", err)
	}
	return decodeRecord(id, data)
}

func (j journal) loadBox(id string) (boxRecord, error) {
	data, err := os.ReadFile(j.boxPath(id))
	if err != nil {
		return boxRecord{}, fmt.Errorf("read journal: %w", err)
	}
	return decodeBox(id, data)
}

// ids lists the records of one folder.
func (j journal) ids(sub string) ([]string, error) {
	dir := filepath.Join(j.dir, sub)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list journal: %w", err)
	}
	var out []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			out = append(out, id)
		}
	}
	return out, nil
}
