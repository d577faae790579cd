package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"greengate/internal/deploy"
	"greengate/internal/store"
	"greengate/internal/store/storetest"
)

// smallDisk mounts a file system of that many bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("cannot mount a small file system (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// ballast fills the file system to its last byte.
func ballast(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 16; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

func TestDiskFull_forReal(t *testing.T) {
	dir := smallDisk(t, 4<<20)
	db := open(t, dir)
	d := storetest.New("d-1", "g")
	if err := db.Create(t.Context(), d, storetest.Event("begin")); err != nil {
		t.Fatalf("create: %v", err)
	}
	ballast(t, filepath.Join(dir, "ballast"))
	var err error
	for range 100 { // the log may have room for the first ones
		next := storetest.Next(d, deploy.PhaseInstall)
		next.Description = strings.Repeat("x", 1<<16)
		if err = db.Commit(t.Context(), deploy.Commit{Deployment: next, Records: []deploy.Record{note(next, fmt.Sprint(next.Revno))}}); err != nil {
			break
		}
		d = next
	}
	if !errors.Is(err, store.ErrDiskFull) || !strings.Contains(err.Error(), "disk full") {
		t.Fatalf("commit on a full disk: got %v, want ErrDiskFull", err)
	}
	if got := readLife(t, db, "d-1").Deployment.Revno; got != d.Revno {
		t.Errorf("revision %d after a refused commit, want %d", got, d.Revno)
	}
	if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
		t.Fatal(err)
	}
	d = storetest.Next(d, deploy.PhaseInstall)
	if err := db.Commit(t.Context(), deploy.Commit{Deployment: d, Records: []deploy.Record{note(d, fmt.Sprint(d.Revno))}}); err != nil {
		t.Fatalf("commit when there is space again: %v", err)
	}
	if got := readLife(t, db, "d-1").Deployment.Revno; got != d.Revno {
		t.Errorf("revision %d, want %d", got, d.Revno)
	}
	wantSound(t, dir)
}

func TestOpen_onAFullDisk(t *testing.T) {
	dir := smallDisk(t, 4<<20)
	ballast(t, filepath.Join(dir, "ballast"))
	wantOpenError(t, dir, store.ErrDiskFull, "disk full", dir)
	if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
		t.Fatal(err)
	}
	mustClose(t, open(t, dir))
	ballast(t, filepath.Join(dir, "ballast"))
	wantOpenError(t, dir, store.ErrDiskFull, "disk full", dir)
	if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}
