package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// versioned names a group after the version of the table that routes to it, so that each response tells by which
// table it was routed.
func versioned(v int64, backends [2]string) Table {
	name := fmt.Sprintf("g%d", v)
	t := table(v, to(name), groupOf(name, backends[v%2]))
	t.Groups[0].ConnectTimeout = 15 * time.Second // a machine that stands still for two seconds is no lost request
	t.Listeners[0].Address = "127.0.0.1:0"
	return t
}

// versionedByRule does the same by rules that change with each version; the listener's own action fails.
func versionedByRule(v int64, backends [2]string) Table {
	t := versioned(v, backends)
	l := &t.Listeners[0]
	conditions := [][]Condition{
		{{HostHeader: []string{"127.0.0.*"}}, {PathPattern: []string{"/*/*"}}},
		{{RequestMethod: []string{http.MethodGet, http.MethodPost}}, {SourceIP: []string{"127.0.0.0/8"}}},
		{{HTTPHeader: &HeaderCondition{Name: "User-Agent", Values: []string{"go-http-client/?.?"}}}},
	}
	l.Rules = []Rule{
		{Name: "no", Priority: 1, Conditions: []Condition{{PathPattern: []string{"/no"}}}, Action: Action{Fixed: &Fixed{Status: 500}}},
		{Name: "yes", Priority: 1 + int(v), Conditions: conditions[v%3], Action: l.Action},
	}
	l.Action = Action{Redirect: &Redirect{StatusCode: 302, Path: "/no"}}
	return t
}

// TestSwapUnderLoad: no request fails, and one that was sent after Apply had answered is served by that table or a
// later one. The order is that of the program, not of clocks.
func TestSwapUnderLoad(t *testing.T) {
	t.Run("groups", func(t *testing.T) { swapUnderLoad(t, 50, versioned, newHTTPClient) })
	t.Run("rules", func(t *testing.T) { swapUnderLoad(t, 25, versionedByRule, newHTTPClient) })
	t.Run("rules over h2c", func(t *testing.T) { swapUnderLoad(t, 25, versionedByRule, newH2Client) })
}

func swapUnderLoad(
	t *testing.T, swaps int64, tableOf func(v int64, backends [2]string) Table, newClient func(testing.TB) *http.Client,
) {
	t.Helper()
	const clients = 12
	var backends [2]string
	for i := range backends {
		name := strconv.Itoa(i)
		backends[i] = backend(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s", name, b)
		})
	}
	p := startPlane(t)
	url := "http://" + p.apply(tableOf(1, backends)).Listeners[0].Bound
	var applied, total atomic.Int64
	applied.Store(1)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range clients {
		c := newClient(t)
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := oneUnderLoad(c, url, i, n, &applied); err != nil {
					t.Error(err)
					return
				}
				total.Add(1)
			}
		})
	}
	for v := int64(2); v <= swaps+1; v++ {
		before := total.Load()
		eventually(t, "requests between swaps", func() bool { return total.Load() >= before+50 || t.Failed() })
		p.apply(tableOf(v, backends))
		applied.Store(v)
	}
	close(stop)
	wg.Wait()
	var started, served uint64
	eventually(t, "ledger at rest", func() bool {
		started, served = 0, 0
		for _, r := range p.ledger("l").Rows {
			started, served = started+r.Started, served+r.Served
		}
		return started == served
	})
	if got := total.Load(); got != int64(started) || got < 50*swaps {
		t.Fatalf("%d requests done, %d in the ledger", got, started)
	}
}

func oneUnderLoad(c *http.Client, url string, i, n int, applied *atomic.Int64) error {
	body := fmt.Sprintf("%d/%d", i, n)
	method, sent := http.MethodGet, ""
	if i%2 == 0 {
		method, sent = http.MethodPost, body
	}
	req, err := http.NewRequest(method, url+"/"+body, strings.NewReader(sent))
	if err != nil {
		return err
	}
	req.Close = i%3 == 0 // a connection for each request
	floor := applied.Load()
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("request %s: %w", body, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("request %s: status %d %q, error %v", body, resp.StatusCode, b, err) //nolint:errorlint // it may be nil
	}
	v, err := strconv.ParseInt(strings.TrimPrefix(resp.Header.Get(HeaderTaskSet), "g"), 10, 64)
	if err != nil {
		return err
	}
	if v < floor {
		return fmt.Errorf("request %s was sent after version %d was acknowledged, and was served by version %d", body, floor, v)
	}
	if want := fmt.Sprintf("%d %s", v%2, sent); string(b) != want {
		return fmt.Errorf("request %s: got %q, want %q", body, b, want)
	}
	return nil
}

