//go:build linux

package wire

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// contractCases is how many conformance cases the contract of the CodeDeploy operations has.
const contractCases = 89

// elsewhere are the cases whose tests are stories of their own: a program of testdata, and the story in it.
var elsewhere = map[int]string{
	64: "alarms.py by_hand",
	65: "alarms.py by_hand",
	73: "permissions.py service_role",
	88: "notices.py triggers",
}

// TestConformance_complete: every case is claimed by exactly one test.
func TestConformance_complete(t *testing.T) {
	t.Parallel()
	claimed := map[int][]string{}
	for run, owners := range conformanceOwners(t) {
		for number, owner := range owners {
			if n, err := strconv.Atoi(number); err == nil {
				claimed[n] = append(claimed[n], run+"/"+owner)
			}
		}
	}
	for n, story := range elsewhere {
		if !played(t, story) {
			t.Errorf("case %d: no test plays the story %s", n, story)
		}
		claimed[n] = append(claimed[n], story)
	}
	for n := range claimed {
		if n < 1 || n > contractCases {
			t.Errorf("case %d is none of the contract", n)
		}
	}
	for n := 1; n <= contractCases; n++ {
		if len(claimed[n]) != 1 {
			t.Errorf("case %d is claimed by %d tests, want 1: %v", n, len(claimed[n]), claimed[n])
		}
	}
}

// played reports whether a story is in its program, and a test of this package names it.
func played(t *testing.T, story string) bool {
	t.Helper()
	program, name, _ := strings.Cut(story, " ")
	text, err := os.ReadFile(filepath.Join("testdata", program))
	if err != nil || !strings.Contains(string(text), "\ndef "+name+"(") {
		return false
	}
	tests, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(tests, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), `"`+program+`"`) && strings.Contains(string(text), `"`+name+`"`)
	})
}

// conformanceOwners says for each run which story has which case; the program fails where two stories claim one.
func conformanceOwners(t *testing.T) map[string]map[string]string {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "python3", "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("python3 with boto3 is not installed: %v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "conformance.py", "list")
	cmd.Dir = "testdata"
	cmd.Env = append(os.Environ(), "AWS_DEFAULT_REGION=us-east-1", "AWS_CONFIG_FILE=/dev/null", "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("list the cases: %v\n%s", err, out)
	}
	owners := map[string]map[string]string{}
	for line := range strings.Lines(string(out)) {
		var number, run, owner string
		if _, err := fmt.Sscanf(line, "case %s %s %s", &number, &run, &owner); err != nil {
			t.Fatalf("list the cases: %q: %v", line, err)
		}
		if owners[run] == nil {
			owners[run] = map[string]string{}
		}
		owners[run][number] = owner
	}
	return owners
}

// conformanceRuns are three installations: AWS's ways with a minute of a second, the same with real minutes, and what
// Greengate does otherwise by default.
var conformanceRuns = map[string][]string{
	"aws":      {"--minute", "1s", "--compat", "aws"},
	"unscaled": {"--compat", "aws"},
	"default":  {"--minute", "1s"},
}

// TestConformance plays the cases, all runs at the same time.
func TestConformance(t *testing.T) {
	t.Parallel()
	for run, owners := range conformanceOwners(t) {
		flags, ok := conformanceRuns[run]
		if !ok {
			t.Errorf("nobody plays the run %s", run)
			continue
		}
		t.Run(run, func(t *testing.T) {
			t.Parallel()
			i := start(t, flags...)
			out := i.python(t, "conformance.py", run)
			ended := caseLines(out)
			for _, number := range slices.Sorted(maps.Keys(owners)) {
				t.Run("case "+number, func(t *testing.T) {
					if ended[number] != "ok" {
						t.Errorf("%s: %s", owners[number], ended[number])
					}
				})
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

var caseLine = regexp.MustCompile(`(?m)^case (\S+) (ok$|FAILED: .*)`)

// caseLines reads how each case ended; a failure is never followed by an ok of the same case.
func caseLines(out string) map[string]string {
	ended := map[string]string{}
	for _, m := range caseLine.FindAllStringSubmatch(out, -1) {
		if before := ended[m[1]]; before == "" || before == "ok" {
			ended[m[1]] = m[2]
		}
	}
	return ended
}
