package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"
)

// writer is the one connection that writes, with its prepared statements. Transactions are begun
// and ended by statements of our own: a COMMIT that fails for want of space leaves its transaction
// open, and only an explicit ROLLBACK is sure to end it.
type writer struct {
	// turn holds one token; who has it may use what follows.
	turn  chan struct{}
	pool  *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt

	closing chan struct{} // closed by refuse
}

func openWriter(ctx context.Context, path string) (*writer, error) {
	pool, err := sql.Open("sqlite", dsn(path, writing))
	if err != nil {
		return nil, fmt.Errorf("open writer: %w", err)
	}
	pool.SetMaxOpenConns(1)
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open writer: %w", err), pool.Close())
	}
	w := &writer{
		turn: make(chan struct{}, 1), pool: pool, conn: conn,
		stmts: map[string]*sql.Stmt{}, closing: make(chan struct{}),
	}
	w.turn <- struct{}{}
	return w, nil
}

// refuse turns all later writes away. It must be called once.
func (w *writer) refuse() { close(w.closing) }

// close waits for the write in progress and keeps the turn for ever. It comes after refuse.
func (w *writer) close() error {
	<-w.turn
	var errs []error
	for _, s := range w.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close(), w.pool.Close())...)
}

// closed reports whether writes are refused.
func (w *writer) closed() bool {
	select {
	case <-w.closing:
		return true
	default:
		return false
	}
}

// acquire waits for the turn.
func (w *writer) acquire(ctx context.Context) error {
	if w.closed() {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-w.turn:
		return nil
	case <-w.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tx is a transaction in progress; it must not be used after the function that got it.
type tx struct{ w *writer }

// write runs fn in one transaction and tells everybody when it is stored.
func (db *DB) write(ctx context.Context, fn func(ctx context.Context, t tx) error) error {
	if err := db.writer.acquire(ctx); err != nil {
		return err
	}
	defer func() { db.writer.turn <- struct{}{} }()
	// From here on only the disk decides: see the package's contract.
	if err := db.writer.transact(context.WithoutCancel(ctx), fn); err != nil {
		return db.explain(err)
	}
	db.changed.announce()
	return nil
}

func (w *writer) transact(ctx context.Context, fn func(ctx context.Context, t tx) error) (err error) {
	t := tx{w: w}
	done := false
	defer func() {
		if !done { // also when fn panics
			err = errors.Join(err, t.rollback(ctx))
		}
	}()
	if _, err := t.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(ctx, t); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	done = true
	return nil
}

// rollback ends a failed transaction. SQLite may have ended it by itself: then, and only then,
// ROLLBACK answers with the plain ERROR.
func (t tx) rollback(ctx context.Context) error {
	_, err := t.exec(ctx, "ROLLBACK")
	if err == nil || sqliteCode(err) == sqlite3.SQLITE_ERROR {
		return nil
	}
	return fmt.Errorf("roll back: %w", err)
}

// exec runs a statement and returns how many rows it changed.
func (t tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	if err := t.prepare(ctx, query); err != nil {
		return 0, err
	}
	res, err := t.w.stmts[query].ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// query scans the one row of a query; it returns false where there is none.
func (t tx) query(ctx context.Context, query string, args []any, dest ...any) (bool, error) {
	if err := t.prepare(ctx, query); err != nil {
		return false, err
	}
	err := t.w.stmts[query].QueryRowContext(ctx, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// prepare makes sure that the statement is among those that the writer keeps; they are few and
// constant.
func (t tx) prepare(ctx context.Context, query string) error {
	if _, ok := t.w.stmts[query]; ok {
		return nil
	}
	s, err := t.w.conn.PrepareContext(ctx, query) //nolint:sqlclosecheck // kept until writer.close
	if err != nil {
		return fmt.Errorf("prepare statement: %w", err)
	}
	t.w.stmts[query] = s
	return nil
}
