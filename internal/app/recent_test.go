package app

import (
	"log/slog"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/store"
)

// TestRecent: what was read once is read again without the store, and never after it has changed.
func TestRecent(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	var r recent
	if _, err := r.deployment(t.Context(), db, "d-ABCDEFGH1"); err == nil {
		t.Fatal("a deployment that does not exist was found")
	}
	changed := db.Changed()
	r.keep(changed, "d-ABCDEFGH1", deploy.Deployment{ID: "d-ABCDEFGH1"})
	if d, ok := r.find("d-ABCDEFGH1"); !ok || d.ID != "d-ABCDEFGH1" {
		t.Error("what was read is not kept")
	}
	if _, err := db.PutResource(t.Context(), "kind", "name", 0, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	case <-time.After(30 * time.Second):
		t.Fatal("the store does not tell that it changed")
	}
	if _, ok := r.find("d-ABCDEFGH1"); ok {
		t.Error("what was read before a change is still answered")
	}
	r.keep(changed, "d-ABCDEFGH1", deploy.Deployment{})
	if _, ok := r.find("d-ABCDEFGH1"); ok {
		t.Error("what was read before a change is kept after it")
	}
}
