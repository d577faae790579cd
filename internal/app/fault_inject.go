//go:build faultinject

package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/engine"
	"greengate/internal/store"
)

// This file is part of no product build. With -tags faultinject a role looks into DATA/fault before and
// after everything that it makes durable, and ends itself there with SIGKILL as a crash test asks for:
//
//	DATA/fault/arm    {"id": "7", "when": "before", "position": "controller commit Install Outcome #1"}
//	                  with "any": ["…", …] at the first of several positions
//	DATA/fault/fired  the ids that were carried out, one a line; none is carried out twice
//	DATA/fault/trace  where it exists every position that is passed is added to it
//
// The number that ends a position counts how often the same place was passed since the role saw the id.

// fault is one switch of one process.
type fault struct {
	dir  string
	role string

	mu     sync.Mutex
	armed  order
	passed map[string]int
	phase  map[string]place        // by deployment, as last loaded
	origin map[string]deploy.Phase // of the open effects, by their ids: where they were first seen
}

type order struct {
	ID       string `json:"id"`
	When     string `json:"when"`
	Position string `json:"position"`
	// Any are positions that will do as well.
	Any []string `json:"any"`
}

type place struct {
	kind  deploy.Kind
	phase deploy.Phase
	event deploy.EventKind
}

func newFault(p Paths, role string) *fault {
	return &fault{dir: p.in("fault"), role: role, passed: map[string]int{}, phase: map[string]place{}, origin: map[string]deploy.Phase{}}
}

// position names the place that is about to be passed, and forgets the count when a new order is there.
func (f *fault) position(what string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var now order
	data, err := os.ReadFile(filepath.Join(f.dir, "arm"))
	if err == nil {
		err = json.Unmarshal(data, &now)
	}
	if err == nil && now.ID != f.armed.ID {
		f.armed = now
		clear(f.passed)
	}
	f.passed[what]++
	return fmt.Sprintf("%s %s #%d", f.role, what, f.passed[what])
}

// pass ends the process if that was ordered for this position.
func (f *fault) pass(when, position string) {
	f.mu.Lock()
	hit := f.armed.When == when && (f.armed.Position == position || slices.Contains(f.armed.Any, position))
	f.mu.Unlock()
	if when == "before" {
		f.note("trace", position, false)
	}
	if !hit || f.fired() {
		return
	}
	f.note("fired", f.armed.ID, true)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the kernel does not take long
}

func (f *fault) fired() bool {
	data, _ := os.ReadFile(filepath.Join(f.dir, "fired"))
	return slices.Contains(strings.Split(string(data), "\n"), f.armed.ID)
}

// note adds a line to a file; only create makes it.
func (f *fault) note(name, line string, create bool) {
	flags := os.O_APPEND | os.O_WRONLY
	if create {
		flags |= os.O_CREATE
	}
	file, err := os.OpenFile(filepath.Join(f.dir, name), flags, 0o600) //nolint:gosec // three fixed names in the data folder
	if err != nil {
		return // nobody asked for it
	}
	_, _ = file.WriteString(line + "\n")
	_ = file.Close()
}

// around passes the position on both sides of a write.
func (f *fault) around(what string, write func() error) error {
	position := f.position(what)
	f.pass("before", position)
	err := write()
	f.pass("after", position)
	return err
}

// journal is an engine.Store with a switch.
type journal struct {
	engine.Store
	fault *fault
}

func journalOf(db *store.DB, p Paths) engine.Store { return journal{db, newFault(p, RoleController)} }

func (j journal) Create(ctx context.Context, d deploy.Deployment, first deploy.Event) error {
	return j.fault.around("create", func() error { return j.Store.Create(ctx, d, first) })
}

func (j journal) Load(ctx context.Context, id string) (deploy.Loaded, error) {
	l, err := j.Store.Load(ctx, id)
	if err == nil {
		at := place{kind: l.Deployment.Kind, phase: l.Deployment.Phase, event: deploy.EventTick}
		if len(l.Inbox) > 0 {
			at.event = l.Inbox[0].Event.Kind
		}
		j.fault.mu.Lock()
		j.fault.phase[id] = at
		j.fault.mu.Unlock()
		j.originate(l.Deployment)
	}
	return l, err
}

// originate notes of new effects that they belong to the phase in which d is.
func (j journal) originate(d deploy.Deployment) {
	j.fault.mu.Lock()
	defer j.fault.mu.Unlock()
	for _, eff := range d.Open {
		if _, known := j.fault.origin[eff.ID()]; !known {
			j.fault.origin[eff.ID()] = d.Phase
		}
	}
}

func (j journal) at(id string) place {
	j.fault.mu.Lock()
	defer j.fault.mu.Unlock()
	return j.fault.phase[id]
}

// source is the phase that an event belongs to: that of its effect, since the deployment may have gone on. One
// that comes from outside belongs to none: whether the next phase was loaded when it came is chance.
func (j journal) source(id string, ev deploy.Event) deploy.Phase {
	if ev.Seq == 0 {
		return "any"
	}
	j.fault.mu.Lock()
	defer j.fault.mu.Unlock()
	if phase, ok := j.fault.origin[deploy.Effect{Deployment: id, Seq: ev.Seq}.ID()]; ok {
		return phase
	}
	return j.fault.phase[id].phase
}

func (j journal) Commit(ctx context.Context, c deploy.Commit) error {
	at := j.at(c.Deployment.ID)
	j.originate(c.Deployment) // before the effects begin
	what := fmt.Sprintf("commit %s %s %s to %s", at.kind, at.phase, at.event, c.Deployment.Phase)
	return j.fault.around(what, func() error { return j.Store.Commit(ctx, c) })
}

func (j journal) Append(ctx context.Context, id, key string, ev deploy.Event) (added bool, err error) {
	what := fmt.Sprintf("append %s %s %s", j.at(id).kind, j.source(id, ev), ev.Kind)
	err = j.fault.around(what, func() error {
		added, err = j.Store.Append(ctx, id, key, ev)
		return err
	})
	return added, err
}

// faultyResources are resources with a switch.
type faultyResources struct {
	cloud.Resources
	fault *fault
}

func resourcesOf(db *store.DB, p Paths) cloud.Resources {
	return faultyResources{resources{db}, newFault(p, RoleController)}
}

func (r faultyResources) Put(ctx context.Context, writes []cloud.Write) (versions []int64, err error) {
	kinds := map[string]bool{}
	for _, w := range writes {
		kinds[w.Kind] = true
	}
	what := "put " + strings.Join(slices.Sorted(maps.Keys(kinds)), "+")
	err = r.fault.around(what, func() error {
		versions, err = r.Resources.Put(ctx, writes)
		return err
	})
	return versions, err
}

func runnerFault(p Paths) func(point string) {
	f := newFault(p, RoleRunner)
	return func(point string) {
		position := f.position(point)
		f.pass("before", position)
	}
}
