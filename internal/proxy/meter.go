package proxy

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// meterKept is for how long a meter whose listener or group has left the table can still be read.
const meterKept = time.Minute

// meter counts, from the start of the process on, what one listener gave to one group. A nil meter counts nothing.
type meter struct {
	routed  atomic.Uint64
	target  [6]atomic.Uint64 // by hundreds of the status
	own     [6]atomic.Uint64
	took    atomic.Uint64 // microseconds, of all responses of targets
	latency [latencyBuckets]atomic.Uint64

	unused time.Time // since when it is in no table, under the lock of meters
}

// requested counts a request for which a target was chosen.
func (m *meter) requested() {
	if m != nil {
		m.routed.Add(1)
	}
}

// responded counts the head of a response; own says that it is an error of the data plane itself.
func (m *meter) responded(status int, own bool, took time.Duration) {
	if m == nil {
		return
	}
	class := min(max(status/100, 0), 5)
	if own {
		m.own[class].Add(1)
		return
	}
	m.target[class].Add(1)
	m.took.Add(uint64(max(took, 0) / time.Microsecond))
	m.latency[bucketOf(took)].Add(1)
}

// Meters are the counters of everything that the data plane served since it was started.
type Meters struct {
	// Epoch differs from one process to the next: counters begin at zero with it.
	Epoch string  `json:"epoch"`
	Rows  []Meter `json:"rows"`
}

// Meter holds the counters of what one listener gave to one group. The row of group "" has the requests that reached none.
type Meter struct {
	Listener string `json:"listener"`
	Group    string `json:"group"`
	// Requests counts those for which a target was chosen.
	Requests uint64 `json:"requests"`
	// Target and Own count responses by the hundreds of their status ("5" is 500 to 599): those of targets, and errors that
	// the data plane answered itself. They are counted when their head is there.
	Target map[string]uint64 `json:"target,omitempty"`
	Own    map[string]uint64 `json:"own,omitempty"`
	// Took is the sum of the times that Latency counts: from the end of the request head to the head of the response, of
	// responses of targets.
	Took    time.Duration `json:"took"`
	Latency Histogram     `json:"latency,omitempty"`
}

type meterKey struct{ listener, group string }

// meters are all that are counted in, by listener and group.
type meters struct {
	epoch string

	mu sync.Mutex
	by map[meterKey]*meter
}

func newMeters(now time.Time) *meters {
	return &meters{epoch: strconv.FormatInt(now.UnixNano(), 36), by: map[meterKey]*meter{}}
}

func (ms *meters) get(listener, group string) *meter {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	k := meterKey{listener, group}
	m := ms.by[k]
	if m == nil {
		m = &meter{}
		ms.by[k] = m
	}
	m.unused = time.Time{}
	return m
}

// sweep forgets meters that a table has not had for a while.
func (ms *meters) sweep(t Table, now time.Time) {
	listeners, groups := map[string]bool{}, map[string]bool{"": true}
	for _, l := range t.Listeners {
		listeners[l.Name] = true
	}
	for _, g := range t.Groups {
		groups[g.Name] = true
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for k, m := range ms.by {
		switch {
		case listeners[k.listener] && groups[k.group]:
			m.unused = time.Time{}
		case m.unused.IsZero():
			m.unused = now
		case now.Sub(m.unused) >= meterKept:
			delete(ms.by, k)
		}
	}
}

func (ms *meters) snapshot() Meters {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	out := Meters{Epoch: ms.epoch, Rows: []Meter{}}
	for k, m := range ms.by {
		out.Rows = append(out.Rows, m.read(k))
	}
	slices.SortFunc(out.Rows, func(a, b Meter) int {
		return cmp.Or(cmp.Compare(a.Listener, b.Listener), cmp.Compare(a.Group, b.Group))
	})
	return out
}

func (m *meter) read(k meterKey) Meter {
	out := Meter{Listener: k.listener, Group: k.group, Target: byClass(&m.target), Own: byClass(&m.own)}
	for i := range m.latency {
		if n := m.latency[i].Load(); n > 0 {
			from, to := bucketRange(i)
			out.Latency = append(out.Latency, Bucket{From: from, To: to, Count: n})
		}
	}
	out.Took = time.Duration(m.took.Load()) * time.Microsecond //nolint:gosec // far below 2^63
	out.Requests = m.routed.Load()
	return out
}

func byClass(counts *[6]atomic.Uint64) map[string]uint64 {
	var out map[string]uint64
	for class := range counts {
		if n := counts[class].Load(); n > 0 {
			if out == nil {
				out = map[string]uint64{}
			}
			out[strconv.Itoa(class)] = n
		}
	}
	return out
}
