//go:build linux

package console

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds what is awaited; machines may be slow.
const patience = 60 * time.Second

// installation is a greengate serve in a folder of its own, with one service in a file.
type installation struct {
	t                *testing.T
	dir              string
	url              string
	production, test string
}

func start(t *testing.T, env, flags []string) *installation {
	t.Helper()
	dir, err := os.MkdirTemp("", "ggc") //nolint:usetesting // the paths of unix sockets are short
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{t: t, dir: dir, production: free(t), test: free(t)}
	serve := exec.Command(filepath.Join(binDir, "greengate"), append([]string{"serve", "--ephemeral", "--data", i.data(), "--listen", "127.0.0.1:0"}, flags...)...)
	serve.Env = append(append(os.Environ(), "PATH="+binDir+":/usr/local/bin:/usr/bin:/bin"), env...)
	log := &bytes.Buffer{}
	serve.Stderr = log
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = serve.Process.Signal(syscall.SIGTERM)
		if err := serve.Wait(); err != nil {
			t.Errorf("serve ended with %v:\n%s", err, log)
		}
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(i.data(), "logs", "controller.log"))
			t.Logf("end of controller.log:\n%s", text[max(0, len(text)-4000):])
		}
		_ = os.RemoveAll(dir)
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no ready line: %v\n%s", err, log)
	}
	_, rest, _ := strings.Cut(line, "serving ")
	i.url, _, _ = strings.Cut(rest, " ")
	return i
}

func (i *installation) data() string { return filepath.Join(i.dir, "data") }

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// greengate runs a command that must succeed and returns what it printed.
func (i *installation) greengate(args ...string) string {
	i.t.Helper()
	out, err := i.command(args...).Output()
	if err != nil {
		i.t.Fatalf("greengate %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (i *installation) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(i.t.Context(), filepath.Join(binDir, "greengate"), append(args, "--data", i.data())...)
	cmd.Dir = i.dir
	cmd.Stderr = os.Stderr
	return cmd
}

// deploy begins the deployment of a version and returns its id. Its hook waits for the file "go"; its JUnit results are
// those of the file.
func (i *installation) deploy(version, promote, results string) string {
	i.t.Helper()
	_ = os.Remove(filepath.Join(i.dir, "go"))
	i.write("results.xml", results)
	i.write("greengate.yaml", fmt.Sprintf(`name: shop
version: %[1]s
command: [%[2]q]
env: {VERSION: %[1]s}
health: {path: /healthz, interval: 100ms, timeout: 5s, healthy_threshold: 1}
listeners: {production: %[3]q, test: %[4]q}
drain: 1s
bake: 20m
promote: %[5]s
hooks:
  AfterAllowTestTraffic:
    - name: orders
      command: [sh, -c, 'echo placing orders; until test -e go; do sleep 0.05; done; cp results.xml "$GREENGATE_RESULTS"; echo all placed']
      timeout: 5m
smoke:
  - name: smoke
    command: [%[2]q, get, "http://%[3]s/", "^v[12]"]
`, version, filepath.Join(binDir, "shop"), i.production, i.test, promote))
	var out struct{ DeploymentID string }
	if err := json.Unmarshal([]byte(i.greengate("deploy", "--json")), &out); err != nil || out.DeploymentID == "" {
		i.t.Fatalf("deploy printed no id: %v", err)
	}
	return out.DeploymentID
}

func (i *installation) write(name, text string) {
	i.t.Helper()
	if err := os.WriteFile(filepath.Join(i.dir, name), []byte(text), 0o600); err != nil {
		i.t.Fatal(err)
	}
}

// serves waits until an address answers with a version.
func (i *installation) serves(address, version string) {
	i.t.Helper()
	give := time.Now().Add(patience)
	for {
		body := get(address)
		if strings.HasPrefix(body, version) {
			return
		}
		if time.Now().After(give) {
			i.t.Fatalf("%s answers %q, not %s", address, body, version)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func get(address string) string {
	res, err := http.Get("http://" + address + "/")
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// killController kills the controller; the supervisor starts another one.
func (i *installation) killController() {
	i.t.Helper()
	text, err := os.ReadFile(filepath.Join(i.data(), "roles", "controller.json"))
	if err != nil {
		i.t.Fatal(err)
	}
	var role struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal(text, &role); err != nil || role.PID < 2 {
		i.t.Fatalf("the controller's pid is not known: %v", err)
	}
	if err := syscall.Kill(role.PID, syscall.SIGKILL); err != nil {
		i.t.Fatal(err)
	}
}
