package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// rounds is how many deployments each way one iteration makes.
const rounds = 7

// BenchmarkSwitch measures the time from a verdict to production weights that the data plane has
// confirmed, in both directions, over real deployments. The bar is a median under 50 ms.
func BenchmarkSwitch(b *testing.B) {
	in := newInstallation(b)
	pass := "hooks: {AfterAllowTestTraffic: [{name: e2e, command: [/bin/true]}]}"
	fail := "hooks: {AfterAllowTestTraffic: [{name: e2e, command: [/bin/true]}], AfterAllowTraffic: [{name: late, command: [/bin/false]}]}"
	in.deploy("v0", pass, 0)
	var there, back []time.Duration
	for b.Loop() {
		for range rounds {
			n := len(there)
			forward := in.deploy(fmt.Sprintf("v%d", n+1), pass, 0)
			there = append(there, in.span(forward, "e2e", "blue 0 green 100"))
			rolled := in.deploy(fmt.Sprintf("bad%d", n), fail, 4)
			back = append(back, in.span(rolled, "late", "blue 100 green 0"))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(there), "ms-verdict-to-switch")
	b.ReportMetric(median(back), "ms-verdict-to-rollback")
}

// span is the time from a hook's verdict to confirmed weights.
func (in *installation) span(deployment, hook, weights string) time.Duration {
	in.tb.Helper()
	var from time.Time
	for _, r := range in.records(deployment) {
		switch {
		case r.Kind == "verdict" && strings.HasPrefix(r.Message, hook+" "):
			from = r.At
		case r.Kind == "weights" && strings.HasPrefix(r.Message, weights) && !from.IsZero():
			return r.At.Sub(from)
		}
	}
	in.tb.Fatalf("deployment %s has no weights %q after the verdict of %s", deployment, weights, hook)
	return 0
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}
