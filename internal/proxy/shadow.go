package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// HeaderShadow marks the copy of a request: its answer is thrown away, and a service may want to know. What clients send
// under this name is dropped, so that it can be believed.
const HeaderShadow = "Greengate-Shadow"

// Bounds of one shadow. What does not fit is not copied, and counted as dropped: nothing ever waits for a copy.
const (
	// MaxShadowBody bounds what is kept of a body, in bytes.
	MaxShadowBody = 256 << 10
	// shadowSamples bounds the requests whose answer is being kept, shadowCopies the copies on their way, shadowPairs and
	// shadowHeld the pairs, and their bytes, that nobody has taken yet.
	shadowSamples = 32
	shadowCopies  = 16
	shadowPairs   = 256
	shadowHeld    = 8 << 20
	// maxShadowLease bounds how long requests are copied without anybody asking for the pairs.
	maxShadowLease = time.Minute
)

// ShadowSpec says what to copy: of the requests that a group serves, a share goes a second time, to another group.
// Copied are GET and HEAD without a body, an upgrade, a range or a condition.
type ShadowSpec struct {
	From    string `json:"from"` // the group whose requests are copied
	To      string `json:"to"`
	Percent int    `json:"percent"` // 0 to 100; with 0 pairs of before can still be taken
	// Headers are the names of response headers that pairs hold, in any case.
	Headers []string `json:"headers,omitempty"`
	// Lease is how long copying goes on without another call; at most a minute.
	Lease time.Duration `json:"lease"`
}

func (s ShadowSpec) validate() error {
	var f faults
	if s.From == s.To || s.From == "" || s.To == "" {
		f.add("a shadow leads from one group to another one")
	}
	if s.Percent < 0 || s.Percent > 100 {
		f.add("percent is %d: must be 0 to 100", s.Percent)
	}
	if s.Lease <= 0 || s.Lease > maxShadowLease {
		f.add("lease is %s: must be above 0s and at most %s", s.Lease, maxShadowLease)
	}
	return errors.Join(f...)
}

// ShadowBatch is what became of the copies. The counters are of the whole life of the shadow in one process.
type ShadowBatch struct {
	ID string `json:"id"`
	// Epoch differs from one process to the next: counters begin at zero with it.
	Epoch string     `json:"epoch"`
	Spec  ShadowSpec `json:"spec"`
	// Eligible counts requests that could have been copied, Copied those that were, and Dropped those that were chosen and
	// left out because a bound was reached or no target was up.
	Eligible uint64 `json:"eligible"`
	Copied   uint64 `json:"copied"`
	Dropped  uint64 `json:"dropped"`
	InFlight int    `json:"in_flight"`
	// Pairs are those that were not taken before.
	Pairs []ShadowPair `json:"pairs,omitempty"`
}

// ShadowPair is a request with the answer that its client got and that of the copy.
type ShadowPair struct {
	Method string       `json:"method"`
	Host   string       `json:"host"`
	Target string       `json:"target"`
	From   ShadowAnswer `json:"from"`
	To     ShadowAnswer `json:"to"`
	// Fault says why the copy got no whole answer; To is then empty but for Took.
	Fault string `json:"fault,omitempty"`
	// Secrets are the credentials of the request, so that who shows an answer can mask them.
	Secrets []string `json:"secrets,omitempty"`
}

