package bundle_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"greengate/internal/bundle"
)

type entry struct {
	name, body string
	mode       fs.FileMode
}

func zipped(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := f.Write([]byte(e.body)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "functions", "a", "1")
	data := zipped(t, entry{"handler.py", "x", 0o644}, entry{"lib/", "", fs.ModeDir | 0o755}, entry{"lib/run", "y", 0o755})
	for range 2 { // the second time it is there
		if err := bundle.Unpack(data, dir); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "handler.py")); err != nil || string(b) != "x" {
		t.Errorf("handler.py: %q, %v", b, err)
	}
	if st, err := os.Stat(filepath.Join(dir, "lib/run")); err != nil || st.Mode()&0o100 == 0 {
		t.Errorf("lib/run cannot be run: %v, %v", st, err)
	}
}

func TestUnpack_refuses(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"no zip":       []byte("PK no"),
		"nothing":      zipped(t),
		"parent":       zipped(t, entry{"../evil", "x", 0o644}),
		"backslashes":  zipped(t, entry{`..\evil`, "x", 0o644}),
		"absolute":     zipped(t, entry{"/etc/evil", "x", 0o644}),
		"link":         zipped(t, entry{"link", "/etc/passwd", fs.ModeSymlink | 0o777}),
		"twice":        zipped(t, entry{"a", "x", 0o644}, entry{"a", "y", 0o644}),
		"file in file": zipped(t, entry{"a", "x", 0o644}, entry{"a/b", "y", 0o644}),
		"cut short":    zipped(t, entry{"a", strings.Repeat("x", 100), 0o644})[:60],
	} {
		parent := t.TempDir()
		dir := filepath.Join(parent, "f")
		if err := bundle.Unpack(data, dir); !errors.Is(err, bundle.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
			t.Errorf("%s leaves %v behind, %v", name, left, err)
		}
	}
}

// A small file that becomes huge is refused before it fills the disk.
func TestUnpack_bomb(t *testing.T) {
	t.Parallel()
	for name, promised := range map[string]uint64{
		"one that says so":              bundle.MaxUnpacked + 1,
		"one that promises to be small": 10,
	} {
		parent := t.TempDir()
		if err := bundle.Unpack(promising(t, strings.Repeat("\x00", 1<<20), promised), filepath.Join(parent, "f")); !errors.Is(err, bundle.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
			t.Errorf("%s leaves %v behind, %v", name, left, err)
		}
	}
}

// promising is a bundle of one file whose header says that it has another size than it has.
func promising(tb testing.TB, body string, size uint64) []byte {
	tb.Helper()
	var packed bytes.Buffer
	d, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := d.Write([]byte(body)); err != nil {
		tb.Fatal(err)
	}
	if err := d.Close(); err != nil {
		tb.Fatal(err)
	}
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	f, err := w.CreateRaw(&zip.FileHeader{
		Name: "zeros", Method: zip.Deflate, CRC32: crc32.ChecksumIEEE([]byte(body)),
		CompressedSize64: uint64(packed.Len()), UncompressedSize64: size,
	})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := f.Write(packed.Bytes()); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func FuzzUnpack(f *testing.F) {
	f.Add(zipped(f, entry{"handler.py", "x", 0o644}))
	f.Add(zipped(f, entry{"../evil", "x", 0o644}))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parent := t.TempDir()
		err := bundle.Unpack(data, filepath.Join(parent, "in", "f"))
		left, readErr := os.ReadDir(parent)
		if readErr != nil || len(left) > 1 {
			t.Errorf("beside the folder there is %v, %v", left, readErr)
		}
		if err != nil && !errors.Is(err, bundle.ErrInvalid) {
			t.Errorf("an error that blames nobody: %v", err)
		}
	})
}
