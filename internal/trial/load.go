package trial

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// answerLimit bounds one request of the load.
const answerLimit = 10 * time.Second

// Requests counts what a load has sent. A request failed when it got no whole answer, or one that its judge refused.
type Requests struct {
	Total  int64 `json:"total"`
	Failed int64 `json:"failed"`
	// Versions counts answers by the version that gave them.
	Versions map[string]int64 `json:"versions,omitempty"`
	// Errors are the first few failures.
	Errors []string `json:"errors,omitempty"`
}

// Shot is one request that a load repeats.
type Shot struct {
	Method, Path, Body string
	// Judge says which version answered (empty where that is not known), or why the answer counts as a failure.
	Judge func(status int, body string) (version string, err error)
}

// Pace is how steady a load is: so many workers send requests one after the other, each paused between two, which leaves
// a small machine room for everything else.
type Pace struct {
	Workers int
	Pause   time.Duration
}

// Load sends requests, on kept and on new connections, until it is stopped.
type Load struct {
	base   string
	shots  []Shot
	pause  time.Duration
	total  atomic.Int64
	failed atomic.Int64
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	versions map[string]int64
	errors   []string
}

// StartLoad begins to send the shots in turn to the URL base.
func StartLoad(ctx context.Context, base string, pace Pace, shots ...Shot) *Load {
	ctx, cancel := context.WithCancel(ctx)
	l := &Load{base: base, shots: shots, pause: pace.Pause, cancel: cancel, versions: map[string]int64{}}
	for i := range pace.Workers {
		l.wg.Go(func() { l.work(ctx, i) })
	}
	return l
}

// Stop ends the load; requests under way are finished first, so that none is cut by the load itself.
func (l *Load) Stop() Requests {
	l.cancel()
	l.wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return Requests{Total: l.total.Load(), Failed: l.failed.Load(), Versions: l.versions, Errors: l.errors}
}

// Counted are the requests that have ended so far, and those of them that failed.
func (l *Load) Counted() (total, failed int64) { return l.total.Load(), l.failed.Load() }

func (l *Load) work(ctx context.Context, worker int) {
	transport := &http.Transport{DisableKeepAlives: worker%4 == 3}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport: transport, Timeout: answerLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for n := worker; ctx.Err() == nil; n++ {
		version, err := l.send(context.WithoutCancel(ctx), client, l.shots[n%len(l.shots)])
		l.count(version, err)
		select {
		case <-ctx.Done():
		case <-time.After(l.pause):
		}
	}
}

func (l *Load) count(version string, err error) {
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

func (l *Load) send(ctx context.Context, client *http.Client, s Shot) (string, error) {
	req, err := http.NewRequestWithContext(ctx, s.Method, l.base+s.Path, strings.NewReader(s.Body))
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
		return "", fmt.Errorf("%s %s: read answer: %w", s.Method, s.Path, err)
	}
	version, err := s.Judge(res.StatusCode, string(data))
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", s.Method, s.Path, err)
	}
	return version, nil
}
