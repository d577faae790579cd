package l7_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
	"greengate/internal/proxy"
	"greengate/internal/traffic/l7"
	"greengate/internal/traffic/traffictest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a data plane over its control socket, the resources, and two task sets that answer.
type site struct {
	t      *testing.T
	dir    string
	store  cloudtest.Memory
	cloud  *cloud.Cloud
	client *proxy.Client
	router *l7.Router
	http   *http.Client
	down   func()
	fails  map[string]*atomic.Bool
	mu     sync.Mutex
	bound  map[bool]string
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "gg") //nolint:usetesting // short: a unix socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &site{
		t: t, dir: dir, client: proxy.NewClient(filepath.Join(dir, "c.sock")), bound: map[bool]string{},
		fails: map[string]*atomic.Bool{"blue": {}, "green": {}},
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	s.http = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	if s.cloud, err = cloud.Open(t.Context(), &s.store); err != nil {
		t.Fatal(err)
	}
	s.router = l7.New(s.cloud, s.client, slog.New(slog.DiscardHandler))
	s.start()
	t.Cleanup(func() { transport.CloseIdleConnections(); s.down() })
	spec := deploy.Service{Name: "shop", Production: "127.0.0.1:0", Test: "127.0.0.2:0"}
	if _, err := s.cloud.Apply(t.Context(), spec, time.Now()); err != nil {
		t.Fatal(err)
	}
	for id := range s.fails {
		s.backend(id)
	}
	if err := s.router.Sync(t.Context(), s.cloud.State().Revision); err != nil {
		t.Fatal(err)
	}
	return s
}

// start begins a data plane's life.
func (s *site) start() {
	s.t.Helper()
	path := filepath.Join(s.dir, "c.sock")
	_ = os.Remove(path)
	control, err := net.Listen("unix", path)
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := proxy.New(proxy.Config{Dir: filepath.Join(s.dir, "proxy"), Control: control, Grace: 100 * time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	s.down = func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("run: %v", err)
		}
		s.client.Close()
	}
}

// backend is a task set of one task. The path /hold lasts until the request's body ends; /stream is an
// event stream that lasts as long.
func (s *site) backend(id string) {
	fails := s.fails[id]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Set", id)
		switch {
		case fails.Load():
			w.WriteHeader(http.StatusInternalServerError)
		case r.URL.Path == "/hold", r.URL.Path == "/stream":
			hold(w, r)
		default:
			fmt.Fprint(w, id)
		}
	}))
	s.t.Cleanup(srv.Close)
	ts := deploy.TaskSet{ID: id, Service: "shop", Tasks: 1}
	if err := s.cloud.Ensure(s.t.Context(), ts, time.Now()); err != nil {
		s.t.Fatal(err)
	}
	target := []cloud.Target{{ID: id + "/0", Address: strings.TrimPrefix(srv.URL, "http://")}}
	if err := s.cloud.SetTargets(s.t.Context(), id, target); err != nil {
		s.t.Fatal(err)
	}
}

// hold answers in parts: a length for a request, so that it is none of the streams.
func hold(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	_ = rc.EnableFullDuplex()
	if r.URL.Path == "/stream" {
		w.Header().Set("Content-Type", "text/event-stream")
	} else {
		w.Header().Set("Content-Length", "2")
	}
	_, _ = w.Write([]byte("a"))
	_ = rc.Flush()
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = w.Write([]byte("z"))
}

// url is where a listener of the service is bound.
func (s *site) url(test bool) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound[test] != "" {
		return s.bound[test]
	}
	role := cloud.RoleProduction
	if test {
		role = cloud.RoleTest
	}
	st, err := s.client.Status(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, l := range st.Listeners {
		if l.Name == (cloud.Listener{Service: "shop", Role: role}).Name() {
			s.bound[test] = "http://" + l.Bound
			return s.bound[test]
		}
	}
	s.t.Fatalf("no %s listener in %+v", role, st.Listeners)
	return ""
}

func (s *site) get(_ *testing.T, test bool) (string, int) {
	res, err := s.http.Get(s.url(test))
	if err != nil {
		s.t.Errorf("get: %v", err)
		return "", 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.Header.Get("X-Set"), res.StatusCode
}

// hold begins a request whose end the caller decides.
func (s *site) hold(t *testing.T, stream bool) (string, func() bool) {
	t.Helper()
	path := "/hold"
	if stream {
		path = "/stream"
	}
	body, end := io.Pipe()
	res, err := s.http.Post(s.url(false)+path, "text/plain", body) //nolint:bodyclose // by the answer
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(res.Body)
	if b, err := in.ReadByte(); b != 'a' || err != nil {
		t.Fatalf("first byte %q, %v", b, err)
	}
	return res.Header.Get("X-Set"), func() bool {
		_ = end.Close()
		b, err := in.ReadByte()
		_ = res.Body.Close()
		return err != nil || b != 'z'
	}
}

func TestRouter(t *testing.T) {
	t.Parallel()
	traffictest.Exercise(t, func(t *testing.T) traffictest.Harness {
		t.Helper()
		s := newSite(t)
		return traffictest.Harness{
			Router: s.router, Service: "shop", Blue: "blue", Green: "green", Get: s.get, Hold: s.hold,
			Edit: func(t *testing.T, weights []deploy.RouteWeight) {
				t.Helper()
				if err := s.cloud.Edit(t.Context(), "shop/production", weights); err != nil {
					t.Fatal(err)
				}
				if err := s.router.Sync(t.Context(), s.cloud.State().Revision); err != nil {
					t.Fatal(err)
				}
			},
			Fail: func(_ *testing.T, set string) { s.fails[set].Store(true) },
		}
	})
}

func (s *site) shift(set string) {
	s.t.Helper()
	r := deploy.Route{Service: "shop", Production: []deploy.RouteWeight{{TaskSet: set, Weight: 100}}, Test: set, Ledger: "d-1"}
	if err := s.router.Shift(s.t.Context(), r); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) run() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.router.Run(ctx); err != nil {
			s.t.Error(err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

func (s *site) eventually(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not seen in time: %s", what)
		}
	}
}

// TestRouter_followsTargets: what changes between deployments reaches the data plane by itself.
func TestRouter_followsTargets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	defer s.run()()
	s.shift("blue")
	targets := s.cloud.State().TaskSets["blue"].Targets
	targets = []cloud.Target{{ID: targets[0].ID, Address: targets[0].Address, Down: true}}
	if err := s.cloud.SetTargets(t.Context(), "blue", targets); err != nil {
		t.Fatal(err)
	}
	s.eventually("a set without healthy tasks answers 503", func() bool {
		_, status := s.get(t, false)
		return status == http.StatusServiceUnavailable
	})
}

