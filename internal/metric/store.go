package metric

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// ID names a metric.
type ID struct {
	Namespace  string            `json:"namespace"`
	Name       string            `json:"name"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
	// Unit is only told, and does not tell metrics apart; of several that were put, the last.
	Unit string `json:"unit,omitempty"`
}

// Key is the same for equal IDs, and orders them by namespace and name.
func (id ID) Key() string {
	var b strings.Builder
	b.WriteString(id.Namespace + "\x00" + id.Name)
	for _, name := range slices.Sorted(maps.Keys(id.Dimensions)) {
		b.WriteString("\x00" + name + "\x01" + id.Dimensions[name])
	}
	return b.String()
}

// Point is the value of a metric from a time on, for as long as the points are apart.
type Point struct {
	At    time.Time
	Value Value
}

const (
	// fineMinutes is for how many minutes points are kept as they came; older ones are summed up by the minute.
	fineMinutes = 15
	// keepMinutes is for how many minutes points are kept at all: an alarm looks back a day at most.
	keepMinutes = 26 * 60
	// maxPoints bounds all points together, maxSeries the metrics. What was not written for the longest time goes.
	maxPoints = 300_000
	maxSeries = 5_000
)

// Store keeps the points of metrics in memory, within bounds. It is safe for concurrent use.
type Store struct {
	minute time.Duration
	fine   time.Duration

	mu     sync.Mutex
	series map[string]*series
	points int
}

type series struct {
	id      ID
	points  []Point // rising, at most one a fine step
	written time.Time
	aged    time.Time // before this, there is at most one point a minute
}

// NewStore returns a store for minutes that last as long as minute. Points that are nearer than a sixtieth of it (a
// twentieth, where it is less than a minute) are summed up.
func NewStore(minute time.Duration) *Store {
	s := &Store{minute: minute, fine: minute / 60, series: map[string]*series{}}
	if minute < time.Minute {
		s.fine = max(minute/20, time.Millisecond)
	}
	return s
}

// Put adds samples at a time. now is when that happens: what is too old by then is not kept.
func (s *Store) Put(id ID, at time.Time, v Value, now time.Time) {
	if v.Count <= 0 || at.Before(now.Add(-keepMinutes*s.minute)) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := id.Key()
	sr := s.series[k]
	if sr == nil {
		id.Dimensions = maps.Clone(id.Dimensions)
		sr = &series{id: id}
		s.series[k] = sr
	}
	sr.written, sr.id.Unit = now, id.Unit
	before := len(sr.points)
	sr.put(s.step(at, now), v)
	sr.age(s, now)
	s.points += len(sr.points) - before
	for (s.points > maxPoints || len(s.series) > maxSeries) && len(s.series) > 1 {
		s.evict()
	}
}

// step is the beginning of the point that a time belongs to.
func (s *Store) step(at, now time.Time) time.Time {
	if at.Before(now.Add(-fineMinutes * s.minute)) {
		return at.Truncate(s.minute)
	}
	return at.Truncate(s.fine)
}

func (sr *series) put(at time.Time, v Value) {
	i, found := slices.BinarySearchFunc(sr.points, at, func(p Point, at time.Time) int { return p.At.Compare(at) })
	if found {
		sr.points[i].Value = sr.points[i].Value.Add(v)
		return
	}
	sr.points = slices.Insert(sr.points, i, Point{at, v})
}

// age drops what is too old and sums up by the minute what is not new.
func (sr *series) age(s *Store, now time.Time) {
	oldest, fine := now.Add(-keepMinutes*s.minute), now.Add(-fineMinutes*s.minute).Truncate(s.minute)
	if fine.Equal(sr.aged) && !sr.points[0].At.Before(oldest) {
		return
	}
	sr.aged = fine
	out := make([]Point, 0, len(sr.points))
	for _, p := range sr.points {
		if p.At.Before(oldest) {
			continue
		}
		if p.At.Before(fine) {
			p.At = p.At.Truncate(s.minute)
		}
		if n := len(out); n > 0 && out[n-1].At.Equal(p.At) {
			out[n-1].Value = out[n-1].Value.Add(p.Value)
			continue
		}
		out = append(out, p)
	}
	sr.points = out
}

// evict forgets the metric that was not written for the longest time.
func (s *Store) evict() {
	var oldest string
	for k, sr := range s.series {
		if old := s.series[oldest]; old == nil || sr.written.Before(old.written) {
			oldest = k
		}
	}
	s.points -= len(s.series[oldest].points)
	delete(s.series, oldest)
}

// Query is a metric between two times, by periods the first of which begins at from. Periods without a sample are not in it.
func (s *Store) Query(id ID, from, to time.Time, period time.Duration) []Point {
	s.mu.Lock()
	defer s.mu.Unlock()
	sr := s.series[id.Key()]
	if sr == nil || period <= 0 {
		return nil
	}
	var out []Point
	first, _ := slices.BinarySearchFunc(sr.points, from, func(p Point, at time.Time) int { return p.At.Compare(at) })
	for _, p := range sr.points[first:] {
		if !p.At.Before(to) {
			break
		}
		at := p.At.Add(-(p.At.Sub(from) % period))
		if n := len(out); n > 0 && out[n-1].At.Equal(at) {
			out[n-1].Value = out[n-1].Value.Add(p.Value)
			continue
		}
		out = append(out, Point{at, p.Value})
	}
	return out
}

// Unit is what a metric is counted in, as it was put last.
func (s *Store) Unit(id ID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sr := s.series[id.Key()]; sr != nil {
		return sr.id.Unit
	}
	return ""
}

// Metrics are the metrics that have points since a time, sorted.
func (s *Store) Metrics(since time.Time) []ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []ID
	for _, k := range slices.SortedFunc(maps.Keys(s.series), cmp.Compare) {
		if sr := s.series[k]; !sr.written.Before(since) {
			out = append(out, sr.id)
		}
	}
	return out
}
