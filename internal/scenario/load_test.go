package scenario

import (
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestLoad_bad loads each testdata/bad/*.yaml. What is said of it stands in the file of the same name with .out.
func TestLoad_bad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d bad files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := Load(file)
			var bad *FileError
			if !errors.As(err, &bad) {
				t.Fatalf("it was taken, or not for its content: %v", err)
			}
			got := bad.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".out"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run with -update after reading this (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLoadFiles: what was loaded can be loaded again elsewhere, and is the same.
func TestLoadFiles(t *testing.T) {
	s, err := Load("testdata/good/all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := Pack(s.Files)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Unpack(bundle)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadFiles("all.yaml", files)
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest != s.Digest || !maps.EqualFunc(again.Files, s.Files, func(a, b []byte) bool { return string(a) == string(b) }) {
		t.Errorf("digests %s and %s", s.Digest, again.Digest)
	}
	files["all.yaml"] = append(files["all.yaml"], "# changed\n"...)
	if changed, err := LoadFiles("all.yaml", files); err != nil || changed.Digest == s.Digest {
		t.Errorf("a changed file has the same digest, %v", err)
	}
	delete(files, "part.yaml")
	if _, err := LoadFiles("all.yaml", files); err == nil {
		t.Error("a file that is missing was not missed")
	}
}

// FuzzLoad: whatever a file holds, the loader says where each fault is, says the same twice, and does not fall over.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml", "testdata/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(content)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		files := map[string][]byte{"a.yaml": content, "part.yaml": []byte("{version: 1, vars: {user: x}, steps: [{request: GET /}]}")}
		s, err := LoadFiles("a.yaml", files)
		_, again := LoadFiles("a.yaml", files)
		if (err == nil) != (again == nil) || (err != nil && err.Error() != again.Error()) {
			t.Errorf("the same file was read in two ways: %v and %v", err, again)
		}
		var bad *FileError
		switch {
		case err == nil:
			if len(s.steps) == 0 {
				t.Error("a scenario without steps was taken")
			}
		case !errors.As(err, &bad) || len(bad.Faults) == 0:
			t.Errorf("error %v is not about the content", err)
		default:
			for _, fault := range bad.Faults {
				if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
					t.Errorf("fault %+v has no position or no message", fault)
				}
			}
		}
	})
}
