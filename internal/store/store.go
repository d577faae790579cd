package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"greengate/internal/durable"
)

// Names of the files in the data folder.
const (
	fileName = "greengate.db"
	lockName = fileName + ".lock"
)

// readers is the number of connections that read beside the one that writes.
const readers = 4

// Config says where the database is.
type Config struct {
	// Dir is the data folder; it is made when it does not exist. It must be on a local disk.
	Dir string
	// Logger gets what migrations do; nil discards it.
	Logger *slog.Logger
}

// DB is the database. Its methods may be called by many goroutines at the same time.
type DB struct {
	path    string
	lock    *os.File
	reader  *sql.DB
	writer  *writer
	changed *broadcast
	// closeFunc is release, once.
	closeFunc func() error
}

// Open locks the data folder, brings the database to the newest schema and opens it. It refuses
// with ErrInUse, ErrNewerSchema or ErrForeign.
func Open(ctx context.Context, cfg Config) (_ *DB, err error) {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("resolve data folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	db := &DB{path: filepath.Join(dir, fileName), changed: newBroadcast()}
	db.closeFunc = sync.OnceValue(db.release)
	if db.lock, err = lockFolder(filepath.Join(dir, lockName)); err != nil {
		return nil, db.explain(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(db.explain(err), db.closeFunc())
		}
	}()
	if err := prepareFile(ctx, db.path, log); err != nil {
		return nil, err
	}
	if err := durable.SyncDir(dir); err != nil {
		return nil, err
	}
	if db.writer, err = openWriter(ctx, db.path); err != nil {
		return nil, err
	}
	if db.reader, err = sql.Open("sqlite", dsn(db.path, reading)); err != nil {
		return nil, fmt.Errorf("open readers: %w", err)
	}
	db.reader.SetMaxOpenConns(readers)
	db.reader.SetMaxIdleConns(readers)
	if err := db.reader.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("open readers: %w", err)
	}
	return db, nil
}

// Close waits for the write in progress, refuses all later calls with ErrClosed, wakes everybody
// who waits for a change, and gives the data folder free. A second Close does nothing.
func (db *DB) Close() error { return db.closeFunc() }

// release undoes Open, also one that ended half-way. The readers go first, so that the writer's
// end is the last one and folds the write-ahead log into the database.
func (db *DB) release() error {
	var errs []error
	if db.writer != nil {
		db.writer.refuse()
	}
	if db.reader != nil {
		errs = append(errs, db.reader.Close())
	}
	if db.writer != nil {
		errs = append(errs, db.writer.close())
	}
	errs = append(errs, db.lock.Close())
	db.changed.close()
	return errors.Join(errs...)
}

// mode is what a connection is for.
type mode int

const (
	inspecting mode = iota // looks at a file that may not be ours
	writing
	reading
)

// dsn returns the driver's name for a connection. Its pragmas hold for every connection of a pool,
// which a PRAGMA statement after opening would not.
func dsn(path string, m mode) string {
	pragmas := url.Values{}
	// First, so that the other pragmas already wait for a lock.
	pragmas.Add("_pragma", "busy_timeout(10000)")
	pragmas.Add("_pragma", "foreign_keys(ON)")
	pragmas.Add("_pragma", "synchronous(FULL)")
	if m != inspecting {
		pragmas.Add("_pragma", "journal_mode(WAL)")
		// A burst must not leave a large log behind for ever.
		pragmas.Add("_pragma", "journal_size_limit(67108864)")
	}
	if m != writing {
		pragmas.Add("_pragma", "query_only(ON)")
	}
	file := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: pragmas.Encode()}
	return file.String()
}

// timeLayout is UTC in one width, which sorts as text.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

func stamp(t time.Time) string { return t.UTC().Format(timeLayout) }

// broadcast tells everybody at once that something changed.
type broadcast struct {
	mu     sync.Mutex
	ch     chan struct{}
	closed bool
}

func newBroadcast() *broadcast { return &broadcast{ch: make(chan struct{})} }

func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) announce() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	close(b.ch)
	b.ch = make(chan struct{})
}

// close leaves a channel that is closed, so that nobody waits any more.
func (b *broadcast) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.ch)
	}
}
