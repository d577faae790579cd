package jsonschema

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"
)

func mustNumber(tb testing.TB, text string) number {
	tb.Helper()
	n, ok := parseNumber(text)
	if !ok {
		tb.Fatalf("%q is a number", text)
	}
	return n
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b     string
		order    int
		multiple bool
	}{
		{"1", "1.0", 0, true},
		{"100", "1e2", 0, true},
		{"-0", "0.000", 0, true},
		{"0.1", "0.10", 0, true},
		{"9007199254740993", "9007199254740992", 1, false},
		{"-2", "1", -1, true},
		{"-2", "-10", 1, false},
		{"0.3", "0.1", 1, true},
		{"19.99", "0.01", 1, true},
		{"19.995", "0.01", 1, false},
		{"1e-400", "1e-401", 1, true},
		{"1e400", "7", 1, false},
		{"7e400", "7", 1, true},
		{"1e999999999", "3", 1, false},
		{"1e999999999", "8", 1, true},
		{"1e999999999", "1e-999999999", 1, true},
		{"1e-999999999", "1e999999999", -1, false},
		{"123456789012345678901234567890", "10", 1, true},
		{"123456789012345678901234567890", "11", 1, false},
		{"1e99999999999999999999", "1e999", 1, true},
		{"12", "123", -1, false},
		{"0", "5", -1, true},
		{"1e18", "1", 1, true},
		{"5", "1e18", -1, false},
	} {
		a, b := mustNumber(t, c.a), mustNumber(t, c.b)
		if got := a.compare(b); got != c.order || b.compare(a) != -c.order {
			t.Errorf("%s and %s: %d and %d", c.a, c.b, got, b.compare(a))
		}
		if b.digits == "" {
			continue
		}
		if got := a.isMultipleOf(b); got != c.multiple {
			t.Errorf("%s is a multiple of %s: %t", c.a, c.b, got)
		}
	}
	for _, text := range []string{"", "-", "+1", "1.", ".5", "1e", "1e+-1", "0x1", "1_000", "NaN", "Infinity", " 1", "1 ", "--1", "1e1.5", "١"} {
		if n, ok := parseNumber(text); ok {
			t.Errorf("%q is %+v", text, n)
		}
	}
	for _, v := range []any{math.NaN(), math.Inf(1), "1", nil, true, json.Number("x")} {
		if n, ok := numberOf(v); ok {
			t.Errorf("%v is %+v", v, n)
		}
	}
	for text, want := range map[string]int{"0": 0, "2.0": 2, "1e3": 1000, "1e400": math.MaxInt, "999999999999999999": 999999999999999999} {
		if got, ok := mustNumber(t, text).count(); !ok || got != want {
			t.Errorf("%s counts %d, %t", text, got, ok)
		}
	}
}

// FuzzNumber compares with math/big where that can follow.
func FuzzNumber(f *testing.F) {
	for _, pair := range [][2]string{{"1", "2"}, {"-1.50e3", "0.5"}, {"123456789012345678901234567890.1", "1e-5"}, {"0", "1e9"}, {"1e300", "3"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, left, right string) {
		a, ok := parseNumber(left)
		b, also := parseNumber(right)
		if !ok || !also {
			return
		}
		for _, n := range []number{a, b} {
			if n.magnitude() > 500 || n.magnitude() < -500 || n.exponent < -1000 {
				_ = a.compare(b)
				_ = b.digits != "" && a.isMultipleOf(b)
				return
			}
		}
		x, okX := new(big.Rat).SetString(left)
		y, okY := new(big.Rat).SetString(right)
		if !okX || !okY {
			t.Fatalf("%q and %q are numbers here only", left, right)
		}
		if a.compare(b) != x.Cmp(y) || a.isInteger() != x.IsInt() || (a == b) != (x.Cmp(y) == 0) {
			t.Errorf("%q and %q: order %d, want %d; integer %t, want %t", left, right, a.compare(b), x.Cmp(y), a.isInteger(), x.IsInt())
		}
		if b.digits != "" {
			if want := new(big.Rat).Quo(x, y).IsInt(); a.isMultipleOf(b) != want {
				t.Errorf("%q is a multiple of %q: want %t", left, right, want)
			}
		}
	})
}
