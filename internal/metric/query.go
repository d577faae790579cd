package metric

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Query is a statistic of a metric, or an expression over other queries.
type Query struct {
	ID   ID
	Stat Stat
	// Expression is nil for a statistic.
	Expression *Expression
}

// Queries are queries by the ids that expressions know them by.
type Queries map[string]Query

// Check says what keeps the queries from being computed: an id that there is not, and expressions that need themselves.
func (q Queries) Check() error {
	done := map[string]bool{} // false while it is being looked at
	for _, id := range slices.Sorted(maps.Keys(q)) {
		if err := q.check(id, done); err != nil {
			return err
		}
	}
	return nil
}

func (q Queries) check(id string, done map[string]bool) error {
	query, ok := q[id]
	if !ok {
		return fmt.Errorf("there is no query %s", id)
	}
	over, met := done[id]
	switch {
	case over:
		return nil
	case met:
		return fmt.Errorf("the query %s needs itself", id)
	}
	done[id] = false
	if query.Expression != nil {
		for _, needed := range query.Expression.IDs() {
			if err := q.check(needed, done); err != nil {
				return err
			}
		}
	}
	done[id] = true
	return nil
}

// window is the last n periods before end.
type window struct {
	end    time.Time
	period time.Duration
	n      int
}

// Compute is the query id for the last n periods before end, oldest first. The queries were checked.
func (s *Store) Compute(q Queries, id string, end time.Time, period time.Duration, n int) []Datapoint {
	return s.compute(q, id, window{end, period, n}, map[string][]Datapoint{})
}

func (s *Store) compute(q Queries, id string, w window, known map[string][]Datapoint) []Datapoint {
	if list, ok := known[id]; ok {
		return list
	}
	query := q[id]
	if query.Expression == nil {
		known[id] = s.Datapoints(query.ID, query.Stat, w.end, w.period, w.n)
		return known[id]
	}
	for _, needed := range query.Expression.IDs() {
		s.compute(q, needed, w, known)
	}
	out := make([]Datapoint, w.n)
	for i := range out {
		out[i].At = w.end.Add(-time.Duration(w.n-i) * w.period)
		out[i].Value, out[i].Known = query.Expression.Of(func(id string) (float64, bool) {
			p := known[id][i]
			return p.Value, p.Known
		})
	}
	known[id] = out
	return out
}
