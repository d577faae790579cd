// Package durable changes files whole: whoever reads one, also after a crash or a loss of power at any moment, finds the
// old content or the new, never a part and never nothing. A change is there for good when its function has returned.
//
// The way is the one that POSIX leaves: a temporary file in the same folder, synced, renamed over the old one, and the
// folder synced after it (rename(2), fsync(2)).
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const suffix = ".tmp"

// Unfinished tells of a file's name that it belongs to a change which a crash cut short, or which is being made.
func Unfinished(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, suffix)
}

// Sweep removes from a folder what changes that a crash cut short have left. It is for the only writer of the folder, when
// it starts: changes that are being made would fail. A folder that is not there has nothing.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read folder: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.Type().IsRegular() && Unfinished(e.Name()) {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// WriteFile replaces the file at path, or makes it.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	return Write(path, mode, whole(data))
}

// whole fills a file with bytes.
func whole(data []byte) func(*os.File) error {
	return func(f *os.File) error {
		_, err := f.Write(data)
		return err //nolint:wrapcheck // stage names the file
	}
}

// Write is WriteFile for content that fill writes.
func Write(path string, mode fs.FileMode, fill func(f *os.File) error) error {
	temp, err := stage(path, mode, fill)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(fmt.Errorf("replace %s: %w", filepath.Base(path), err), os.Remove(temp))
	}
	return SyncDir(filepath.Dir(path))
}

// Create is WriteFile for a path that must not exist; the error is [fs.ErrExist] where it does.
func Create(path string, data []byte, mode fs.FileMode) error {
	temp, err := Stage(path, data, mode)
	if err != nil {
		return err
	}
	// A link, unlike a rename, never replaces what somebody else made meanwhile.
	if err := errors.Join(os.Link(temp, path), os.Remove(temp)); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return SyncDir(filepath.Dir(path))
}

// Stage makes the file that is to become path, beside it, synced, and returns its name: the caller renames or removes it
// and syncs the folder. It is for those who must do something between the two, such as take a lock.
func Stage(path string, data []byte, mode fs.FileMode) (temp string, err error) {
	return stage(path, mode, whole(data))
}

func stage(path string, mode fs.FileMode, fill func(f *os.File) error) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"+suffix)
	if err != nil {
		return "", fmt.Errorf("make temporary file: %w", err)
	}
	err = f.Chmod(mode)
	if err == nil {
		err = fill(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("write %s: %w", filepath.Base(path), err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// Remove removes the file at path; one that is not there is none.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", filepath.Base(path), err)
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes what was named, renamed or removed in a folder last.
func SyncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the caller's own folder
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}
