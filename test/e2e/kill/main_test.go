//go:build linux

package kill

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var all = flag.Bool("all", false, "kill at every position instead of a fixed choice of them")

// programs are what TestMain has built.
type programs struct {
	dir       string // of everything that this run makes
	greengate string // as it is shipped
	faulty    string // with -tags faultinject
	shop      string // the service under test and its hooks
}

var built programs

// python says why functions cannot be tested; "" where they can.
var python = sync.OnceValue(func() string {
	if out, err := exec.Command("python3", "-c", "import boto3").CombinedOutput(); err != nil {
		return fmt.Sprintf("python3 with boto3 is not installed (pip install boto3), so no function hook can be in flight: %s", out)
	}
	return ""
})

func TestMain(m *testing.M) {
	flag.Parse()
	// Installations mostly wait, so more of them than there are processors go on side by side.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err) // the flag is the testing package's own
	}
	os.Exit(run(m)) //nolint:forbidigo // this is main here
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ggk")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	go clearUp(dir)
	built = programs{
		dir: dir, greengate: filepath.Join(dir, "greengate"), faulty: filepath.Join(dir, "greengate-faulty"), shop: filepath.Join(dir, "shop"),
	}
	for _, args := range [][]string{
		{"-o", built.greengate, "greengate/cmd/greengate"},
		{"-tags", "faultinject", "-o", built.faulty, "greengate/cmd/greengate"},
		{"-o", built.shop, "./testdata/shop"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		cmd := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			fmt.Fprintf(os.Stderr, "go build %v: %v\n%s", args, err, out)
			return 1
		}
	}
	return m.Run()
}

// clearUp ends everything when the run is interrupted: what serve runs goes on without it.
func clearUp(dir string) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	<-told
	for _, pid := range pids() { // every serve first: it would start its roles again
		if args := arguments(pid); len(args) > 1 && args[1] == "serve" && strings.Contains(strings.Join(args, " "), dir) {
			killProcess(pid, started(pid))
		}
	}
	ids, _ := filepath.Glob(filepath.Join(dir, "*", "d", "runner", "installation"))
	for _, id := range ids {
		data, _ := os.ReadFile(id)
		for _, p := range marked(strings.TrimSpace(string(data))) {
			killProcess(p.pid, p.start)
		}
	}
	for _, pid := range pids() {
		if strings.Contains(strings.Join(arguments(pid), " "), dir) && pid != os.Getpid() {
			killProcess(pid, started(pid))
		}
	}
	_ = os.RemoveAll(dir)
	os.Exit(1) //nolint:forbidigo // this is main here
}

// needPython skips a test whose hooks cannot run, and says why.
func needPython(t *testing.T) {
	t.Helper()
	if why := python(); why != "" {
		t.Skip(why)
	}
}

// eventually looks until ok, and fails with what it saw last.
func eventually(t *testing.T, limit time.Duration, what string, look func() (seen string, ok bool)) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		seen, ok := look()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s; seen last: %s", limit, what, seen)
		}
		time.Sleep(50 * time.Millisecond) // between two looks
	}
}
