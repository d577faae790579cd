package awsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/cloud"
)

func (c *codeDeploy) createDeploymentGroup(ctx context.Context, by Principal, in *codedeploy.CreateDeploymentGroupInput) (*codedeploy.CreateDeploymentGroupOutput, error) {
	on := groupName{in.ApplicationName, in.DeploymentGroupName}
	if err := c.allow(ctx, by, "CreateDeploymentGroup", &on); err != nil {
		return nil, err
	}
	if err := c.allowPass(ctx, by, in.ServiceRoleARN); err != nil {
		return nil, err
	}
	if err := checkGroupName(on.application, on.group); err != nil {
		return nil, err
	}
	tags, err := readTags(in.Tags)
	if err != nil {
		return nil, err
	}
	g := cloud.DeploymentGroup{Application: on.application, Name: on.group, ID: newUUID(), Created: c.cfg.Now(), Tags: tags}
	err = c.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if _, err := c.application(d.State(), on.application); err != nil {
			return err
		}
		if _, ok := cloud.Find[cloud.DeploymentGroup](d.State(), g.ResourceKey()); ok {
			return fault("DeploymentGroupAlreadyExistsException", "Deployment group name "+g.Name+" already exists.")
		}
		if n := len(groupsOf(d.State(), on.application)); n >= maxGroups {
			return fault("DeploymentGroupLimitExceededException", "The deployment groups limit was exceeded.")
		}
		if err := c.fill(d.State(), &g, in); err != nil {
			return err
		}
		d.Put(g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &codedeploy.CreateDeploymentGroupOutput{DeploymentGroupID: g.ID}, nil
}

// groupsOf are the groups of an application, sorted by name.
func groupsOf(st cloud.State, application string) []cloud.DeploymentGroup {
	return slices.DeleteFunc(cloud.All[cloud.DeploymentGroup](st), func(g cloud.DeploymentGroup) bool { return g.Application != application })
}

// fill checks a group's input whole (table 1.3 of the contract: an exception a member) and takes it over.
func (c *codeDeploy) fill(st cloud.State, g *cloud.DeploymentGroup, in *codedeploy.CreateDeploymentGroupInput) error {
	app, _ := cloud.Find[cloud.Application](st, g.Application)
	checks := []func() error{
		func() error { return groupRole(g, in) },
		func() error { return groupServers(in) },
		func() error { return groupStyle(in.DeploymentStyle) },
		func() error { return groupBlueGreen(g, in.BlueGreenDeploymentConfiguration) },
		func() error { return groupLoadBalancer(g, app, in.LoadBalancerInfo) },
		func() error { return groupService(st, g, in.EcsServices) },
		func() error { return groupConfig(st, g, in.DeploymentConfigName) },
		func() (err error) { g.Triggers, err = readTriggers(in.TriggerConfigurations); return err },
		func() (err error) { g.Alarms, err = readAlarms(in.AlarmConfiguration); return err },
		func() (err error) { g.Rollback, err = readRollback(in.AutoRollbackConfiguration); return err },
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	input, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode deployment group: %w", err)
	}
	g.Input = input
	return nil
}

func groupRole(g *cloud.DeploymentGroup, in *codedeploy.CreateDeploymentGroupInput) error {
	if in.ServiceRoleARN == "" {
		return fault("RoleRequiredException", "The role ARN is required to create a deployment group.")
	}
	fields := strings.SplitN(in.ServiceRoleARN, ":", 6)
	if len(fields) != 6 || fields[0] != "arn" || fields[2] != "iam" || !strings.HasPrefix(fields[5], "role/") || len(fields[5]) == len("role/") {
		return fault("InvalidRoleException", "The service role ARN was specified in an invalid format: "+in.ServiceRoleARN)
	}
	g.ServiceRole = in.ServiceRoleARN
	return nil
}

// groupServers refuses what only servers have.
func groupServers(in *codedeploy.CreateDeploymentGroupInput) error {
	if in.AutoScalingGroups != nil {
		return fault("InvalidAutoScalingGroupException", "Auto Scaling groups cannot be given for an ECS deployment group.")
	}
	if len(in.Ec2TagFilters) > 0 || in.Ec2TagSet != nil || len(in.OnPremisesInstanceTagFilters) > 0 || in.OnPremisesTagSet != nil {
		return fault("InvalidInputException", "Tag filters of instances cannot be given for an ECS deployment group.")
	}
	return nil
}

func groupStyle(s *codedeploy.DeploymentStyle) error {
	if s == nil || s.DeploymentType != codedeploy.DeploymentTypeBlueGreen || s.DeploymentOption != codedeploy.DeploymentOptionWithTrafficControl {
		return fault("InvalidDeploymentStyleException", "For an ECS deployment group, deploymentType must be BLUE_GREEN and deploymentOption WITH_TRAFFIC_CONTROL.")
	}
	return nil
}

func groupBlueGreen(g *cloud.DeploymentGroup, in *codedeploy.BlueGreenDeploymentConfiguration) error {
	if in == nil {
		return invalidBlueGreen("blueGreenDeploymentConfiguration is required for an ECS deployment group.")
	}
	g.ReadyAction, g.ReadyWait, g.TerminationWait = string(codedeploy.DeploymentReadyActionContinueDeployment), 0, 0
	if r := in.DeploymentReadyOption; r != nil {
		if r.WaitTimeInMinutes != nil {
			g.ReadyWait = int(*r.WaitTimeInMinutes)
		}
		if r.ActionOnTimeout != "" {
			g.ReadyAction = string(r.ActionOnTimeout)
		}
		switch {
		case r.ActionOnTimeout != "" && !r.ActionOnTimeout.Known():
			return invalidBlueGreen("actionOnTimeout is CONTINUE_DEPLOYMENT or STOP_DEPLOYMENT.")
		case g.ReadyWait < 0 || g.ReadyWait > maxReadyWait:
			return invalidBlueGreen("waitTimeInMinutes of deploymentReadyOption is 0 to 7200.")
		case g.ReadyAction == string(codedeploy.DeploymentReadyActionContinueDeployment) && g.ReadyWait > 0:
			return invalidBlueGreen("waitTimeInMinutes must be 0 with CONTINUE_DEPLOYMENT.")
		case g.ReadyAction == string(codedeploy.DeploymentReadyActionStopDeployment) && g.ReadyWait == 0:
			return invalidBlueGreen("waitTimeInMinutes must be at least 1 with STOP_DEPLOYMENT.") // unconfirmed: 0 would stop at once
		}
	}
	return groupTermination(g, in.TerminateBlueInstancesOnDeploymentSuccess)
}

func groupTermination(g *cloud.DeploymentGroup, in *codedeploy.BlueInstanceTerminationOption) error {
	if in == nil {
		return nil
	}
	if in.TerminationWaitTimeInMinutes != nil {
		g.TerminationWait = int(*in.TerminationWaitTimeInMinutes)
	}
	if in.Action != "" && in.Action != codedeploy.InstanceActionTerminate {
		return invalidBlueGreen("the action for the original task set of an ECS deployment group is TERMINATE.")
	}
	if g.TerminationWait < 0 || g.TerminationWait > maxWait {
		return invalidBlueGreen("terminationWaitTimeInMinutes is 0 to 2880.")
	}
	return nil
}

func invalidBlueGreen(why string) error {
	return fault("InvalidBlueGreenDeploymentConfigurationException", "The configuration for the blue/green deployment group was provided in an invalid format: "+why)
}

func groupLoadBalancer(g *cloud.DeploymentGroup, app cloud.Application, in *codedeploy.LoadBalancerInfo) error {
	invalid := func(why string) error {
		return fault("InvalidLoadBalancerInfoException", "An invalid load balancer name, or no load balancer name, was specified: "+why)
	}
	switch {
	case app.Platform != string(codedeploy.ComputePlatformECS):
		return invalid("the application is of the compute platform " + app.Platform + ", which needs elbInfoList or targetGroupInfoList; only applications of the ECS compute platform are deployed here.")
	case in == nil:
		return invalid("loadBalancerInfo is required for an ECS deployment group.")
	case len(in.ElbInfoList) > 0 || len(in.TargetGroupInfoList) > 0:
		return invalid("an ECS deployment group has targetGroupPairInfoList, not elbInfoList or targetGroupInfoList.")
	case len(in.TargetGroupPairInfoList) != 1:
		return invalid("targetGroupPairInfoList must have exactly one pair.")
	}
	pair := in.TargetGroupPairInfoList[0]
	badPair := func(why string) error {
		return fault("InvalidTargetGroupPairException", "A target group pair associated with this deployment is not valid: "+why)
	}
	if len(pair.TargetGroups) != 2 || pair.TargetGroups[0].Name == "" || pair.TargetGroups[1].Name == "" {
		return badPair("it must have exactly two target groups, by name.")
	}
	if pair.TargetGroups[0].Name == pair.TargetGroups[1].Name {
		return badPair("it must have distinct target groups.")
	}
	if pair.ProdTrafficRoute == nil || len(pair.ProdTrafficRoute.ListenerARNs) != 1 {
		return badPair("prodTrafficRoute must have exactly one listener.")
	}
	g.TargetGroups = []string{pair.TargetGroups[0].Name, pair.TargetGroups[1].Name}
	g.ProductionListener, g.TestListener = pair.ProdTrafficRoute.ListenerARNs[0], ""
	if pair.TestTrafficRoute != nil {
		if len(pair.TestTrafficRoute.ListenerARNs) > 1 {
			return badPair("testTrafficRoute has at most one listener.")
		}
		for _, arn := range pair.TestTrafficRoute.ListenerARNs {
			g.TestListener = arn
		}
	}
	return nil
}

func groupService(st cloud.State, g *cloud.DeploymentGroup, in []codedeploy.ECSService) error {
	invalid := func(why string) error {
		return fault("InvalidECSServiceException", "The Amazon ECS service identifier is not valid: "+why)
	}
	if len(in) != 1 || in[0].ServiceName == "" || in[0].ClusterName == "" {
		return invalid("ecsServices must have exactly one entry with serviceName and clusterName.")
	}
	g.Cluster, g.Service = in[0].ClusterName, in[0].ServiceName
	svc, ok := cloud.Find[cloud.ECSService](st, g.ServiceKey())
	switch {
	case !ok || svc.Status != "ACTIVE":
		return invalid("the service " + g.ServiceKey() + " does not exist, or is not ACTIVE.")
	case svc.Controller != cloud.ControllerCodeDeploy:
		return invalid("Deployment group's ECS service must be configured for a CODE_DEPLOY deployment controller.")
	}
	for _, o := range cloud.All[cloud.DeploymentGroup](st) {
		if o.ServiceKey() == g.ServiceKey() && o.ID != g.ID {
			return fault("ECSServiceMappingLimitExceededException",
				"The Amazon ECS service is associated with more than one deployment group: an Amazon ECS service can be associated with only one; it is with "+o.Name+" of application "+o.Application+".")
		}
	}
	return nil
}

// groupConfig takes a configuration. Where none is given it is ECSAllAtOnce (unconfirmed: the tutorial gives none); the
// one that Terraform gives by itself, of servers, means the same.
func groupConfig(st cloud.State, g *cloud.DeploymentGroup, name string) error {
	if name == "" {
		name = configECSAllAtOnce
	}
	if name != reservedPrefix+"OneAtATime" {
		if _, err := deploymentConfig(st, name); err != nil {
			return err
		}
	}
	g.Config = name
	return nil
}

func readTriggers(in []codedeploy.TriggerConfig) ([]cloud.Trigger, error) {
	if len(in) > maxTriggers {
		return nil, fault("TriggerTargetsLimitExceededException", "The maximum allowed number of triggers was exceeded: it is 10.")
	}
	var out []cloud.Trigger
	for _, t := range in {
		ok := t.TriggerName != "" && strings.HasPrefix(t.TriggerTargetARN, "arn:aws:sns:") && len(t.TriggerEvents) > 0
		trigger := cloud.Trigger{Name: t.TriggerName, Topic: t.TriggerTargetARN}
		for _, e := range t.TriggerEvents {
			ok = ok && e.Known()
			trigger.Events = append(trigger.Events, string(e))
		}
		if !ok {
			return nil, fault("InvalidTriggerConfigException", "The trigger was specified in an invalid format: it needs a name, the ARN of an SNS topic, and known events.")
		}
		out = append(out, trigger)
	}
	return out, nil
}

func readAlarms(in *codedeploy.AlarmConfiguration) (cloud.AlarmConfig, error) {
	var out cloud.AlarmConfig
	if in == nil {
		return out, nil
	}
	invalid := func(why string) error {
		return fault("InvalidAlarmConfigException", "The format of the alarm configuration is invalid: "+why)
	}
	if len(in.Alarms) > maxAlarms {
		return out, fault("AlarmsLimitExceededException", "The maximum number of alarms for a deployment group (10) was exceeded.")
	}
	out.Enabled = in.Enabled != nil && *in.Enabled
	out.IgnorePollFailure = in.IgnorePollAlarmFailure != nil && *in.IgnorePollAlarmFailure
	for _, a := range in.Alarms {
		switch {
		case strings.TrimSpace(a.Name) == "" || len(a.Name) > 255:
			return out, invalid("an alarm's name has 1 to 255 characters.")
		case slices.Contains(out.Names, a.Name):
			return out, invalid("the alarm " + a.Name + " is given twice.")
		}
		out.Names = append(out.Names, a.Name)
	}
	if out.Enabled && len(out.Names) == 0 {
		return out, invalid("alarms are enabled, and none is given.")
	}
	return out, nil
}

func readRollback(in *codedeploy.AutoRollbackConfiguration) (cloud.RollbackConfig, error) {
	var out cloud.RollbackConfig
	if in == nil {
		return out, nil
	}
	out.Enabled = in.Enabled != nil && *in.Enabled
	for _, e := range in.Events {
		if !e.Known() {
			return out, fault("InvalidAutoRollbackConfigException", "The automatic rollback configuration was specified in an invalid format: the event "+string(e)+" is unknown.")
		}
		out.Events = append(out.Events, string(e))
	}
	if out.Enabled && len(out.Events) == 0 {
		return out, fault("InvalidAutoRollbackConfigException", "The automatic rollback configuration was specified in an invalid format: automatic rollback is enabled, but no triggering events are listed.")
	}
	return out, nil
}

// groupOf finds a group that was made over the wire.
func (c *codeDeploy) groupOf(st cloud.State, on groupName) (cloud.DeploymentGroup, error) {
	if _, ours := st.Services[on.application]; ours && on.group == on.application {
		return cloud.DeploymentGroup{}, errOwned("deployment group", on.group)
	}
	if _, ok := cloud.Find[cloud.Application](st, on.application); !ok {
		return cloud.DeploymentGroup{}, fault("ApplicationDoesNotExistException", "No application found for name: "+on.application)
	}
	g, ok := cloud.Find[cloud.DeploymentGroup](st, on.application+"/"+on.group)
	if !ok {
		return g, fault("DeploymentGroupDoesNotExistException", "No Deployment Group found for name: "+on.group)
	}
	return g, nil
}

// updateDeploymentGroup replaces the members that are given whole; those that are absent keep their value.
func (c *codeDeploy) updateDeploymentGroup(ctx context.Context, by Principal, in *codedeploy.UpdateDeploymentGroupInput) (*codedeploy.UpdateDeploymentGroupOutput, error) {
	on := groupName{in.ApplicationName, in.CurrentDeploymentGroupName}
	if err := c.allow(ctx, by, "UpdateDeploymentGroup", &on); err != nil {
		return nil, err
	}
	if err := c.allowPass(ctx, by, in.ServiceRoleARN); err != nil {
		return nil, err
	}
	if err := checkGroupName(on.application, on.group); err != nil {
		return nil, err
	}
	renamed := in.NewDeploymentGroupName != "" && in.NewDeploymentGroupName != on.group
	if renamed {
		if err := checkGroupName(on.application, in.NewDeploymentGroupName); err != nil {
			return nil, err
		}
	}
	err := c.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		g, err := c.groupOf(d.State(), on)
		if err != nil {
			return err
		}
		merged, err := merge(g.Input, in)
		if err != nil {
			return err
		}
		old := g
		if renamed {
			g.Name = in.NewDeploymentGroupName
			if _, ok := cloud.Find[cloud.DeploymentGroup](d.State(), g.ResourceKey()); ok {
				return fault("DeploymentGroupAlreadyExistsException", "Deployment group name "+g.Name+" already exists.")
			}
			d.Remove(old)
		}
		if err := c.fill(d.State(), &g, merged); err != nil {
			return err
		}
		d.Put(g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &codedeploy.UpdateDeploymentGroupOutput{HooksNotCleanedUp: []codedeploy.AutoScalingGroup{}}, nil
}

// merge lets the top members of an update win over what a group was made with; each is replaced whole.
func merge(stored json.RawMessage, in *codedeploy.UpdateDeploymentGroupInput) (*codedeploy.CreateDeploymentGroupInput, error) {
	update, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode update of deployment group: %w", err)
	}
	members := map[string]json.RawMessage{}
	for _, data := range [][]byte{stored, update} {
		if err := json.Unmarshal(data, &members); err != nil {
			return nil, fmt.Errorf("decode deployment group: %w", err)
		}
	}
	data, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("encode deployment group: %w", err)
	}
	var out codedeploy.CreateDeploymentGroupInput
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("decode deployment group: %w", err)
	}
	return &out, nil
}

