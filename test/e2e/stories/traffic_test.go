package stories

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/websocket"
)

func (s *story) http(_ bool, args []string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, args[0], args[1], nil)
	s.must(err)
	res, err := http.DefaultTransport.RoundTrip(req)
	s.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.must(err)
	s.stdout, s.stderr = string(body), ""
	if len(args) > 2 && res.StatusCode != s.number(args[2]) {
		s.Errorf("%s %s: status %d, want %s: %s", args[0], args[1], res.StatusCode, args[2], clip(s.stdout))
	}
	if len(args) > 3 {
		s.match("the body", s.stdout, false, args[3])
	}
}

// load are clients that never stop asking, and what they were answered.
type load struct {
	url    string
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	total    int
	since    map[string]int // by version, since the mark
	failures []string
	failed   int
}

func (s *story) startLoad(_ bool, args []string) {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.load = &load{url: args[0], cancel: cancel, since: map[string]int{}}
	kept, fresh := &http.Transport{}, &http.Transport{DisableKeepAlives: true}
	for _, c := range []struct {
		transport *http.Transport
		method    string
	}{{kept, http.MethodGet}, {kept, http.MethodPost}, {fresh, http.MethodGet}, {fresh, http.MethodPost}} {
		s.load.wg.Go(func() { s.load.ask(ctx, c.transport, c.method) })
	}
	s.load.await(s, 20)
}

func (l *load) ask(ctx context.Context, transport *http.Transport, method string) {
	defer transport.CloseIdleConnections()
	// As fast as this the data plane is asked all the time, and many stories share a small machine.
	tick := time.NewTicker(4 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		version, err := l.once(context.WithoutCancel(ctx), transport, method)
		l.mu.Lock()
		l.total++
		l.since[version]++
		if err != nil {
			if l.failed++; len(l.failures) < 5 {
				l.failures = append(l.failures, time.Now().Format("15:04:05.000 ")+method+" "+err.Error())
			}
		}
		l.mu.Unlock()
	}
}

func (l *load) once(ctx context.Context, transport *http.Transport, method string) (string, error) {
	// A request is always answered to its end: one that the test cuts off is no failure of anybody else.
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("an order")
	}
	req, err := http.NewRequestWithContext(ctx, method, l.url, body)
	if err != nil {
		return "", err
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return res.Header.Get("X-Version"), fmt.Errorf("%s: %s", res.Status, text)
	}
	return res.Header.Get("X-Version"), nil
}

func (l *load) mark() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = map[string]int{}
}

func (l *load) answered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

func (l *load) await(s *story, more int) {
	s.Helper()
	begin := l.answered()
	s.until(fmt.Sprintf("%d requests are answered", more), func() bool { return l.answered() >= begin+more })
}

func (s *story) share(_ bool, args []string) {
	s.Helper()
	s.load.mu.Lock()
	defer s.load.mu.Unlock()
	all := 0
	for _, n := range s.load.since {
		all += n
	}
	if all == 0 {
		s.Fatal("no request since the mark")
	}
	got := 100 * float64(s.load.since[args[0]]) / float64(all)
	if got < float64(s.number(args[1])) || got > float64(s.number(args[2])) {
		s.Errorf("%s answered %.1f%%, want %s to %s: %v", args[0], got, args[1], args[2], s.load.since)
	}
}

func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
}

// endLoad stops the load. An argument is how many requests may have failed.
func (s *story) endLoad(_ bool, args []string) {
	s.Helper()
	most := 0
	if len(args) > 0 {
		most = s.number(args[0])
	}
	l := s.load
	l.stop()
	s.load = nil
	s.Logf("load: %d requests, %d failed, %v", l.total, l.failed, l.since)
	if l.failed > most {
		s.Errorf("%d of %d requests failed: %s", l.failed, l.total, strings.Join(l.failures, "; "))
	}
}

// awaitEnd reads until the connection has ended.
func (s *story) awaitEnd(_ bool, args []string) {
	s.Helper()
	c := s.sockets[args[0]].conn
	s.must(c.SetDeadline(time.Now().Add(patience)))
	var text string
	var timeout net.Error
	if err := websocket.Message.Receive(c, &text); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		s.Errorf("the connection goes on: %q, %v", text, err)
	}
}

// disturb ends a load some of whose requests may fail, but some, and not all, have to.
func (s *story) disturb(bool, []string) {
	s.Helper()
	l := s.load
	l.stop()
	s.load = nil
	s.Logf("load: %d requests, %d failed", l.total, l.failed)
	if l.failed == 0 || l.failed == l.total {
		s.Errorf("%d of %d requests failed", l.failed, l.total)
	}
}

// socket is an open WebSocket.
type socket struct{ conn *websocket.Conn }

func (s *story) websocket(_ bool, args []string) {
	s.Helper()
	config, err := websocket.NewConfig("ws://"+args[1], "http://"+args[1])
	s.must(err)
	config.Dialer = &net.Dialer{Timeout: patience}
	conn, err := config.DialContext(s.Context())
	s.must(err)
	s.sockets[args[0]] = &socket{conn}
}

// say sends a text; the answer must match, or with ! there must be none, since the connection has ended.
func (s *story) say(not bool, args []string) {
	s.Helper()
	c := s.sockets[args[0]].conn
	s.must(c.SetDeadline(time.Now().Add(patience)))
	var answer string
	err := websocket.Message.Send(c, args[1])
	if err == nil {
		err = websocket.Message.Receive(c, &answer)
	}
	if not {
		if err == nil {
			s.Errorf("the connection still answers %q", answer)
		}
		return
	}
	s.must(err)
	s.match("the answer", answer, false, args[2])
}

func (s *story) closeSocket(_ bool, args []string) {
	s.Helper()
	s.must(s.sockets[args[0]].conn.Close())
	delete(s.sockets, args[0])
}
