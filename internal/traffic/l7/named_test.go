package l7_test

import (
	"maps"
	"testing"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
	"greengate/internal/proxy"
	"greengate/internal/scenario"
	"greengate/internal/traffic/l7"
)

// TestTable_named: test listeners say which task set answers, those of production never do.
func TestTable_named(t *testing.T) {
	t.Parallel()
	if proxy.HeaderTaskSet != scenario.HeaderTaskSet {
		t.Errorf("the data plane says %s, and scenarios look at %s", proxy.HeaderTaskSet, scenario.HeaderTaskSet)
	}
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	spec := deploy.Service{Name: "shop", Production: "127.0.0.1:8080", Test: "127.0.0.1:8081"}
	if _, err := c.Apply(t.Context(), spec, time.Now()); err != nil {
		t.Fatal(err)
	}
	err = c.Update(t.Context(), func(d *cloud.Draft) error {
		d.Put(cloud.LoadBalancer{Name: "lb", Address: "127.77.0.1"})
		for i, id := range []string{"prod", "test", "other"} {
			d.Put(cloud.ELBListener{LoadBalancer: "lb", ID: id, Port: 80 + i})
		}
		d.Put(cloud.ECSService{Cluster: "c", Name: "s", Routing: cloud.Routing{Production: "lb/prod", Test: "lb/test"}})
		d.Put(cloud.ECSService{Cluster: "c", Name: "one listener", Routing: cloud.Routing{Production: "lb/other", Test: "lb/other"}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, l := range l7.Table(c.State()).Listeners {
		got[l.Name] = l.NameTarget
	}
	want := map[string]bool{
		cloud.Listener{Service: "shop", Role: cloud.RoleProduction}.Name(): false, cloud.Listener{Service: "shop", Role: cloud.RoleTest}.Name(): true,
		l7.ListenerName("lb/prod"): false, l7.ListenerName("lb/test"): true, l7.ListenerName("lb/other"): false,
	}
	if !maps.Equal(got, want) {
		t.Errorf("listeners that name task sets: %v, want %v", got, want)
	}
}
