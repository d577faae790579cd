package deploy

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestTraffic_Steps(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		traffic Traffic
		want    []int
	}{
		{Traffic{Kind: TrafficAllAtOnce}, []int{100}},
		{Traffic{Kind: TrafficAllAtOnce, Percent: 10, Interval: time.Minute}, []int{100}},
		{Traffic{}, []int{100}},
		{Traffic{Kind: TrafficCanary, Percent: 10, Interval: 5 * time.Minute}, []int{10, 100}},
		{Traffic{Kind: TrafficCanary, Percent: 99, Interval: time.Minute}, []int{99, 100}},
		{Traffic{Kind: TrafficCanary, Percent: 100, Interval: time.Minute}, []int{100}},
		{Traffic{Kind: TrafficCanary, Percent: 0, Interval: time.Minute}, []int{100}},
		{Traffic{Kind: TrafficCanary, Percent: -5, Interval: time.Minute}, []int{100}},
		{Traffic{Kind: TrafficLinear, Percent: 10, Interval: time.Minute}, []int{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}},
		{Traffic{Kind: TrafficLinear, Percent: 50, Interval: time.Minute}, []int{50, 100}},
		{Traffic{Kind: TrafficLinear, Percent: 30, Interval: time.Minute}, []int{30, 60, 90, 100}},
		{Traffic{Kind: TrafficLinear, Percent: 51, Interval: time.Minute}, []int{51, 100}},
		{Traffic{Kind: TrafficLinear, Percent: 99, Interval: time.Minute}, []int{99, 100}},
	} {
		t.Run(fmt.Sprintf("%s %d", tc.traffic.Kind, tc.traffic.Percent), func(t *testing.T) {
			t.Parallel()
			var got []int
			for i, s := range tc.traffic.Steps() {
				got = append(got, s.Green)
				if want := tc.traffic.Interval; i > 0 && s.After != want || i == 0 && s.After != 0 {
					t.Errorf("step %d comes after %s", i, s.After)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("steps = %v, want %v", got, tc.want)
			}
			if want := time.Duration(len(tc.want)-1) * tc.traffic.Interval; len(tc.want) > 1 && tc.traffic.Span() != want {
				t.Errorf("span = %s, want %s", tc.traffic.Span(), want)
			}
		})
	}
}

// TestTraffic_Steps_everyPercent: whatever the percentage, the steps rise to 100 and stop there.
func TestTraffic_Steps_everyPercent(t *testing.T) {
	t.Parallel()
	for _, kind := range []TrafficKind{TrafficCanary, TrafficLinear} {
		for percent := 1; percent <= 99; percent++ {
			last := 0
			steps := Traffic{Kind: kind, Percent: percent, Interval: time.Minute}.Steps()
			for _, s := range steps {
				if s.Green <= last || s.Green > 100 || kind == TrafficLinear && s.Green-last > percent {
					t.Fatalf("%s %d: steps %v", kind, percent, steps)
				}
				last = s.Green
			}
			if last != 100 {
				t.Fatalf("%s %d: steps %v do not end with 100", kind, percent, steps)
			}
		}
	}
}
