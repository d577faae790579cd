package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// loadWorkers send requests one after the other, each paused by loadPause: a steady load that leaves
	// a small machine room for everything else.
	loadWorkers = 8
	loadPause   = 2 * time.Millisecond
)

// Requests counts what the load generator sent. A request failed when it got no whole answer, or
// one with a status of 400 and more.
type Requests struct {
	Total  int64 `json:"total"`
	Failed int64 `json:"failed"`
	// Versions counts answers by the version that gave them.
	Versions map[string]int64 `json:"versions"`
	// Errors are the first few failures.
	Errors []string `json:"errors,omitempty"`
}

// load sends GET and POST requests, on kept and on new connections, until it is stopped.
type load struct {
	base   string
	total  atomic.Int64
	failed atomic.Int64
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	versions map[string]int64
	errors   []string
}

func startLoad(ctx context.Context, base string) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{base: base, cancel: cancel, versions: map[string]int64{}}
	for i := range loadWorkers {
		l.wg.Go(func() { l.work(ctx, i) })
	}
	return l
}

// stop ends the load; requests under way are finished first, so that none is cut by the demo itself.
func (l *load) stop() Requests {
	l.cancel()
	l.wg.Wait()
	return l.counted()
}

func (l *load) counted() Requests {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Requests{Total: l.total.Load(), Failed: l.failed.Load(), Versions: l.versions, Errors: l.errors}
}

func (l *load) work(ctx context.Context, worker int) {
	transport := &http.Transport{DisableKeepAlives: worker%4 == 3}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	for n := 0; ctx.Err() == nil; n++ {
		version, err := l.send(context.WithoutCancel(ctx), client, (worker+n)%2 == 0)
		l.count(version, err)
		select {
		case <-ctx.Done():
		case <-time.After(loadPause):
		}
	}
}

func (l *load) count(version string, err error) {
	l.total.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.versions[version]++
		return
	}
	l.failed.Add(1)
	if len(l.errors) < 10 {
		l.errors = append(l.errors, err.Error())
	}
}

func (l *load) send(ctx context.Context, client *http.Client, get bool) (string, error) {
	method, path, body := http.MethodPost, "/orders", `{"quantity": 1}`
	if get {
		method, path, body = http.MethodGet, "/version", ""
	}
	req, err := http.NewRequestWithContext(ctx, method, l.base+path, strings.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("make request: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return "", fmt.Errorf("%s %s: read answer: %w", method, path, err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return "", fmt.Errorf("%s %s: status %d: %s", method, path, res.StatusCode, data)
	}
	return versionOf(string(data), get)
}

func versionOf(body string, get bool) (string, error) {
	if get {
		return strings.TrimSpace(body), nil
	}
	_, rest, ok := strings.Cut(body, `"version":"`)
	version, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		return "", errors.New("POST /orders: the answer has no version: " + body)
	}
	return version, nil
}
