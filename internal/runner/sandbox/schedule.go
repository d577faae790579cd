package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"time"
)

var boxIDPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

// pool is the sandboxes and the waiting invocations of one key. Under Manager.mu.
type pool struct {
	boxes int
	idle  []*box
	queue []*invocation
}

func (p *pool) remove(inv *invocation) bool {
	i := slices.Index(p.queue, inv)
	if i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
	}
	return i >= 0
}

// sandboxKey tells what a sandbox may be reused for: the same function in every detail, the same endpoint, and
// credentials or none. Which credentials does not matter: a sandbox keeps those it was started with while they are valid,
// as on Lambda.
func sandboxKey(in Invocation) string {
	data, err := json.Marshal(struct {
		Function Function
		Endpoint string
		Signed   bool
	}{in.Function, in.EndpointURL, in.Credentials != nil})
	if err != nil { // plain strings and numbers: cannot happen; never reuse then
		return newID()
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func unitID(box string) string { return "sandbox-" + box }

func (m *Manager) poolLocked(key string) *pool {
	p := m.pools[key]
	if p == nil {
		p = &pool{}
		m.pools[key] = p
	}
	return p
}

// scheduleLocked gives waiting invocations to idle sandboxes, and starts sandboxes for the rest while the limits allow.
func (m *Manager) scheduleLocked(key string) {
	p := m.poolLocked(key)
	for len(p.queue) > 0 && !m.closed && !m.stopping {
		inv := p.queue[0]
		b := m.takeLocked(p, inv)
		if b == nil {
			b = m.newBoxLocked(p, inv)
		}
		if b == nil {
			return
		}
		p.queue = p.queue[1:]
		b.assign <- inv // never blocks: it has room for one, and the sandbox was free
	}
	if p.boxes == 0 && len(p.queue) == 0 {
		delete(m.pools, key)
	}
}

// takeLocked picks the sandbox that became idle last and whose credentials last long enough; others are stopped.
func (m *Manager) takeLocked(p *pool, inv *invocation) *box {
	for len(p.idle) > 0 {
		b := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if b.usable(time.Now().Add(inv.rec.Invocation.Function.Timeout)) {
			return b
		}
		b.retire()
	}
	return nil
}

func (m *Manager) newBoxLocked(p *pool, inv *invocation) *box {
	if p.boxes >= m.cfg.MaxPerFunction {
		return nil
	}
	if len(m.boxes) >= m.cfg.MaxSandboxes {
		m.evictLocked()
		return nil // scheduled again when the evicted one is gone
	}
	b := newBox(m, boxRecord{ID: newID(), Function: inv.rec.Invocation.Function.Name, Key: inv.key, Started: time.Now()})
	b.rec.Unit, b.rec.Stream = unitID(b.rec.ID), streamName(b.rec.Started, b.rec.ID)
	if c := inv.rec.Invocation.Credentials; c != nil {
		b.rec.Expires = c.Expires
	}
	b.launch = inv.rec.Invocation
	m.boxes[b.rec.ID] = b
	p.boxes++
	m.starts <- b // never blocks: there are at most MaxSandboxes
	return b
}

// evictLocked stops one idle sandbox of any function, so that a waiting one gets its place.
func (m *Manager) evictLocked() {
	for _, p := range m.pools {
		if len(p.idle) > 0 {
			p.idle[0].retire()
			p.idle = p.idle[1:]
			return
		}
	}
}

// free says that a sandbox can take an invocation. False: it must end instead.
func (m *Manager) free(b *box) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping || !b.usable(time.Now()) {
		return false
	}
	p := m.poolLocked(b.rec.Key)
	p.idle = append(p.idle, b)
	m.scheduleLocked(b.rec.Key)
	m.scheduleOthersLocked()
	return true
}

// scheduleOthersLocked looks at functions that wait for the total limit.
func (m *Manager) scheduleOthersLocked() {
	for key, p := range m.pools {
		if len(p.queue) > 0 {
			m.scheduleLocked(key)
		}
	}
}

// unlist takes a sandbox that wants to end out of the idle ones. False: it was given an invocation meanwhile.
func (m *Manager) unlist(b *box) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.poolLocked(b.rec.Key)
	if i := slices.Index(p.idle, b); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	return len(b.assign) == 0
}

// removed says that a sandbox has ended; an invocation that it did not hand over goes to another one.
func (m *Manager) removed(b *box, unhanded *invocation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.poolLocked(b.rec.Key)
	if i := slices.Index(p.idle, b); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	if m.boxes[b.rec.ID] == b {
		delete(m.boxes, b.rec.ID)
		p.boxes--
	}
	select {
	case inv := <-b.assign:
		m.requeueLocked(p, inv)
	default:
	}
	if unhanded != nil {
		m.requeueLocked(p, unhanded)
	}
	m.scheduleLocked(b.rec.Key)
	m.scheduleOthersLocked()
}

func (m *Manager) requeueLocked(p *pool, inv *invocation) {
	if inv.halted {
		byDeadline := inv.timedUp
		m.wg.Go(func() { m.finish(inv, haltOutcome(byDeadline)) })
		return
	}
	p.queue = slices.Insert(p.queue, 0, inv)
}
