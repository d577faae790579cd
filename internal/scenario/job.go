package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"greengate/internal/durable"
)

// Job is a run of a scenario that was asked for by another process: the content of the scenario as it was then, and
// where its result goes.
type Job struct {
	// File is the main one of Files.
	File    string            `json:"file"`
	Files   map[string][]byte `json:"files"`
	BaseURL string            `json:"baseUrl"`
	Release Release           `json:"release"`
	// CompareURL is where the old release answers; First says that there is none.
	CompareURL string            `json:"compareUrl,omitempty"`
	First      bool              `json:"first,omitempty"`
	Identity   *Identity         `json:"identity,omitempty"`
	Vars       map[string]string `json:"vars,omitempty"`
	Allow      Effect            `json:"allow,omitempty"`
	Where      string            `json:"where,omitempty"`
	// Until is when setup and steps must have ended, so that cleanup and the result still have time.
	Until time.Time `json:"until"`
	// Result is the path of the file that gets the result, as JSON.
	Result string `json:"result"`
	// Checkpoint is the file that holds what RunCleanup needs, and CleanupResult the path of its result.
	Checkpoint    string `json:"checkpoint,omitempty"`
	CleanupResult string `json:"cleanupResult,omitempty"`
}

// WriteJob writes a job for RunJob. It may hold secrets: only its owner can read it.
func WriteJob(path string, j Job) error { return WriteFile(path, j) }

// WriteFile puts a value into its place as JSON, in one step: what one process leaves for another is there whole or not at
// all. Only its owner can read it.
func WriteFile(path string, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}
	return durable.WriteFile(path, content, 0o600)
}

// ReadFile reads what WriteFile wrote of a T.
func ReadFile[T any](path string) (v T, err error) {
	content, err := os.ReadFile(path) //nolint:gosec // whoever starts us names it
	if err != nil {
		return v, fmt.Errorf("read job: %w", err)
	}
	if err := json.Unmarshal(content, &v); err != nil {
		return v, fmt.Errorf("decode job: %w", err)
	}
	return v, nil
}

// RunJob runs the job in a file, tells out of every step, and leaves the result where the job says. An error says that
// there is no result.
func RunJob(ctx context.Context, path string, getenv func(string) string, out io.Writer) (Result, error) {
	j, err := ReadFile[Job](path)
	if err != nil {
		return Result{}, err
	}
	s, err := LoadFiles(j.File, j.Files)
	if err != nil {
		return Result{}, fmt.Errorf("load scenario: %w", err)
	}
	if !j.Until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, j.Until, errors.New("the hook's time limit has passed"))
		defer cancel()
	}
	r := s.Run(ctx, Options{
		BaseURL: j.BaseURL, CompareURL: j.CompareURL, First: j.First, Identity: j.Identity, Vars: j.Vars, Release: j.Release, Allow: j.Allow, Where: j.Where, Getenv: getenv,
		Checkpoint: j.Checkpoint,
		Progress:   func(st StepResult) { _ = WriteStep(out, st, false) }, // who reads the log is not part of the outcome
	})
	_ = WriteVerdict(out, r, false)
	return r, WriteFile(j.Result, r)
}

// RunCleanup runs what RunJob was killed before: the cleanup of the job in a file. Its result goes where the job says.
func RunCleanup(ctx context.Context, path string, getenv func(string) string, out io.Writer) (Result, error) {
	j, err := ReadFile[Job](path)
	if err != nil {
		return Result{}, err
	}
	r, err := CleanUp(ctx, j.Checkpoint, getenv, func(st StepResult) { _ = WriteStep(out, st, false) })
	if err != nil {
		r = Result{Version: resultVersion, Verdict: Error, Message: "the run was killed, and its cleanup could not begin: " + err.Error(), Steps: []StepResult{}}
	}
	_, _ = fmt.Fprintln(out, r.Message)
	return r, WriteFile(j.CleanupResult, r)
}
