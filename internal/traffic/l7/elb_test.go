package l7

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/proxy"
)

// A target group's weight is shared out among its members by their healthy targets, within what the data plane takes.
func TestForward(t *testing.T) {
	t.Parallel()
	members := map[string][]member{
		"one": {{"a", 2}}, "idle": {{"b", 2}}, "two": {{"c", 1}, {"d", 3}}, "down": {{"e", 0}, {"f", 0}}, "empty": {{"tg/empty", 0}},
	}
	for name, c := range map[string]struct {
		weights []cloud.GroupWeight
		want    []proxy.Weight
	}{
		"as they are":       {[]cloud.GroupWeight{{TargetGroup: "one", Weight: 90}, {TargetGroup: "idle", Weight: 10}}, []proxy.Weight{{Group: "a", Weight: 90}, {Group: "b", Weight: 10}}},
		"idle group stays":  {[]cloud.GroupWeight{{TargetGroup: "one", Weight: 100}, {TargetGroup: "idle", Weight: 0}}, []proxy.Weight{{Group: "a", Weight: 100}, {Group: "b", Weight: 0}}},
		"by targets":        {[]cloud.GroupWeight{{TargetGroup: "two", Weight: 100}}, []proxy.Weight{{Group: "c", Weight: 25}, {Group: "d", Weight: 75}}},
		"none healthy":      {[]cloud.GroupWeight{{TargetGroup: "down", Weight: 10}}, []proxy.Weight{{Group: "e", Weight: 5}, {Group: "f", Weight: 5}}},
		"empty group":       {[]cloud.GroupWeight{{TargetGroup: "empty", Weight: 1}}, []proxy.Weight{{Group: "tg/empty", Weight: 1}}},
		"small share stays": {[]cloud.GroupWeight{{TargetGroup: "one", Weight: 1}, {TargetGroup: "two", Weight: 1}}, []proxy.Weight{{Group: "a", Weight: 1}, {Group: "c", Weight: 1}, {Group: "d", Weight: 1}}},
		"large weights":     {[]cloud.GroupWeight{{TargetGroup: "one", Weight: 999}, {TargetGroup: "idle", Weight: 333}}, []proxy.Weight{{Group: "a", Weight: 100}, {Group: "b", Weight: 33}}},
		"tiny beside large": {[]cloud.GroupWeight{{TargetGroup: "one", Weight: 999}, {TargetGroup: "idle", Weight: 1}}, []proxy.Weight{{Group: "a", Weight: 100}, {Group: "b", Weight: 1}}},
	} {
		if diff := cmp.Diff(c.want, forward(members, c.weights)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A rule that the data plane would refuse does not fit: it would cost the table, and so the traffic of all services.
func TestFits(t *testing.T) {
	t.Parallel()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	l := cloud.ELBListener{LoadBalancer: "alb", ID: "1", Protocol: "HTTP", Port: 80, Default: cloud.Action{Fixed: &cloud.FixedResponse{Status: 404}}}
	for name, r := range map[string]struct {
		rule cloud.ListenerRule
		fits bool
	}{
		"a path":                 {cloud.ListenerRule{ID: "r", Priority: 1, Conditions: []cloud.RuleCondition{{Field: "path-pattern", Values: []string{"/a/*"}}}}, true},
		"a path with a blank":    {cloud.ListenerRule{ID: "r", Priority: 1, Conditions: []cloud.RuleCondition{{Field: "path-pattern", Values: []string{"/a b"}}}}, false},
		"too many wildcards":     {cloud.ListenerRule{ID: "r", Priority: 1, Conditions: []cloud.RuleCondition{{Field: "path-pattern", Values: []string{"/******"}}}}, false},
		"no block of addresses":  {cloud.ListenerRule{ID: "r", Priority: 1, Conditions: []cloud.RuleCondition{{Field: "source-ip", Values: []string{"here"}}}}, false},
		"a redirect with no way": {cloud.ListenerRule{ID: "r", Priority: 1, Conditions: []cloud.RuleCondition{{Field: "path-pattern", Values: []string{"/a"}}}, Action: cloud.Action{Redirect: &cloud.RedirectAction{Status: 301, Path: "p"}}}, false},
	} {
		err := c.Update(t.Context(), func(d *cloud.Draft) error {
			d.Put(cloud.LoadBalancer{Name: "alb", ID: "1", Type: "application", Address: "127.77.0.1"})
			l.Rules = []cloud.ListenerRule{r.rule}
			d.Put(l)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := Fits(c.State()); (err == nil) != r.fits {
			t.Errorf("%s: %v", name, err)
		}
	}
}
