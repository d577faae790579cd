package deploy

import "time"

// Shadow says how live traffic is compared: a share of the GET and HEAD requests that the old version serves goes to the new
// one as well, and the answers, which nobody gets, must be the same.
type Shadow struct {
	// Percent is the share of requests that is copied, 1 to 100, and For is how long.
	Percent int           `json:"percent"`
	For     time.Duration `json:"for"`
	// Minimum is how many requests must have been compared; with fewer it cannot be told.
	Minimum int `json:"minimum"`
	// Headers are those that are compared, beside the status and the body but for the places under Ignore.
	Headers []string `json:"headers,omitempty"`
	Ignore  []string `json:"ignore,omitempty"`
	// MaxDiffering is the share of compared requests, 0 to 1, that may be answered otherwise.
	MaxDiffering float64 `json:"maxDiffering,omitempty"`
	// MaxLatencyRatio is how many times slower than the old version the new one may be; 0 judges no latency.
	MaxLatencyRatio float64 `json:"maxLatencyRatio,omitempty"`
}

// DefaultShadow holds the value of every field that may be left out.
func DefaultShadow() Shadow {
	return Shadow{Percent: 10, For: time.Minute, Minimum: 50, Headers: []string{"content-type"}, MaxLatencyRatio: 3}
}

// Bounds of Shadow.
const (
	maxShadowFor = 55 * time.Minute // an event has an hour
	// ShadowMargin is what the time limit of the hook must leave beyond For.
	ShadowMargin = time.Minute
)

func (v *validator) shadow(field string, h Hook) {
	s := h.Shadow
	if s == nil {
		v.add(field+".shadow", "is missing")
		return
	}
	at := field + ".shadow"
	v.positive(at+".percent", s.Percent, 1, 100)
	v.positive(at+".minimum", s.Minimum, 1, 1_000_000)
	switch {
	case s.For < time.Second || s.For > maxShadowFor:
		v.add(at+".for", "is %s; it must be between 1s and %s", s.For, maxShadowFor)
	case h.Timeout > 0 && h.Timeout < s.For+ShadowMargin:
		v.add(field+".timeout", "is %s; it must be at least %s more than the shadow's for, or be left out", h.Timeout, ShadowMargin)
	}
	if !between(s.MaxDiffering, 0, 1) {
		v.add(at+".max_differing", "is %v; it is a share between 0 and 1", s.MaxDiffering)
	}
	if s.MaxLatencyRatio != 0 && !between(s.MaxLatencyRatio, 1, 1000) {
		v.add(at+".max_latency_ratio", "is %v; it must be 0, which judges no latency, or between 1 and 1000", s.MaxLatencyRatio)
	}
}
