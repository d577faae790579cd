package app

import (
	"context"
	"sync"

	"greengate/internal/deploy"
	"greengate/internal/store"
)

// maxRecent is how many deployments are kept decoded.
const maxRecent = 256

// recent are deployments that were read since the store last changed: clients that wait ask for the same one again and
// again. What it returns is shared and only read.
type recent struct {
	mu      sync.Mutex
	changed <-chan struct{} // closed by the next write
	byID    map[string]deploy.Deployment
}

func (r *recent) deployment(ctx context.Context, db *store.DB, id string) (deploy.Deployment, error) {
	if d, ok := r.find(id); ok {
		return d, nil
	}
	changed := db.Changed() // taken before reading: a write after this is not missed
	d, err := db.Deployment(ctx, id)
	if err == nil {
		r.keep(changed, id, d)
	}
	return d, err
}

func (r *recent) find(id string) (deploy.Deployment, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if isClosed(r.changed) {
		return deploy.Deployment{}, false
	}
	d, ok := r.byID[id]
	return d, ok
}

func (r *recent) keep(changed <-chan struct{}, id string, d deploy.Deployment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if isClosed(changed) {
		return
	}
	if r.changed != changed || len(r.byID) >= maxRecent {
		r.changed, r.byID = changed, map[string]deploy.Deployment{}
	}
	r.byID[id] = d
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
