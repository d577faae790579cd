// Package bundle unpacks the zip file of a function's code. It knows nobody: it takes bytes and makes a folder.
//
// What comes in is not trusted: names that lead out of the folder, links and special files are refused, and so is what
// grows beyond the limits while it is unpacked. A folder is there whole or not at all.
package bundle

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"greengate/internal/durable"
)

// Limits of a bundle ("Lambda quotas": 250 MB unzipped).
const (
	MaxUnpacked = 250 << 20
	MaxFiles    = 20000
)

// ErrInvalid marks bundles that are refused; the message says why.
var ErrInvalid = errors.New("invalid zip file")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// Unpack makes dir out of a zip file. A dir that is there already is taken for the same bundle: give it a name that comes
// from the content.
func Unpack(data []byte, dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return invalid("%v", err)
	}
	if len(r.File) == 0 || len(r.File) > MaxFiles {
		return invalid("it has %d files; 1 to %d are allowed", len(r.File), MaxFiles)
	}
	if err := checkSize(r); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("make folder of functions: %w", err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return fmt.Errorf("make folder of function: %w", err)
	}
	if err := unpackInto(r, temp); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	if err := os.Rename(temp, dir); err != nil {
		if _, exists := os.Stat(dir); exists == nil { // somebody else was faster with the same bundle
			return os.RemoveAll(temp)
		}
		return errors.Join(fmt.Errorf("name folder of function: %w", err), os.RemoveAll(temp))
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// checkSize refuses a bundle that says itself that it is too large. One that says less than it holds fails when it is
// read: the reader of a file stops at the size that was promised.
func checkSize(r *zip.Reader) error {
	left := uint64(MaxUnpacked)
	for _, f := range r.File {
		if f.UncompressedSize64 > left {
			return invalid("unpacked it is larger than %d bytes", MaxUnpacked)
		}
		left -= f.UncompressedSize64
	}
	return nil
}

func unpackInto(r *zip.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open folder of function: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing was written through it that is not closed itself
	for _, f := range r.File {
		name := path.Clean(strings.ReplaceAll(f.Name, `\`, "/"))
		if !filepath.IsLocal(name) {
			return invalid("the name %q leads out of the bundle", f.Name)
		}
		mode := f.Mode()
		switch {
		case mode.IsDir():
			if err := mkdirAll(root, name); err != nil {
				return err
			}
		case !mode.IsRegular():
			return invalid("%q is neither a file nor a folder", f.Name)
		default:
			if err := unpackFile(root, f, name); err != nil {
				return err
			}
		}
	}
	return durable.SyncDir(dir)
}

func mkdirAll(root *os.Root, name string) error {
	if err := root.MkdirAll(name, 0o755); err != nil {
		return invalid("folder %q: %v", name, err)
	}
	return nil
}

func unpackFile(root *os.Root, f *zip.File, name string) error {
	if err := mkdirAll(root, path.Dir(name)); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return invalid("%q: %v", f.Name, err)
	}
	defer in.Close() //nolint:errcheck // it was only read; the checksum is told by the last Read
	perm := fs.FileMode(0o644)
	if f.Mode()&0o111 != 0 {
		perm = 0o755
	}
	out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return invalid("%q: %v", f.Name, err)
	}
	if _, err := io.Copy(out, in); err != nil { //nolint:gosec // the reader stops at the size that was promised
		if _, ours := errors.AsType[*fs.PathError](err); !ours { // the disk's fault is not the bundle's
			err = invalid("%q: %v", f.Name, err)
		}
		return errors.Join(err, out.Close())
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
