package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func echoInfo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Seen-Host", r.Host)
	w.Header().Set("X-Seen-Uri", r.RequestURI)
	fmt.Fprintf(w, "%s %x", r.Method, sha256.Sum256(b))
}

func TestForwardsRequests(t *testing.T) {
	p := startPlane(t)
	ack := p.apply(table(1, to("blue"), groupOf("blue", backend(t, echoInfo))))
	url := "http://" + ack.Listeners[0].Bound
	c := newHTTPClient(t)
	for _, size := range []int{0, 1, 5000, 1 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		for _, known := range []bool{true, false} {
			var rd io.Reader = bytes.NewReader(body)
			if !known {
				rd = io.MultiReader(rd) // chunked
			}
			resp, err := c.Post(url+"/p", "text/plain", rd)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := fmt.Sprintf("POST %x", sha256.Sum256(body)); string(b) != want {
				t.Fatalf("size %d known %v: got %q", size, known, b)
			}
			if got := resp.Header.Get(HeaderTaskSet); got != "blue" {
				t.Fatalf("%s = %q", HeaderTaskSet, got)
			}
		}
	}
	if r := p.row("blue"); r.Started != 8 || r.Served != 8 || r.Latency.Total() != 8 {
		t.Fatalf("ledger row %+v", r)
	}
}

func TestVersionsRise(t *testing.T) {
	p := startPlane(t)
	g := groupOf("blue", backend(t, echoInfo))
	p.apply(table(5, to("blue"), g))
	p.apply(table(5, to("blue"), g))
	_, err := p.client.Apply(context.Background(), table(5, nil, g))
	var stale *StaleError
	if !errors.As(err, &stale) || stale.Current != 5 || !errors.Is(err, ErrStale) {
		t.Fatalf("same version, other content: %v", err)
	}
	if _, err := p.client.Apply(context.Background(), table(4, to("blue"), g)); !errors.Is(err, ErrStale) {
		t.Fatalf("older version: %v", err)
	}
	bad := table(6, to("nobody"), g)
	bad.Listeners[0].Address = "nonsense"
	_, err = p.client.Apply(context.Background(), bad)
	if !errors.Is(err, ErrInvalidTable) || !strings.Contains(err.Error(), "nobody") || !strings.Contains(err.Error(), "nonsense") {
		t.Fatalf("invalid table: %v", err)
	}
	now, err := p.client.Table(context.Background())
	if err != nil || !now.equal(table(5, to("blue"), g)) {
		t.Fatalf("table in force %+v, %v", now, err)
	}
}
