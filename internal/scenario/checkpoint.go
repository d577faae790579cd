package scenario

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// A checkpoint is a file that holds what the cleanup of a run needs, for as long as the run may leave something behind: from
// before its first step that may write, to the end of its cleanup. Its first line says what runs, each further one how far
// it has come; the last whole one counts. It is locked by who works with it, so a run that was killed can be told from one
// that goes on. Declared secrets are not in it: they are read again. Captured values and cookies are, and so only its owner
// can read it.

// ErrRuns says that whose checkpoint it is still runs.
var ErrRuns = errors.New("the scenario still runs")

// progress is a line of a checkpoint.
type progress struct {
	// Began is the last step that may have written.
	Began   string         `json:"began"`
	Steps   map[string]any `json:"steps,omitempty"`
	Cookies []setCookies   `json:"cookies,omitempty"`
}

// setCookies is what one answer set.
type setCookies struct {
	URL     string         `json:"url"`
	Cookies []*http.Cookie `json:"cookies"`
}

// journal writes checkpoints of a run. A nil journal keeps nothing.
type journal struct {
	path string
	head Job
	top  *scope
	jar  *recordedJar

	mu   sync.Mutex
	file *os.File
	last progress
}

// newJournal returns nil where nothing has to be kept: there is no file for it, or no cleanup.
func (x *execution) newJournal(top *scope) *journal {
	if x.o.Checkpoint == "" || len(x.s.cleanup) == 0 {
		return nil
	}
	j := &journal{path: x.o.Checkpoint, top: top, head: Job{
		File: filepath.Base(x.s.File), Files: x.s.Files, BaseURL: x.o.BaseURL, Release: x.o.Release, Vars: x.o.Vars, Allow: x.o.Allow, Where: x.o.Where,
	}}
	if x.client.Jar != nil {
		j.jar = &recordedJar{CookieJar: x.client.Jar}
		x.client.Jar = j.jar
	}
	return j
}

// begins is called before a step that may write: what it is about to leave behind must be known first.
func (j *journal) begins(st *step) error {
	if j == nil || st.effect == EffectRead {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		if err := j.open(); err != nil {
			return err
		}
	}
	j.last.Began = st.name
	return j.write()
}

// captured is called when values are known that cleanup may use.
func (j *journal) captured() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil { // nothing has been written yet; the first step that writes keeps them
		return nil
	}
	return j.write()
}

func (j *journal) open() error {
	f, err := os.OpenFile(j.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("make checkpoint: %w", err)
	}
	if err := lock(f); err != nil {
		return errors.Join(err, f.Close())
	}
	j.file = f
	return j.line(j.head)
}

func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrRuns
	}
	if err != nil {
		return fmt.Errorf("lock checkpoint: %w", err)
	}
	return nil
}

func (j *journal) write() error {
	j.top.mu.Lock()
	j.last.Steps = maps.Clone(j.top.steps)
	j.top.mu.Unlock()
	j.last.Cookies = j.jar.all()
	return j.line(j.last)
}

func (j *journal) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode checkpoint: %w", err)
	}
	if _, err := j.file.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// ended is called when cleanup has run: nothing is left to do for others.
func (j *journal) ended() error {
	if j == nil || j.file == nil {
		return nil
	}
	return errors.Join(os.Remove(j.path), j.file.Close())
}

// recordedJar remembers what was set in a jar, which does not tell it.
type recordedJar struct {
	http.CookieJar
	mu  sync.Mutex
	set []setCookies
}

// SetCookies implements http.CookieJar.
func (r *recordedJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	r.CookieJar.SetCookies(u, cookies)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range cookies {
		r.keep(setCookies{u.String(), []*http.Cookie{c}})
	}
}

// keep puts a cookie in the place of one of the same name and address.
func (r *recordedJar) keep(s setCookies) {
	for i, old := range r.set {
		if a, b := old.Cookies[0], s.Cookies[0]; old.URL == s.URL && a.Name == b.Name && a.Path == b.Path && a.Domain == b.Domain {
			r.set[i] = s
			return
		}
	}
	r.set = append(r.set, s)
}

func (r *recordedJar) all() []setCookies {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]setCookies(nil), r.set...)
}

// readCheckpoint reads what a run left. A last line that is not whole was being written when the run was killed.
func readCheckpoint(from io.Reader) (head Job, last progress, err error) {
	content, err := io.ReadAll(from)
	if err != nil {
		return head, last, fmt.Errorf("read checkpoint: %w", err)
	}
	r := bufio.NewReader(bytes.NewReader(content))
	first, err := r.ReadBytes('\n')
	if err != nil {
		return head, last, nil //nolint:nilerr // killed before anything was done
	}
	if err := json.Unmarshal(first, &head); err != nil {
		return head, last, fmt.Errorf("decode checkpoint: %w", err)
	}
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return head, last, nil //nolint:nilerr // what is not whole does not count
		}
		var p progress
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&p); err != nil {
			return head, last, fmt.Errorf("decode checkpoint: %w", err)
		}
		last = p
	}
}

// CleanUp runs the cleanup of a run that was killed, out of its checkpoint, and removes that when all of it has been tried.
// The result could never tell anything but what became of cleanup. The error is [ErrRuns], or says that cleanup could not
// begin; the checkpoint then stays. One that does not exist is no error where nothing was to be cleaned: it is fs.ErrNotExist.
func CleanUp(ctx context.Context, path string, getenv func(string) string, tell func(StepResult)) (Result, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // whoever asks names it
	if err != nil {
		return Result{}, fmt.Errorf("open checkpoint: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := lock(f); err != nil {
		return Result{}, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) { // removed while we opened it
		return Result{}, fmt.Errorf("open checkpoint: %w", err)
	}
	head, last, err := readCheckpoint(f)
	if err != nil {
		return Result{}, err
	}
	r := Result{Version: resultVersion, Verdict: Error, Message: "the run was killed before anything was done", Steps: []StepResult{}}
	if last.Began != "" {
		s, err := LoadFiles(head.File, head.Files)
		if err != nil {
			return Result{}, fmt.Errorf("load scenario: %w", err)
		}
		r, err = s.resume(ctx, Options{
			BaseURL: head.BaseURL, Release: head.Release, Vars: head.Vars, Allow: head.Allow, Where: head.Where, Getenv: getenv, Progress: tell,
		}, last)
		if err != nil {
			return Result{}, err
		}
	}
	if err := os.Remove(path); err != nil {
		return r, fmt.Errorf("remove checkpoint: %w", err)
	}
	return r, nil
}
