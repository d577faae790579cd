package scenario

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// twoSteps is the scenario of the benchmark: a GET and a POST with four assertions and a capture.
const twoSteps = `version: 1
name: two steps
steps:
  - name: thing
    request: GET /thing
    capture: {name: body.name}
    assert: [status == 200, body.n == 3, 'all(body.items, .qty > 0)']
  - name: echo
    request: POST /echo
    json: {name: "${{ steps.thing.name }}"}
    assert: ['body.method == "POST"']
`

// BenchmarkRun200 is 200 runs of a scenario with two steps beside a loopback server. The bar: under 0.3 s and 32 MiB.
func BenchmarkRun200(b *testing.B) {
	s := newService(b)
	sc := load(b, twoSteps)
	for b.Loop() {
		for range 200 {
			if r := sc.Run(b.Context(), Options{BaseURL: s.URL}); r.Verdict != Pass {
				b.Fatal(r.Message)
			}
		}
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		_, after, _ := strings.Cut(string(status), "VmHWM:")
		kib, _, _ := strings.Cut(strings.TrimSpace(after), " ")
		if n, err := strconv.Atoi(kib); err == nil {
			b.ReportMetric(float64(n)/1024, "MiB-peak")
		}
	}
}

// BenchmarkLoad is what reading a scenario costs.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := LoadFiles("a.yaml", map[string][]byte{"a.yaml": []byte(twoSteps)}); err != nil {
			b.Fatal(err)
		}
	}
}
