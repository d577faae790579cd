package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	// wireAlone is how many requests the median is of, one after the other on one connection.
	wireAlone = 2000
	// wireCallers and wireSpan say how the throughput is measured: so many connections for so long.
	wireCallers = 8
	wireSpan    = 3 * time.Second
)

// BenchmarkWire measures GetDeployment and DescribeServices as boto3 sends them, at our server and at moto_server on the
// same machine in the same run: the same bytes by the same client, which speaks HTTP over a bare socket to leave the
// processors to the servers. The bars are a median under 1 ms, and 20 times the requests per second of moto_server.
func BenchmarkWire(b *testing.B) {
	in := newInstallation(b)
	endpoint, err := os.ReadFile(filepath.Join(in.data, "endpoint"))
	if err != nil {
		b.Fatal(err)
	}
	ours := in.requests(b, strings.TrimSpace(string(endpoint)), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(in.data, "credentials"))
	theirs := in.requests(b, startMoto(b), "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret")
	for i, r := range ours {
		b.Run(r.Operation, func(b *testing.B) {
			for b.Loop() {
				rate, moto := r.rate(b), theirs[i].rate(b)
				b.ReportMetric(r.median(b), "ms-median")
				b.ReportMetric(theirs[i].median(b), "ms-median-moto")
				b.ReportMetric(rate, "req/s")
				b.ReportMetric(moto, "req/s-moto")
				b.ReportMetric(rate/moto, "times-moto")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// startMoto runs a moto_server and returns its address.
func startMoto(tb testing.TB) string {
	tb.Helper()
	program, err := exec.LookPath("moto_server")
	if err != nil {
		tb.Skipf("moto_server is not installed, there is nothing to compare with: %v", err)
	}
	address := freeAddress(tb)
	host, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(tb.Context(), program, "-H", host, "-p", port)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // killed
	})
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return "http://" + address
		}
	}
	tb.Fatal("moto_server does not listen")
	return ""
}

// signed is a request as boto3 sent it.
type signed struct {
	Operation string
	Headers   map[string]string
	Body      string
	address   string
}

// requests makes a service and a deployment at an endpoint and returns the requests that ask for them.
func (in *installation) requests(tb testing.TB, endpoint string, env ...string) []signed {
	tb.Helper()
	if out, err := exec.CommandContext(tb.Context(), "python3", "-c", "import boto3").CombinedOutput(); err != nil {
		tb.Skipf("python3 with boto3 is not installed: %v: %s", err, out)
	}
	_, port, _ := net.SplitHostPort(in.production)
	cmd := exec.CommandContext(tb.Context(), "python3", "testdata/requests.py", endpoint, port)
	cmd.Env = append(append(os.Environ(), "AWS_CONFIG_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "PYTHONDONTWRITEBYTECODE=1"), env...)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("requests of %s: %v\n%s", endpoint, err, problem.String())
	}
	var list []signed
	for line := range strings.Lines(string(out)) {
		r := signed{address: strings.TrimPrefix(endpoint, "http://")}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			tb.Fatalf("decode %q: %v", line, err)
		}
		list = append(list, r)
	}
	return list
}

// wireConn is a connection on which the same request is sent again and again.
type wireConn struct {
	text    []byte
	address string
	conn    net.Conn
	in      *bufio.Reader
}

func (r signed) open() *wireConn {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST / HTTP/1.1\r\nHost: %s\r\n", r.address)
	for name, value := range r.Headers {
		if !strings.EqualFold(name, "Content-Length") && !strings.EqualFold(name, "Host") {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(r.Body), r.Body)
	return &wireConn{text: b.Bytes(), address: r.address}
}

// ask sends the request and reads the whole answer. A server may close after each one.
func (c *wireConn) ask() error {
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			return err
		}
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	if _, err := c.conn.Write(c.text); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("answer %s", res.Status)
	}
	if res.Close {
		c.close()
	}
	return nil
}

func (c *wireConn) close() {
	if c.conn != nil {
		_ = c.conn.Close() // it was only read
		c.conn = nil
	}
}

// median is that of requests one after the other, in milliseconds.
func (r signed) median(tb testing.TB) float64 {
	tb.Helper()
	c := r.open()
	defer c.close()
	var took []time.Duration
	for begun := time.Now(); len(took) < wireAlone && time.Since(begun) < 2*wireSpan; {
		start := time.Now()
		if err := c.ask(); err != nil {
			tb.Fatalf("%s: %v", r.Operation, err)
		}
		took = append(took, time.Since(start))
	}
	return median(took)
}

// rate is how many requests a second are answered.
func (r signed) rate(tb testing.TB) float64 {
	tb.Helper()
	var n atomic.Int64
	var all sync.WaitGroup
	failed := make(chan error, wireCallers)
	start := time.Now()
	for range wireCallers {
		all.Go(func() {
			c := r.open()
			defer c.close()
			for time.Since(start) < wireSpan {
				if err := c.ask(); err != nil {
					failed <- err
					return
				}
				n.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	select {
	case err := <-failed:
		tb.Fatalf("%s: %v", r.Operation, err)
	default:
	}
	return float64(n.Load()) / took.Seconds()
}
