package ecs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

func (s *Service) taskHandlers(h awsapi.Handlers) {
	h["RunTask"] = awsapi.Handle(s.runTask, func(in *shape.RunTaskRequest) []string {
		return []string{s.definitionARN(cloud.ShortTaskDefinition(in.TaskDefinition))}
	})
	h["ListTasks"] = awsapi.Handle(s.listTasks, nil)
	h["DescribeTasks"] = awsapi.Handle(s.describeTasks, func(in *shape.DescribeTasksRequest) []string {
		var arns []string
		for _, ref := range in.Tasks {
			arns = append(arns, s.taskARN(taskKey(in.Cluster, ref)))
		}
		return arns
	})
	h["StopTask"] = awsapi.Handle(s.stopTask, func(in *shape.StopTaskRequest) []string {
		return []string{s.taskARN(taskKey(in.Cluster, in.Task))}
	})
}

const (
	maxRun       = 10  // tasks of one RunTask
	maxStartedBy = 128 // characters
	maxDescribed = 100 // tasks of one DescribeTasks
	cpuUnits     = 1024.0
	mebibytes    = 1024.0 // of one gibibyte

	statusRunning = "RUNNING"
	statusStopped = "STOPPED"
	familyGroup   = "family:"
	serviceGroup  = "service:"
	stoppedByUser = "Task stopped by user"
)

func (s *Service) taskARN(key string) string { return s.arn("task/" + key) }

// taskKey is the key of a task from a cluster and its id or ARN.
func taskKey(clusterRef, ref string) string {
	c := cloud.ClusterName(clusterRef)
	if i := strings.Index(ref, ":task/"); i >= 0 {
		ref = ref[i+len(":task/"):]
		if in, id, ok := strings.Cut(ref, "/"); ok {
			return in + "/" + id
		}
	}
	return c + "/" + ref
}

func newTaskID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails (crypto/rand's contract since Go 1.24)
	return hex.EncodeToString(id)
}

