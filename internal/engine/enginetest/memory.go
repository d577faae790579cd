package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"greengate/internal/deploy"
)

// memory is a Store in memory. It keeps values as they are written, as a store on disk does.
type memory struct {
	mu    sync.Mutex
	rows  map[string]*row
	order []string // ids as they were created
	items int64
}

type row struct {
	revno              int64
	active             bool
	application, group string
	state              []byte
	inbox              []item
	keys               map[string]bool // in the inbox or taken from it
	records            []string
}

type item struct {
	id    int64
	event []byte
}

func newMemory() *memory { return &memory{rows: map[string]*row{}} }

func newRow(d deploy.Deployment) (*row, error) {
	state, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode deployment %s: %w", d.ID, err)
	}
	return &row{
		revno: d.Revno, active: !d.Phase.Terminal(), application: d.Plan.Application, group: d.Plan.Group,
		state: state, keys: map[string]bool{},
	}, nil
}

// Create implements engine.Store.
func (m *memory) Create(ctx context.Context, d deploy.Deployment, first deploy.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	insert, err := m.insertLocked(d, first, "")
	if err != nil {
		return err
	}
	insert()
	return nil
}

// insertLocked prepares a new deployment; nothing is changed before the answer is called. A group is
// also free where its active deployment is the one that ends now.
func (m *memory) insertLocked(d deploy.Deployment, first deploy.Event, ends string) (func(), error) {
	if m.rows[d.ID] != nil {
		return nil, deploy.Errorf(deploy.CodeExists, "Deployment '%s' exists already", d.ID)
	}
	for _, id := range m.order {
		r := m.rows[id]
		if r.active && id != ends && r.application == d.Plan.Application && r.group == d.Plan.Group {
			return nil, deploy.Errorf(deploy.CodeActiveDeployment,
				"Deployment group '%s' of application '%s' already has an active Deployment '%s'", r.group, r.application, id)
		}
	}
	r, err := newRow(d)
	if err != nil {
		return nil, err
	}
	event, err := json.Marshal(first)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return func() {
		m.rows[d.ID] = r
		m.order = append(m.order, d.ID)
		m.addLocked(r, event)
	}, nil
}

func (m *memory) addLocked(r *row, event []byte) {
	m.items++
	r.inbox = append(r.inbox, item{id: m.items, event: event})
}

func (m *memory) rowLocked(ctx context.Context, id string) (*row, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := m.rows[id]
	if r == nil {
		return nil, deploy.Errorf(deploy.CodeNotFound, "Deployment '%s' does not exist", id)
	}
	return r, nil
}

// Load implements engine.Store.
func (m *memory) Load(ctx context.Context, id string) (deploy.Loaded, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.rowLocked(ctx, id)
	if err != nil {
		return deploy.Loaded{}, err
	}
	var got deploy.Loaded
	if err := json.Unmarshal(r.state, &got.Deployment); err != nil {
		return deploy.Loaded{}, fmt.Errorf("decode deployment %s: %w", id, err)
	}
	for _, it := range r.inbox {
		var ev deploy.Event
		if err := json.Unmarshal(it.event, &ev); err != nil {
			return deploy.Loaded{}, fmt.Errorf("decode event: %w", err)
		}
		got.Inbox = append(got.Inbox, deploy.Item{ID: it.id, Event: ev})
	}
	return got, nil
}

// Commit implements engine.Store.
func (m *memory) Commit(ctx context.Context, c deploy.Commit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := c.Deployment
	r, err := m.rowLocked(ctx, d.ID)
	if err != nil {
		return err
	}
	if r.revno != d.Revno-1 {
		return fmt.Errorf("commit revision %d over %d: %w", d.Revno, r.revno, deploy.ErrStale)
	}
	at := slices.IndexFunc(r.inbox, func(it item) bool { return it.id == c.Consumed })
	if c.Consumed != 0 && at < 0 {
		return fmt.Errorf("consume inbox item %d: %w", c.Consumed, deploy.ErrStale)
	}
	next, err := newRow(d)
	if err != nil {
		return err
	}
	insert := func() {}
	if c.Spawn != nil {
		ends := ""
		if !next.active {
			ends = d.ID
		}
		if insert, err = m.insertLocked(*c.Spawn, c.SpawnFirst, ends); err != nil {
			return err
		}
	}
	r.revno, r.active, r.state = next.revno, next.active, next.state
	if c.Consumed != 0 {
		r.inbox = slices.Delete(r.inbox, at, at+1)
	}
	if !r.active {
		r.inbox = nil
	}
	for _, rec := range c.Records {
		r.records = append(r.records, fmt.Sprintf("%s %s %s %s", rec.Kind, rec.Phase, rec.Reason, rec.Message))
	}
	insert()
	return nil
}

// Append implements engine.Store.
func (m *memory) Append(ctx context.Context, id, key string, ev deploy.Event) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.rowLocked(ctx, id)
	if err != nil {
		return false, err
	}
	if !r.active {
		return false, deploy.Errorf(deploy.CodeAlreadyCompleted, "Deployment '%s' has already ended", id)
	}
	if key != "" && r.keys[key] {
		return false, nil
	}
	event, err := json.Marshal(ev)
	if err != nil {
		return false, fmt.Errorf("encode event: %w", err)
	}
	r.keys[key] = true
	m.addLocked(r, event)
	return true, nil
}

// Active implements engine.Store.
func (m *memory) Active(ctx context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var ids []string
	for _, id := range m.order {
		if m.rows[id].active {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (m *memory) dump() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "items %d\n", m.items)
	for _, id := range m.order {
		r := m.rows[id]
		fmt.Fprintf(&b, "%s active %t keys %v\n%s\n%s\n", id, r.active, r.keys, r.state, strings.Join(r.records, "\n"))
		for _, it := range r.inbox {
			fmt.Fprintf(&b, "  %d %s\n", it.id, it.event)
		}
	}
	return b.String()
}