// TestConnectionOutlivesSwap: a client connection stays open over a switch and its next request goes to the new group.
func TestConnectionOutlivesSwap(t *testing.T) {
	p := startPlane(t)
	blue, green := groupOf("blue", backend(t, echoInfo)), groupOf("green", backend(t, echoInfo))
	addr := p.apply(table(1, to("blue"), blue, green)).Listeners[0].Bound
	c := dialHTTP(t, addr)
	for v, want := range []string{"blue", "green", "blue"} {
		if v > 0 {
			p.apply(table(int64(v+1), to(want), blue, green))
		}
		if resp, _ := c.get("/"); resp.Header.Get(HeaderTaskSet) != want {
			t.Fatalf("swap %d: served by %q", v, resp.Header.Get(HeaderTaskSet))
		}
	}
}

func TestWeightedChoice(t *testing.T) {
	p := startPlane(t)
	tab := table(1, []Weight{{"blue", 90}, {"green", 10}, {"none", 0}},
		groupOf("blue", backend(t, echoInfo)), groupOf("green", backend(t, echoInfo)), groupOf("none", backend(t, echoInfo)))
	addr := p.apply(tab).Listeners[0].Bound
	const n = 4000
	seen := map[string]int{}
	c := dialHTTP(t, addr)
	for range n {
		resp, _ := c.get("/")
		seen[resp.Header.Get(HeaderTaskSet)]++
	}
	// 400 expected, standard deviation 19: six of them.
	if g := seen["green"]; g < 286 || g > 514 || seen["blue"]+g != n {
		t.Fatalf("chosen %v", seen)
	}
}

