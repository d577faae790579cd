package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"greengate/internal/durable"
)

// holds says what a folder holds: the content of each file, by name.
func holds(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(text)
	}
	return files
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	for _, text := range []string{"one", "two, longer", ""} {
		if err := durable.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if got := holds(t, dir); len(got) != 1 || got["a.json"] != text {
			t.Fatalf("after %q: %q", text, got)
		}
	}
	if s, err := os.Stat(path); err != nil || s.Mode() != 0o640 {
		t.Errorf("mode %v, %v", s.Mode(), err)
	}
}

// What fails midway leaves the old content and nothing else.
func TestWrite_fails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	if err := durable.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	err := durable.Write(path, 0o600, func(f *os.File) error {
		entries := holds(t, dir)
		if _, err := f.WriteString("ne"); err != nil || len(entries) != 2 || entries["a.json"] != "old" {
			t.Errorf("while it is written: %v, %q", err, entries)
		}
		for name := range entries {
			if durable.Unfinished(name) != (name != "a.json") {
				t.Errorf("Unfinished(%q) = %v", name, durable.Unfinished(name))
			}
		}
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	if err := durable.WriteFile(dir, nil, 0o600); err == nil { // a folder cannot be replaced by a file
		t.Error("no error")
	}
	if got := holds(t, dir); len(got) != 1 || got["a.json"] != "old" {
		t.Errorf("left: %q", got)
	}
	if err := durable.WriteFile(filepath.Join(dir, "none", "a"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := durable.Create(path, []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := durable.Create(path, []byte("two"), 0o644); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v", err)
	}
	if got := holds(t, dir); len(got) != 1 || got["a"] != "one" {
		t.Errorf("holds %q", got)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := durable.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what is gone stays gone
		if err := durable.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if got := holds(t, dir); len(got) != 0 {
		t.Errorf("holds %q", got)
	}
	if err := durable.Remove(filepath.Join(dir, "none", "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}

// What a crash left goes; files of the folder and folders in it stay, whatever they are called.
func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := durable.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.Stage(path, nil, 0o600); err != nil { // and here it was killed
		t.Fatal(err)
	}
	for _, name := range []string{".hidden", "a.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := holds(t, dir); len(got) != 4 {
		t.Fatalf("before: %q", got)
	}
	if err := os.Mkdir(filepath.Join(dir, ".folder.tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, ".folder.tmp")); err != nil {
		t.Error(err)
	}
	if got := holds(t, dir); len(got) != 3 || got["a"] != "one" {
		t.Errorf("after: %q", got)
	}
	if err := durable.Sweep(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	if err := durable.Sweep(path); err == nil {
		t.Error("a file was swept")
	}
}
