package store

import (
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrInUse says that another process, or another DB of this one, holds the data folder.
	ErrInUse = errors.New("data folder is in use")
	// ErrNewerSchema says that a newer version of Greengate has written the database.
	ErrNewerSchema = errors.New("database has a newer schema")
	// ErrForeign says that the file is not a database of Greengate.
	ErrForeign = errors.New("not a database of Greengate")
	// ErrDiskFull says that a write was refused for want of space; nothing of it was stored, and it
	// may be repeated when there is space again.
	ErrDiskFull = fmt.Errorf("disk full: %w", syscall.ENOSPC)
	// ErrClosed says that the DB was closed.
	ErrClosed = errors.New("store is closed")
)

// primary strips an extended SQLite result code to its primary one (sqlite.org/rescode.html).
func primary(code int) int { return code & 0xff }

// explain puts what an operator can mend in front of what SQLite said.
func (db *DB) explain(err error) error {
	full := errors.Is(err, syscall.ENOSPC)
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		// Writing reports a full disk as FULL, growing the shared memory file as IOERR_SHMSIZE.
		full = full || primary(se.Code()) == sqlite3.SQLITE_FULL || se.Code() == sqlite3.SQLITE_IOERR_SHMSIZE
	}
	if full {
		return fmt.Errorf("%w: free space on the volume of %s, nothing of this write was stored: %w", ErrDiskFull, db.path, err)
	}
	return err
}

// sqliteCode returns the primary result code of an error of SQLite, else 0.
func sqliteCode(err error) int {
	se, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return sqlite3.SQLITE_OK
	}
	return primary(se.Code())
}
