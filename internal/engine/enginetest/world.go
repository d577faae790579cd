package enginetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/engine"
)

// Config is what a World is made with; its zero value is a World with a store in memory.
type Config struct {
	// Store keeps the deployments; nil is a store in memory.
	Store engine.Store
	// Confirm is how long the data plane takes to confirm weights that it has already taken.
	Confirm time.Duration
	// Report takes what a hook of kind Reports calls back, with the identity of its effect; it is called
	// again until it returns nil.
	Report func(ctx context.Context, effect string, status deploy.VerdictStatus) error
	// OnPoint decides what happens at a point; nil lets all pass. It must not call the World.
	OnPoint func(Point) Action
}

// World is everything outside of an engine. It is safe for concurrent use.
type World struct {
	cfg    Config
	store  engine.Store
	ctx    context.Context //nolint:containedctx // the life of programs that call back, until Close
	end    context.CancelFunc
	calls  sync.WaitGroup
	began  time.Time
	memory *memory // the store, where it is in memory

	mu         sync.Mutex
	points     int
	writes     int
	journal    []Entry
	violations []string
	sets       map[string]*set
	ending     map[string]*set // those of sets that are released or drained
	programs   map[string]Program
	services   map[string]*service
	ledgers    map[ledgerKey]deploy.Count
	failing    map[string]bool
	hooks      map[string]*run
	hooksOf    map[string][]string // identities by deployment
	scripts    map[string][]Behaviour
	alarms     map[string]bool
	noAlarms   map[string]bool // those that do not exist
	rung       chan struct{}   // closed and replaced when an alarm changes
}

// New returns a World; Close ends it.
func New(cfg Config) *World {
	w := &World{
		cfg: cfg, store: cfg.Store, began: time.Now(), sets: map[string]*set{}, ending: map[string]*set{}, programs: map[string]Program{},
		services: map[string]*service{}, ledgers: map[ledgerKey]deploy.Count{}, failing: map[string]bool{},
		hooks: map[string]*run{}, hooksOf: map[string][]string{}, scripts: map[string][]Behaviour{}, alarms: map[string]bool{}, noAlarms: map[string]bool{}, rung: make(chan struct{}),
	}
	if w.store == nil {
		w.memory = newMemory()
		w.store = w.memory
	}
	w.ctx, w.end = context.WithCancel(context.Background())
	return w
}

// Close ends programs that still want to call back.
func (w *World) Close() {
	w.end()
	w.calls.Wait()
}

// EntryKind says what happened.
type EntryKind string

// The kinds of journal entries.
const (
	EntryEnsure     EntryKind = "ensure"      // tasks of a set were started or scaled in
	EntryStop       EntryKind = "stop"        // the last task of a set ended
	EntryRelease    EntryKind = "release"     // a set is to end by itself
	EntryShift      EntryKind = "shift"       // the data plane serves other targets
	EntryHookStart  EntryKind = "hook start"  // a hook's program was started
	EntryHookEnd    EntryKind = "hook end"    // it ended by itself, or reported
	EntryHookCancel EntryKind = "hook cancel" // it was ended from outside while it ran
	EntryCrash      EntryKind = "crash"       // a Life died
)

// Entry is one line of the journal.
type Entry struct {
	At   time.Time
	Kind EntryKind
	// ID names the task set, the service or the hook's effect.
	ID string
	// Production and Test are what a shift brought.
	Production []deploy.RouteWeight
	Test       string
	// Call is the hook, Status what it ended with.
	Call   deploy.HookCall
	Status deploy.VerdictStatus
	Text   string
}

// String is the entry on one line.
func (e Entry) String() string {
	s := fmt.Sprintf("%s %s", e.Kind, e.ID)
	switch e.Kind {
	case EntryShift:
		s += fmt.Sprintf(" production %v test %q", e.Production, e.Test)
	case EntryHookStart, EntryHookEnd, EntryHookCancel:
		s += fmt.Sprintf(" %s in %s attempt %d %s", e.Call.Hook.Name, e.Call.List, e.Call.Attempt, e.Status)
	case EntryEnsure, EntryStop, EntryRelease, EntryCrash:
	}
	return strings.TrimSpace(s + " " + e.Text)
}

// Journal returns what happened so far, oldest first.
func (w *World) Journal() []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settleLocked()
	return slices.Clone(w.journal)
}

// Story is the journal as text, for the message of a failed test.
func (w *World) Story() string {
	var b strings.Builder
	for _, e := range w.Journal() {
		fmt.Fprintf(&b, "%8s %s\n", e.At.Sub(w.began).Round(time.Millisecond), e)
	}
	return b.String()
}

// Violations are the things that happened and must never happen: a task set that was stopped while
// it had weight, production on a set that does not run, weights that do not add up.
func (w *World) Violations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.violations)
}

// Raise sets or ends an alarm.
func (w *World) Raise(alarm string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alarms[alarm] = on
	w.ringLocked()
}

// Forget makes an alarm one that does not exist.
func (w *World) Forget(alarm string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noAlarms[alarm] = true
	w.ringLocked()
}

func (w *World) ringLocked() {
	close(w.rung)
	w.rung = make(chan struct{})
}

// alarmsChanged answers the AlarmSignal port.
func (w *World) alarmsChanged() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rung
}

// Deployment reads a deployment without passing a point.
func (w *World) Deployment(ctx context.Context, id string) (deploy.Deployment, error) {
	got, err := w.store.Load(ctx, id)
	return got.Deployment, err
}

// Writes counts what was written to the store so far: while it stays, what was read is still so.
func (w *World) Writes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

// Active lists the deployments that are not terminal without passing a point.
func (w *World) Active(ctx context.Context) ([]string, error) { return w.store.Active(ctx) }

// Dump is all that a store in memory holds; two stores with the same dump are the same.
func (w *World) Dump() string { return w.memory.dump() }

func (w *World) noteLocked(e Entry) {
	e.At = time.Now()
	w.journal = append(w.journal, e)
}

func (w *World) violateLocked(format string, args ...any) {
	w.violations = append(w.violations, fmt.Sprintf(format, args...))
}

// observeAlarms answers the Alarms port.
func (w *World) observeAlarms(names []string) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var in []string
	var err error
	for _, n := range names {
		if w.noAlarms[n] {
			err = deploy.Permanent(fmt.Errorf("alarm %s does not exist", n))
		} else if w.alarms[n] {
			in = append(in, n)
		}
	}
	return in, err
}
