package l7

import (
	"cmp"
	"net"
	"slices"
	"strconv"

	"greengate/internal/cloud"
	"greengate/internal/proxy"
)

// ListenerName is what the data plane calls a listener of a load balancer.
func ListenerName(key string) string { return "elb/" + key }

// ByHand is the data plane's group of the targets that were registered by hand.
func ByHand(targetGroup string) string { return "tg/" + targetGroup }

// elb adds the listeners of load balancers and the groups that only they forward to.
func elb(t *proxy.Table, s cloud.State) {
	for _, g := range cloud.All[cloud.TargetGroup](s) {
		group := proxy.Group{Name: ByHand(g.Name), Protocol: protocol(g)}
		for _, r := range g.Registered {
			address := net.JoinHostPort(r.ID, strconv.Itoa(r.Port))
			group.Targets = append(group.Targets, proxy.Target{ID: address, Address: address})
		}
		t.Groups = append(t.Groups, group)
	}
	members, tests := membersOf(s), testListeners(s)
	for _, l := range cloud.All[cloud.ELBListener](s) {
		b, ok := cloud.Find[cloud.LoadBalancer](s, l.LoadBalancer)
		if !ok {
			continue
		}
		p := proxy.Listener{
			Name: ListenerName(l.ResourceKey()), Address: l.Address(b), Ledger: l.Ledger, Action: action(members, l.Default),
			NameTarget: tests[l.ResourceKey()],
		}
		for _, r := range l.Rules {
			p.Rules = append(p.Rules, proxy.Rule{Name: r.ID, Priority: r.Priority, Conditions: conditions(r.Conditions), Action: action(members, r.Action)})
		}
		t.Listeners = append(t.Listeners, p)
	}
}

// testListeners are the keys of listeners on which deployments test a service: those say which task set answered.
func testListeners(s cloud.State) map[string]bool {
	keys := map[string]bool{}
	for _, svc := range cloud.All[cloud.ECSService](s) {
		if svc.Routing.Test != "" && svc.Routing.Test != svc.Routing.Production {
			keys[svc.Routing.Test] = true
		}
	}
	return keys
}

func protocol(g cloud.TargetGroup) string {
	if g.ProtocolVersion == "HTTP2" || g.ProtocolVersion == "GRPC" {
		return proxy.ProtocolH2C
	}
	return proxy.ProtocolHTTP1
}

// member is a group of the data plane that belongs to a target group; targets are those that are up.
type member struct {
	group   string
	targets int
}

// membersOf are the members of each target group: the task sets that are registered with it, and what was registered
// by hand.
func membersOf(s cloud.State) map[string][]member {
	members := map[string][]member{}
	for _, ts := range s.TaskSets {
		if ts.TargetGroup == "" || ts.Released() {
			continue
		}
		m := member{group: ts.ID}
		for _, target := range ts.Targets {
			if !target.Down {
				m.targets++
			}
		}
		members[ts.TargetGroup] = append(members[ts.TargetGroup], m)
	}
	for _, g := range cloud.All[cloud.TargetGroup](s) {
		if len(g.Registered) > 0 || len(members[g.Name]) == 0 {
			members[g.Name] = append(members[g.Name], member{ByHand(g.Name), len(g.Registered)})
		}
	}
	for _, list := range members {
		slices.SortFunc(list, func(a, b member) int { return cmp.Compare(a.group, b.group) })
	}
	return members
}

func action(members map[string][]member, a cloud.Action) proxy.Action {
	switch {
	case a.Fixed != nil:
		return proxy.Action{Fixed: &proxy.Fixed{Status: a.Fixed.Status, ContentType: a.Fixed.ContentType, Body: a.Fixed.Body}}
	case a.Redirect != nil:
		r := a.Redirect
		return proxy.Action{Redirect: &proxy.Redirect{StatusCode: r.Status, Protocol: r.Protocol, Host: r.Host, Port: r.Port, Path: r.Path, Query: r.Query}}
	}
	return proxy.Action{Forward: forward(members, a.Forward)}
}

// maxWeight is the largest weight that the data plane takes.
const maxWeight = 100

// forward shares the weight of each target group out among its members, by how many targets they have up. Where none
// has, all of them stand for the group, which then answers 503.
func forward(members map[string][]member, weights []cloud.GroupWeight) []proxy.Weight {
	type part struct {
		group  string
		weight int // in 1/1000 of a group's weight
	}
	var parts []part
	most := 0
	for _, w := range weights {
		up := 0
		for _, m := range members[w.TargetGroup] {
			up += m.targets
		}
		for _, m := range members[w.TargetGroup] {
			p := part{m.group, 1000 * w.Weight / len(members[w.TargetGroup])}
			if up > 0 {
				p.weight = 1000 * w.Weight * m.targets / up
			}
			most = max(most, p.weight)
			parts = append(parts, p)
		}
	}
	var out []proxy.Weight
	for _, p := range parts {
		out = append(out, proxy.Weight{Group: p.group, Weight: scale(p.weight, most)})
	}
	return out
}

// scale makes weights small enough for the data plane; what has any weight keeps some.
func scale(weight, most int) int {
	n := (weight + 500) / 1000
	if most > 1000*maxWeight {
		n = weight * maxWeight / most
	}
	if n == 0 && weight > 0 {
		return 1
	}
	return n
}

func conditions(list []cloud.RuleCondition) []proxy.Condition {
	var out []proxy.Condition
	for _, c := range list {
		var p proxy.Condition
		switch c.Field {
		case "host-header":
			p.HostHeader = c.Values
		case "path-pattern":
			p.PathPattern = c.Values
		case "http-header":
			p.HTTPHeader = &proxy.HeaderCondition{Name: c.Header, Values: c.Values}
		case "http-request-method":
			p.RequestMethod = c.Values
		case "source-ip":
			p.SourceIP = c.Values
		case "query-string":
			for _, q := range c.Query {
				p.QueryString = append(p.QueryString, proxy.QueryPattern{Key: q.Key, Value: q.Value})
			}
		}
		out = append(out, p)
	}
	return out
}
