package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Kind names a kind of stored resource.
type Kind string

// Resource is a stored value. Values that are in a State are shared by all who read it: what changes one works on a
// copy, of its slices and maps too.
type Resource interface {
	// ResourceKind is the same for all values of the type.
	ResourceKind() Kind
	// ResourceKey identifies the value within its kind.
	ResourceKey() string
}

// collection is all resources of a kind by their keys. It is never altered once it is in a State.
type collection map[string]Resource

// Find returns the resource of T's kind with that key.
func Find[T Resource](s State, key string) (T, bool) {
	var zero T
	r, ok := s.resources[zero.ResourceKind()][key].(T)
	return r, ok
}

// All returns every resource of T's kind, sorted by key.
func All[T Resource](s State) []T {
	var zero T
	c := s.resources[zero.ResourceKind()]
	list := make([]T, 0, len(c))
	for _, key := range slices.Sorted(maps.Keys(c)) {
		if r, ok := c[key].(T); ok {
			list = append(list, r)
		}
	}
	return list
}

// Draft is a change that is being made: what it was begun on, with all that was put and removed since.
type Draft struct {
	state State
	own   map[Kind]bool // collections that are copies already
	ch    *change
}

// State is what will be once the change is made.
func (d *Draft) State() State { return d.state }

// Put creates or replaces a resource.
func (d *Draft) Put(r Resource) {
	d.own = d.state.take(r, d.own)
	d.ch.resource(r)
}

// Remove deletes a resource; one that does not exist is none.
func (d *Draft) Remove(r Resource) {
	if _, ok := d.state.resources[r.ResourceKind()][r.ResourceKey()]; !ok {
		return
	}
	d.own = d.state.drop(r, d.own)
	d.ch.removeResource(r)
}

// Update makes a change of several resources whole or not at all: edit says what changes, and after an error of its own
// nothing has. Edits run one at a time, so what one finds holds until it is stored. An edit must not call the Cloud.
func (c *Cloud) Update(ctx context.Context, edit func(d *Draft) error) error {
	err := c.begin(ctx)
	defer c.mu.Unlock()
	if err != nil {
		return err
	}
	d := &Draft{state: c.state.clone(), ch: &change{}}
	if err := edit(d); err != nil {
		return err
	}
	if len(d.ch.writes) == 0 {
		return nil
	}
	return c.commitLocked(ctx, d.ch)
}

// take puts r into the state. own are the collections that nobody else has.
func (s *State) take(r Resource, own map[Kind]bool) map[Kind]bool {
	own = s.owned(r.ResourceKind(), own)
	s.resources[r.ResourceKind()][r.ResourceKey()] = r
	return own
}

func (s *State) drop(r Resource, own map[Kind]bool) map[Kind]bool {
	own = s.owned(r.ResourceKind(), own)
	delete(s.resources[r.ResourceKind()], r.ResourceKey())
	return own
}

// owned makes the collection of a kind a copy that may be altered.
func (s *State) owned(k Kind, own map[Kind]bool) map[Kind]bool {
	if own == nil {
		own = map[Kind]bool{}
		s.resources = maps.Clone(s.resources)
		if s.resources == nil {
			s.resources = map[Kind]collection{}
		}
	}
	if !own[k] {
		own[k] = true
		s.resources[k] = maps.Clone(s.resources[k])
		if s.resources[k] == nil {
			s.resources[k] = collection{}
		}
	}
	return own
}

func (ch *change) resource(r Resource) {
	ch.traffic = ch.traffic || traffic(r.ResourceKind())
	put(ch, string(r.ResourceKind()), r.ResourceKey(), r, func(st *State) { st.take(r, nil) })
}

func (ch *change) removeResource(r Resource) {
	ch.traffic = ch.traffic || traffic(r.ResourceKind())
	ch.writes = append(ch.writes, Write{Record: Record{Kind: string(r.ResourceKind()), Name: r.ResourceKey()}, Delete: true})
	ch.apply = append(ch.apply, func(st *State) { st.drop(r, nil) })
}

// settle leaves only the last write of each resource: a draft may put the same one several times.
func (ch *change) settle() {
	last := map[key]int{}
	for i, w := range ch.writes {
		last[key{w.Kind, w.Name}] = i
	}
	n := 0
	for i, w := range ch.writes {
		if last[key{w.Kind, w.Name}] == i {
			ch.writes[n], ch.apply[n] = w, ch.apply[i]
			n++
		}
	}
	ch.writes, ch.apply = ch.writes[:n], ch.apply[:n]
}

// decoder reads the stored form of a kind.
type decoder struct {
	kind   Kind
	decode func(data []byte) (Resource, error)
}

func decodes[T Resource]() decoder {
	var zero T
	return decoder{zero.ResourceKind(), func(data []byte) (Resource, error) {
		var v T
		err := json.Unmarshal(data, &v)
		return v, err
	}}
}

// loadResources fills n with the resources of every kind.
func loadResources(ctx context.Context, n *Cloud) error {
	own := map[Kind]bool{}
	n.state.resources = map[Kind]collection{}
	for _, d := range decoders() {
		records, err := n.store.List(ctx, string(d.kind))
		if err != nil {
			return fmt.Errorf("list %s resources: %w", d.kind, err)
		}
		for _, rec := range records {
			r, err := d.decode(rec.Data)
			if err != nil {
				return fmt.Errorf("decode %s %s: %w", d.kind, rec.Name, err)
			}
			n.versions[key{string(d.kind), rec.Name}] = rec.Version
			n.state.take(r, own)
		}
	}
	return nil
}
