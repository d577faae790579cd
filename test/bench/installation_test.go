// Package bench measures the whole thing: the real binary with real processes and sockets. Its
// figures are printed, never asserted.
package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// installation is a greengate serve in a folder of its own.
type installation struct {
	tb                     testing.TB
	binary, dir            string
	production, test, data string
}

// newInstallation builds the binary and starts it; everything ends with the benchmark.
func newInstallation(tb testing.TB) *installation {
	tb.Helper()
	dir, err := os.MkdirTemp("", "ggb") //nolint:usetesting // the paths of unix sockets are short
	if err != nil {
		tb.Fatal(err)
	}
	in := &installation{tb: tb, dir: dir, binary: filepath.Join(dir, "greengate"), data: filepath.Join(dir, "data")}
	build := exec.CommandContext(tb.Context(), "go", "build", "-o", in.binary, "greengate/cmd/greengate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build: %v\n%s", err, out)
	}
	in.production, in.test = freeAddress(tb), freeAddress(tb)
	serve := exec.Command(in.binary, "serve", "--data", in.data, "--listen", "127.0.0.1:0", "--ephemeral")
	serve.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := serve.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
			tb.Errorf("stop serve: %v", err)
		}
		if err := serve.Wait(); err != nil {
			tb.Errorf("serve ended: %v", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "greengate: serving") {
		tb.Fatalf("serve printed %q: %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return in
}

func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// deploy deploys a version of the sample shop and returns its deployment id. extra is more YAML.
func (in *installation) deploy(version, extra string, exit int) string {
	in.tb.Helper()
	file := filepath.Join(in.dir, "greengate.yaml")
	text := fmt.Sprintf(`name: shop
version: %[1]s
command: [%[2]q, demo-service]
env: {VERSION: %[1]s, PRODUCTION: %[3]q}
health: {path: /healthz, healthy_threshold: 1}
listeners: {production: %[3]q, test: %[4]q}
drain: 1s
%[5]s
`, version, in.binary, in.production, in.test, extra)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		in.tb.Fatal(err)
	}
	out, err := in.command("deploy", "--file", file, "--wait", "--timeout", "1m").CombinedOutput()
	code := 0
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		code = ended.ExitCode()
	} else if err != nil {
		in.tb.Fatal(err)
	}
	if code != exit {
		in.tb.Fatalf("deploy %s exited with %d instead of %d:\n%s", version, code, exit, out)
	}
	var list struct {
		Deployments []struct{ ID, Kind string }
	}
	in.ask(&list, "history", "shop")
	for _, d := range list.Deployments {
		if d.Kind == "deploy" {
			return d.ID
		}
	}
	in.tb.Fatal("no deployment in the history")
	return ""
}

func (in *installation) command(args ...string) *exec.Cmd {
	return exec.CommandContext(in.tb.Context(), in.binary, append(args, "--data", in.data)...)
}

func (in *installation) ask(into any, args ...string) {
	in.tb.Helper()
	out, err := in.command(append(args, "--json")...).Output()
	if err != nil {
		in.tb.Fatalf("greengate %s: %v", strings.Join(args, " "), err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		in.tb.Fatalf("greengate %s printed %q: %v", strings.Join(args, " "), out, err)
	}
}

// record is one line of a deployment's history.
type record struct {
	At            time.Time
	Kind, Message string
}

// records is the history of a deployment.
func (in *installation) records(deployment string) []record {
	in.tb.Helper()
	out, err := in.command("events", deployment, "--json").Output()
	if err != nil {
		in.tb.Fatalf("greengate events: %v", err)
	}
	var list []record
	for line := range strings.Lines(string(out)) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			in.tb.Fatalf("decode event %q: %v", line, err)
		}
		list = append(list, r)
	}
	return list
}