// TestRouter_dataPlaneAway: without a data plane nothing is confirmed, and a shift that was not
// confirmed is made when it is back.
func TestRouter_dataPlaneAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.shift("blue")
	s.down()
	green := deploy.Route{Service: "shop", Production: []deploy.RouteWeight{{TaskSet: "green", Weight: 100}}}
	_, drained := s.router.Drain(t.Context(), "blue", time.Second)
	_, counted := s.router.Ledger(t.Context(), "d-1", "blue")
	for name, err := range map[string]error{"shift": s.router.Shift(t.Context(), green), "drain": drained, "ledger": counted} {
		if err == nil || errors.Is(err, deploy.ErrPermanent) || errors.Is(err, deploy.ErrConflict) {
			t.Errorf("%s without a data plane: %v, want a passing fault", name, err)
		}
	}
	s.start()
	s.bound = map[bool]string{}
	if set, _ := s.get(t, false); set != "blue" {
		t.Errorf("the data plane came back with %q, want its last table", set)
	}
	if err := s.router.Shift(t.Context(), green); err != nil {
		t.Fatal(err)
	}
	if set, _ := s.get(t, false); set != "green" {
		t.Errorf("after the shift %q answers", set)
	}
}

// TestRouter_lostTable: a data plane that has lost its table gets it again, though nothing changed.
func TestRouter_lostTable(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	defer s.run()()
	s.shift("blue")
	s.down()
	if err := os.RemoveAll(filepath.Join(s.dir, "proxy")); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.eventually("the table is back", func() bool {
		table, err := s.client.Table(t.Context())
		return err == nil && table.Version >= s.cloud.State().Revision
	})
	s.bound = map[bool]string{}
	if set, status := s.get(t, false); set != "blue" || status != http.StatusOK {
		t.Errorf("answered by %q with %d", set, status)
	}
}

// TestRouter_laterTable: the resources come from a backup, the data plane has seen more.
func TestRouter_laterTable(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.shift("blue")
	table, err := s.client.Table(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table.Version += 1000
	if _, err := s.client.Apply(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	s.shift("green")
	if set, _ := s.get(t, false); set != "green" {
		t.Errorf("after the shift %q answers", set)
	}
	if r := s.cloud.State().Revision; r <= table.Version {
		t.Errorf("revision %d, want more than %d", r, table.Version)
	}
}

// TestRouter_portInUse: the fault names the address and harms only its own service, until the address
// is free.
func TestRouter_portInUse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	s.shift("blue")
	spec := deploy.Service{Name: "other", Production: busy.Addr().String()}
	if _, err := s.cloud.Apply(t.Context(), spec, time.Now()); err != nil {
		t.Fatal(err)
	}
	var listen *proxy.ListenError
	if err := s.router.Sync(t.Context(), s.cloud.State().Revision); !errors.As(err, &listen) {
		t.Errorf("sync with a port in use: %v", err)
	}
	other := deploy.Route{Service: "other", Production: []deploy.RouteWeight{{TaskSet: "green", Weight: 100}}}
	for range 2 {
		if err := s.router.Shift(t.Context(), other); !errors.As(err, &listen) || !strings.Contains(err.Error(), busy.Addr().String()) {
			t.Errorf("shift onto a port in use: %v", err)
		}
		for _, set := range []string{"green", "blue"} {
			s.shift(set)
			if got, _ := s.get(t, false); got != set {
				t.Errorf("the other service is answered by %q, want %q", got, set)
			}
		}
	}
	_ = busy.Close()
	if err := s.router.Shift(t.Context(), other); err != nil {
		t.Fatalf("shift onto an address that is free by now: %v", err)
	}
	res, err := s.http.Get("http://" + busy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if set := res.Header.Get("X-Set"); set != "green" {
		t.Errorf("answered by %q", set)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.shift("blue")
	for range 5 {
		s.get(t, false)
	}
	var rows []deploy.LedgerVersion
	s.eventually("five requests of blue in the ledger", func() bool {
		var err error
		rows, err = s.router.Versions(t.Context(), "d-1", func(set string) string { return "version of " + set })
		for _, r := range rows {
			if r.TaskSet == "blue" && r.Version == "version of blue" && r.Requests == 5 && r.Served == 5 && r.P50 > 0 {
				return true
			}
		}
		return err != nil
	})
	if rows, err := s.router.Versions(t.Context(), "nothing", nil); err != nil || len(rows) != 0 {
		t.Errorf("an unknown ledger: %v %v", rows, err)
	}
}
