package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzParseService(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add(Template("demo"))
	f.Add([]byte("a: &a [*a]\nb: {<<: *a}\n"))
	f.Add([]byte("- &x [1, *x]\n- !!str {a: b}\n? {a: b}\n: c\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		s, faults := parseService(content, "/srv/app", false)
		for _, fault := range faults {
			if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
				t.Errorf("fault %+v has no position or no message", fault)
			}
		}
		if len(faults) == 0 && len(s.Validate()) > 0 {
			t.Errorf("accepted, but the domain says %v", s.Validate())
		}
		again, faultsAgain := parseService(content, "/srv/app", false)
		sort := func(err error) string {
			if err == nil {
				return ""
			}
			return err.Error()
		}
		if sort(fileError("f", faults)) != sort(fileError("f", faultsAgain)) || !cmp.Equal(s, again) {
			t.Error("the same file was read in two ways")
		}
	})
}

func FuzzSplitCommand(f *testing.F) {
	for _, seed := range []string{"a b", `a 'b c' "d \"e"`, `a\ b`, "a $b", "''", `"\x"`, "a\\\nb", `a"b`, "\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := SplitCommand(line)
		if err != nil {
			return
		}
		if len(words) == 0 {
			t.Fatal("no words and no error")
		}
		// Words in single quotes must come back as they are.
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		again, err := SplitCommand(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(words, again) {
			t.Errorf("%q gives %q, and quoted %q (%v)", line, words, again, err)
		}
	})
}

func FuzzParseEnvFile(f *testing.F) {
	for _, seed := range []string{"A=1\nexport B='x'\nC=\"a\\n\"", "=", "A", "#\n\n", "A='", "A=\"\\", "A B=c"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		env, faults := ParseEnvFile(content)
		for name, value := range env {
			if name == "" || strings.ContainsAny(name, "= \n\x00") || strings.ContainsRune(value, 0) {
				t.Errorf("variable %q=%q", name, value)
			}
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Message == "" {
				t.Errorf("fault %+v", fault)
			}
		}
	})
}

func FuzzParseCredentials(f *testing.F) {
	f.Add([]byte("[default]\naws_access_key_id = A\naws_secret_access_key = B\n"))
	f.Add([]byte("# c\n; d\n[other]\nx=y\n[default\n"))
	f.Add([]byte("[default]\nregion=\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := parseCredentials(content)
		if err == nil && (c.AccessKeyID == "" || c.SecretAccessKey == "") {
			t.Errorf("accepted without keys: %q", content)
		}
	})
}
