package app

import (
	"strings"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/metric"
	"greengate/internal/proxy"
	"greengate/internal/traffic/l7"
)

// Namespaces and dimensions of load balancers' metrics ("CloudWatch metrics for your Application Load Balancer").
const (
	namespaceALB = "AWS/ApplicationELB"
	namespaceNLB = "AWS/NetworkELB"

	dimensionBalancer = "LoadBalancer"
	dimensionGroup    = "TargetGroup"
)

// count makes metrics of what was counted since the last time, and of how the targets are now. As with AWS, errors are
// reported where there are any.
func (m *meters) count(st cloud.State, counted proxy.Meters, now time.Time) {
	m.noteGroups(st)
	// What happened since the last time is booked in its middle, which is in the period that has just ended.
	at := now.Add(-m.pace / 2)
	if gap := now.Sub(m.readAt); gap > 2*m.pace {
		at = now
	}
	before := map[[2]string]proxy.Meter{}
	if counted.Epoch == m.read.Epoch {
		for _, r := range m.read.Rows {
			before[[2]string{r.Listener, r.Group}] = r
		}
	}
	first := m.read.Epoch == "" // there is nothing to compare with
	for _, r := range counted.Rows {
		if balancer := balancerOf(st, r.Listener); balancer != "" && !first {
			m.traffic(balancer, m.groups[r.Group], r, before[[2]string{r.Listener, r.Group}]).put(m.store, at, now)
		}
	}
	m.read, m.readAt = counted, now
	m.health(st, at, now)
}

// noteGroups remembers which target group each group of the data plane is in: a task set that is gone may still have
// counts that were not read.
func (m *meters) noteGroups(st cloud.State) {
	known := map[string]string{}
	for _, r := range m.read.Rows {
		if name, ok := m.groups[r.Group]; ok {
			known[r.Group] = name
		}
	}
	for _, g := range cloud.All[cloud.TargetGroup](st) {
		known[l7.ByHand(g.Name)] = groupName(g)
	}
	for _, ts := range st.TaskSets {
		if g, ok := cloud.Find[cloud.TargetGroup](st, ts.TargetGroup); ok {
			known[ts.ID] = groupName(g)
		}
	}
	m.groups = known
}

func groupName(g cloud.TargetGroup) string { return "targetgroup/" + g.Name + "/" + g.ID }

func balancerName(b cloud.LoadBalancer) string {
	if b.Type == "network" {
		return "net/" + b.Name + "/" + b.ID
	}
	return "app/" + b.Name + "/" + b.ID
}

// balancerOf is the load balancer that a listener of the data plane belongs to. A listener of a service of greengate.yaml
// is one of its own: app/SERVICE/production and app/SERVICE/test.
func balancerOf(st cloud.State, listener string) string {
	if key, ok := strings.CutPrefix(listener, l7.ListenerName("")); ok {
		name, _, _ := strings.Cut(key, "/")
		if b, ok := cloud.Find[cloud.LoadBalancer](st, name); ok {
			return balancerName(b)
		}
	}
	if _, ok := st.Listeners[listener]; ok {
		return "app/" + listener
	}
	return ""
}

// batch is a number of samples of the metrics of one load balancer, and of a target group of it where that is known.
type batch struct {
	balancer, group string
	samples         []named
}

type named struct {
	name, unit string
	value      metric.Value
	whole      bool // of the load balancer only
}

func (b *batch) add(name, unit string, v metric.Value) {
	b.samples = append(b.samples, named{name: name, unit: unit, value: v})
}

func (b *batch) put(store *metric.Store, at, now time.Time) {
	namespace := namespaceALB
	if strings.HasPrefix(b.balancer, "net/") {
		namespace = namespaceNLB
	}
	for _, s := range b.samples {
		id := metric.ID{Namespace: namespace, Name: s.name, Unit: s.unit, Dimensions: map[string]string{dimensionBalancer: b.balancer}}
		store.Put(id, at, s.value, now)
		if b.group != "" && !s.whole {
			id.Dimensions = map[string]string{dimensionBalancer: b.balancer, dimensionGroup: b.group}
			store.Put(id, at, s.value, now)
		}
	}
}