func (s *Service) runTask(ctx context.Context, by awsapi.Principal, in *shape.RunTaskRequest) (*shape.RunTaskResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	count := 1
	if in.Count != nil {
		count = int(*in.Count)
	}
	switch {
	case count < 1 || count > maxRun:
		return nil, awsapi.Fault("InvalidParameterException", "The count %d is not between 1 and %d.", count, maxRun)
	case len(in.StartedBy) > maxStartedBy:
		return nil, awsapi.Fault("InvalidParameterException", "startedBy has more than %d characters.", maxStartedBy)
	}
	var tasks []cloud.Task
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		proto, err := s.newTask(d.State(), by, in)
		if err != nil {
			return err
		}
		if tasks = repeated(d.State(), proto); len(tasks) > 0 {
			return nil
		}
		for range count {
			proto.ID = newTaskID()
			tasks = append(tasks, proto)
			d.Put(proto)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.cfg.Tasks.Nudge()
	out := &shape.RunTaskResponse{Tasks: []shape.Task{}, Failures: []shape.Failure{}}
	for _, t := range tasks {
		v, err := s.taskShape(s.cfg.Resources.State(), t)
		if err != nil {
			return nil, err
		}
		out.Tasks = append(out.Tasks, *v)
	}
	return out, nil
}

// repeated are the tasks of an earlier RunTask with the same client token.
func repeated(st cloud.State, proto cloud.Task) []cloud.Task {
	if proto.Token == "" {
		return nil
	}
	return slices.DeleteFunc(cloud.All[cloud.Task](st), func(t cloud.Task) bool {
		return t.Token != proto.Token || t.Cluster != proto.Cluster
	})
}

// newTask is what RunTask starts, without an id.
func (s *Service) newTask(st cloud.State, by awsapi.Principal, in *shape.RunTaskRequest) (cloud.Task, error) {
	c, err := cluster(st, in.Cluster)
	if err != nil {
		return cloud.Task{}, err
	}
	def, ok := cloud.FindTaskDefinition(st, in.TaskDefinition)
	if !ok || def.Status != statusActive {
		return cloud.Task{}, awsapi.Fault("ClientException", "TaskDefinition not found or not active: '%s'.", in.TaskDefinition)
	}
	def, err = overridden(def, in.Overrides)
	if err != nil {
		return cloud.Task{}, err
	}
	w, err := def.Workload("")
	if err != nil {
		return cloud.Task{}, worded(err)
	}
	if w, err = bounded(w, in.Overrides); err != nil {
		return cloud.Task{}, err
	}
	main, _ := def.Container("")
	t := cloud.Task{
		Cluster: c.Name, TaskDefinition: def.ResourceKey(), Created: s.cfg.Now(), By: by.ARN, StartedBy: in.StartedBy, Group: in.Group,
		Token: in.ClientToken, Container: main.Name, Workload: w, Status: cloud.TaskProvisioning, Tags: map[string]string{},
	}
	if t.Group == "" {
		t.Group = familyGroup + def.Family
	}
	if in.PropagateTags == "TASK_DEFINITION" {
		maps.Copy(t.Tags, def.Tags)
	}
	maps.Copy(t.Tags, tagMap(in.Tags))
	t.Input, err = encode(in)
	return t, err
}

// overridden is a definition with what RunTask says otherwise of its containers.
func overridden(def cloud.TaskDefinition, o *shape.TaskOverride) (cloud.TaskDefinition, error) {
	if o == nil {
		return def, nil
	}
	def.Containers = slices.Clone(def.Containers)
	for _, c := range o.ContainerOverrides {
		i := slices.IndexFunc(def.Containers, func(d cloud.Container) bool { return d.Name == c.Name })
		if i < 0 {
			return def, awsapi.Fault("InvalidParameterException", "Override for container named %s is not a container in the TaskDefinition.", c.Name)
		}
		def.Containers[i] = overriddenContainer(def.Containers[i], c)
	}
	return def, nil
}

func overriddenContainer(d cloud.Container, c shape.ContainerOverride) cloud.Container {
	if len(c.Command) > 0 {
		d.Command = c.Command
	}
	if len(c.Environment) > 0 {
		d.Env = maps.Clone(d.Env)
	}
	for _, kv := range c.Environment {
		if d.Env == nil {
			d.Env = map[string]string{}
		}
		d.Env[kv.Name] = kv.Value
	}
	if c.Cpu != nil {
		d.CPU = int(*c.Cpu)
	}
	if c.Memory != nil {
		d.MemoryMiB = int(*c.Memory)
	}
	return d
}

// bounded gives a workload the limits of the whole task where its container has none.
func bounded(w deploy.Workload, o *shape.TaskOverride) (deploy.Workload, error) {
	if o == nil {
		return w, nil
	}
	cpu, ok := amount(o.Cpu, "vcpu", cpuUnits)
	if !ok {
		return w, awsapi.Fault("ClientException", "Invalid 'cpu' setting for task: %s", o.Cpu)
	}
	memory, ok := amount(o.Memory, "gb", mebibytes)
	if !ok {
		return w, awsapi.Fault("ClientException", "Invalid 'memory' setting for task: %s", o.Memory)
	}
	if w.CPU == 0 {
		w.CPU = cpu / cpuUnits
	}
	if w.MemoryBytes == 0 {
		w.MemoryBytes = int64(memory) << 20
	}
	return w, nil
}

// amount reads "256", ".25 vCPU" or "1GB"; a number with the unit counts times. Empty is 0.
func amount(text, unit string, times float64) (float64, bool) {
	if text == "" {
		return 0, true
	}
	number, whole := strings.CutSuffix(strings.ToLower(text), unit)
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if whole {
		n *= times
	}
	return n, err == nil && n > 0 && n < 1<<20
}

// taskOf finds a task: one that is stored, or one of a service that runs.
func (s *Service) taskOf(ctx context.Context, clusterRef, ref string) (cloud.Task, bool, error) {
	tasks, err := s.tasks(ctx)
	if err != nil {
		return cloud.Task{}, false, err
	}
	key := taskKey(clusterRef, ref)
	i := slices.IndexFunc(tasks, func(t cloud.Task) bool { return t.ResourceKey() == key })
	if i < 0 {
		return cloud.Task{}, false, nil
	}
	return tasks[i], true, nil
}

// tasks are all that are known, those that were made first first.
func (s *Service) tasks(ctx context.Context) ([]cloud.Task, error) {
	tasks, err := s.cfg.Tasks.Live(ctx)
	if err != nil {
		return nil, err
	}
	live := map[string]bool{}
	for _, t := range tasks {
		live[t.ResourceKey()] = true
	}
	for _, t := range cloud.All[cloud.Task](s.cfg.Resources.State()) {
		if !live[t.ResourceKey()] {
			tasks = append(tasks, t)
		}
	}
	slices.SortStableFunc(tasks, func(a, b cloud.Task) int { return a.Created.Compare(b.Created) })
	return tasks, nil
}

func (s *Service) listTasks(ctx context.Context, _ awsapi.Principal, in *shape.ListTasksRequest) (*shape.ListTasksResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	st := s.cfg.Resources.State()
	c, err := cluster(st, in.Cluster)
	if err != nil {
		return nil, err
	}
	if in.ServiceName != "" {
		if _, ok := cloud.Find[cloud.ECSService](st, cloud.ServiceKey(c.Name, in.ServiceName)); !ok {
			return nil, awsapi.Fault("ServiceNotFoundException", "Service not found.")
		}
	}
	tasks, err := s.tasks(ctx)
	if err != nil {
		return nil, err
	}
	arns := []string{}
	for _, t := range tasks {
		if t.Cluster == c.Name && s.selected(t, in) {
			arns = append(arns, s.taskARN(t.ResourceKey()))
		}
	}
	items, next, err := page(arns, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &shape.ListTasksResponse{TaskARNs: items, NextToken: next}, nil
}

func (s *Service) selected(t cloud.Task, in *shape.ListTasksRequest) bool {
	want := string(in.DesiredStatus)
	if want == "" {
		want = statusRunning
	}
	family, _, _ := strings.Cut(t.TaskDefinition, ":")
	_, service, _ := strings.Cut(cloud.ServiceKey(in.Cluster, in.ServiceName), "/")
	return desired(t) == want && in.ContainerInstance == "" &&
		(in.Family == "" || family == in.Family) &&
		(in.StartedBy == "" || t.StartedBy == in.StartedBy) &&
		(in.ServiceName == "" || t.Group == serviceGroup+service) &&
		(in.LaunchType == "" || string(s.launchType(t)) == string(in.LaunchType))
}

// desired is the status that a task is to have.
func desired(t cloud.Task) string {
	if t.Ended() || !t.Stopping.IsZero() || t.StopCode != "" {
		return statusStopped
	}
	return statusRunning
}

func (s *Service) describeTasks(ctx context.Context, _ awsapi.Principal, in *shape.DescribeTasksRequest) (*shape.DescribeTasksResponse, error) {
	st := s.cfg.Resources.State()
	if _, err := cluster(st, in.Cluster); err != nil {
		return nil, err
	}
	if len(in.Tasks) == 0 || len(in.Tasks) > maxDescribed {
		return nil, awsapi.Fault("InvalidParameterException", "Tasks must have 1 to %d members.", maxDescribed)
	}
	tasks, err := s.tasks(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]cloud.Task{}
	for _, t := range tasks {
		known[t.ResourceKey()] = t
	}
	out := &shape.DescribeTasksResponse{Tasks: []shape.Task{}, Failures: []shape.Failure{}}
	for _, ref := range in.Tasks {
		key := taskKey(in.Cluster, ref)
		t, ok := known[key]
		if !ok {
			out.Failures = append(out.Failures, shape.Failure{ARN: s.taskARN(key), Reason: reasonMissing})
			continue
		}
		v, err := s.taskShape(st, t)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(in.Include, "TAGS") {
			v.Tags = nil
		}
		out.Tasks = append(out.Tasks, *v)
	}
	return out, nil
}

func (s *Service) stopTask(ctx context.Context, _ awsapi.Principal, in *shape.StopTaskRequest) (*shape.StopTaskResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	if _, err := cluster(s.cfg.Resources.State(), in.Cluster); err != nil {
		return nil, err
	}
	t, ok, err := s.taskOf(ctx, in.Cluster, in.Task)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, awsapi.Fault("InvalidParameterException", "The referenced task was not found.")
	}
	err = s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if stored, ok := cloud.Find[cloud.Task](d.State(), t.ResourceKey()); ok {
			t = stored
		}
		if t.Ended() || !t.Stopping.IsZero() {
			return nil
		}
		t.Stopping, t.StopCode, t.StopReason = s.cfg.Now(), cloud.StopUserInitiated, in.Reason
		if t.StopReason == "" {
			t.StopReason = stoppedByUser
		}
		d.Put(t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.cfg.Tasks.Nudge()
	v, err := s.taskShape(s.cfg.Resources.State(), t)
	return &shape.StopTaskResponse{Task: v}, err
}
