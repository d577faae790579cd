package proxy

import (
	"net/http"
	"testing"
	"time"
)

// Meters count by listener and group what targets answered, and what the data plane had to answer itself.
func TestMeters(t *testing.T) {
	t.Parallel()
	p := startPlane(t)
	status := map[string]int{"/ok": 200, "/missing": 404, "/broken": 500}
	up := backend(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status[r.URL.Path]) })
	table := Table{
		Version: 1,
		Listeners: []Listener{
			{Name: "a", Address: "127.0.0.1:0", Action: Action{Forward: []Weight{{"green", 100}}}},
			{Name: "gone", Address: "127.0.0.2:0", Action: Action{Forward: []Weight{{"empty", 100}}}},
			{Name: "fixed", Address: "127.0.0.3:0", Action: Action{Fixed: &Fixed{Status: 503}}},
		},
		Groups: []Group{{Name: "green", Targets: []Target{{ID: "t", Address: up}}}, {Name: "empty"}},
	}
	ack := p.apply(table)
	client := newHTTPClient(t)
	for _, path := range []string{"/ok", "/ok", "/missing", "/broken"} {
		get(t, client, "http://"+ack.Listeners[0].Bound+path)
	}
	get(t, client, "http://"+ack.Listeners[1].Bound+"/")
	get(t, client, "http://"+ack.Listeners[2].Bound+"/")
	m, err := p.client.Meters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]Meter{}
	for _, r := range m.Rows {
		rows[r.Listener+"/"+r.Group] = r
	}
	green := rows["a/green"]
	if green.Requests != 4 || green.Target["2"] != 2 || green.Target["4"] != 1 || green.Target["5"] != 1 || len(green.Own) != 0 {
		t.Errorf("green: %+v", green)
	}
	if green.Latency.Total() != 4 || green.Took <= 0 || green.Took > time.Minute {
		t.Errorf("latency of green: %+v", green)
	}
	if empty := rows["gone/empty"]; empty.Requests != 0 || empty.Own["5"] != 1 || len(empty.Target) != 0 {
		t.Errorf("without a target: %+v", empty)
	}
	if fixed := rows["fixed/"]; fixed.Requests != 0 || len(fixed.Own) != 0 || len(fixed.Target) != 0 {
		t.Errorf("a fixed answer is no error of the data plane: %+v", fixed)
	}
	if m.Epoch == "" {
		t.Error("no epoch")
	}
}

// A meter outlives its group for a minute, so that who reads now and then misses nothing, and is forgotten then.
func TestMeters_sweep(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	ms := newMeters(now)
	ms.get("l", "g").requested()
	for _, c := range []struct {
		at    time.Duration
		table Table
		want  int
	}{
		{0, Table{Listeners: []Listener{{Name: "l"}}, Groups: []Group{{Name: "g"}}}, 1},
		{time.Second, Table{Listeners: []Listener{{Name: "l"}}}, 1},
		{time.Minute, Table{}, 1},
		{time.Minute + time.Second, Table{}, 0},
	} {
		ms.sweep(c.table, now.Add(c.at))
		if got := len(ms.snapshot().Rows); got != c.want {
			t.Errorf("after %s: %d rows, want %d", c.at, got, c.want)
		}
	}
}
