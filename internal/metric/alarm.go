package metric

import (
	"fmt"
	"strings"
	"time"
)

// States of an alarm (StateValue of the CloudWatch model).
const (
	OK           = "OK"
	InAlarm      = "ALARM"
	Insufficient = "INSUFFICIENT_DATA"
)

// How an alarm treats periods without data (TreatMissingData); the empty string is missing.
const (
	MissingIsMissing      = "missing"
	MissingIsIgnored      = "ignore"
	MissingIsBreaching    = "breaching"
	MissingIsNotBreaching = "notBreaching"
)

// Rule is when an alarm is in ALARM.
type Rule struct {
	// Comparison is a ComparisonOperator of CloudWatch for a static threshold.
	Comparison string
	Threshold  float64
	// Periods is EvaluationPeriods, ToAlarm how many of them must breach (DatapointsToAlarm); 0 is all.
	Periods, ToAlarm int
	Missing          string
}

// rangeExtra is how many periods before the newest ones are looked at where some of those have no data. CloudWatch does
// not say how many; its examples have two ("Configuring how CloudWatch alarms treat missing data").
const rangeExtra = 2

// Range is how many periods an evaluation looks at.
func (r Rule) Range() int { return r.Periods + rangeExtra }

// Datapoint is the statistic of one period; Known is false where there was no data.
type Datapoint struct {
	At    time.Time
	Value float64
	Known bool
}

// Verdict is what an evaluation found.
type Verdict struct {
	State string
	// Reason is worded as CloudWatch does.
	Reason string
	// Recent are the datapoints that decided, newest first.
	Recent []Datapoint
}

func (r Rule) breaches(v float64) bool {
	switch r.Comparison {
	case "GreaterThanThreshold":
		return v > r.Threshold
	case "GreaterThanOrEqualToThreshold":
		return v >= r.Threshold
	case "LessThanThreshold":
		return v < r.Threshold
	case "LessThanOrEqualToThreshold":
		return v <= r.Threshold
	}
	return false
}

// needed is how many datapoints must breach.
func (r Rule) needed() int {
	if r.ToAlarm > 0 {
		return min(r.ToAlarm, r.Periods)
	}
	return r.Periods
}

// Evaluate says what the alarm is, given the datapoints of the last Range periods, oldest first, and the present state.
//
// The rules are those of "Configuring how CloudWatch alarms treat missing data": where as many datapoints are known as
// there are evaluation periods, the newest of them decide and missing ones do not matter; else as few as possible are
// filled in. Where missing data is missing and all that is known breaches, the oldest must be as old as there are
// datapoints to alarm, so that one late datapoint does not alarm early; until then the state stays.
func (r Rule) Evaluate(points []Datapoint, state string) Verdict {
	known := newest(points, r.Periods)
	filled := r.Periods - len(known)
	breaching := 0
	for _, p := range known {
		if r.breaches(p.Value) {
			breaching++
		}
	}
	v := Verdict{State: r.decide(points, known, breaching, filled, state), Recent: known}
	v.Reason = r.reason(v.State, known, breaching, filled)
	return v
}

// newest are the newest n known datapoints, newest first.
func newest(points []Datapoint, n int) []Datapoint {
	var known []Datapoint
	for i := len(points) - 1; i >= 0 && len(known) < n; i-- {
		if points[i].Known {
			known = append(known, points[i])
		}
	}
	return known
}

func (r Rule) decide(points, known []Datapoint, breaching, filled int, state string) string {
	switch {
	case breaching >= r.needed(), r.Missing == MissingIsBreaching && breaching+filled >= r.needed():
		return InAlarm
	case filled == 0, r.Missing == MissingIsBreaching, r.Missing == MissingIsNotBreaching, breaching < len(known):
		return OK
	case r.Missing == MissingIsIgnored:
		return state
	case len(known) == 0:
		return Insufficient
	case r.oldEnough(points):
		return InAlarm
	}
	return state
}

// oldEnough reports whether the oldest datapoint among the newest periods is at least as many periods old as there are
// datapoints to alarm. All that are known breach.
func (r Rule) oldEnough(points []Datapoint) bool {
	for age := min(r.Periods, len(points)); age >= r.needed(); age-- {
		if points[len(points)-age].Known {
			return true
		}
	}
	return false
}

// word is how the comparison reads.
func (r Rule) word() string {
	switch r.Comparison {
	case "GreaterThanThreshold":
		return "greater than"
	case "GreaterThanOrEqualToThreshold":
		return "greater than or equal to"
	case "LessThanThreshold":
		return "less than"
	case "LessThanOrEqualToThreshold":
		return "less than or equal to"
	}
	return r.Comparison
}

func (r Rule) reason(state string, known []Datapoint, breaching, filled int) string {
	if len(known) == 0 {
		switch r.Missing {
		case MissingIsBreaching, MissingIsNotBreaching:
			treated := "Breaching"
			if r.Missing == MissingIsNotBreaching {
				treated = "NonBreaching"
			}
			return fmt.Sprintf("Threshold Crossed: no datapoints were received for %s and %s treated as [%s].",
				count(r.Periods, "period", "periods"), count(r.Periods, "missing datapoint was", "missing datapoints were"), treated)
		}
		return "Insufficient Data: " + count(filled, "datapoint was", "datapoints were") + " unknown."
	}
	list := make([]string, len(known))
	for i, p := range known {
		list[i] = fmt.Sprintf("%s (%s)", decimal(p.Value), p.At.UTC().Format("02/01/06 15:04:05"))
	}
	subject, verb := count(len(known), "datapoint", "datapoints"), "were"
	if r.needed() < r.Periods || filled > 0 {
		n := breaching
		if state != InAlarm {
			n = len(known) - breaching
		}
		subject = fmt.Sprintf("%d out of the last %s", n, count(r.Periods, "datapoint", "datapoints"))
		if n == 1 {
			verb = "was"
		}
	} else if len(known) == 1 {
		verb = "was"
	}
	if state != InAlarm {
		verb += " not"
	}
	return fmt.Sprintf("Threshold Crossed: %s [%s] %s %s the threshold (%s).", subject, strings.Join(list, ", "), verb, r.word(), decimal(r.Threshold))
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// decimal always has a point, as CloudWatch writes numbers.
func decimal(v float64) string {
	s := fmt.Sprint(v)
	if !strings.ContainsAny(s, ".eNI") {
		s += ".0"
	}
	return s
}

// Datapoints are the statistic of the last n periods before end, oldest first.
func (s *Store) Datapoints(id ID, stat Stat, end time.Time, period time.Duration, n int) []Datapoint {
	from := end.Add(-time.Duration(n) * period)
	out := make([]Datapoint, n)
	for i := range out {
		out[i].At = from.Add(time.Duration(i) * period)
	}
	for _, p := range s.Query(id, from, end, period) {
		i := int(p.At.Sub(from) / period)
		out[i].Value, out[i].Known = stat.Of(p.Value)
	}
	return out
}
