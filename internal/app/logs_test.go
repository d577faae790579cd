package app

import (
	"fmt"
	"strings"
	"testing"
)

func TestLastLinesAt(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 20_000 { // several times what one answer holds; every fifth line is in two parts
		if i%5 == 0 {
			fmt.Fprintf(&b, "2026-11-28T11:00:00.000000000Z stdout P %d \n", i)
		}
		fmt.Fprintf(&b, "2026-11-28T11:00:00.000000000Z stdout F %d\n", i)
	}
	log := b.String()
	if len(log) < 3*logPiece {
		t.Fatalf("the log has %d bytes only", len(log))
	}
	for _, n := range []int{1, 2, 5, 6, 9_999, 10_000, 19_999, 20_000, 30_000} {
		start, err := lastLinesAt(strings.NewReader(log), int64(len(log)), n)
		if err != nil {
			t.Fatal(err)
		}
		lines := written(splitLines(log[start:]))
		if want := min(n, 20_000); len(lines) != want {
			t.Errorf("the last %d lines are %d, want %d", n, len(lines), want)
		}
		if first := max(0, 20_000-n); first%5 == 0 && lines[0] != fmt.Sprintf("%d %d", first, first) {
			t.Errorf("the last %d lines begin with %q, want line %d whole", n, lines[0], first)
		}
	}
}
