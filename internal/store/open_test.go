package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"greengate/internal/deploy"
	"greengate/internal/store"
	"greengate/internal/store/storetest"
)

// raw opens the database file beside the store, to look at what the store does not show.
func raw(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "greengate.db"))
	if err != nil {
		t.Fatalf("open raw: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func rawExec(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db := raw(t, dir)
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatalf("close raw: %v", err)
	}
}

// wantSound asks SQLite itself whether the file is whole.
func wantSound(t *testing.T, dir string) {
	t.Helper()
	db := raw(t, dir)
	var verdict string
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("integrity_check: %q, %v", verdict, err)
	}
	rows, err := db.QueryContext(t.Context(), "PRAGMA foreign_key_check")
	if err != nil {
		t.Fatalf("foreign_key_check: %v", err)
	}
	defer rows.Close()
	if rows.Next() {
		t.Fatal("foreign_key_check found an orphan")
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("foreign_key_check: %v", err)
	}
}

func mustClose(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// wantOpenError opens, wants the error, and wants each part in its text.
func wantOpenError(t *testing.T, dir string, want error, parts ...string) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err == nil {
		db.Close()
		t.Fatal("opened")
	}
	if want != nil && !errors.Is(err, want) {
		t.Fatalf("open: got %v, want %v", err, want)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
}

func TestOpen_secondIsRefused(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	wantOpenError(t, dir, store.ErrInUse, fmt.Sprintf("process %d", os.Getpid()), dir)
	// The refused one did not harm the first.
	if err := db.Create(t.Context(), storetest.New("d-1", "g"), storetest.Event("begin")); err != nil {
		t.Fatalf("create: %v", err)
	}
	mustClose(t, db)
	again := open(t, dir)
	if _, err := again.Load(t.Context(), "d-1"); err != nil {
		t.Fatalf("load: %v", err)
	}
}

func TestOpen_refusedWhileAnotherProcessHoldsIt(t *testing.T) {
	dir := t.TempDir()
	w := startWriter(t, dir)
	w.await(1)
	wantOpenError(t, dir, store.ErrInUse, fmt.Sprintf("process %d", w.cmd.Process.Pid))
	w.kill()
	open(t, dir) // the lock dies with its process
}

func TestOpen_newerSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, open(t, dir))
	rawExec(t, dir, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
	before := readFile(t, filepath.Join(dir, "greengate.db"))
	wantOpenError(t, dir, store.ErrNewerSchema, "version 9999", "knows 2", "greengate.db")
	if !bytes.Equal(before, readFile(t, filepath.Join(dir, "greengate.db"))) {
		t.Error("the refused database was changed")
	}
	rawExec(t, dir, "DELETE FROM goose_db_version WHERE version_id = 9999")
	open(t, dir) // and the lock was given free
}

func TestOpen_foreignFileIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"another program's tables": func(t *testing.T, dir string) {
			t.Helper()
			rawExec(t, dir, "CREATE TABLE cats (name TEXT)")
		},
		"another program's mark": func(t *testing.T, dir string) {
			t.Helper()
			rawExec(t, dir, "PRAGMA application_id = 42", "VACUUM")
		},
		"no database": func(t *testing.T, dir string) {
			t.Helper()
			writeFile(t, filepath.Join(dir, "greengate.db"), bytes.Repeat([]byte("no database "), 1000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			spoil(t, dir)
			before := readFile(t, filepath.Join(dir, "greengate.db"))
			wantOpenError(t, dir, store.ErrForeign, filepath.Join(dir, "greengate.db"))
			if !bytes.Equal(before, readFile(t, filepath.Join(dir, "greengate.db"))) {
				t.Error("the refused file was changed")
			}
		})
	}
}

func TestOpen_startsFromNothing(t *testing.T) {
	for name, lay := range map[string]func(t *testing.T, dir string){
		"no folder": func(*testing.T, string) {},
		"empty file": func(t *testing.T, dir string) {
			t.Helper()
			writeFile(t, filepath.Join(dir, "greengate.db"), nil)
		},
		"killed before the first migration": func(t *testing.T, dir string) {
			t.Helper()
			rawExec(t, dir, `CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL,
				is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))`,
				"INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)")
		},
		"left by a crashed holder": func(t *testing.T, dir string) {
			t.Helper()
			writeFile(t, filepath.Join(dir, "greengate.db.lock"), []byte("123456789012345\n"))
		},
		// Every character that means something in a URI.
		"odd name?mode=memory&x#y%41 ü": func(*testing.T, string) {},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			if name != "no folder" {
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			lay(t, dir)
			db := open(t, dir)
			if err := db.Create(t.Context(), storetest.New("d-1", "g"), storetest.Event("begin")); err != nil {
				t.Fatalf("create: %v", err)
			}
			if info, err := os.Stat(filepath.Join(dir, "greengate.db")); err != nil || info.Size() == 0 {
				t.Fatalf("the database is somewhere else: %v, %v", info, err)
			}
			wantSound(t, dir)
			mustClose(t, db)
			if _, err := open(t, dir).Load(t.Context(), "d-1"); err != nil {
				t.Fatalf("load after restart: %v", err)
			}
		})
	}
}

