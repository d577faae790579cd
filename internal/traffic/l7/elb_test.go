package l7

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/cloud"
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
