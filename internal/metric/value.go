package metric

import (
	"maps"
	"math"
	"slices"
)

// Value is what a metric was within some time: the statistics of all its samples.
type Value struct {
	Count float64 `json:"n"`
	Sum   float64 `json:"s"`
	Min   float64 `json:"lo"`
	Max   float64 `json:"hi"`
	// Sketch counts samples by size, for percentiles. Where all samples are equal there is none, and none is needed; a
	// statistic set has none either.
	Sketch map[int32]float64 `json:"k,omitempty"`
}

// sketchParts is into how many buckets a power of two is cut: a percentile is at most 1/64 off.
const sketchParts = 32

// sketchBase lifts the smallest exponent above zero, so that the sign of a bucket is that of its samples.
const sketchBase = 1100

// bucketOf is the bucket of a sample: 0 for 0, rising with the sample.
func bucketOf(v float64) int32 {
	if v == 0 {
		return 0
	}
	fraction, exponent := math.Frexp(math.Abs(v))
	part := min(int((fraction-0.5)*2*sketchParts), sketchParts-1)
	k := int32((exponent+sketchBase)*sketchParts + part) //nolint:gosec // exponents of float64 are small
	if v < 0 {
		return -k
	}
	return k
}

// middle is the value that stands for a bucket.
func middle(k int32) float64 {
	if k == 0 {
		return 0
	}
	n := int(max(k, -k))
	v := math.Ldexp(0.5+(float64(n%sketchParts)+0.5)/(2*sketchParts), n/sketchParts-sketchBase)
	if k < 0 {
		return -v
	}
	return v
}

// Sample is n samples of one value; n may be a fraction, as PutMetricData allows.
func Sample(v, n float64) Value {
	return Value{Count: n, Sum: v * n, Min: v, Max: v}
}

// sketch is a copy of the sketch that may be altered; nil where the percentiles are not known.
func (v Value) sketch() map[int32]float64 {
	if v.Sketch == nil && v.Min == v.Max {
		return map[int32]float64{bucketOf(v.Min): v.Count}
	}
	return maps.Clone(v.Sketch)
}

// Add is both together. Neither is altered.
func (v Value) Add(o Value) Value {
	if v.Count == 0 {
		return o
	}
	if o.Count == 0 {
		return v
	}
	out := Value{Count: v.Count + o.Count, Sum: v.Sum + o.Sum, Min: min(v.Min, o.Min), Max: max(v.Max, o.Max)}
	if out.Min == out.Max {
		return out
	}
	a, b := v.sketch(), o.sketch()
	if a == nil || b == nil {
		return out
	}
	for k, n := range b {
		a[k] += n
	}
	out.Sketch = a
	return out
}

// quantile is the smallest sample that at least the share q (0 to 1) of all samples do not exceed. There is none without
// a sketch.
func (v Value) quantile(q float64) (float64, bool) {
	if v.Min == v.Max || q <= 0 {
		return v.Min, true
	}
	if len(v.Sketch) == 0 {
		return 0, false
	}
	rank, seen := q*v.Count, 0.0
	for _, k := range slices.Sorted(maps.Keys(v.Sketch)) {
		if seen += v.Sketch[k]; seen >= rank {
			return min(max(middle(k), v.Min), v.Max), true
		}
	}
	return v.Max, true
}
