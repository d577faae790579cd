package proxy

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// childDir is set for a test binary that is to be a data plane. Descriptor 3 is its control socket, 4 the
// listening socket that was kept for it, if there is one.
const childDir = "GREENGATE_TEST_PROXY_DIR"

const keptAddress = "127.0.0.1:0"

func childMain(dir string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	control, err := net.FileListener(os.NewFile(3, "control"))
	if err != nil {
		log.Error("no control socket", "error", err)
		return 1
	}
	inherited := map[string]net.Listener{}
	if l, err := net.FileListener(os.NewFile(4, "kept")); err == nil {
		inherited[inheritedKey(keptAddress)] = l
	}
	s, err := New(Config{Dir: dir, Control: control, Inherited: inherited, Logger: log, Grace: 2 * time.Second})
	if err != nil {
		log.Error("not started", "error", err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	_, _ = io.WriteString(os.Stdout, "ready\n")
	if err := s.Run(ctx); err != nil {
		log.Error("ended", "error", err)
		return 1
	}
	return 0
}

// child runs a data plane as a process.
type child struct {
	cmd *exec.Cmd
}

func startChild(t *testing.T, dir string, files ...*os.File) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.ExtraFiles, cmd.Stderr = files, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
	return &child{cmd: cmd}
}

// TestKilledProcess: SIGKILL with requests in flight; the restarted one has the table, no connect was refused meanwhile, and what
// was in flight is counted as cut, once.
func TestKilledProcess(t *testing.T) {
	dir := shortDir(t)
	control, path := controlSocket(t, dir)
	defer control.Close()
	kept, err := net.Listen("tcp", keptAddress)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	controlFile, _ := control.(*net.UnixListener).File()
	keptFile, _ := kept.(*net.TCPListener).File()
	defer controlFile.Close()
	defer keptFile.Close()
	addr := kept.Addr().String()

	var hang atomic.Bool
	release, arrived := make(chan struct{}), make(chan struct{}, 16)
	blue := groupOf("blue", backend(t, func(w http.ResponseWriter, r *http.Request) {
		if hang.Load() {
			arrived <- struct{}{}
			<-release
		}
		_, _ = io.WriteString(w, "here")
	}))
	defer close(release)
	data := filepath.Join(dir, "data")
	first := startChild(t, data, controlFile, keptFile)
	client := NewClient(path)
	defer client.Close()
	tab := table(7, to("blue"), blue)
	if _, err := client.Apply(context.Background(), tab); err != nil {
		t.Fatal(err)
	}
	if _, body := dialHTTP(t, addr).get("/"); body != "here" {
		t.Fatalf("got %q", body)
	}
	hang.Store(true)
	const inFlight = 5
	for range inFlight {
		dialHTTP(t, addr).send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		<-arrived
	}
	hang.Store(false)

	var refused, connected atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			c, err := net.DialTimeout("tcp", addr, 5*time.Second)
			if err != nil {
				refused.Add(1)
				continue
			}
			connected.Add(1)
			c.Close()
		}
	})
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Wait()
	waiting := dialHTTP(t, addr) // queues until somebody accepts
	waiting.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	began := time.Now()
	second := startChild(t, data, controlFile, keptFile)
	if _, body := waiting.read("GET"); body != "here" {
		t.Fatalf("got %q", body)
	}
	t.Logf("serving again %v after exec", time.Since(began))
	close(stop)
	wg.Wait()
	if refused.Load() != 0 || connected.Load() == 0 {
		t.Fatalf("%d of %d connects refused", refused.Load(), refused.Load()+connected.Load())
	}
	now, err := client.Table(context.Background())
	if err != nil || !now.equal(tab) {
		t.Fatalf("table %+v, %v", now, err)
	}
	check := func(when string) {
		t.Helper()
		var r LedgerRow
		eventually(t, "ledger at rest "+when, func() bool {
			l, err := ReadLedger(filepath.Join(data, "ledger", "l.ledger"))
			if err != nil {
				t.Fatal(err)
			}
			r = l.Row("blue")
			return r.InFlight() == 0
		})
		if r.Cut != inFlight || r.Served != 2 || r.Started != inFlight+2 {
			t.Fatalf("%s: row %+v", when, r)
		}
	}
	check("after the kill")
	if _, err := client.Apply(context.Background(), tab); err != nil {
		t.Fatalf("same table again: %v", err)
	}
	_ = second.cmd.Process.Signal(syscall.SIGTERM)
	if err := second.cmd.Wait(); err != nil {
		t.Fatalf("orderly end: %v", err)
	}
	startChild(t, data, controlFile, keptFile)
	check("after another start")
}

// TestSecondProcessIsRefused: two data planes must not count in the same files.
func TestSecondProcessIsRefused(t *testing.T) {
	p := startPlane(t)
	if s, err := New(Config{Dir: p.dir}); err == nil {
		s.release()
		t.Fatal("the folder was given twice")
	}
}