func TestOpen_onlyTheOwnerReads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	db := open(t, dir)
	if err := db.Create(t.Context(), storetest.New("d-1", "g"), storetest.Event("begin")); err != nil {
		t.Fatalf("create: %v", err)
	}
	for name, want := range map[string]os.FileMode{
		"": 0o700, "greengate.db": 0o600, "greengate.db-wal": 0o600, "greengate.db-shm": 0o600, "greengate.db.lock": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %o, want %o: deployments hold environment values", name, got, want)
		}
	}
}

func TestOpen_folderThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, []byte("x"))
	wantOpenError(t, filepath.Join(file, "data"), nil, "make data folder", file)
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	d := storetest.New("d-1", "g")
	if err := db.Create(t.Context(), d, storetest.Event("begin")); err != nil {
		t.Fatalf("create: %v", err)
	}
	if _, err := db.Append(t.Context(), "d-1", "key", storetest.Event("second")); err != nil {
		t.Fatalf("append: %v", err)
	}
	before, err := db.Load(t.Context(), "d-1")
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	next := storetest.Next(before.Deployment, deploy.PhaseInstall)
	record := deploy.Record{At: storetest.Start(), Kind: deploy.RecordNote, Phase: deploy.PhaseInstall, Message: "note"}
	if err := db.Commit(t.Context(), deploy.Commit{Deployment: next, Consumed: before.Inbox[1].ID, Records: []deploy.Record{record}}); err != nil {
		t.Fatalf("commit: %v", err)
	}
	mustClose(t, db)

	db = open(t, dir)
	after, err := db.Load(t.Context(), "d-1")
	if err != nil {
		t.Fatalf("load after restart: %v", err)
	}
	if after.Deployment.Revno != 1 || len(after.Inbox) != 1 || after.Inbox[0].ID != before.Inbox[0].ID {
		t.Errorf("after restart: revision %d, inbox %v", after.Deployment.Revno, after.Inbox)
	}
	if added, err := db.Append(t.Context(), "d-1", "key", storetest.Event("again")); added || err != nil {
		t.Errorf("append of a spent key after restart: got %t, %v", added, err)
	}
	records, err := db.Records(t.Context(), "", 0, 0)
	if err != nil || len(records) != 1 || records[0].Record != record {
		t.Errorf("records after restart: %v, %v", records, err)
	}
}

func TestClose(t *testing.T) {
	db := open(t, t.TempDir())
	waited := make(chan error)
	go func() {
		_, err := db.Wait(context.WithoutCancel(t.Context()), "", 0, 0)
		waited <- err
	}()
	changed := db.Changed()
	mustClose(t, db)
	<-changed
	if err := <-waited; !errors.Is(err, store.ErrClosed) {
		t.Errorf("wait that was interrupted by close: got %v, want ErrClosed", err)
	}
	<-db.Changed() // nobody waits for a closed store
	_, loadErr := db.Load(t.Context(), "d-1")
	_, nextErr := db.Next(t.Context(), "n")
	for name, err := range map[string]error{
		"load": loadErr, "next": nextErr,
		"create": db.Create(t.Context(), storetest.New("d-1", "g"), storetest.Event("begin")),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after close: got %v, want ErrClosed", name, err)
		}
	}
	mustClose(t, db)
}

func TestWrite_cancelledContextStoresNothing(t *testing.T) {
	db := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := db.Create(ctx, storetest.New("d-1", "g"), storetest.Event("begin"))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("create: got %v, want context.Canceled", err)
	}
	if _, err := db.Load(t.Context(), "d-1"); !errors.Is(err, &deploy.Error{Code: deploy.CodeNotFound}) {
		t.Fatalf("load: got %v, want not found", err)
	}
}

func TestLoad_corruptStateNamesTheDeployment(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	for _, id := range []string{"d-1", "d-2"} {
		if err := db.Create(t.Context(), storetest.New(id, id), storetest.Event("begin")); err != nil {
			t.Fatalf("create: %v", err)
		}
	}
	rawExec(t, dir, "UPDATE deployments SET state = substr(state, 1, 100) WHERE id = 'd-1'",
		"UPDATE inbox SET event = 'x' WHERE deployment = 'd-2'")
	_, loadErr := db.Load(t.Context(), "d-1")
	_, readErr := db.Deployment(t.Context(), "d-1")
	_, listErr := db.List(t.Context(), store.Filter{})
	_, inboxErr := db.Load(t.Context(), "d-2")
	for _, c := range []struct {
		err  error
		want string
	}{
		{loadErr, "decode state of deployment d-1"},
		{readErr, "decode state of deployment d-1"},
		{listErr, "decode state of deployment d-1"},
		{inboxErr, "decode inbox item 2 of deployment d-2"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("got %v, want an error that says %q", c.err, c.want)
		}
	}
	// The others are not taken down with it.
	if ids, err := db.Active(t.Context()); err != nil || len(ids) != 2 {
		t.Errorf("active: %v, %v", ids, err)
	}
	if _, err := db.Deployment(t.Context(), "d-2"); err != nil {
		t.Errorf("read the sound one: %v", err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
