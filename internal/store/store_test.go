package store_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"greengate/internal/engine"
	"greengate/internal/store"
	"greengate/internal/store/storetest"
)

// crashDir makes the test binary a writer that the kill test ends.
var crashDir = flag.String("store.crashdir", "", "commit in a loop to the store of this folder until killed")

func TestMain(m *testing.M) {
	flag.Parse()
	if *crashDir != "" {
		commitForever(*crashDir)
		return
	}
	goleak.VerifyTestMain(m)
}

func open(tb testing.TB, dir string) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), store.Config{Dir: dir})
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return db
}

func TestConformance(t *testing.T) {
	storetest.Exercise(t, func(t *testing.T) engine.Store {
		t.Helper()
		return open(t, t.TempDir())
	})
}
