package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"greengate/internal/deploy"
)

func openHere(t *testing.T) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// A PRAGMA holds for one connection only: each one of the pool must have them.
func TestConnections_havePragmas(t *testing.T) {
	db := openHere(t)
	conns := map[string]*sql.Conn{"writer": db.writer.conn}
	for i := range readers { // held together, so that the pool opens them all
		c, err := db.reader.Conn(t.Context())
		if err != nil {
			t.Fatalf("reader %d: %v", i, err)
		}
		defer c.Close()
		conns[fmt.Sprintf("reader %d", i)] = c
	}
	for name, c := range conns {
		queryOnly := "1"
		if name == "writer" {
			queryOnly = "0"
		}
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000",
			"journal_size_limit": "67108864", "query_only": queryOnly,
		} {
			var got string
			if err := c.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %s, %v; want %s", name, pragma, got, err, want)
			}
		}
	}
}

func TestForeignKeys_refuseOrphans(t *testing.T) {
	db := openHere(t)
	err := db.write(t.Context(), func(ctx context.Context, x tx) error {
		return x.log(ctx, "nobody", []deploy.Record{{Kind: deploy.RecordNote}})
	})
	if err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
		t.Fatalf("a record of no deployment: got %v, want the foreign key to refuse it", err)
	}
}

// The index is the last word when the check before it is wrong.
func TestIndex_refusesSecondActive(t *testing.T) {
	db := openHere(t)
	for i, want := range []string{"", "UNIQUE constraint failed"} {
		err := db.write(t.Context(), func(ctx context.Context, x tx) error {
			_, err := x.exec(ctx, `INSERT INTO deployments (id, revno, service, application, deployment_group, kind, status,
				phase, active, created_at, updated_at, state) VALUES (?, 0, 's', 'a', 'g', '', '', '', 1, '', '', '')`, fmt.Sprint(i))
			return err
		})
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("active deployment %d: got %v, want %q", i, err, want)
		}
	}
}

// A write that waits for its turn leaves when its context ends; one that has begun does not.
func TestWrite_context(t *testing.T) {
	db := openHere(t)
	ctx, cancel := context.WithCancel(t.Context())
	begun, release, first := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		first <- db.write(ctx, func(ctx context.Context, x tx) error {
			close(begun)
			<-release
			_, err := x.count(ctx, "n")
			return err
		})
	}()
	<-begun
	second := make(chan error)
	go func() {
		second <- db.write(ctx, func(context.Context, tx) error { return errors.New("ran") })
	}()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("the waiting one: got %v, want context.Canceled", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the one that had begun: %v", err)
	}
	var n int
	if err := db.reader.QueryRowContext(t.Context(), "SELECT value FROM meta WHERE name = 'n'").Scan(&n); err != nil || n != 1 {
		t.Errorf("it stored %d, %v; want 1", n, err)
	}
}

// A panic in a write must neither keep the turn nor leave half a transaction behind.
func TestWrite_panic(t *testing.T) {
	db := openHere(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = db.write(t.Context(), func(ctx context.Context, x tx) error {
			if _, err := x.count(ctx, "n"); err != nil {
				t.Error(err)
			}
			panic("bug")
		})
	}()
	if err := db.write(t.Context(), func(ctx context.Context, x tx) error {
		v, err := x.count(ctx, "n")
		if v != 1 {
			t.Errorf("the counter is at %d: the panicked write was stored", v)
		}
		return err
	}); err != nil {
		t.Errorf("write after the panic: %v", err)
	}
}

func TestDiskFull_byPageLimit(t *testing.T) {
	db := openHere(t)
	d := deploy.Deployment{ID: "d-1", Plan: deploy.Plan{Application: "a", Group: "g"}, Phase: deploy.PhaseCreated}
	if err := db.Create(t.Context(), d, deploy.Event{Kind: deploy.EventStart}); err != nil {
		t.Fatalf("create: %v", err)
	}
	limit := func(pages int) {
		t.Helper()
		if _, err := db.writer.conn.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatalf("limit pages: %v", err)
		}
	}
	limit(1) // SQLite takes the present size instead: not a page more
	d.Revno, d.Description = 1, strings.Repeat("x", 1<<20)
	c := deploy.Commit{
		Deployment: d, Consumed: 1, Records: []deploy.Record{{Kind: deploy.RecordNote}},
		Spawn: &deploy.Deployment{ID: "d-2", Phase: deploy.PhaseCreated},
	}
	for range 3 { // again and again: the connection survives it
		err := db.Commit(t.Context(), c)
		if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "disk full") || !strings.Contains(err.Error(), db.path) {
			t.Fatalf("commit: got %v, want ErrDiskFull that names the file", err)
		}
	}
	l, err := db.Load(t.Context(), "d-1")
	if err != nil || l.Deployment.Revno != 0 || len(l.Inbox) != 1 {
		t.Errorf("after the refusal: %+v, %v", l, err)
	}
	if records, err := db.Records(t.Context(), "", 0, 0); err != nil || len(records) != 0 {
		t.Errorf("after the refusal: records %v, %v", records, err)
	}
	limit(1 << 30)
	if err := db.Commit(t.Context(), c); err != nil {
		t.Fatalf("commit when there is space again: %v", err)
	}
	if ids, err := db.Active(t.Context()); err != nil || len(ids) != 2 {
		t.Errorf("active: %v, %v", ids, err)
	}
}

func TestPage(t *testing.T) {
	for limit, want := range map[int]int{-1: 100, 0: 100, 1: 1, 1000: 1000, 1001: 1000} {
		if got := page(limit); got != want {
			t.Errorf("limit %d gives a page of %d, want %d", limit, got, want)
		}
	}
}
