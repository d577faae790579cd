// Package readme runs the commands that the README prints, so that its tour stays true.
package readme

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// step is one command of the tour with what it is said to print and to exit with.
type step struct {
	command string
	output  []string
	exit    string
}

// tour reads the console blocks of a document: "$ command", then what it prints. A comment
// "# exits with N" gives the exit code, a line with "…" stands for any output.
func tour(t *testing.T, file string) []step {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	inside := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside || line == "":
		case strings.HasPrefix(line, "$ "):
			command, comment, _ := strings.Cut(strings.TrimPrefix(line, "$ "), " # ")
			s := step{command: strings.TrimSpace(command), exit: "0"}
			if code, ok := strings.CutPrefix(strings.TrimSpace(comment), "exits with "); ok {
				s.exit = code
			}
			steps = append(steps, s)
		default:
			last := &steps[len(steps)-1]
			last.output = append(last.output, line)
		}
	}
	return steps
}

// script makes a shell script of the tour that stops at the first thing that is not as printed.
func script(steps []step) string {
	var b strings.Builder
	b.WriteString(`ip link set lo up
trap 'greengate down >/dev/null 2>&1 || true' EXIT
fail() { echo "README: $1"; echo "--- it printed:"; cat out; exit 1; }
`)
	for _, s := range steps {
		fmt.Fprintf(&b, "echo '$ '%s\n", quote(s.command))
		switch {
		case s.command == "make build": // was done before
			continue
		case strings.HasSuffix(s.command, "&"):
			fmt.Fprintf(&b, "%s >serve.out 2>serve.err &\n", strings.TrimSpace(strings.TrimSuffix(s.command, "&")))
			b.WriteString("for i in $(seq 200); do grep -q 'greengate: serving' serve.out && break; sleep 0.05; done\n")
			b.WriteString("grep -q 'greengate: serving' serve.out || { cat serve.err; exit 1; }\n")
			continue
		case strings.HasPrefix(s.command, "cd "), strings.HasPrefix(s.command, "export "), strings.HasPrefix(s.command, "eval "):
			fmt.Fprintf(&b, "%s || exit 1\n", s.command)
			continue
		}
		fmt.Fprintf(&b, "{ %s; } >out 2>&1; code=$?; cat out\n", s.command)
		fmt.Fprintf(&b, "[ $code = %s ] || fail %s\n", s.exit, quote(s.command+": exit code is not "+s.exit))
		for _, want := range s.output {
			if !strings.Contains(want, "…") {
				fmt.Fprintf(&b, "grep -qxF %s out || fail %s\n", quote(want), quote(s.command+": does not print "+want))
			}
		}
	}
	return b.String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func TestTour(t *testing.T) {
	for _, tool := range []string{"unshare", "ip", "bash", "curl", "python3", "aws"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the tour needs %s: %v", tool, err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("the tour uses the README's fixed ports, so it runs in a network namespace of its own, which needs root")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ggr") //nolint:usetesting // the paths of unix sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join(root, "examples"))); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "bin", "greengate"), "greengate/cmd/greengate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	steps := tour(t, filepath.Join(root, "README.md"))
	if len(steps) < 15 {
		t.Fatalf("the README has only %d commands; is it read right?", len(steps))
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--net", "bash", "-s")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(script(steps))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("the tour: %v\n%s", err, out.String())
	}
	t.Log(out.String())
}
