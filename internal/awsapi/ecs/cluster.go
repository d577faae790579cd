package ecs

import (
	"context"
	"slices"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/cloud"
)

func (s *Service) clusterHandlers(h awsapi.Handlers) {
	h["CreateCluster"] = awsapi.Handle(s.createCluster, nil)
	h["DescribeClusters"] = awsapi.Handle(s.describeClusters, func(in *shape.DescribeClustersRequest) []string {
		var arns []string
		for _, c := range in.Clusters {
			arns = append(arns, s.clusterARN(cloud.ClusterName(c)))
		}
		return arns
	})
	h["ListClusters"] = awsapi.Handle(s.listClusters, nil)
	h["DeleteCluster"] = awsapi.Handle(s.deleteCluster, func(in *shape.DeleteClusterRequest) []string {
		return []string{s.clusterARN(cloud.ClusterName(in.Cluster))}
	})
}

// cluster finds a cluster by name or ARN.
func cluster(st cloud.State, ref string) (cloud.Cluster, error) {
	name := cloud.ClusterName(ref)
	c, ok := cloud.Find[cloud.Cluster](st, name)
	if !ok && name == cloud.DefaultCluster {
		return cloud.Cluster{Name: name}, nil
	}
	if !ok {
		return c, awsapi.Fault("ClusterNotFoundException", "Cluster not found.")
	}
	return c, nil
}

func (s *Service) clusterShape(st cloud.State, c cloud.Cluster) *shape.Cluster {
	services := 0
	for _, svc := range cloud.All[cloud.ECSService](st) {
		if svc.Cluster == c.Name && svc.Status == statusActive {
			services++
		}
	}
	return &shape.Cluster{
		ClusterARN: s.clusterARN(c.Name), ClusterName: c.Name, Status: statusActive, ActiveServicesCount: new(int32(services)),
		RunningTasksCount: new(int32(0)), PendingTasksCount: new(int32(0)), RegisteredContainerInstancesCount: new(int32(0)), Tags: tagList(c.Tags),
	}
}

func (s *Service) createCluster(ctx context.Context, _ awsapi.Principal, in *shape.CreateClusterRequest) (*shape.CreateClusterResponse, error) {
	c := cloud.Cluster{Name: in.ClusterName, Created: s.cfg.Now(), Tags: tagMap(in.Tags)}
	if c.Name == "" {
		c.Name = cloud.DefaultCluster
	}
	if err := validName("Cluster", c.Name); err != nil {
		return nil, err
	}
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if old, ok := cloud.Find[cloud.Cluster](d.State(), c.Name); ok {
			c = old // ECS answers the one that exists
			return nil
		}
		d.Put(c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateClusterResponse{Cluster: s.clusterShape(s.cfg.Resources.State(), c)}, nil
}

func (s *Service) describeClusters(ctx context.Context, _ awsapi.Principal, in *shape.DescribeClustersRequest) (*shape.DescribeClustersResponse, error) {
	st := s.cfg.Resources.State()
	refs := in.Clusters
	if len(refs) == 0 {
		refs = []string{cloud.DefaultCluster}
	}
	tasks, err := s.tasks(ctx)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeClustersResponse{Clusters: []shape.Cluster{}, Failures: []shape.Failure{}}
	for _, ref := range refs {
		c, err := cluster(st, ref)
		if err != nil {
			out.Failures = append(out.Failures, shape.Failure{ARN: s.clusterARN(cloud.ClusterName(ref)), Reason: reasonMissing})
			continue
		}
		v := s.clusterShape(st, c)
		for _, t := range tasks {
			switch {
			case t.Cluster != c.Name:
			case t.Status == cloud.TaskRunning:
				*v.RunningTasksCount++
			case t.Status == cloud.TaskPending || t.Status == cloud.TaskProvisioning:
				*v.PendingTasksCount++
			}
		}
		if !slices.Contains(in.Include, "TAGS") {
			v.Tags = nil
		}
		out.Clusters = append(out.Clusters, *v)
	}
	return out, nil
}

func (s *Service) listClusters(_ context.Context, _ awsapi.Principal, in *shape.ListClustersRequest) (*shape.ListClustersResponse, error) {
	names := []string{cloud.DefaultCluster}
	for _, c := range cloud.All[cloud.Cluster](s.cfg.Resources.State()) {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	arns := []string{}
	for _, n := range slices.Compact(names) {
		arns = append(arns, s.clusterARN(n))
	}
	list, next, err := page(arns, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &shape.ListClustersResponse{ClusterARNs: list, NextToken: next}, nil
}

func (s *Service) deleteCluster(ctx context.Context, _ awsapi.Principal, in *shape.DeleteClusterRequest) (*shape.DeleteClusterResponse, error) {
	var out *shape.Cluster
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		c, err := cluster(d.State(), in.Cluster)
		if err != nil {
			return err
		}
		for _, svc := range cloud.All[cloud.ECSService](d.State()) {
			if svc.Cluster == c.Name && svc.Status != statusInactive {
				return awsapi.Fault("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
			}
		}
		for _, t := range cloud.All[cloud.Task](d.State()) {
			if t.Cluster == c.Name && !t.Ended() {
				return awsapi.Fault("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
			}
		}
		out = s.clusterShape(d.State(), c)
		out.Status = statusInactive
		d.Remove(c)
		return nil
	})
	return &shape.DeleteClusterResponse{Cluster: out}, err
}
