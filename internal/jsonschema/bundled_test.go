package jsonschema

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSuite_bundled runs the groups that refer to files of the suite's server, with these files put into the schema: the way
// to write such a schema in one document.
func TestSuite_bundled(t *testing.T) {
	t.Parallel()
	dir, tests := suite(t), 0
	const draft = "draft2020-12" // in draft 07 nothing counts beside a $ref
	for name := range refused() {
		file, description, ok := strings.Cut(strings.TrimPrefix(name, draft+"/"), "/")
		if !strings.HasPrefix(name, draft) || !ok {
			continue
		}
		reason := unbundled()[name]
		for _, g := range readGroups(t, filepath.Join(dir, draft, file+".json")) {
			if g.Description != description {
				continue
			}
			schema, _ := withDraft(g.Schema, drafts()[draft]).(map[string]any)
			bundle(t, dir, draft, schema)
			if reason == "" {
				tests += len(g.Tests)
				runGroup(t, name, schema, g)
			} else if _, err := Compile(schema); err == nil {
				t.Errorf("%s compiles, and is said not to: %s", name, reason)
			}
		}
	}
	t.Logf("%d tests", tests)
}

// unbundled are those that stay refused, and why.
func unbundled() map[string]string {
	const (
		metaschema = "it refers to the schema of schemas"
		address    = "it refers to the address of a file that calls itself otherwise"
	)
	return map[string]string{
		"draft2020-12/defs/validate definition against metaschema":      metaschema,
		"draft2020-12/ref/remote ref, containing refs itself":           metaschema,
		"draft2020-12/refRemote/remote HTTP ref with different $id":     address,
		"draft2020-12/refRemote/remote HTTP ref with different URN $id": address,
	}
}

// bundle puts the files of the server into the definitions of a schema, each with its address as $id.
func bundle(t *testing.T, dir, draft string, schema map[string]any) {
	t.Helper()
	remotes := os.DirFS(filepath.Join(dir, "remotes"))
	defs := map[string]any{}
	err := fs.WalkDir(remotes, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" || strings.HasPrefix(path, "draft") && !strings.HasPrefix(path, draft+"/") || strings.Contains(path, "metaschema") {
			return err
		}
		content, err := fs.ReadFile(remotes, path)
		if err != nil {
			return err
		}
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.UseNumber()
		var remote map[string]any
		if err := decoder.Decode(&remote); err != nil {
			return err
		}
		if remote["$id"] == nil {
			remote["$id"] = "http://localhost:1234/" + path
		}
		if !strings.Contains(path, "format-assertion") { // their draft is one of the suite's own
			defs[path] = remote
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if own, ok := schema["$defs"].(map[string]any); ok {
		maps.Copy(defs, own)
	}
	schema["$defs"] = defs
}