// ShadowAnswer is one answer of a pair.
type ShadowAnswer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"body,omitempty"`
	// Partial says that the body was longer than MaxShadowBody; nothing of it is kept.
	Partial bool `json:"partial,omitempty"`
	// Took is the time to the head of the answer.
	Took time.Duration `json:"took"`
}

func (p *ShadowPair) size() int { return len(p.From.Body) + len(p.To.Body) + len(p.Target) + 512 }

// shadow copies requests of one group to another one.
type shadow struct {
	id     string
	epoch  string
	router *router
	cancel context.CancelFunc // ends the workers
	http1  *http.Transport
	h2     *http.Transport
	slots  chan struct{} // one a copy that waits or is on its way
	queue  chan *sample

	eligible, copied, dropped atomic.Uint64
	percent                   atomic.Int64

	mu      sync.Mutex // guards what follows
	spec    ShadowSpec
	from    *group
	until   time.Time
	samples int
	pairs   []ShadowPair
	held    int
	over    bool
	wg      sync.WaitGroup
}

// shadows are those of a data plane, by id.
type shadows struct {
	mu   sync.Mutex
	by   map[string]*shadow
	over bool
}

// shadow begins to copy, or goes on, and hands out the pairs that are there.
func (s *Server) shadow(ctx context.Context, id string, spec ShadowSpec) (ShadowBatch, error) {
	if err := spec.validate(); err != nil {
		return ShadowBatch{}, badInputError{err}
	}
	spec.Headers = slices.Clone(spec.Headers)
	for i, name := range spec.Headers {
		spec.Headers[i] = strings.ToLower(name)
	}
	from := s.router.find(spec.From)
	if from == nil {
		return ShadowBatch{}, fmt.Errorf("copy requests of group %q: %w", spec.From, ErrNotFound)
	}
	s.shadows.mu.Lock()
	defer s.shadows.mu.Unlock()
	if s.shadows.over {
		return ShadowBatch{}, errors.New("the data plane is shutting down")
	}
	sh := s.shadows.by[id]
	if sh == nil {
		sh = newShadow(ctx, id, s.meters.epoch, &s.router)
		s.shadows.by[id] = sh
	}
	sh.renew(spec, from, time.Now())
	return sh.take(), nil
}

func newShadow(ctx context.Context, id, epoch string, rt *router) *shadow {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // copies outlive the request that asks for the shadow
	sh := &shadow{
		id: id, epoch: epoch, router: rt, cancel: cancel, slots: make(chan struct{}, shadowCopies), queue: make(chan *sample, shadowCopies),
	}
	sh.h2 = newH2Transport(DefaultConnectTimeout)
	sh.http1 = newShadowTransport()
	for range shadowCopies {
		sh.wg.Go(func() { sh.work(ctx) })
	}
	return sh
}

// renew puts a spec in force and its lease off. A group is copied to one other: the newest shadow wins.
func (sh *shadow) renew(spec ShadowSpec, from *group, now time.Time) {
	sh.percent.Store(int64(spec.Percent))
	sh.mu.Lock()
	old := sh.from
	sh.spec, sh.from, sh.until = spec, from, now.Add(spec.Lease)
	sh.mu.Unlock()
	if old != nil && old != from {
		old.shadow.CompareAndSwap(sh, nil)
	}
	from.shadow.Store(sh)
}

// take hands out the pairs, once.
func (sh *shadow) take() ShadowBatch {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	b := sh.countsLocked()
	b.Pairs, sh.pairs, sh.held = sh.pairs, nil, 0
	return b
}

func (sh *shadow) countsLocked() ShadowBatch {
	return ShadowBatch{
		ID: sh.id, Epoch: sh.epoch, Spec: sh.spec, Eligible: sh.eligible.Load(), Copied: sh.copied.Load(), Dropped: sh.dropped.Load(),
		InFlight: len(sh.slots),
	}
}

// end stops copying and returns when no copy is on its way.
func (sh *shadow) end() {
	sh.mu.Lock()
	sh.over = true
	from := sh.from
	sh.mu.Unlock()
	from.shadow.CompareAndSwap(sh, nil)
	sh.cancel()
	sh.wg.Wait()
	sh.http1.CloseIdleConnections()
	sh.h2.CloseIdleConnections()
}

// remove takes a shadow off; one that is not there is no error.
func (ss *shadows) remove(id string) {
	ss.mu.Lock()
	sh := ss.by[id]
	delete(ss.by, id)
	ss.mu.Unlock()
	if sh != nil {
		sh.end()
	}
}

// sweep ends the shadows that nobody asks for any more.
func (ss *shadows) sweep(now time.Time) {
	ss.mu.Lock()
	var left []string
	for id, sh := range ss.by {
		sh.mu.Lock()
		if now.After(sh.until) {
			left = append(left, id)
		}
		sh.mu.Unlock()
	}
	ss.mu.Unlock()
	for _, id := range left {
		ss.remove(id)
	}
}

// stop ends all of them for good.
func (ss *shadows) stop() {
	ss.mu.Lock()
	ss.over = true
	ids := make([]string, 0, len(ss.by))
	for id := range ss.by {
		ids = append(ids, id)
	}
	ss.mu.Unlock()
	for _, id := range ids {
		ss.remove(id)
	}
}

// snapshot are the counters of all, without pairs.
func (ss *shadows) snapshot() []ShadowBatch {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	out := []ShadowBatch{}
	for _, sh := range ss.by {
		sh.mu.Lock()
		out = append(out, sh.countsLocked())
		sh.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b ShadowBatch) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
