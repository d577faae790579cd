package runner

import (
	"context"
	"strconv"
	"testing"
)

// BenchmarkEnsure measures a start: two durable writes, launcher, program.
func BenchmarkEnsure(b *testing.B) {
	cfg := testConfig(b.TempDir())
	s, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for i := 0; b.Loop(); i++ {
		id := "b" + strconv.Itoa(i)
		if _, err := s.Ensure(ctx, Spec{ID: id, Mode: ModeOnce, Command: []string{"true"}}); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Wait(ctx, id); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
