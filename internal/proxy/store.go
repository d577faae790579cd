package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"greengate/internal/durable"
)

// saveTable writes the table so that after a crash at any moment either the old or the new one is there.
func saveTable(path string, t Table) error {
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("encode table: %w", err)
	}
	return durable.WriteFile(path, append(b, '\n'), 0o600)
}

// loadTable reads the last table; the zero table when there is none.
func loadTable(path string) (Table, error) {
	b, err := os.ReadFile(filepath.Clean(path))
	if errors.Is(err, fs.ErrNotExist) {
		return Table{}, nil
	}
	if err != nil {
		return Table{}, fmt.Errorf("read table: %w", err)
	}
	var t Table
	if err := json.Unmarshal(b, &t); err != nil {
		return Table{}, fmt.Errorf("%w: decode %s: %w", ErrInvalidTable, path, err)
	}
	if err := t.Validate(); err != nil {
		return Table{}, fmt.Errorf("%w: %s: %w", ErrInvalidTable, path, err)
	}
	return t, nil
}

// lockDir makes this process the only one that serves from dir. The lock ends with the process, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the folder is ours
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w: another data plane serves from it; stop it first (%w)", dir, ErrInUse, err)
	}
	return f, nil
}
