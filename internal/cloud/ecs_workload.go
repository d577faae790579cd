package cloud

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"greengate/internal/deploy"
)

// ProcessImage begins the image of a container that runs as a process of this machine: "process:", or "process:FOLDER"
// for its working directory.
const ProcessImage = "process:"

// defaultStopTimeout is between SIGTERM and SIGKILL where a container names nothing (30 s on Fargate).
const defaultStopTimeout = 30 * time.Second

// Container finds a container by its name. Without a name it is the first essential one.
func (d TaskDefinition) Container(name string) (Container, bool) {
	for _, c := range d.Containers {
		if c.Name == name || name == "" && c.Essential {
			return c, true
		}
	}
	return Container{}, false
}

// Workload is what a task of the definition runs. Several tasks share this machine, so each listens on a port of its
// own, which it is told in PORT; the container's port is only what a load balancer's registration names. An error is
// for people: it names what cannot be run, and why.
func (d TaskDefinition) Workload(container string) (deploy.Workload, error) {
	c, ok := d.Container(container)
	if !ok {
		return deploy.Workload{}, deploy.Errorf(deploy.CodeInvalid, "task definition %s has no container '%s'", d.ResourceKey(), container)
	}
	if len(d.Containers) > 1 {
		return deploy.Workload{}, deploy.Errorf(deploy.CodeInvalid,
			"task definition %s has %d containers; the process runtime runs exactly one", d.ResourceKey(), len(d.Containers))
	}
	dir, ok := strings.CutPrefix(c.Image, ProcessImage)
	if !ok {
		return deploy.Workload{}, deploy.Errorf(deploy.CodeInvalid,
			"container '%s' of task definition %s has image '%s', which needs the Docker runtime; there is none here. Use image 'process:' with entryPoint and command to run a process",
			c.Name, d.ResourceKey(), c.Image)
	}
	w := deploy.Workload{
		Command: slices.Concat(c.EntryPoint, c.Command), Dir: c.Dir, Env: c.Env, Network: "host",
		CPU: float64(c.CPU) / 1024, MemoryBytes: int64(c.MemoryMiB) << 20, Grace: c.StopTimeout,
	}
	if w.Dir == "" {
		w.Dir = dir
	}
	if w.Grace == 0 {
		w.Grace = defaultStopTimeout
	}
	if len(w.Command) == 0 {
		return deploy.Workload{}, deploy.Errorf(deploy.CodeInvalid, "container '%s' of task definition %s has neither entryPoint nor command", c.Name, d.ResourceKey())
	}
	return w, nil
}

// Check is how tasks in the target group prove that they are well.
func (g TargetGroup) Check() *deploy.HealthCheck {
	h := g.Health
	check := &deploy.HealthCheck{
		Type: "http", Path: h.Path, Statuses: h.Matcher, Interval: h.Interval, Timeout: h.Timeout,
		HealthyThreshold: h.HealthyThreshold, UnhealthyThreshold: h.UnhealthyThreshold,
	}
	if h.Protocol != "HTTP" {
		check.Type, check.Path, check.Statuses = "tcp", "", ""
	}
	return check
}

// TaskSetOf is a task set of a service: the definition's container behind the endpoint's target group, or behind none.
// An error is for people.
func (s State) TaskSetOf(service ECSService, def TaskDefinition, endpoint ServiceEndpoint, id string) (deploy.TaskSet, error) {
	w, err := def.Workload(endpoint.Container)
	if err != nil {
		return deploy.TaskSet{}, err
	}
	if endpoint.TargetGroup != "" {
		g, ok := Find[TargetGroup](s, endpoint.TargetGroup)
		if !ok {
			return deploy.TaskSet{}, notFound("target group", endpoint.TargetGroup)
		}
		if c, _ := def.Container(endpoint.Container); !slices.Contains(c.Ports, endpoint.Port) {
			return deploy.TaskSet{}, deploy.Errorf(deploy.CodeInvalid, "container '%s' of task definition %s does not map port %d", c.Name, def.ResourceKey(), endpoint.Port)
		}
		w.Health = g.Check()
		if g.ProtocolVersion == "HTTP2" || g.ProtocolVersion == "GRPC" {
			w.Protocol = "h2c"
		}
	}
	content, err := json.Marshal(w)
	if err != nil {
		return deploy.TaskSet{}, fmt.Errorf("encode workload of %s: %w", def.ResourceKey(), err)
	}
	sum := sha256.Sum256(append(content, def.ResourceKey()...))
	return deploy.TaskSet{
		ID: id, Service: service.ResourceKey(), Tasks: service.Desired, TargetGroup: endpoint.TargetGroup,
		Revision: deploy.Revision{Version: def.ResourceKey(), Digest: hex.EncodeToString(sum[:]), TaskDefinition: def.ResourceKey(), Workload: w},
	}, nil
}

// FindTaskDefinition finds a definition by "family:revision", its ARN, or a family, which is its latest active revision.
func FindTaskDefinition(s State, ref string) (TaskDefinition, bool) {
	ref = ShortTaskDefinition(ref)
	if d, ok := Find[TaskDefinition](s, ref); ok || strings.Contains(ref, ":") {
		return d, ok
	}
	var latest TaskDefinition
	for _, d := range All[TaskDefinition](s) {
		if d.Family == ref && d.Status == "ACTIVE" && d.Revision > latest.Revision {
			latest = d
		}
	}
	return latest, latest.Revision > 0
}

// DefaultCluster exists without being made.
const DefaultCluster = "default"

// ServiceKey is the key of an ECS service from how clients name it: a cluster by name or ARN, a service by name or ARN,
// old or new.
func ServiceKey(cluster, service string) string {
	c := ClusterName(cluster)
	if i := strings.Index(service, ":service/"); i >= 0 {
		service = service[i+len(":service/"):]
		if in, name, ok := strings.Cut(service, "/"); ok {
			c, service = in, name
		}
	}
	return c + "/" + service
}

// ClusterName is the name of a cluster from its name or ARN; empty is the default one.
func ClusterName(ref string) string {
	if i := strings.Index(ref, ":cluster/"); i >= 0 {
		ref = ref[i+len(":cluster/"):]
	}
	if ref == "" {
		return DefaultCluster
	}
	return ref
}
