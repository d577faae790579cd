//go:build linux

package kill

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	loadWorkers  = 4
	loadPause    = 25 * time.Millisecond
	loadPatience = 30 * time.Second
)

// load sends GET and POST requests, on kept and on new connections. It is a client without any kindness:
// what net/http would silently send again counts as broken here.
type load struct {
	address string
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	gate    sync.RWMutex // held for reading during a request

	mu sync.Mutex
	n  counts
}

// counts are what became of the requests of a load.
type counts struct {
	Total   int64 // that were begun
	OK      int64 // whole answers with a status under 400
	Bad     int64 // whole answers with another status
	Broken  int64 // no whole answer
	Refused int64 // no connection
	Version map[string]int64
	Faults  []string // the first few
}

func startLoad(address string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{address: address, cancel: cancel, n: counts{Version: map[string]int64{}}}
	for i := range loadWorkers {
		l.wg.Go(func() { l.work(ctx, i) })
	}
	return l
}

func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
}

// pause returns when no request is under way; none is begun until resume.
func (l *load) pause()  { l.gate.Lock() }
func (l *load) resume() { l.gate.Unlock() }

func (l *load) counts() counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.n
	c.Version = maps.Clone(c.Version)
	return c
}

// failed is what a client must not see while the data plane lives.
func (c counts) failed() int64 { return c.Bad + c.Broken + c.Refused }

func (l *load) work(ctx context.Context, worker int) {
	c := client{address: l.address, keep: worker != 0}
	defer c.close()
	tick := time.NewTicker(loadPause)
	defer tick.Stop()
	for n := worker; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.gate.RLock()
		body, err := c.send(request(n, c.keep, l.address))
		l.count(body, err)
		l.gate.RUnlock()
	}
}

func request(n int, keep bool, host string) string {
	connection := ""
	if !keep {
		connection = "Connection: close\r\n"
	}
	if n%2 == 0 {
		return "GET /version HTTP/1.1\r\nHost: " + host + "\r\n" + connection + "\r\n"
	}
	return "POST /orders HTTP/1.1\r\nHost: " + host + "\r\n" + connection + "Content-Length: 14\r\n\r\n{\"quantity\":1}"
}

func (l *load) count(body string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n.Total++
	var status statusError
	switch {
	case err == nil:
		l.n.OK++
		l.n.Version[body]++
		return
	case errors.As(err, &status):
		l.n.Bad++
	case errors.Is(err, errRefused):
		l.n.Refused++
	default:
		l.n.Broken++
	}
	if len(l.n.Faults) < 5 {
		l.n.Faults = append(l.n.Faults, time.Now().Format("15:04:05.000 ")+err.Error())
	}
}

var errRefused = errors.New("no connection")

type statusError struct{ status, body string }

func (e statusError) Error() string { return "status " + e.status + ": " + e.body }

// client sends one request after the other.
type client struct {
	address string
	keep    bool
	conn    net.Conn
	read    *bufio.Reader
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// send returns the body of the answer.
func (c *client) send(request string) (string, error) {
	reused := c.conn != nil
	if err := c.connect(); err != nil {
		return "", err
	}
	body, err := c.exchange(request)
	var status statusError
	if !c.keep || err != nil && !errors.As(err, &status) {
		c.close()
	}
	if err != nil {
		return "", fmt.Errorf("connection reused %t: %w", reused, err)
	}
	return body, nil
}

func (c *client) connect() error {
	if c.conn != nil {
		return nil
	}
	// A connect that waits is fine while the data plane is away; one that is refused is not.
	conn, err := (&net.Dialer{Timeout: loadPatience}).Dial("tcp", c.address)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	c.conn, c.read = conn, bufio.NewReader(conn)
	return nil
}

func (c *client) exchange(request string) (string, error) {
	if err := c.conn.SetDeadline(time.Now().Add(loadPatience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c.conn, request); err != nil {
		return "", fmt.Errorf("write request: %w", err)
	}
	res, err := http.ReadResponse(c.read, nil)
	if err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "", fmt.Errorf("read body: %w", err)
	}
	if res.Close {
		c.close()
	}
	if res.StatusCode >= http.StatusBadRequest {
		return "", statusError{res.Status, string(body)}
	}
	return string(body), nil
}
