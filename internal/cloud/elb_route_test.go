package cloud_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
)

// newBalanced is a service of the wire between two target groups.
func newBalanced(t *testing.T) *cloud.Cloud {
	t.Helper()
	c := open(t, &cloudtest.Memory{})
	for id, group := range map[string]string{"blue": "t1", "green": "t2"} {
		ts := deploy.TaskSet{ID: id, Service: "c/s", Tasks: 1, TargetGroup: group, Revision: deploy.Revision{TaskDefinition: "web:" + group}}
		if err := c.Ensure(t.Context(), ts, epoch); err != nil {
			t.Fatal(err)
		}
	}
	err := c.Update(t.Context(), func(d *cloud.Draft) error {
		d.Put(cloud.LoadBalancer{Name: "lb", Address: "127.77.0.1"})
		d.Put(cloud.TargetGroup{Name: "t1"})
		d.Put(cloud.TargetGroup{Name: "t2"})
		d.Put(cloud.ELBListener{LoadBalancer: "lb", ID: "prod", Port: 80, Default: forwardTo("t1", 1), Rules: []cloud.ListenerRule{
			{ID: "r1", Priority: 1, Action: forwardTo("t1", 1)}, {ID: "r2", Priority: 2, Action: forwardTo("other", 7)},
		}})
		d.Put(cloud.ELBListener{LoadBalancer: "lb", ID: "test", Port: 8080, Default: forwardTo("t1", 1)})
		d.Put(cloud.ECSService{Cluster: "c", Name: "s", Controller: cloud.ControllerCodeDeploy, Primary: "blue", Routing: cloud.Routing{
			Production: "lb/prod", Test: "lb/test", TargetGroups: []string{"t1", "t2"},
		}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func forwardTo(group string, weight int) cloud.Action {
	return cloud.Action{Forward: []cloud.GroupWeight{{TargetGroup: group, Weight: weight}}}
}

func shift(blue, green int) deploy.Route {
	return deploy.Route{Service: "c/s", Test: "green", Ledger: "d-1", Production: []deploy.RouteWeight{{TaskSet: "blue", Weight: blue}, {TaskSet: "green", Weight: green}}}
}

func TestRoute_targetGroups(t *testing.T) {
	t.Parallel()
	c := newBalanced(t)
	if _, err := c.Route(t.Context(), shift(90, 10)); err != nil {
		t.Fatal(err)
	}
	st := c.State()
	l, _ := cloud.Find[cloud.ELBListener](st, "lb/prod")
	want := []cloud.GroupWeight{{TargetGroup: "t1", Weight: 90}, {TargetGroup: "t2", Weight: 10}}
	if diff := cmp.Diff([][]cloud.GroupWeight{want, want, {{TargetGroup: "other", Weight: 7}}}, [][]cloud.GroupWeight{l.Default.Forward, l.Rules[0].Action.Forward, l.Rules[1].Action.Forward}); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
	if st.Weight("c/s", "blue") != 90 || st.Weight("c/s", "green") != 10 || !st.Tests("c/s", "green") || st.Tests("c/s", "blue") {
		t.Errorf("blue %d, green %d, test green %t", st.Weight("c/s", "blue"), st.Weight("c/s", "green"), st.Tests("c/s", "green"))
	}
	if p, _ := st.Primary("c/s"); p.ID != "blue" {
		t.Errorf("the primary task set is %s before it has all traffic", p.ID)
	}
	if _, err := c.Route(t.Context(), shift(0, 100)); err != nil {
		t.Fatal(err)
	}
	svc, _ := cloud.Find[cloud.ECSService](c.State(), "c/s")
	if svc.Primary != "green" || svc.TaskDefinition != "web:t2" {
		t.Errorf("after the switch the service is %+v", svc)
	}
}

// Somebody else's weights are a conflict, and are overwritten only by force; edits beside the pair are not.
func TestRoute_targetGroupConflict(t *testing.T) {
	t.Parallel()
	c := newBalanced(t)
	if _, err := c.Route(t.Context(), shift(50, 50)); err != nil {
		t.Fatal(err)
	}
	edit := func(change func(l *cloud.ELBListener)) {
		t.Helper()
		if err := c.Update(t.Context(), func(d *cloud.Draft) error {
			l, _ := cloud.Find[cloud.ELBListener](d.State(), "lb/prod")
			change(&l)
			d.Put(l)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	edit(func(l *cloud.ELBListener) {
		l.Default.Forward = append([]cloud.GroupWeight{{TargetGroup: "other", Weight: 1}}, l.Default.Forward...)
		l.Rules = nil
	})
	if _, err := c.Route(t.Context(), shift(40, 60)); err != nil {
		t.Errorf("after an edit beside the pair: %v", err)
	}
	edit(func(l *cloud.ELBListener) { l.Default = forwardTo("t1", 100) })
	if _, err := c.Route(t.Context(), shift(0, 100)); !errors.Is(err, deploy.ErrConflict) {
		t.Errorf("after an edit of the pair: %v", err)
	}
	edit(func(l *cloud.ELBListener) { l.Default = cloud.Action{Fixed: &cloud.FixedResponse{Status: 503}} })
	back := shift(100, 0)
	back.Force = true
	if _, err := c.Route(t.Context(), back); err != nil || c.State().Weight("c/s", "blue") != 100 {
		t.Errorf("by force: %v, blue has %d", err, c.State().Weight("c/s", "blue"))
	}
}

func TestRoute_targetGroupMissing(t *testing.T) {
	t.Parallel()
	c := newBalanced(t)
	missing := shift(0, 100)
	missing.Production[1].TaskSet = "gone"
	if _, err := c.Route(t.Context(), missing); !errors.Is(err, &deploy.Error{Code: deploy.CodeNotFound}) {
		t.Errorf("to a task set that is gone: %v", err)
	}
	if err := c.State().CheckRouting("c/s"); err != nil {
		t.Errorf("blue has all traffic: %v", err)
	}
	if err := c.Update(t.Context(), func(d *cloud.Draft) error {
		d.Remove(cloud.ELBListener{LoadBalancer: "lb", ID: "prod"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Route(t.Context(), shift(0, 100)); !errors.Is(err, &deploy.Error{Code: deploy.CodeNotFound}) {
		t.Errorf("without a listener: %v", err)
	}
	if err := c.State().CheckRouting("c/s"); err == nil {
		t.Error("a service without its listener may begin")
	}
}
