package metric_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"greengate/internal/metric"
)

func stat(t *testing.T, name string, v metric.Value) float64 {
	t.Helper()
	s, err := metric.ParseStat(name)
	if err != nil {
		t.Fatal(err)
	}
	n, ok := s.Of(v)
	if !ok {
		t.Fatalf("%s of %+v is not known", name, v)
	}
	return n
}

func TestStat(t *testing.T) {
	t.Parallel()
	var v metric.Value
	for i := 1; i <= 1000; i++ {
		v = v.Add(metric.Sample(float64(i), 1))
	}
	for name, want := range map[string]float64{"SampleCount": 1000, "Sum": 500500, "Average": 500.5, "Minimum": 1, "Maximum": 1000, "p0": 1, "p100": 1000} {
		if got := stat(t, name, v); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]float64{"p50": 500, "p90": 900, "p99": 990, "p99.9": 999} {
		if got := stat(t, name, v); math.Abs(got-want) > want/64 {
			t.Errorf("%s: %v is more than 1/64 from %v", name, got, want)
		}
	}
	for _, bad := range []string{"", "p", "p101", "p-1", "p1e1", "pp9", "average", "tm90", "p9.9.9"} {
		if s, err := metric.ParseStat(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, s)
		}
	}
}

func TestStat_signs(t *testing.T) {
	t.Parallel()
	v := metric.Sample(-8, 1).Add(metric.Sample(0, 1)).Add(metric.Sample(2, 2))
	if lo, mid, hi := stat(t, "p25", v), stat(t, "p50", v), stat(t, "p75", v); lo > -7.8 || mid != 0 || hi < 1.9 {
		t.Errorf("p25 %v, p50 %v, p75 %v", lo, mid, hi)
	}
	set := metric.Value{Count: 2, Sum: 3, Min: 1, Max: 2}
	if s, err := metric.ParseStat("p50"); err != nil {
		t.Fatal(err)
	} else if n, ok := s.Of(set.Add(metric.Sample(1, 1))); ok {
		t.Errorf("the p50 of a statistic set is %v", n)
	}
}

// Periods begin where the query does; what is old is summed up by the minute, and forgotten after 26 hours.
func TestStore_Query(t *testing.T) {
	t.Parallel()
	s := metric.NewStore(time.Minute)
	id := metric.ID{Namespace: "N", Name: "m", Dimensions: map[string]string{"a": "1"}}
	put := func(at, now time.Duration) { s.Put(id, start.Add(at), metric.Sample(1, 1), start.Add(now)) }
	for i := range 120 {
		put(time.Duration(i)*time.Second, time.Duration(i)*time.Second)
	}
	sums := func(from, to, period time.Duration) (out []float64) {
		for _, p := range s.Query(id, start.Add(from), start.Add(to), period) {
			out = append(out, p.Value.Sum)
		}
		return out
	}
	for _, c := range []struct {
		from, to, period time.Duration
		want             []float64
	}{
		{0, 2 * time.Minute, time.Minute, []float64{60, 60}},
		{30 * time.Second, 2 * time.Minute, time.Minute, []float64{60, 30}},
		{0, time.Minute, 10 * time.Second, []float64{10, 10, 10, 10, 10, 10}},
		{-time.Hour, time.Hour, 24 * time.Hour, []float64{120}},
		{5 * time.Minute, time.Hour, time.Minute, nil},
	} {
		if got := sums(c.from, c.to, c.period); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v", c, got)
		}
	}
	put(time.Hour, time.Hour)
	if got := sums(0, time.Minute, 10*time.Second); !slices.Equal(got, []float64{60}) {
		t.Errorf("after an hour: %v", got)
	}
	put(time.Second, time.Hour) // late
	put(27*time.Hour, 27*time.Hour)
	if got := sums(-time.Hour, 2*time.Minute, time.Hour); got != nil {
		t.Errorf("after 27 hours: %v", got)
	}
	other := id
	other.Dimensions = map[string]string{"a": "2"}
	if got := s.Query(other, start, start.Add(48*time.Hour), time.Hour); got != nil {
		t.Errorf("other dimensions: %v", got)
	}
}

// The store is bounded: what was not written for the longest time goes first.
func TestStore_bounds(t *testing.T) {
	t.Parallel()
	s := metric.NewStore(time.Minute)
	for i := range 5001 {
		s.Put(metric.ID{Namespace: "N", Name: fmt.Sprint("m", i)}, start, metric.Sample(1, 1), start.Add(time.Duration(i)*time.Millisecond))
	}
	ids := s.Metrics(time.Time{})
	if len(ids) != 5000 || slices.ContainsFunc(ids, func(id metric.ID) bool { return id.Name == "m0" }) {
		t.Errorf("%d metrics are kept", len(ids))
	}
}

func TestStore_SaveLoad(t *testing.T) {
	t.Parallel()
	s := metric.NewStore(time.Minute)
	id := metric.ID{Namespace: "N", Name: "m", Unit: "Seconds", Dimensions: map[string]string{"a": "1"}}
	for i := range 100 {
		s.Put(id, start.Add(time.Duration(i)*time.Second), metric.Sample(float64(i), 1), start)
	}
	data, err := s.Save(start.Add(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	back := metric.NewStore(time.Minute)
	if err := back.Load(data, start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	got := back.Query(id, start, start.Add(time.Hour), time.Hour)
	if len(got) != 1 || got[0].Value.Count != 90 || stat(t, "p50", got[0].Value) < 52 || back.Unit(id) != "Seconds" {
		t.Errorf("read back: %+v", got)
	}
	for _, bad := range []string{"{", `[{"id":{}}]`, `[{"id":{"namespace":"n","name":"m"},"points":[{"t":1,"n":0}]}]`} {
		if err := back.Load([]byte(bad), start); err == nil {
			t.Errorf("%s is loaded", bad)
		}
	}
}

func FuzzStore_Load(f *testing.F) {
	f.Add([]byte(`[{"id":{"namespace":"n","name":"m"},"points":[{"t":1795348800000000000,"n":1,"s":1,"lo":1,"hi":1,"k":{"35200":1}}]}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := metric.NewStore(time.Minute)
		if s.Load(data, start) != nil {
			if len(s.Metrics(time.Time{})) != 0 {
				t.Error("something was taken of what was refused")
			}
			return
		}
		for _, id := range s.Metrics(time.Time{}) {
			for _, p := range s.Query(id, start.Add(-30*time.Hour), start.Add(time.Hour), time.Minute) {
				if v, ok := mustStat(t, "p99").Of(p.Value); ok && (v < p.Value.Min || v > p.Value.Max) {
					t.Errorf("p99 %v of %+v", v, p.Value)
				}
			}
		}
	})
}

func mustStat(t *testing.T, name string) metric.Stat {
	t.Helper()
	s, err := metric.ParseStat(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func FuzzParseStat(f *testing.F) {
	for _, s := range []string{"p99", "p99.9", "Average", "p", "p."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s, err := metric.ParseStat(name)
		if err != nil {
			return
		}
		if v, ok := s.Of(metric.Sample(1, 1).Add(metric.Sample(3, 1))); !ok || (v < 1 || v > 4) {
			t.Errorf("%s of 1 and 3 is %v", name, v)
		}
		if s.String() != name {
			t.Errorf("%q became %q", name, s)
		}
	})
}
