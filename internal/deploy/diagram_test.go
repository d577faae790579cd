package deploy

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The diagram stands between these lines of the architecture page.
const (
	diagramPage  = "../../docs/ARCHITECTURE.md"
	diagramBegin = "<!-- lifecycle:begin -->"
	diagramEnd   = "<!-- lifecycle:end -->"
)

// checkDiagram compares the diagram of the architecture page with the one that was explored.
func checkDiagram(t *testing.T, want string) {
	t.Helper()
	data, err := os.ReadFile(diagramPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(data), diagramBegin+"\n")
	got, after, ended := strings.Cut(rest, diagramEnd+"\n")
	if !begun || !ended {
		t.Fatalf("%s has no lines %s and %s", diagramPage, diagramBegin, diagramEnd)
	}
	want = "<!-- generated: go test ./internal/deploy -run TestExplore -update -->\n" + want
	if *update {
		page := before + diagramBegin + "\n" + want + diagramEnd + "\n" + after
		if err := os.WriteFile(diagramPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("the diagram of %s is not what Step does (-page +Step); run go test -run TestExplore -update:\n%s", diagramPage, diff)
	}
}
