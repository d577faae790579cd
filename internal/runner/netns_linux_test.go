package runner

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

func needNamespaces(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "ggprobe0"}, PeerName: "ggprobe1"}
	if err := netlink.LinkAdd(link); err != nil {
		t.Skipf("this kernel makes no veth pair: %v", err)
	}
	_ = netlink.LinkDel(link)
}

// TestNamespace_twoUnitsOnOnePort: two programs that bind every address at the same port run beside each other, are
// reached from the host, and are taken over by the next runner.
func TestNamespace_twoUnitsOnOnePort(t *testing.T) {
	needNamespaces(t)
	dir := remoteDir(t)
	r := startRemote(t, dir, "", "")
	if !r.up(t) {
		t.Fatal("runner died")
	}
	specs := []Spec{}
	pids := map[string]int{}
	for _, n := range []string{"1", "2"} {
		spec := program("ns/"+n+filepath.Base(dir), ModeService, "serve-all")
		spec.Network, spec.Port = NetworkNamespace, 8080
		spec.Health = &HealthCheck{Type: "http", Path: "/healthz", Interval: 50 * time.Millisecond}
		specs = append(specs, spec)
		pids[spec.ID] = ensure(t, r, spec).PID
	}
	check := func() {
		t.Helper()
		for _, spec := range specs {
			st := await(t, r, spec.ID, "healthy", func(st Status) bool { return st.Health == HealthHealthy && st.HealthReason == "" })
			if st.PID != pids[spec.ID] {
				t.Errorf("unit: %+v, want pid %d", st, pids[spec.ID])
			}
			c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
			res, err := c.Get("http://" + hostPort(st.Address, st.Port) + "/healthz")
			if err != nil {
				t.Error(err)
				continue
			}
			_ = res.Body.Close()
		}
	}
	check()
	r.kill()
	r = startRemote(t, dir, "", "")
	if !r.up(t) {
		t.Fatal("runner died")
	}
	for _, spec := range specs {
		if st, err := r.Get(t.Context(), spec.ID); err != nil || !st.Adopted {
			t.Errorf("not adopted: %+v %v", st, err)
		}
	}
	check()
	if err := r.Restart(t.Context(), specs[0].ID); err != nil {
		t.Fatal(err)
	}
	st := await(t, r, specs[0].ID, "healthy again", func(st Status) bool {
		return st.Health == HealthHealthy && st.PID != pids[specs[0].ID]
	})
	pids[specs[0].ID] = st.PID
	check()
	r.end(t)
	id, err := os.ReadFile(filepath.Join(dir, "installation"))
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range specs {
		if _, err := netlink.LinkByName(linkName(string(id[:len(id)-1]), spec.ID)); err == nil {
			t.Errorf("veth of %s left behind", spec.ID)
		}
	}
}

func TestNamespace_refusedWithoutRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("this user may make network namespaces")
	}
	s := startServer(t, nil)
	spec := program("ns", ModeOnce, "sleep")
	spec.Network = NetworkNamespace
	if _, err := s.Ensure(t.Context(), spec); err == nil {
		t.Error("started in a namespace without root")
	}
}
