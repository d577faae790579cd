package app

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"greengate/internal/deploy"
)

func TestExecutionID(t *testing.T) {
	key := []byte("an installation's own key.......")
	id := executionID(key, "d-ABC123DEF/7")
	if id != executionID(key, "d-ABC123DEF/7") {
		t.Error("the same effect has two execution ids")
	}
	deployment, seq, err := parseExecutionID(key, id)
	if err != nil || deployment != "d-ABC123DEF" || seq != 7 {
		t.Fatalf("parse = %q, %d, %v", deployment, seq, err)
	}
	forged := base64.StdEncoding.EncodeToString([]byte(strings.Replace(decoded(t, id), "/7", "/8", 1)))
	for name, bad := range map[string]string{
		"another key's": executionID([]byte("somebody else's key............."), "d-ABC123DEF/7"),
		"altered":       forged,
		"empty":         "",
		"no base64":     "%%%",
		"no JSON":       base64.StdEncoding.EncodeToString([]byte("x")),
		"no sequence":   executionID(key, "d-ABC123DEF"),
	} {
		if _, _, err := parseExecutionID(key, bad); !errors.Is(err, &deploy.Error{Code: deploy.CodeHookUnknown}) {
			t.Errorf("%s id: error %v, want HookUnknown", name, err)
		}
	}
}

func decoded(t *testing.T, id string) string {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func FuzzParseExecutionID(f *testing.F) {
	key := []byte("an installation's own key.......")
	f.Add(executionID(key, "d-ABC123DEF/7"))
	f.Add("e30=")
	f.Fuzz(func(t *testing.T, id string) {
		deployment, seq, err := parseExecutionID(key, id)
		if err != nil {
			return
		}
		effect := deploy.Effect{Deployment: deployment, Seq: seq}.ID()
		if d, s, err := parseExecutionID(key, executionID(key, effect)); err != nil || d != deployment || s != seq {
			t.Fatalf("accepted %q as %s, which does not come back: %q %d %v", id, effect, d, s, err)
		}
	})
}

func TestMasterKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	first, err := masterKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := masterKey(path)
	if err != nil || string(again) != string(first) {
		t.Fatalf("the second key is another one (%v)", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := masterKey(path); err == nil || !strings.Contains(err.Error(), "5 bytes instead of 32") {
		t.Errorf("a damaged key gives %v", err)
	}
}

func TestNewDeploymentID(t *testing.T) {
	form := regexp.MustCompile(`^d-[0-9A-Z]{9}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := newDeploymentID()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("deployment id %q (seen before: %v)", id, seen[id])
		}
		seen[id] = true
	}
}
