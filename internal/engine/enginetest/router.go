package enginetest

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"greengate/internal/deploy"
)

// service is the pair of listeners of a service.
type service struct {
	production, shifted []deploy.RouteWeight
	test, ledger        string
	credit              map[string]int // of each task set, towards its next request
}

type ledgerKey struct{ ledger, taskSet string }

// Exchange is a request in flight.
type Exchange struct {
	TaskSet string // empty: nobody served it
	Status  int

	w          *World
	set        *set
	stream     bool
	ended, cut bool
}

// Service makes a service whose listeners serve a task set; empty serves nothing.
func (w *World) Service(name, taskSet string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &service{test: taskSet, credit: map[string]int{}}
	if taskSet != "" {
		s.production = []deploy.RouteWeight{{TaskSet: taskSet, Weight: 100}}
		s.shifted = s.production
	}
	w.services[name] = s
}

// Edit gives the production listener weights behind the deployment's back.
func (w *World) Edit(name string, weights []deploy.RouteWeight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.services[name].production = slices.Clone(weights)
	w.noteLocked(Entry{Kind: EntryShift, ID: name, Production: weights, Test: w.services[name].test, Text: "by somebody else"})
}

// Serves tells what a service's listeners serve.
func (w *World) Serves(name string) (production []deploy.RouteWeight, test string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.services[name].production), w.services[name].test
}

// Fail makes a task set answer 500 to every request.
func (w *World) Fail(taskSet string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing[taskSet] = on
}

// Count reads a ledger.
func (w *World) Count(ledger, taskSet string) deploy.Count {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ledgers[ledgerKey{ledger, taskSet}]
}

// Begin sends a request to a service; End ends it. A stream is one that may last.
func (w *World) Begin(name string, test, stream bool) *Exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settleLocked()
	svc := w.services[name]
	x := &Exchange{w: w, stream: stream, Status: http.StatusServiceUnavailable}
	id := svc.test
	if !test {
		id = svc.next()
	}
	s := w.sets[id]
	if s == nil {
		x.ended = true
		return x
	}
	x.TaskSet, x.Status, x.set = id, http.StatusOK, s
	s.serving[x] = true
	if w.failing[id] {
		x.Status = http.StatusInternalServerError
	}
	if !test {
		k := ledgerKey{svc.ledger, id}
		c := w.ledgers[k]
		c.Requests++
		if w.failing[id] {
			c.Failed++
		}
		w.ledgers[k] = c
	}
	return x
}

// next chooses the task set of the next request; over 100 requests each gets exactly its share.
func (s *service) next() string {
	best, total := "", 0
	for _, w := range s.production {
		s.credit[w.TaskSet] += w.Weight
		total += w.Weight
		if w.Weight > 0 && (best == "" || s.credit[w.TaskSet] > s.credit[best]) {
			best = w.TaskSet
		}
	}
	s.credit[best] -= total
	return best
}

// End ends a request; it reports whether it was cut before.
func (x *Exchange) End() (cut bool) {
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	x.w.settleLocked()
	if x.set != nil {
		delete(x.set.serving, x)
	}
	x.ended = true
	return x.cut
}

// shift answers Router.Shift.
func (w *World) shift(r deploy.Route) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settleLocked()
	svc := w.services[r.Service]
	if svc == nil {
		return deploy.Errorf(deploy.CodeNotFound, "service '%s' does not exist", r.Service)
	}
	if !r.Force && !slices.Equal(svc.production, svc.shifted) {
		return fmt.Errorf("route service %s: %w", r.Service, deploy.ErrConflict)
	}
	svc.ledger = r.Ledger
	if slices.Equal(svc.production, r.Production) && slices.Equal(svc.shifted, r.Production) && svc.test == r.Test {
		return nil
	}
	w.judgeLocked(r)
	svc.production, svc.shifted, svc.test = slices.Clone(r.Production), slices.Clone(r.Production), r.Test
	w.noteLocked(Entry{Kind: EntryShift, ID: r.Service, Production: slices.Clone(r.Production), Test: r.Test})
	return nil
}

// judgeLocked notes weights that must never be asked for.
func (w *World) judgeLocked(r deploy.Route) {
	sum := 0
	for _, p := range r.Production {
		sum += p.Weight
		if p.Weight > 0 && w.sets[p.TaskSet] == nil {
			w.violateLocked("production of %s was given to %s, which does not run", r.Service, p.TaskSet)
		}
	}
	if sum != 100 && len(r.Production) > 0 {
		w.violateLocked("weights of %s add up to %d: %v", r.Service, sum, r.Production)
	}
}

// weight is the share of production that a task set has.
func (s *service) weight(taskSet string) int {
	for _, p := range s.production {
		if p.TaskSet == taskSet {
			return p.Weight
		}
	}
	return 0
}

func (w *World) routedLocked(s *set) bool {
	svc := w.services[s.want.Service]
	return svc != nil && (svc.test == s.want.ID || svc.weight(s.want.ID) > 0)
}

// drain answers Router.Drain.
func (w *World) drain(id string, limit time.Duration) (deploy.InFlight, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settleLocked()
	s := w.sets[id]
	if s == nil {
		return deploy.InFlight{}, nil
	}
	if w.routedLocked(s) {
		return deploy.InFlight{}, fmt.Errorf("drain task set %s: it still has weight", id)
	}
	if cut := time.Now().Add(limit); s.cut.IsZero() || cut.Before(s.cut) {
		s.cut = cut
		w.ending[id] = s
	}
	w.settleLocked()
	var left deploy.InFlight
	for x := range s.serving {
		if x.stream {
			left.Streams++
		} else {
			left.Requests++
		}
	}
	return left, nil
}
