package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"greengate/internal/deploy"
)

// Bounds of a function's code folder. Lambda allows 50 MB for a direct upload.
const (
	maxCodeBytes = 50 << 20
	maxCodeFiles = 10_000
)

// functionDigest is the lower-case hex SHA-256 over the function's configuration and the names, modes and contents of
// its code folder. What Python and Git write there by themselves (__pycache__, .git) does not count: it would make the
// code look changed after each run.
func functionDigest(f deploy.Function) (string, error) {
	root, err := filepath.EvalSymlinks(f.CodeDir)
	if err != nil {
		return "", fmt.Errorf("resolve code folder: %w", err)
	}
	f.Digest, f.CodeDir = "", "" // where the code lies does not matter
	configuration, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("encode function: %w", err)
	}
	c := codeHash{root: root, sum: sha256.New(), limitBytes: maxCodeBytes, limitFiles: maxCodeFiles}
	c.sum.Write(configuration)
	if err := filepath.WalkDir(root, c.visit); err != nil {
		return "", err
	}
	return hex.EncodeToString(c.sum.Sum(nil)), nil
}

type codeHash struct {
	root                   string
	sum                    hash.Hash
	bytes                  int64
	files                  int
	limitBytes, limitFiles int64
}

func (c *codeHash) visit(path string, entry fs.DirEntry, err error) error {
	if err != nil {
		return fmt.Errorf("read code folder: %w", err)
	}
	if entry.IsDir() {
		if name := entry.Name(); name == "__pycache__" || name == ".git" {
			return fs.SkipDir
		}
		return nil
	}
	c.files++
	if int64(c.files) > c.limitFiles {
		return fmt.Errorf("%s holds more than %d files; keep only what the handler needs there", c.root, c.limitFiles)
	}
	info, err := entry.Info()
	if err != nil {
		return fmt.Errorf("read code folder: %w", err)
	}
	name, err := filepath.Rel(c.root, path)
	if err != nil {
		return fmt.Errorf("name code file: %w", err)
	}
	switch {
	case info.Mode().IsRegular():
		_, _ = fmt.Fprintf(c.sum, "file %q %o %d\n", filepath.ToSlash(name), info.Mode().Perm(), info.Size())
		return c.content(path, info.Size())
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return fmt.Errorf("read code link: %w", err)
		}
		_, _ = fmt.Fprintf(c.sum, "link %q %q\n", filepath.ToSlash(name), target)
		return nil
	}
	return fmt.Errorf("%s is neither a file nor a link; code is made of those", path)
}

func (c *codeHash) content(path string, size int64) error {
	c.bytes += size
	if c.bytes > c.limitBytes {
		return fmt.Errorf("%s holds more than %s; keep only what the handler needs there", c.root, mebibytes(c.limitBytes))
	}
	f, err := os.Open(path) //nolint:gosec // a file of the folder that the user named
	if err != nil {
		return fmt.Errorf("read code file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	n, err := io.Copy(c.sum, io.LimitReader(f, size+1))
	if err != nil {
		return fmt.Errorf("read code file: %w", err)
	}
	if n != size {
		return fmt.Errorf("%s changed while it was read; try again", path)
	}
	return nil
}

func mebibytes(n int64) string {
	return fmt.Sprintf("%d MiB", n>>20)
}
