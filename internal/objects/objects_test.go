package objects_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"greengate/internal/objects"
)

func read(t *testing.T, s *objects.Store, bucket, key string) string {
	t.Helper()
	_, f, err := s.Open(bucket, key)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := objects.New(filepath.Join(dir, "objects"), time.Now)
	for _, key := range []string{"a", "../../evil", "dir/x", strings.Repeat("k", 1000)} {
		for _, body := range []string{"first", "second of " + key} {
			info, err := s.Put("b", objects.Info{Key: key, Type: "text/plain"}, strings.NewReader(body))
			if err != nil || info.Size != int64(len(body)) || len(info.ETag) != 32 {
				t.Fatalf("put %q: %+v, %v", key, info, err)
			}
			if got := read(t, s, "b", key); got != body {
				t.Errorf("%q holds %q", key, got)
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("beside the folder there is %v, %v", left, err)
	}
	again := objects.New(filepath.Join(dir, "objects"), time.Now)
	if list, err := again.List("b", "d"); err != nil || len(list) != 1 || list[0].Key != "dir/x" || list[0].Type != "text/plain" {
		t.Errorf("list after a restart: %+v, %v", list, err)
	}
	if err := s.Delete("b", "a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete("b", "a"); err != nil {
		t.Errorf("a second delete: %v", err)
	}
	if _, err := s.Head("b", "a"); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("after a delete: %v", err)
	}
	if _, err := s.Head("other", "dir/x"); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("in another bucket: %v", err)
	}
	if err := s.Drop("b"); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List("b", ""); err != nil || len(list) != 0 {
		t.Errorf("after a drop: %v, %v", list, err)
	}
}

// A body that breaks off, and a write that was killed, leave what was there before.
func TestStore_torn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := objects.New(dir, time.Now)
	if _, err := s.Put("b", objects.Info{Key: "k"}, strings.NewReader("whole")); err != nil {
		t.Fatal(err)
	}
	broken := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("the client went away")))
	if _, err := s.Put("b", objects.Info{Key: "k"}, broken); err == nil {
		t.Error("a body that breaks off is stored")
	}
	bucket, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(bucket) != 1 {
		t.Fatal(bucket, err)
	}
	for _, name := range []string{"data-killed", ".info.1.tmp"} {
		if err := os.WriteFile(filepath.Join(bucket[0], name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, s, "b", "k"); got != "whole" {
		t.Errorf("it holds %q", got)
	}
	if list, err := s.List("b", ""); err != nil || len(list) != 1 {
		t.Errorf("list: %v, %v", list, err)
	}
}

func FuzzStore_keys(f *testing.F) {
	f.Add("bucket", "key")
	f.Add("..", "../x")
	f.Fuzz(func(t *testing.T, bucket, key string) {
		dir := t.TempDir()
		s := objects.New(filepath.Join(dir, "o"), time.Now)
		if _, err := s.Put(bucket, objects.Info{Key: key}, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("beside the folder there is %v, %v", left, err)
		}
		if read(t, s, bucket, key) != "x" {
			t.Error("not what was put")
		}
	})
}
