package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"greengate/internal/alarm"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
	"greengate/internal/metric"
	"greengate/internal/proxy"
)

func newTestMeters(t *testing.T, c *cloud.Cloud, path string) *meters {
	t.Helper()
	m := &meters{
		cloud: c, store: metric.NewStore(time.Minute), path: path, minute: time.Minute, pace: 5 * time.Second,
		log: slog.New(slog.DiscardHandler), groups: map[string]string{},
	}
	m.watcher = alarm.New(alarm.Config{Resources: c, Metrics: m.store, Minute: time.Minute, Now: time.Now, Log: m.log})
	return m
}

func testCloud(t *testing.T) *cloud.Cloud {
	t.Helper()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Update(t.Context(), func(d *cloud.Draft) error {
		d.Put(cloud.LoadBalancer{Name: "lb", ID: "1", Type: "application"})
		d.Put(cloud.LoadBalancer{Name: "tcp", ID: "2", Type: "network"})
		d.Put(cloud.TargetGroup{Name: "t1", ID: "a"})
		d.Put(cloud.TargetGroup{Name: "t2", ID: "b", Registered: []cloud.RegisteredTarget{{ID: "127.0.0.1", Port: 1}}})
		for _, lb := range []string{"lb", "tcp"} {
			d.Put(cloud.ELBListener{LoadBalancer: lb, ID: "l", Default: cloud.Action{Forward: []cloud.GroupWeight{{TargetGroup: "t1", Weight: 1}, {TargetGroup: "t2"}}}})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ts := deploy.TaskSet{ID: "ts", Service: "s", TargetGroup: "t1", Tasks: 3}
	if err := c.Ensure(t.Context(), ts, time.Now()); err != nil {
		t.Fatal(err)
	}
	targets := []cloud.Target{{ID: "1", Address: "127.0.0.1:1"}, {ID: "2", Address: "127.0.0.1:2", Down: true}, {ID: "3", Address: "127.0.0.1:3", Down: true, Starting: true}}
	if err := c.SetTargets(t.Context(), "ts", targets); err != nil {
		t.Fatal(err)
	}
	return c
}

// counted is what a data plane has counted, n times as much as at first.
func counted(epoch string, n uint64) proxy.Meters {
	ms := time.Millisecond
	return proxy.Meters{Epoch: epoch, Rows: []proxy.Meter{
		{Listener: "elb/lb/l", Group: "", Own: map[string]uint64{"5": n}},
		{
			Listener: "elb/lb/l", Group: "ts", Requests: 10 * n, Target: map[string]uint64{"2": 7 * n, "5": 3 * n}, Took: time.Duration(n) * 100 * ms,
			Latency: proxy.Histogram{{From: 9 * ms, To: 11 * ms, Count: 9 * n}, {From: 90 * ms, To: 110 * ms, Count: n}},
		},
		{Listener: "elb/tcp/l", Group: "ts", Requests: n, Target: map[string]uint64{"2": n}},
	}}
}

// look is a statistic (namespace, metric and statistic) of all that is known of a metric; -1 where there is none.
func look(t *testing.T, m *meters, what [3]string, dims ...string) float64 {
	t.Helper()
	id := metric.ID{Namespace: what[0], Name: what[1], Dimensions: map[string]string{}}
	for i := 0; i < len(dims); i += 2 {
		id.Dimensions[dims[i]] = dims[i+1]
	}
	s, err := metric.ParseStat(what[2])
	if err != nil {
		t.Fatal(err)
	}
	points := m.store.Query(id, noon.Add(-time.Hour), noon.Add(time.Hour), 2*time.Hour)
	if len(points) == 0 {
		return -1
	}
	v, ok := s.Of(points[0].Value)
	if !ok {
		return -1
	}
	return v
}

const alb, nlb = "AWS/ApplicationELB", "AWS/NetworkELB"

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// What the data plane counts becomes metrics under AWS's names and dimensions, each count once: over a restart of the data
// plane, and over one of the controller.
func TestMeters_count(t *testing.T) {
	t.Parallel()
	c := testCloud(t)
	path := filepath.Join(t.TempDir(), "metrics.json")
	m := newTestMeters(t, c, path)
	m.count(c.State(), counted("first", 1), noon) // what was before is not known
	m.count(c.State(), counted("first", 3), noon.Add(5*time.Second))
	m.count(c.State(), counted("second", 1), noon.Add(10*time.Second))
	if err := m.save(noon.Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	m = newTestMeters(t, c, path)
	if err := m.load(noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	m.count(c.State(), counted("second", 2), noon.Add(time.Minute)) // 4 times what is counted at first, all in all
	lb, group := []string{"LoadBalancer", "app/lb/1"}, []string{"LoadBalancer", "app/lb/1", "TargetGroup", "targetgroup/t1/a"}
	for _, x := range []struct {
		name, stat string
		dims       []string
		want       float64
	}{
		{"RequestCount", "Sum", lb, 40},
		{"RequestCount", "Sum", group, 40},
		{"HTTPCode_Target_2XX_Count", "Sum", group, 28},
		{"HTTPCode_Target_5XX_Count", "Sum", group, 12},
		{"HTTPCode_Target_5XX_Count", "Sum", lb, 12},
		{"HTTPCode_Target_4XX_Count", "Sum", lb, -1},
		{"HTTPCode_ELB_5XX_Count", "Sum", lb, 4},
		{"TargetResponseTime", "SampleCount", group, 40},
		{"TargetResponseTime", "Average", group, 0.01},
		{"TargetResponseTime", "Maximum", lb, 0.1},
		{"HealthyHostCount", "Maximum", group, 1},
		{"UnHealthyHostCount", "Maximum", group, 1},
		{"HealthyHostCount", "Maximum", []string{"LoadBalancer", "app/lb/1", "TargetGroup", "targetgroup/t2/b"}, 1},
	} {
		if got := look(t, m, [3]string{alb, x.name, x.stat}, x.dims...); got != x.want {
			t.Errorf("%s of %s %v: %v, want %v", x.stat, x.name, x.dims, got, x.want)
		}
	}
	if p50, p99 := look(t, m, [3]string{alb, "TargetResponseTime", "p50"}, group...), look(t, m, [3]string{alb, "TargetResponseTime", "p99"}, group...); p50 < 0.0098 || p50 > 0.0102 || p99 != 0.1 {
		t.Errorf("p50 %v, p99 %v", p50, p99)
	}
	tcp := []string{"LoadBalancer", "net/tcp/2", "TargetGroup", "targetgroup/t1/a"}
	if n, r := look(t, m, [3]string{nlb, "UnHealthyHostCount", "Maximum"}, tcp...), look(t, m, [3]string{nlb, "RequestCount", "Sum"}, tcp...); n != 1 || r != -1 {
		t.Errorf("of the network load balancer: %v ill, %v requests", n, r)
	}
}

// A service of greengate.yaml has metrics too: its listeners are load balancers of their own.
func TestMeters_count_service(t *testing.T) {
	t.Parallel()
	m := newTestMeters(t, testCloud(t), "")
	st := cloud.State{
		Listeners: map[string]cloud.Listener{"web/production": {Service: "web", Role: cloud.RoleProduction, Weights: []deploy.RouteWeight{{TaskSet: "ts", Weight: 100}}}},
		TaskSets:  m.cloud.State().TaskSets,
	}
	m.read = proxy.Meters{Epoch: "e"}
	m.count(st, proxy.Meters{Epoch: "e", Rows: []proxy.Meter{{Listener: "web/production", Group: "ts", Requests: 4, Target: map[string]uint64{"5": 4}}}}, noon)
	for name, want := range map[string]float64{"HTTPCode_Target_5XX_Count": 4, "UnHealthyHostCount": 1} {
		if got := look(t, m, [3]string{alb, name, "Sum"}, "LoadBalancer", "app/web/production"); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// A file that cannot be read is no reason not to begin.
func TestMeters_load(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "metrics.json")
	m := newTestMeters(t, testCloud(t), path)
	if err := m.load(noon); err != nil {
		t.Errorf("without a file: %v", err)
	}
	for _, text := range []string{"", "{", `{"version":2}`, `{"version":1,"metrics":[{}]}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := m.load(noon); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}