// deleteDeploymentGroup removes a group. One that does not exist is none: the model has no error for it.
func (c *codeDeploy) deleteDeploymentGroup(ctx context.Context, by Principal, in *codedeploy.DeleteDeploymentGroupInput) (*codedeploy.DeleteDeploymentGroupOutput, error) {
	on := groupName{in.ApplicationName, in.DeploymentGroupName}
	if err := c.allow(ctx, by, "DeleteDeploymentGroup", &on); err != nil {
		return nil, err
	}
	if err := checkGroupName(on.application, on.group); err != nil {
		return nil, err
	}
	err := c.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if _, ours := d.State().Services[on.application]; ours && on.group == on.application {
			return errOwned("deployment group", on.group)
		}
		d.Remove(cloud.DeploymentGroup{Application: on.application, Name: on.group})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &codedeploy.DeleteDeploymentGroupOutput{HooksNotCleanedUp: []codedeploy.AutoScalingGroup{}}, nil
}

func (c *codeDeploy) batchGetDeploymentGroups(ctx context.Context, by Principal, in *codedeploy.BatchGetDeploymentGroupsInput) (*codedeploy.BatchGetDeploymentGroupsOutput, error) {
	if err := checkApplicationName(in.ApplicationName); err != nil {
		return nil, err
	}
	if len(in.DeploymentGroupNames) == 0 {
		return nil, errGroupNameRequired
	}
	if len(in.DeploymentGroupNames) > maxBatchNames {
		return nil, fault("BatchLimitExceededException", "The maximum number of deployment groups in one request is 100.")
	}
	if _, err := c.cfg.Catalog.Application(ctx, in.ApplicationName); err != nil {
		return nil, onResource(err, resApplication)
	}
	out := &codedeploy.BatchGetDeploymentGroupsOutput{DeploymentGroupsInfo: []codedeploy.DeploymentGroupInfo{}}
	var missing []string
	for _, name := range in.DeploymentGroupNames {
		on := groupName{in.ApplicationName, name}
		if err := c.allow(ctx, by, "BatchGetDeploymentGroups", &on); err != nil {
			return nil, err
		}
		if err := checkGroupName(on.application, on.group); err != nil {
			return nil, err
		}
		g, err := c.cfg.Catalog.Group(ctx, on.application, on.group)
		if named(onResource(err, resGroup), "DeploymentGroupDoesNotExistException") {
			missing = append(missing, name) // the model has no such error for this operation
			continue
		}
		if err != nil {
			return nil, onResource(err, resGroup)
		}
		out.DeploymentGroupsInfo = append(out.DeploymentGroupsInfo, c.view.group(&g))
	}
	if len(missing) > 0 {
		out.ErrorMessage = "No Deployment Group found for name: " + strings.Join(missing, ", ")
	}
	return out, nil
}

