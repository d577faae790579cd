package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
)

// Record is a stored resource.
type Record struct {
	Kind, Name string
	Version    int64 // for compare-and-set; 0: does not exist
	Data       []byte
}

// Write is a change of one stored resource; Delete removes it.
type Write struct {
	Record
	Delete bool
}

// Resources stores resources durably.
type Resources interface {
	// List returns every resource of a kind.
	List(ctx context.Context, kind string) ([]Record, error)
	// Put makes all changes in one transaction, each guarded by the version that its Record bears, and
	// returns the new versions in order.
	Put(ctx context.Context, writes []Write) ([]int64, error)
}

const (
	kindService  = "service"
	kindListener = "listener"
	kindTaskSet  = "taskset"
	kindMeta     = "meta"
	nameRevision = "revision"
)

type key struct{ kind, name string }

// Cloud is the single writer of local resources. It is safe for concurrent use.
type Cloud struct {
	store Resources

	mu       sync.Mutex
	state    State
	versions map[key]int64
	torn     bool          // a write failed: what is stored is not known and is read again before the next one
	changed  chan struct{} // closed and replaced by each change
}

// Open loads all resources.
func Open(ctx context.Context, store Resources) (*Cloud, error) {
	c := &Cloud{store: store, changed: make(chan struct{})}
	if err := c.loadLocked(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// loadLocked replaces what is in memory by what is stored; after an error nothing has changed.
func (c *Cloud) loadLocked(ctx context.Context) error {
	n := &Cloud{store: c.store, versions: map[key]int64{}, state: State{
		Revision: c.state.Revision, // one that was announced is not given again
		Services: map[string]Service{}, Listeners: map[string]Listener{}, TaskSets: map[string]TaskSet{},
	}}
	err := load(ctx, n, kindService, func(name string, s Service) { n.state.Services[name] = s })
	if err == nil {
		err = load(ctx, n, kindListener, func(name string, l Listener) { n.state.Listeners[name] = l })
	}
	if err == nil {
		err = load(ctx, n, kindTaskSet, func(name string, t TaskSet) { n.state.TaskSets[name] = t })
	}
	if err == nil {
		err = load(ctx, n, kindMeta, func(name string, r int64) {
			if name == nameRevision {
				n.state.Revision = max(r, n.state.Revision)
			}
		})
	}
	if err == nil {
		err = loadResources(ctx, n)
	}
	if err != nil {
		return err
	}
	c.state, c.versions = n.state, n.versions
	return nil
}

// begin locks the resources for a change; the caller unlocks them, also after an error. After a write
// that failed, which may have been stored all the same, they are read again.
func (c *Cloud) begin(ctx context.Context) error {
	c.mu.Lock()
	if !c.torn {
		return nil
	}
	if err := c.loadLocked(ctx); err != nil {
		return fmt.Errorf("read resources again after a failed write: %w", err)
	}
	c.torn = false
	c.announceLocked()
	return nil
}

// announceLocked wakes whoever waits for a change.
func (c *Cloud) announceLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func load[T any](ctx context.Context, c *Cloud, kind string, take func(name string, v T)) error {
	records, err := c.store.List(ctx, kind)
	if err != nil {
		return fmt.Errorf("list %s resources: %w", kind, err)
	}
	for _, r := range records {
		var v T
		if err := json.Unmarshal(r.Data, &v); err != nil {
			return fmt.Errorf("decode %s %s: %w", kind, r.Name, err)
		}
		c.versions[key{kind, r.Name}] = r.Version
		take(r.Name, v)
	}
	return nil
}

// State returns a consistent copy.
func (c *Cloud) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.clone()
}

// Changed returns a channel that is closed by the next change.
func (c *Cloud) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func (s State) clone() State {
	s.Services = maps.Clone(s.Services)
	s.Listeners = maps.Clone(s.Listeners)
	s.TaskSets = maps.Clone(s.TaskSets)
	return s
}

// change is a set of changes that is made whole or not at all.
type change struct {
	writes []Write
	apply  []func(*State)
	// traffic says that the data plane's table changes: only then the revision rises.
	traffic bool
	err     error
}

func put[T any](ch *change, kind, name string, v T, apply func(*State)) {
	data, err := json.Marshal(v)
	if err != nil && ch.err == nil {
		ch.err = fmt.Errorf("encode %s %s: %w", kind, name, err)
	}
	ch.writes = append(ch.writes, Write{Record: Record{Kind: kind, Name: name, Data: data}})
	ch.apply = append(ch.apply, apply)
}

func (ch *change) service(s Service) {
	ch.traffic = true
	put(ch, kindService, s.Spec.Name, s, func(st *State) { st.Services[s.Spec.Name] = s })
}

func (ch *change) listener(l Listener) {
	ch.traffic = true
	put(ch, kindListener, l.Name(), l, func(st *State) { st.Listeners[l.Name()] = l })
}

func (ch *change) taskSet(t TaskSet) {
	ch.traffic = true
	put(ch, kindTaskSet, t.ID, t, func(st *State) { st.TaskSets[t.ID] = t })
}

func (ch *change) remove(kind, name string) {
	ch.traffic = true
	ch.writes = append(ch.writes, Write{Record: Record{Kind: kind, Name: name}, Delete: true})
	ch.apply = append(ch.apply, func(st *State) {
		switch kind {
		case kindService:
			delete(st.Services, name)
		case kindListener:
			delete(st.Listeners, name)
		case kindTaskSet:
			delete(st.TaskSets, name)
		}
	})
}

// commitLocked writes a change through, takes it into memory and announces it.
func (c *Cloud) commitLocked(ctx context.Context, ch *change) error {
	if ch.err != nil {
		return ch.err
	}
	ch.settle()
	if ch.traffic {
		next := c.state.Revision + 1
		put(ch, kindMeta, nameRevision, next, func(st *State) { st.Revision = next })
	}
	if ch.err != nil {
		return ch.err
	}
	for i := range ch.writes {
		w := &ch.writes[i]
		w.Version = c.versions[key{w.Kind, w.Name}]
	}
	versions, err := c.store.Put(ctx, ch.writes)
	if err != nil {
		c.torn = true
		return fmt.Errorf("store resources: %w", err)
	}
	for i, w := range ch.writes {
		k := key{w.Kind, w.Name}
		if w.Delete {
			delete(c.versions, k)
		} else {
			c.versions[k] = versions[i]
		}
		ch.apply[i](&c.state)
	}
	c.announceLocked()
	return nil
}
