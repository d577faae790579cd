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

func open(t testing.TB, dir string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func TestConformance(t *testing.T) {
	storetest.Exercise(t, func(t *testing.T) engine.Store { return open(t, t.TempDir()) })
}
