package store_test

import (
	"fmt"
	"sync"
	"testing"

	"greengate/internal/deploy"
	"greengate/internal/store"
	"greengate/internal/store/storetest"
)

// createMany stores n active deployments, each in a group of its own.
func createMany(b *testing.B, db *store.DB, n int) []string {
	b.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("d-%d", i)
		if err := db.Create(b.Context(), storetest.New(ids[i], ids[i]), storetest.Event("begin")); err != nil {
			b.Fatal(err)
		}
	}
	return ids
}

// BenchmarkStep is what one event costs: append it, load, commit the step that it caused. Each of
// the two writes is on the disk before it returns.
func BenchmarkStep(b *testing.B) {
	db := open(b, b.TempDir())
	ids := createMany(b, db, 1)
	for b.Loop() {
		if err := stepQuietly(b.Context(), db, ids[0]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCommit is the commit alone, with one record.
func BenchmarkCommit(b *testing.B) {
	db := open(b, b.TempDir())
	createMany(b, db, 1)
	d := storetest.New("d-0", "d-0")
	for b.Loop() {
		d = storetest.Next(d, deploy.PhaseInstall)
		if err := db.Commit(b.Context(), deploy.Commit{Deployment: d, Records: []deploy.Record{note(d, "")}}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoadThousand loads 1,000 active deployments, as a restart does.
func BenchmarkLoadThousand(b *testing.B) {
	db := open(b, b.TempDir())
	createMany(b, db, 1000)
	for b.Loop() {
		ids, err := db.Active(b.Context())
		if err != nil || len(ids) != 1000 {
			b.Fatal(len(ids), err)
		}
		for _, id := range ids {
			if _, err := db.Load(b.Context(), id); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkThousandAtOnce steps 1,000 deployments at the same time; one operation is one step of
// every deployment.
func BenchmarkThousandAtOnce(b *testing.B) {
	db := open(b, b.TempDir())
	ids := createMany(b, db, 1000)
	for b.Loop() {
		var wg sync.WaitGroup
		for _, id := range ids {
			wg.Go(func() {
				if err := stepQuietly(b.Context(), db, id); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
}
