//go:build linux

package wire

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// binary is the greengate that was built for this run.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	// Stories wait more than they compute: more of them than there are processors may run.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("9"); err != nil {
			panic(err)
		}
	}
	dir, err := os.MkdirTemp("", "ggwire")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "greengate")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary, "greengate/cmd/greengate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("build: %v\n%s", err, out))
	}
	m.Run()
}

// installation is a running greengate.
type installation struct {
	url, data string
}

// installations counts those of this process: the number makes the network of its load balancers.
var installations atomic.Int32

// network is where the load balancers of the next installation get their addresses, apart from those of other processes.
func network() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.0/24", 32+pid%32, (pid/32%16)*16+int(installations.Add(1))%16)
}

// start runs an installation of its own until the test ends.
func start(t *testing.T, flags ...string) *installation {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "python3", "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("python3 with boto3 is not installed: %v: %s", err, out)
	}
	if err := canListen(); err != nil {
		t.Skipf("needs root, or the right to listen on port 80 of loopback addresses as load balancers do: %v", err)
	}
	data, err := os.MkdirTemp("", "gg") //nolint:usetesting // short: unix sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, append([]string{"serve", "--ephemeral", "--data", data, "--listen", "127.0.0.1:0", "--load-balancers", network()}, flags...)...)
	log := &bytes.Buffer{}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("serve ended with %v:\n%s", err, log)
		}
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(data, "logs", "controller.log"))
			t.Logf("end of controller.log:\n%s", text[max(0, len(text)-8000):])
		}
		_ = os.RemoveAll(data)
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no ready line: %v\n%s", err, log)
	}
	_, rest, _ := strings.Cut(line, "serving ")
	url, _, _ := strings.Cut(rest, " ")
	return &installation{url: url, data: data}
}

func canListen() error {
	l, err := net.Listen("tcp", "127.77.255.254:80")
	if err != nil {
		return err
	}
	return l.Close()
}

// python runs a script against the installation and returns what it printed.
func (i *installation) python(t *testing.T, args ...string) string {
	t.Helper()
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return i.run(t, dir, "python3", args...)
}

// run runs a client's program in a folder and returns what it printed.
func (i *installation) run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+i.url, "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(i.data, "credentials"),
		"AWS_CONFIG_FILE=/dev/null", "AWS_DEFAULT_REGION=us-east-1", "AWS_REGION=us-east-1", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=",
		"AWS_EC2_METADATA_DISABLED=true", "PYTHONDONTWRITEBYTECODE=1", "FOLDER="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestWalk runs the walk-through of docs/aws.md as it stands there.
func TestWalk(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"aws", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not on PATH: %v", program, err)
		}
	}
	i := start(t, "--minute", "1s")
	script, err := os.ReadFile("testdata/walk.sh")
	if err != nil {
		t.Fatal(err)
	}
	out := i.run(t, t.TempDir(), "bash", "-e", "-c", string(script))
	_, end, ok := strings.Cut(out, "v2\n")
	if !ok || !strings.Contains(end, `"Failed"`) || !strings.Contains(end, "v2\n") || strings.Contains(end, "\nv3\n") ||
		!strings.Contains(end, "the test listener says v3") {
		t.Errorf("the walk-through printed\n%s", out)
	}
}

// TestStories: what a pipeline does with CodeDeploy on ECS, by unmodified clients. A minute of the wire lasts a second.
func TestStories(t *testing.T) {
	t.Parallel()
	i := start(t, "--minute", "1s")
	for _, name := range []string{
		"tutorial", "validation_test", "after_the_switch", "broken_hook", "silent_hook", "ecs_deploy", "revision_in_s3", "waits", "shifts", "bad_revisions", "rules",
		"conflict", "invoke",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i.python(t, "stories.py", name)
		})
	}
}
