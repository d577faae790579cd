package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/store"
)

const (
	storedDeployments = 500
	openPages         = 50
)

// stock fills a data folder with deployments that have ended, each with verdicts and checks.
func stock(b *testing.B, dir string) {
	b.Helper()
	db, err := store.Open(b.Context(), store.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now().Add(-storedDeployments * time.Minute).UTC()
	for i := range storedDeployments {
		at := begin.Add(time.Duration(i) * time.Minute)
		set := func(v int) deploy.TaskSet {
			return deploy.TaskSet{ID: fmt.Sprintf("shop-%d", v), Service: "shop", Tasks: 2, Revision: deploy.Revision{Version: fmt.Sprintf("v%d", v), Digest: strings.Repeat("0f", 32)}}
		}
		d := deploy.Create(deploy.New{
			ID: fmt.Sprintf("d-%09d", i), RollbackID: "d-NONE", Creator: "user", StartedBy: "arn:aws:iam::000000000000:root", At: at,
			Plan: deploy.Plan{Service: "shop", Application: "shop", Group: "shop", TestListener: true, Limits: deploy.DefaultLimits()}, Blue: set(i), Green: set(i + 1),
		})
		d.Phase, d.Status, d.CompletedAt, d.Weights = deploy.PhaseSucceeded, deploy.StatusSucceeded, at.Add(40*time.Second), deploy.Weights{Green: 100}
		for n := range 3 {
			v := deploy.Verdict{Hook: fmt.Sprintf("hook%d", n), Kind: deploy.HookCommand, Event: "AfterAllowTestTraffic", Attempt: 1, Status: deploy.VerdictPass, Start: at, End: at.Add(time.Second)}
			for c := range 20 {
				v.Checks = append(v.Checks, deploy.Check{Name: fmt.Sprintf("check %d", c), Status: deploy.VerdictPass, Expected: "200", Actual: "200", Duration: time.Millisecond, Evidence: strings.Repeat("GET / HTTP/1.1\n", 10)})
			}
			d.Verdicts = append(d.Verdicts, v)
		}
		if err := db.Create(b.Context(), d, deploy.Event{Kind: deploy.EventStart, At: at}); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkConsole: the list of 500 deployments and the page of one, while 50 pages follow.
func BenchmarkConsole(b *testing.B) {
	dir, err := os.MkdirTemp("", "ggb") //nolint:usetesting // the paths of unix sockets are short
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	binary, data := filepath.Join(dir, "greengate"), filepath.Join(dir, "data")
	build := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "greengate/cmd/greengate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	stock(b, data)
	base := serveConsole(b, binary, data)
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	link, err := exec.CommandContext(b.Context(), binary, "console", "--data", data).Output()
	if err != nil {
		b.Fatal(err)
	}
	_, key, _ := strings.Cut(strings.TrimSpace(string(link)), "key=")
	res, err := client.PostForm(base+"/console/link", url.Values{"link": {key}})
	if err != nil || res.StatusCode != http.StatusSeeOther {
		b.Fatalf("sign in: %v %v", res, err)
	}
	_ = res.Body.Close()
	ctx, cancel := context.WithCancel(b.Context())
	var streams sync.WaitGroup
	for n := range openPages {
		page := "/console/deployments?live=1"
		if n%2 == 0 {
			page = fmt.Sprintf("/console/deployments/d-%09d?live=1", n)
		}
		follow(ctx, b, &streams, client, base+page)
	}
	for name, page := range map[string]string{"list": "/console/deployments", "deployment": "/console/deployments/d-000000499"} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				took = append(took, firstByte(b, client, base+page))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-to-first-byte-median")
			b.ReportMetric(memory(b, data), "controller-MiB")
		})
	}
	cancel()
	streams.Wait()
}

func serveConsole(b *testing.B, binary, data string) string {
	b.Helper()
	serve := exec.Command(binary, "serve", "--data", data, "--listen", "127.0.0.1:0", "--ephemeral")
	stdout, err := serve.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
			b.Errorf("stop serve: %v", err)
		}
		if err := serve.Wait(); err != nil {
			b.Errorf("serve ended: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatalf("serve printed %q: %v", line, err)
	}
	_, rest, _ := strings.Cut(line, "serving ")
	base, _, _ := strings.Cut(rest, " ")
	return base
}

// follow opens a stream and reads it until ctx ends; it returns once the first event has come.
func follow(ctx context.Context, b *testing.B, streams *sync.WaitGroup, client *http.Client, address string) {
	b.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		b.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil || res.StatusCode != http.StatusOK {
		b.Fatalf("%s: %v %v", address, res, err)
	}
	reader := bufio.NewReader(res.Body)
	for line := ""; !strings.HasPrefix(line, "id: "); {
		if line, err = reader.ReadString('\n'); err != nil {
			b.Fatal(err)
		}
	}
	streams.Go(func() {
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, reader)
	})
}

func firstByte(b *testing.B, client *http.Client, address string) time.Duration {
	b.Helper()
	begin := time.Now()
	res, err := client.Get(address)
	if err != nil || res.StatusCode != http.StatusOK {
		b.Fatalf("%s: %v %v", address, res, err)
	}
	defer res.Body.Close()
	if _, err := res.Body.Read(make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	took := time.Since(begin)
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		b.Fatal(err)
	}
	return took
}

var peak = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// memory is the most that the controller has had, in MiB.
func memory(b *testing.B, data string) float64 {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(data, "roles", "controller.json"))
	if err != nil {
		b.Fatal(err)
	}
	var role struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal(text, &role); err != nil {
		b.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", role.PID))
	if err != nil {
		b.Fatal(err)
	}
	var kib float64
	if m := peak.FindSubmatch(status); m != nil {
		_, err = fmt.Sscan(string(m[1]), &kib)
	}
	if err != nil || kib == 0 {
		b.Fatalf("the controller's memory is not known: %v", err)
	}
	return kib / 1024
}