// stored fills in what a group was made with; the waits are always there.
func (v view) stored(info *codedeploy.DeploymentGroupInfo, g *cloud.DeploymentGroup) {
	var in codedeploy.CreateDeploymentGroupInput
	if json.Unmarshal(g.Input, &in) != nil {
		return // never: it was encoded by us
	}
	info.DeploymentConfigName, info.ServiceRoleARN, info.EcsServices = g.Config, g.ServiceRole, in.EcsServices
	info.DeploymentStyle, info.LoadBalancerInfo, info.AlarmConfiguration = in.DeploymentStyle, in.LoadBalancerInfo, in.AlarmConfiguration
	info.AutoRollbackConfiguration = in.AutoRollbackConfiguration
	info.TriggerConfigurations, info.OutdatedInstancesStrategy, info.TerminationHookEnabled = in.TriggerConfigurations, in.OutdatedInstancesStrategy, in.TerminationHookEnabled
	info.BlueGreenDeploymentConfiguration = groupWaits(g)
}

// groupWaits are the two waits of a group in minutes of the wire.
func groupWaits(g *cloud.DeploymentGroup) *codedeploy.BlueGreenDeploymentConfiguration {
	return &codedeploy.BlueGreenDeploymentConfiguration{
		DeploymentReadyOption: &codedeploy.DeploymentReadyOption{
			ActionOnTimeout: codedeploy.DeploymentReadyAction(g.ReadyAction), WaitTimeInMinutes: new(int32(g.ReadyWait)), //nolint:gosec // at most 7200
		},
		TerminateBlueInstancesOnDeploymentSuccess: &codedeploy.BlueInstanceTerminationOption{
			Action: codedeploy.InstanceActionTerminate, TerminationWaitTimeInMinutes: new(int32(g.TerminationWait)), //nolint:gosec // at most 2880
		},
	}
}
