package proxy

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestBrokenTableIsSetAside: the data plane starts, says so, and takes the next table.
func TestBrokenTableIsSetAside(t *testing.T) {
	for name, content := range map[string]string{
		"torn": `{"version": 3, "listeners": [`, "invalid": `{"version": 3, "groups": [{"name": ""}]}`, "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			p := startPlane(t, func(c *Config) {
				if err := os.MkdirAll(c.Dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(c.Dir, "table.json"), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			})
			if v := p.status().Version; v != 0 {
				t.Fatalf("version %d", v)
			}
			if aside, _ := filepath.Glob(filepath.Join(p.dir, "table.json.bad-*")); len(aside) != 1 {
				t.Fatalf("set aside: %v", aside)
			}
			if !strings.Contains(p.logs.String(), "set aside") {
				t.Fatalf("log: %s", p.logs)
			}
			p.apply(table(1, nil))
		})
	}
}

// keeper stands for the supervisor.
type keeper struct {
	mu   sync.Mutex
	kept map[string]bool
	fail error
}

func (k *keeper) keep(name string, l *net.TCPListener) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l == nil || k.fail != nil {
		return k.fail
	}
	k.kept[name] = true
	return nil
}

func (k *keeper) forget(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.kept[name] {
		return errors.New("not kept: " + name)
	}
	delete(k.kept, name)
	return nil
}

func (k *keeper) names() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.kept)
}

func TestKeepAndForget(t *testing.T) {
	k := &keeper{kept: map[string]bool{}}
	p := startPlane(t, func(c *Config) { c.Keep, c.Forget = k.keep, k.forget })
	tab := table(1, nil)
	tab.Listeners = append(tab.Listeners, Listener{Name: "test", Address: "127.0.0.2:0"})
	p.apply(tab)
	if k.names() != 2 || !k.kept["listener:127.0.0.2:0"] {
		t.Fatalf("kept %v", k.kept)
	}
	p.apply(table(2, nil))
	if k.names() != 1 || k.kept["listener:127.0.0.2:0"] {
		t.Fatalf("kept %v", k.kept)
	}
	p.stop()
	if k.names() != 1 {
		t.Fatal("an orderly end gave up a socket that the next process needs")
	}
	if strings.Contains(p.logs.String(), "still kept") {
		t.Fatalf("log: %s", p.logs)
	}
}

// TestInheritedSockets: the one that the table names is served from, others are closed and forgotten.
func TestInheritedSockets(t *testing.T) {
	dir := t.TempDir()
	named, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stray, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tab := table(1, nil)
	tab.Listeners[0].Address = named.Addr().String()
	tab.Listeners[0].Action.Fixed = &Fixed{Status: 200, Body: "kept"}
	if err := saveTable(filepath.Join(dir, "table.json"), tab); err != nil {
		t.Fatal(err)
	}
	strayName := "listener:" + stray.Addr().String()
	k := &keeper{kept: map[string]bool{strayName: true}}
	p := startPlane(t, func(c *Config) {
		c.Dir, c.Forget = dir, k.forget
		c.Inherited = map[string]net.Listener{"listener:" + named.Addr().String(): named, strayName: stray}
	})
	if _, body := dialHTTP(t, named.Addr().String()).get("/"); body != "kept" {
		t.Fatalf("got %q", body)
	}
	if c, err := net.Dial("tcp", stray.Addr().String()); err == nil {
		c.Close()
		t.Fatal("the stray socket is open")
	}
	if k.names() != 0 {
		t.Fatalf("still kept: %v", k.kept)
	}
	if v := p.status().Version; v != 1 {
		t.Fatalf("version %d", v)
	}
}

// TestAddressTakenAtStart: the other listeners are served, the state is told, a new table does not fail because of it,
// and the address is taken as soon as it is free.
func TestAddressTakenAtStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tab := table(1, nil)
	tab.Listeners[0].Action.Fixed = &Fixed{Status: 200, Body: "here"}
	other := tab.Listeners[0]
	other.Name, other.Address = "test", taken.Addr().String()
	tab.Listeners = append(tab.Listeners, other)
	if err := saveTable(filepath.Join(dir, "table.json"), tab); err != nil {
		t.Fatal(err)
	}
	p := startPlane(t, func(c *Config) { c.Dir = dir })
	s := p.status()
	if s.Listeners[0].Error != "" || !strings.Contains(s.Listeners[1].Error, "in use") || s.Listeners[1].Bound != "" {
		t.Fatalf("listeners %+v", s.Listeners)
	}
	tab.Version = 2
	ack := p.apply(tab)
	if ack.Listeners[1].Error == "" {
		t.Fatalf("ack %+v", ack)
	}
	if _, body := dialHTTP(t, ack.Listeners[0].Bound).get("/"); body != "here" {
		t.Fatalf("got %q", body)
	}
	taken.Close()
	eventually(t, "listener opened again", func() bool { return p.status().Listeners[1].Bound != "" })
	if _, body := dialHTTP(t, taken.Addr().String()).get("/"); body != "here" {
		t.Fatalf("got %q", body)
	}
}