// traffic is what was counted between two readings. A network load balancer has no requests.
func (m *meters) traffic(balancer, group string, now, before proxy.Meter) *batch {
	b := &batch{balancer: balancer, group: group}
	if strings.HasPrefix(balancer, "net/") {
		return b
	}
	count := func(name string, now, before uint64) {
		if now > before {
			b.add(name, "Count", metric.Sample(1, float64(now-before)))
		}
	}
	count("RequestCount", now.Requests, before.Requests)
	for _, class := range []string{"2", "3", "4", "5"} {
		count("HTTPCode_Target_"+class+"XX_Count", now.Target[class], before.Target[class])
	}
	targets := len(b.samples)
	for _, class := range []string{"4", "5"} {
		count("HTTPCode_ELB_"+class+"XX_Count", now.Own[class], before.Own[class])
	}
	for i := targets; i < len(b.samples); i++ {
		b.samples[i].whole = true
	}
	if v := latency(now, before); v.Count > 0 {
		b.add("TargetResponseTime", "Seconds", v)
	}
	return b
}

// latency is TargetResponseTime in seconds. Percentiles, minimum and maximum are as near as the buckets of the data plane
// (at most 6.25 % apart) say it; the average is exact.
func latency(now, before proxy.Meter) metric.Value {
	seen := map[time.Duration]uint64{}
	for _, b := range before.Latency {
		seen[b.From] = b.Count
	}
	var v metric.Value
	for _, b := range now.Latency {
		if n := b.Count - min(seen[b.From], b.Count); n > 0 {
			v = v.Add(metric.Sample(((b.From + b.To) / 2).Seconds(), float64(n)))
		}
	}
	if v.Count > 0 {
		v.Sum = (now.Took - before.Took).Seconds()
	}
	return v
}

// hosts counts targets.
type hosts struct{ healthy, unhealthy int }

func (h *hosts) add(targets []cloud.Target) {
	for _, t := range targets {
		switch {
		case t.Starting: // it is neither: it has not passed its first check
		case t.Down:
			h.unhealthy++
		default:
			h.healthy++
		}
	}
}

// health reports HealthyHostCount and UnHealthyHostCount of each target group that a load balancer forwards to.
func (m *meters) health(st cloud.State, at, now time.Time) {
	byGroup := map[string]*hosts{}
	for _, g := range cloud.All[cloud.TargetGroup](st) {
		byGroup[g.Name] = &hosts{healthy: len(g.Registered)} // those have no health check
	}
	for _, ts := range st.TaskSets {
		if h := byGroup[ts.TargetGroup]; h != nil && !ts.Released() {
			h.add(ts.Targets)
		}
	}
	seen := map[[2]string]bool{}
	for _, l := range cloud.All[cloud.ELBListener](st) {
		b, _ := cloud.Find[cloud.LoadBalancer](st, l.LoadBalancer)
		for _, g := range cloud.All[cloud.TargetGroup](st) {
			if k := [2]string{b.Name, g.Name}; !seen[k] && l.ForwardsTo(g.Name) {
				seen[k] = true
				m.putHosts(balancerName(b), groupName(g), *byGroup[g.Name], at, now)
			}
		}
	}
	for _, l := range st.Listeners {
		var h hosts
		for _, w := range l.Weights {
			if w.Weight > 0 {
				h.add(st.TaskSets[w.TaskSet].Targets)
			}
		}
		m.putHosts("app/"+l.Name(), "", h, at, now)
	}
}

func (m *meters) putHosts(balancer, group string, h hosts, at, now time.Time) {
	namespace := namespaceALB
	if strings.HasPrefix(balancer, "net/") {
		namespace = namespaceNLB
	}
	dims := map[string]string{dimensionBalancer: balancer}
	if group != "" {
		dims[dimensionGroup] = group
	}
	for name, n := range map[string]int{"HealthyHostCount": h.healthy, "UnHealthyHostCount": h.unhealthy} {
		m.store.Put(metric.ID{Namespace: namespace, Name: name, Unit: "Count", Dimensions: dims}, at, metric.Sample(float64(n), 1), now)
	}
}
