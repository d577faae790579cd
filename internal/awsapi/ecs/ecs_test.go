package ecs_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/awsapitest"
	"greengate/internal/awsapi/ecs"
	"greengate/internal/awsapi/elb"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
	"greengate/internal/traffic/l7"
)

// runtime keeps task sets that are at once as they are wanted.
type runtime struct{ *cloud.Cloud }

func (r runtime) Ensure(ctx context.Context, ts deploy.TaskSet) error {
	return r.Cloud.Ensure(ctx, ts, time.Now())
}

func (r runtime) Observe(_ context.Context, id string) (deploy.TaskSetStatus, error) {
	n := r.State().TaskSets[id].Tasks
	return deploy.TaskSetStatus{Desired: n, Running: n, Healthy: n}, nil
}

// tasks are those of services, each running since its set was made; those that were run never start.
type tasks struct{ *cloud.Cloud }

func (tasks) Nudge() {}

func (t tasks) Live(context.Context) ([]cloud.Task, error) {
	var list []cloud.Task
	st := t.State()
	for _, ts := range st.TaskSets {
		svc, _ := cloud.Find[cloud.ECSService](st, ts.Service)
		for i := range ts.Tasks {
			list = append(list, cloud.Task{
				Cluster: svc.Cluster, ID: fmt.Sprintf("%s%d", strings.TrimPrefix(ts.ID, "ecs-svc/"), i), TaskDefinition: ts.Revision.TaskDefinition,
				Created: ts.Created, Started: ts.Created, StartedBy: ts.ID, Group: "service:" + svc.Name, Container: "app", Status: cloud.TaskRunning,
				Address: "127.64.0.1:4000", TaskSet: ts.ID, Unit: fmt.Sprintf("%s/%d", ts.ID, i),
			})
		}
	}
	return list, nil
}

func TestBoto3(t *testing.T) {
	t.Parallel()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	s := ecs.New(ecs.Config{Region: awsapitest.Region, AccountID: awsapitest.AccountID, Resources: c, Runtime: runtime{c}, Tasks: tasks{c}, Now: time.Now})
	balancers := elb.New(elb.Config{
		Region: awsapitest.Region, AccountID: awsapitest.AccountID, Resources: c, Now: time.Now,
		Sync: func(context.Context, string) error { return nil }, Fits: l7.Fits, Network: netip.MustParsePrefix("127.77.0.0/16"),
	})
	srv := awsapitest.Start(t, map[string]awsapi.Handlers{"ecs": s.Handlers(), "elasticloadbalancing": balancers.Handlers()}, nil)
	srv.Python(t, "testdata/ecs.py")
}

func TestNewTaskSetID(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := ecs.NewTaskSetID()
		if len(id) != len("ecs-svc/")+19 || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}