// TestAppliedTableIsSaved: what was acknowledged is on disk, and is served without a control socket.
func TestAppliedTableIsSaved(t *testing.T) {
	p := startPlane(t)
	tab := table(3, nil)
	tab.Listeners[0].Action.Fixed = &Fixed{Status: 204}
	p.apply(tab)
	saved, err := loadTable(filepath.Join(p.dir, "table.json"))
	if err != nil || !saved.equal(tab) {
		t.Fatalf("saved %+v, %v", saved, err)
	}
	p.stop()
	s, err := New(Config{Dir: p.dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	resp, _ := dialHTTP(t, s.status().Listeners[0].Bound).get("/")
	cancel()
	if err := <-done; err != nil || resp.StatusCode != 204 {
		t.Fatalf("%d, %v", resp.StatusCode, err)
	}
}

// TestUnwritableFolder: a table that cannot be saved is not applied.
func TestUnwritableFolder(t *testing.T) {
	p := startPlane(t)
	p.apply(table(1, nil))
	if err := os.RemoveAll(p.dir); err != nil { // as good as a full disk: nothing can be written there any more
		t.Fatal(err)
	}
	tab := table(2, nil)
	tab.Listeners = append(tab.Listeners, Listener{Name: "new", Address: "127.0.0.2:0"})
	if _, err := p.client.Apply(context.Background(), tab); err == nil {
		t.Fatal("a table was acknowledged that is not on disk")
	}
	if s := p.status(); s.Version != 1 || len(s.Listeners) != 1 {
		t.Fatalf("status %+v", s)
	}
}

func TestValidateTellsAllFaults(t *testing.T) {
	tab := Table{
		Listeners: []Listener{
			{Name: "a", Address: "localhost:80", Action: Action{Forward: []Weight{{"x", 101}, {"x", -1}}, Fixed: &Fixed{Status: 99, ContentType: "a\nb"}}},
			{Name: "a", Address: "127.0.0.1:99999", Ledger: "../x", Limits: Limits{IdleTimeout: -1}},
			{Address: "127.0.0.1:99999"},
		},
		Groups: []Group{
			{Name: "sp ace", Protocol: "h3", ConnectTimeout: -1},
			{Name: "g", Targets: []Target{{ID: "1", Address: "x:0"}, {ID: "1", Address: "nohost"}, {Address: ":80"}}},
			{Name: "g"},
		},
	}
	err := tab.Validate()
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{
		"version 0", `"a": name is used twice`, "localhost:80", "more than one of forward", `group "x", which`, `group "x" twice`, "weight 101", "weight -1",
		"status 99", "content type", "99999", `"../x"`, "limit is negative", "has no name", "is used twice", `"sp ace"`, `"h3"`,
		"timeout is negative", `"x:0"`, `"nohost"`, `":80"`, "has no id", `target id "1"`, `group "g": name is used twice`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %s in:\n%v", want, err)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte(`{"version":1,"listeners":[{"name":"a","address":":80","action":{"forward":[{"group":"g","weight":1}]},"limits":{}}],"groups":[{"name":"g"}]}`))
	f.Add([]byte(`{"version":1,"listeners":[{"name":"a","address":":80","limits":{},"action":{"redirect":{"status_code":301,"port":"81","query":""}},"rules":[` +
		`{"name":"r","priority":1,"action":{"fixed":{"status":200}},"conditions":[{"host_header":["*.a.b"]},{"path_pattern":["/?"]},` +
		`{"http_header":{"name":"x","values":["y"]}},{"request_method":["GET"]},{"query_string":[{"value":"\\*"}]},{"source_ip":["::/0"]}]}]}]}`))
	f.Add([]byte(`{"version":-1}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "t.json")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		tab, err := loadTable(path)
		if err != nil {
			if !errors.Is(err, ErrInvalidTable) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if err := saveTable(path, tab); err != nil {
			t.Fatal(err)
		}
		if again, err := loadTable(path); err != nil || !again.equal(tab) {
			t.Fatalf("saved and loaded: %+v, %v", again, err)
		}
	})
}
