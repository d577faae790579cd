package metric

import (
	"fmt"
	"strconv"
	"strings"
)

// Stat is a statistic: SampleCount, Average, Sum, Minimum, Maximum, or a percentile.
type Stat struct {
	name    string
	percent float64
}

// String is the name of the statistic as it was given.
func (s Stat) String() string { return s.name }

// ParseStat reads "Average" or "p99.9". Other extended statistics of CloudWatch (tm, wm, tc, ts, pr, iqm) are refused.
func ParseStat(name string) (Stat, error) {
	switch name {
	case "SampleCount", "Average", "Sum", "Minimum", "Maximum":
		return Stat{name: name}, nil
	}
	text, ok := strings.CutPrefix(name, "p")
	if !ok || text == "" || strings.Trim(text, "0123456789.") != "" {
		return Stat{}, fmt.Errorf("statistic %q is none of SampleCount, Average, Sum, Minimum, Maximum and p0 to p100", name)
	}
	p, err := strconv.ParseFloat(text, 64)
	if err != nil || p < 0 || p > 100 {
		return Stat{}, fmt.Errorf("percentile %q is not p0 to p100", name)
	}
	return Stat{name: name, percent: p}, nil
}

// Of is the statistic of a value; false where the value has no samples, or no percentiles.
func (s Stat) Of(v Value) (float64, bool) {
	if v.Count <= 0 {
		return 0, false
	}
	switch s.name {
	case "SampleCount":
		return v.Count, true
	case "Average":
		return v.Sum / v.Count, true
	case "Sum":
		return v.Sum, true
	case "Minimum":
		return v.Min, true
	case "Maximum":
		return v.Max, true
	}
	return v.quantile(s.percent / 100)
}