func TestNoTarget(t *testing.T) {
	p := startPlane(t)
	down := groupOf("blue", backend(t, echoInfo))
	down.Targets[0].Down = true
	for i, tab := range []Table{
		table(1, nil), table(2, []Weight{{"blue", 0}}, down), table(3, to("blue"), down), table(4, to("blue"), groupOf("blue")),
	} {
		addr := p.apply(tab).Listeners[0].Bound
		resp, body := rawRequest(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp.StatusCode != 503 || !strings.Contains(body, "no target") {
			t.Fatalf("table %d: %d %q", i, resp.StatusCode, body)
		}
	}
	// A client that is refused keeps its connection.
	c := dialHTTP(t, p.status().Listeners[0].Bound)
	for range 3 {
		c.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
		if resp, _ := c.read("POST"); resp.StatusCode != 503 || resp.Close {
			t.Fatalf("%d, close %v", resp.StatusCode, resp.Close)
		}
	}
	if a, b := p.row(""), p.row("blue"); a.Unrouted != 2 || b.Unrouted != 5 {
		t.Fatalf("unrouted: %+v and %+v", a, b)
	}
	if n := p.status().Errors["no_target"]; n != 7 {
		t.Fatalf("no_target counted %d", n)
	}
}

func TestFixedAction(t *testing.T) {
	p := startPlane(t)
	tab := table(1, nil)
	tab.Listeners[0].Action.Fixed = &Fixed{Status: 404, ContentType: "text/css", Body: "nothing"}
	c := dialHTTP(t, p.apply(tab).Listeners[0].Bound)
	for _, method := range []string{"GET", "HEAD", "GET"} {
		resp, body := c.do(method, "/", "")
		want := "nothing"
		if method == "HEAD" {
			want = ""
		}
		if resp.StatusCode != 404 || resp.Header.Get("Content-Type") != "text/css" || body != want || resp.ContentLength != 7 {
			t.Fatalf("%s: %d %v %q", method, resp.StatusCode, resp.Header, body)
		}
	}
	if r := p.row(""); r.Served != 3 {
		t.Fatalf("row %+v", r)
	}
}

// TestDrain: a request in flight is seen by the drain and ends by itself; what is left at the limit is closed.
func TestDrain(t *testing.T) {
	ctx := context.Background()
	p := startPlane(t)
	release, arrived := make(chan struct{}), make(chan struct{}, 2)
	slow := groupOf("blue", backend(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	green := groupOf("green", backend(t, echoInfo))
	url := "http://" + p.apply(table(1, to("blue"), slow, green)).Listeners[0].Bound
	if _, err := p.client.Drain(ctx, "blue", time.Minute); !errors.Is(err, ErrGroupRouted) {
		t.Fatalf("drain of a group with weight: %v", err)
	}
	codes := make(chan int, 1)
	request := func() {
		resp, err := newHTTPClient(t).Get(url)
		if err != nil {
			codes <- -1
			return
		}
		resp.Body.Close()
		codes <- resp.StatusCode
	}
	go request()
	<-arrived
	p.apply(table(2, to("green"), green)) // blue leaves the table with a request in flight
	drain := func(limit time.Duration) DrainStatus {
		st, err := p.client.Drain(ctx, "blue", limit)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	first := drain(time.Minute)
	if again := drain(time.Hour); first.Requests != 1 || first.Done || !again.Deadline.Equal(first.Deadline) {
		t.Fatalf("drain %+v, then %+v", first, again)
	}
	if s := p.blue().Targets; len(s) != 1 || s[0].State != TargetGone || s[0].InFlight != 1 {
		t.Fatalf("targets %+v", s)
	}
	close(release)
	if code := <-codes; code != 200 {
		t.Fatalf("request in flight ended with %d", code)
	}
	eventually(t, "drain done", func() bool { return drain(time.Minute).Done })
	eventually(t, "group forgotten", func() bool { return !drain(time.Minute).Known })

	release = make(chan struct{})
	defer close(release)
	p.apply(table(3, to("blue"), slow, green))
	go request()
	<-arrived
	p.apply(table(4, to("green"), slow, green))
	drain(50 * time.Millisecond)
	if code := <-codes; code != 503 {
		t.Fatalf("request at the drain limit ended with %d", code)
	}
	if r := p.row("blue"); r.Started != 2 || r.Served != 1 || r.Failed5xx != 1 {
		t.Fatalf("row %+v", r)
	}
}

// TestWeightEndsDrain: after a rollback what is in flight must not be closed by a drain that began before.
func TestWeightEndsDrain(t *testing.T) {
	p := startPlane(t)
	release, arrived := make(chan struct{}), make(chan struct{}, 1)
	blue := groupOf("blue", backend(t, func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-release }))
	green := groupOf("green", backend(t, echoInfo))
	url := "http://" + p.apply(table(1, to("blue"), blue, green)).Listeners[0].Bound
	codes := make(chan int, 1)
	go func() {
		resp, err := newHTTPClient(t).Get(url)
		if err != nil {
			codes <- -1
			return
		}
		resp.Body.Close()
		codes <- resp.StatusCode
	}()
	<-arrived
	p.apply(table(2, to("green"), blue, green))
	const limit = 150 * time.Millisecond
	if _, err := p.client.Drain(context.Background(), "blue", limit); err != nil {
		t.Fatal(err)
	}
	p.apply(table(3, to("blue"), blue, green))
	if p.blue().Draining {
		t.Fatal("blue still drains")
	}
	select {
	case code := <-codes:
		t.Fatalf("request ended with %d before its target answered", code)
	case <-time.After(2 * limit):
	}
	close(release)
	if code := <-codes; code != 200 {
		t.Fatalf("request ended with %d", code)
	}
}

func TestListenerInUse(t *testing.T) {
	p := startPlane(t)
	blue := groupOf("blue", backend(t, echoInfo))
	addr := p.apply(table(1, to("blue"), blue)).Listeners[0].Bound
	tab := table(2, nil)
	tab.Listeners = append(tab.Listeners,
		Listener{Name: "free", Address: "127.0.0.2:0"}, Listener{Name: "taken", Address: addr})
	_, err := p.client.Apply(context.Background(), tab)
	var le *ListenError
	if !errors.As(err, &le) || le.Listener != "taken" || le.Address != addr || !strings.Contains(err.Error(), addr) {
		t.Fatalf("address in use: %v", err)
	}
	if resp, _ := dialHTTP(t, addr).get("/"); resp.StatusCode != 200 {
		t.Fatal("the old table is not in force")
	}
	if s := p.status(); s.Version != 1 || len(s.Listeners) != 1 {
		t.Fatalf("status %+v", s)
	}
}

func TestListenersComeAndGo(t *testing.T) {
	p := startPlane(t)
	blue := groupOf("blue", backend(t, echoInfo))
	tab := table(1, to("blue"), blue)
	second := tab.Listeners[0]
	second.Name, second.Address = "test", "127.0.0.2:0"
	tab.Listeners = append(tab.Listeners, second)
	ack := p.apply(tab)
	kept, going := dialHTTP(t, ack.Listeners[0].Bound), dialHTTP(t, ack.Listeners[1].Bound)
	kept.get("/")
	going.get("/")
	p.apply(table(2, to("blue"), blue))
	if _, err := going.r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Fatalf("idle connection of the removed listener: %v", err)
	}
	kept.get("/")
	eventually(t, "closed socket", func() bool {
		c, err := (&http.Client{Timeout: time.Second}).Get("http://" + ack.Listeners[1].Bound)
		if err == nil {
			c.Body.Close()
		}
		return err != nil
	})
	if r := p.row("blue"); r.Served != 3 {
		t.Fatalf("a ledger of two listeners: %+v", r)
	}
}
