package metric

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// saved is a metric as Save writes it.
type saved struct {
	ID      ID           `json:"id"`
	Written time.Time    `json:"written"`
	Points  []savedPoint `json:"points"`
}

type savedPoint struct {
	At int64 `json:"t"` // nanoseconds since 1970
	Value
}

// Save is what the store holds since a time, as JSON.
func (s *Store) Save(since time.Time) ([]byte, error) {
	s.mu.Lock()
	list := make([]saved, 0, len(s.series))
	for _, sr := range s.series {
		v := saved{ID: sr.id, Written: sr.written}
		for _, p := range sr.points {
			if !p.At.Before(since) {
				v.Points = append(v.Points, savedPoint{p.At.UnixNano(), p.Value})
			}
		}
		if len(v.Points) > 0 {
			list = append(list, v)
		}
	}
	// A value's sketch may be shared by what goes on after the lock is given back, but is never altered.
	s.mu.Unlock()
	data, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("encode metrics: %w", err)
	}
	return data, nil
}

// Load takes in what Save wrote, also from a store whose minutes had another length. After an error nothing has changed.
func (s *Store) Load(data []byte, now time.Time) error {
	var list []saved
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("decode metrics: %w", err)
	}
	for _, v := range list {
		if v.ID.Name == "" || v.ID.Namespace == "" {
			return errors.New("decode metrics: a metric has no name")
		}
		for _, p := range v.Points {
			if math.IsNaN(p.Sum) || p.Count <= 0 || p.Min > p.Max {
				return fmt.Errorf("decode metrics: %s %s has a point that cannot be", v.ID.Namespace, v.ID.Name)
			}
		}
	}
	for _, v := range list {
		for _, p := range v.Points {
			s.Put(v.ID, time.Unix(0, p.At), p.Value, now)
		}
		s.mu.Lock()
		if sr := s.series[v.ID.Key()]; sr != nil {
			sr.written = v.Written
		}
		s.mu.Unlock()
	}
	return nil
}
