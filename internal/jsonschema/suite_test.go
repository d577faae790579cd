package jsonschema

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/google/jsonschema-go/jsonschema" // its module carries the suite
)

// refused are the groups of the suite whose schemas are refused, and why. Nothing else is left out, and a group that is here
// and compiles fails the test.
func refused() map[string]string {
	const (
		remote     = "it refers to a file of the suite's server, and nothing is fetched"
		metaschema = "it refers to the schema of schemas, which is another document"
	)
	return map[string]string{
		"draft2020-12/defs/validate definition against metaschema":                               metaschema,
		"draft2020-12/dynamicRef/strict-tree schema, guards against misspelled properties":       remote,
		"draft2020-12/dynamicRef/tests for implementation dynamic anchor and reference link":     remote,
		"draft2020-12/dynamicRef/$ref and $dynamicAnchor are independent of order - $defs first": remote,
		"draft2020-12/dynamicRef/$ref and $dynamicAnchor are independent of order - $ref first":  remote,
		"draft2020-12/dynamicRef/$ref to $dynamicRef finds detached $dynamicAnchor":              remote,
		"draft2020-12/ref/remote ref, containing refs itself":                                    metaschema,
		"draft2020-12/refRemote/remote ref":                                                      remote,
		"draft2020-12/refRemote/fragment within remote ref":                                      remote,
		"draft2020-12/refRemote/anchor within remote ref":                                        remote,
		"draft2020-12/refRemote/ref within remote ref":                                           remote,
		"draft2020-12/refRemote/base URI change":                                                 remote,
		"draft2020-12/refRemote/base URI change - change folder":                                 remote,
		"draft2020-12/refRemote/base URI change - change folder in subschema":                    remote,
		"draft2020-12/refRemote/root ref in remote ref":                                          remote,
		"draft2020-12/refRemote/remote ref with ref to defs":                                     remote,
		"draft2020-12/refRemote/Location-independent identifier in remote ref":                   remote,
		"draft2020-12/refRemote/retrieved nested refs resolve relative to their URI not $id":     remote,
		"draft2020-12/refRemote/remote HTTP ref with different $id":                              remote,
		"draft2020-12/refRemote/remote HTTP ref with different URN $id":                          remote,
		"draft2020-12/refRemote/remote HTTP ref with nested absolute ref":                        remote,
		"draft2020-12/refRemote/$ref to $ref finds detached $anchor":                             remote,
		"draft7/definitions/validate definition against metaschema":                              metaschema,
		"draft7/ref/remote ref, containing refs itself":                                          metaschema,
		"draft7/refRemote/remote ref":                                                            remote,
		"draft7/refRemote/fragment within remote ref":                                            remote,
		"draft7/refRemote/ref within remote ref":                                                 remote,
		"draft7/refRemote/base URI change":                                                       remote,
		"draft7/refRemote/base URI change - change folder":                                       remote,
		"draft7/refRemote/base URI change - change folder in subschema":                          remote,
		"draft7/refRemote/root ref in remote ref":                                                remote,
		"draft7/refRemote/remote ref with ref to definitions":                                    remote,
		"draft7/refRemote/Location-independent identifier in remote ref":                         remote,
		"draft7/refRemote/retrieved nested refs resolve relative to their URI not $id":           remote,
		"draft7/refRemote/$ref to $ref finds location-independent $id":                           remote,
	}
}

type group struct {
	Description string
	Schema      any
	Tests       []struct {
		Description string
		Data        any
		Valid       bool
	}
}

// TestSuite is the official one, https://github.com/json-schema-org/JSON-Schema-Test-Suite, without its optional part.
func TestSuite(t *testing.T) {
	t.Parallel()
	dir, refused := suite(t), refused()
	for draft, uri := range drafts() {
		files, err := filepath.Glob(filepath.Join(dir, draft, "*.json"))
		if err != nil || len(files) < 30 {
			t.Fatalf("%d files of %s: %v", len(files), draft, err)
		}
		groups, tests, left := 0, 0, 0
		for _, file := range files {
			for _, g := range readGroups(t, file) {
				groups++
				name := draft + "/" + strings.TrimSuffix(filepath.Base(file), ".json") + "/" + g.Description
				if reason := refused[name]; reason != "" {
					left++
					delete(refused, name)
					if _, err := Compile(withDraft(g.Schema, uri)); err == nil {
						t.Errorf("%s compiles, and is said not to: %s", name, reason)
					}
					continue
				}
				tests += len(g.Tests)
				runGroup(t, name, withDraft(g.Schema, uri), g)
			}
		}
		t.Logf("%s: %d groups, %d of them refused for a reason; %d tests", draft, groups, left, tests)
	}
	for name := range refused {
		t.Errorf("the suite has no %s", name)
	}
}

// drafts are the folders of the suite and what the schemas in them have as $schema.
func drafts() map[string]string {
	return map[string]string{
		"draft2020-12": "https://json-schema.org/draft/2020-12/schema", "draft7": "http://json-schema.org/draft-07/schema#",
	}
}

func suite(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/jsonschema-go").Output()
	if err != nil {
		t.Fatalf("find the suite: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "jsonschema", "testdata")
}

func readGroups(t *testing.T, file string) []group {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var groups []group
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	if err := d.Decode(&groups); err != nil || len(groups) == 0 {
		t.Fatalf("%s: %d groups: %v", file, len(groups), err)
	}
	return groups
}

// withDraft says the draft where the schema does not: those of draft 07 in the suite leave it out.
func withDraft(schema any, uri string) any {
	if object, ok := schema.(map[string]any); ok && object["$schema"] == nil {
		object["$schema"] = uri
	}
	return schema
}

func runGroup(t *testing.T, name string, schema any, g group) {
	t.Helper()
	s, err := Compile(schema)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, c := range g.Tests {
		faults := s.Validate(c.Data)
		if (len(faults) == 0) != c.Valid {
			t.Errorf("%s: %s: valid is %t, got %v", name, c.Description, c.Valid, faults)
		}
		for _, f := range faults {
			if f.String() == "" || f.Keyword == Limit {
				t.Errorf("%s: %s: %+v", name, c.Description, f)
			}
		}
	}
}
