// Package cloudtest holds a store of resources in memory, for tests of what keeps its state in a
// cloud.Cloud.
package cloudtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

// ErrFault is what a failing Memory answers.
var ErrFault = errors.New("the disk of the test fails")

// Memory is a cloud.Resources. Its zero value is empty.
type Memory struct {
	mu       sync.Mutex
	records  map[[2]string]cloud.Record
	versions int64
	puts     int
	// fail and torn say how the next Put fails: without or with its effect.
	fail, torn bool
}

// Fail lets the next Put fail; where stored, after it has taken effect.
func (m *Memory) Fail(stored bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail, m.torn = true, stored
}

// Puts counts the transactions.
func (m *Memory) Puts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.puts
}

// List implements cloud.Resources.
func (m *Memory) List(ctx context.Context, kind string) ([]cloud.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var list []cloud.Record
	for _, r := range m.records {
		if r.Kind == kind {
			r.Data = slices.Clone(r.Data)
			list = append(list, r)
		}
	}
	return list, nil
}

// Put implements cloud.Resources.
func (m *Memory) Put(ctx context.Context, writes []cloud.Write) ([]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	fail, torn := m.fail, m.torn
	m.fail = false
	if fail && !torn {
		return nil, ErrFault
	}
	for _, w := range writes {
		if have := m.records[[2]string{w.Kind, w.Name}].Version; have != w.Version {
			return nil, fmt.Errorf("write %s %s over version %d, have %d: %w", w.Kind, w.Name, w.Version, have, deploy.ErrStale)
		}
	}
	m.puts++
	if m.records == nil {
		m.records = map[[2]string]cloud.Record{}
	}
	versions := make([]int64, len(writes))
	for i, w := range writes {
		k := [2]string{w.Kind, w.Name}
		if w.Delete {
			delete(m.records, k)
			continue
		}
		m.versions++
		versions[i] = m.versions
		m.records[k] = cloud.Record{Kind: w.Kind, Name: w.Name, Version: m.versions, Data: slices.Clone(w.Data)}
	}
	if fail {
		return nil, ErrFault
	}
	return versions, nil
}
