package jsonschema

import (
	"os"
	"testing"
)

// twoSteps is the scenario of two steps that the start of the program is measured by, as its loader makes values of it.
const twoSteps = `{"version":1,"name":"two steps","steps":[
	{"name":"thing","request":"GET /thing","capture":{"name":"body.name"},"assert":["status == 200","body.n == 3","all(body.items, .qty > 0)"]},
	{"name":"echo","request":"POST /echo","json":{"name":"${{ steps.thing.name }}"},"assert":["body.method == \"POST\""]}]}`

// BenchmarkScenario is what a scenario file costs: its format's schema is compiled once and the file checked by it. The other
// implementation has in the same run what it does at the start of every program behind it already.
func BenchmarkScenario(b *testing.B) {
	text, err := os.ReadFile("../scenario/schema.json")
	if err != nil {
		b.Fatal(err)
	}
	schema, value := parse(b, string(text)), parse(b, twoSteps)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, err := Compile(schema)
			if err != nil {
				b.Fatal(err)
			}
			if faults := s.Validate(value); len(faults) > 0 {
				b.Fatal(faults)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, err := other(schema)
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Validate(value); err != nil {
				b.Fatal(err)
			}
		}
	})
	compiled, err := Compile(schema)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours, validation alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			compiled.Validate(value)
		}
	})
	theirs, err := other(schema)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("library, validation alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = theirs.Validate(value)
		}
	})
}
