package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/pressly/goose/v3"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the database file; the first migration sets it ("ggte").
const applicationID = 0x67677465

// prepareFile makes sure that the database file exists, is readable by its owner only (SQLite gives
// its companions the same mode), is ours, and has the newest schema.
func prepareFile(ctx context.Context, path string, log *slog.Logger) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the path is the operator's own data folder
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if info.Size() > 0 {
		if err := inspectFile(ctx, path, steps); err != nil {
			return err
		}
	}
	return migrate(ctx, path, steps, log)
}

// inspectFile looks at a database before anything is written to it.
func inspectFile(ctx context.Context, path string, steps fs.FS) (err error) {
	db, err := sql.Open("sqlite", dsn(path, inspecting))
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	const identity = `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'),
		(SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name <> 'goose_db_version')`
	var app, versioned, others int64
	if err := db.QueryRowContext(ctx, identity).Scan(&app, &versioned, &others); err != nil {
		if c := sqliteCode(err); c == sqlite3.SQLITE_NOTADB || c == sqlite3.SQLITE_CORRUPT {
			return fmt.Errorf("%w: %s is damaged or something else; restore a backup or use another data folder: %w", ErrForeign, path, err)
		}
		return fmt.Errorf("inspect database: %w", err)
	}
	if app != applicationID && (app != 0 || others > 0) {
		return fmt.Errorf("%w: %s belongs to another program; use another data folder", ErrForeign, path)
	}
	if versioned == 0 {
		return nil
	}
	return refuseNewer(ctx, db, path, steps)
}

func refuseNewer(ctx context.Context, db *sql.DB, path string, steps fs.FS) error {
	names, err := fs.Glob(steps, "*.sql")
	if err != nil {
		return fmt.Errorf("list migrations: %w", err)
	}
	var known, found int64
	for _, name := range names {
		v, err := goose.NumericComponent(name)
		if err != nil {
			return fmt.Errorf("list migrations: %w", err)
		}
		known = max(known, v)
	}
	const latest = `SELECT coalesce(max(version_id), 0) FROM goose_db_version`
	if err := db.QueryRowContext(ctx, latest).Scan(&found); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if found > known {
		return fmt.Errorf("%w: %s has version %d and this greengate knows %d; run the greengate that wrote it, or a newer one",
			ErrNewerSchema, path, found, known)
	}
	return nil
}

func migrate(ctx context.Context, path string, steps fs.FS, log *slog.Logger) (err error) {
	db, err := sql.Open("sqlite", dsn(path, writing))
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, steps, goose.WithSlog(log), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", path, err)
	}
	return nil
}
