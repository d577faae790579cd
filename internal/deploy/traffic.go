package deploy

import "time"

// ShiftStep is one change of production weights.
type ShiftStep struct {
	Green int           // per cent of requests that go to green from now on
	After time.Duration // how long after the step before it
}

// Steps are the shifts of the traffic policy in order; the last one is always 100 per cent, at once
// after it AllowTraffic ends (spec: codedeploy-ecs 3.4). A linear percentage that does not divide
// 100 ends with the remainder.
func (t Traffic) Steps() []ShiftStep {
	if t.Kind == TrafficAllAtOnce || t.Percent < 1 || t.Percent > 99 {
		return []ShiftStep{{Green: 100}}
	}
	if t.Kind == TrafficCanary {
		return []ShiftStep{{Green: t.Percent}, {Green: 100, After: t.Interval}}
	}
	steps := []ShiftStep{{Green: t.Percent}}
	for at := 2 * t.Percent; at < 100; at += t.Percent {
		steps = append(steps, ShiftStep{Green: at, After: t.Interval})
	}
	return append(steps, ShiftStep{Green: 100, After: t.Interval})
}

// Span is the time between the first and the last step.
func (t Traffic) Span() time.Duration {
	var span time.Duration
	for _, s := range t.Steps() {
		span += s.After
	}
	return span
}
