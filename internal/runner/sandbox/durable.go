package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
)

// writeDurable replaces the file at path as a whole: after a power loss it holds the old or the new bytes, never a mix.
// It holds secrets (events, credentials), so only the owner may read it.
func writeDurable(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".tmp-*") // mode 0600
	if err != nil {
		return fmt.Errorf("create file beside %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) //nolint:gosec // ids and names are checked before they become paths
		}
	}()
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err = os.Rename(f.Name(), path); err != nil { //nolint:gosec // ids and names are checked before they become paths
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return syncDir(dir)
}

// removeDurable removes a file; one that is gone is no error.
func removeDurable(path string) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // a folder of our own data
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}
