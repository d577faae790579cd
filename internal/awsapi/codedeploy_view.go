package awsapi

import (
	"math"
	"time"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/deploy"
)

// view draws values of the domain in the shapes of CodeDeploy. It decides nothing and asks nobody.
type view struct {
	region  string
	account string
	minute  time.Duration
}

// deployment draws DeploymentInfo. The content of revisions is never in it, only the digest.
func (v view) deployment(d *Deployment) codedeploy.DeploymentInfo {
	info := codedeploy.DeploymentInfo{
		ApplicationName:      d.Plan.Application,
		DeploymentGroupName:  d.Plan.Group,
		DeploymentConfigName: v.configOf(&d.Deployment),
		DeploymentID:         d.ID,
		Revision:             revision(d.Green.Revision),
		Status:               codedeploy.DeploymentStatus(d.Status),
		ErrorInformation:     errorInformation(&d.Deployment),
		CreateTime:           shapes.At(d.CreatedAt),
		StartTime:            shapes.At(d.StartedAt),
		CompleteTime:         shapes.At(d.CompletedAt),
		DeploymentOverview:   overview(d),
		Description:          d.Description,
		Creator:              creator(&d.Deployment),
		RollbackInfo:         rollbackInfo(d.Rollback),
		DeploymentStyle:      style(),
		ComputePlatform:      codedeploy.ComputePlatformECS,

		AutoRollbackConfiguration:          autoRollback(d.Plan.Rollback),
		BlueGreenDeploymentConfiguration:   v.blueGreen(&d.Plan),
		LoadBalancerInfo:                   loadBalancer(d.Target),
		InstanceTerminationWaitTimeStarted: new(terminationStarted(&d.Deployment)),

		// What only servers have; clients expect the members.
		IgnoreApplicationStopFailures: new(false),
		UpdateOutdatedInstancesOnly:   new(false),
		FileExistsBehavior:            codedeploy.FileExistsBehaviorDisallow,
	}
	if o := d.Plan.AlarmOverride; o != nil {
		info.OverrideAlarmConfiguration = alarms(o.Names)
		info.OverrideAlarmConfiguration.Enabled, info.OverrideAlarmConfiguration.IgnorePollAlarmFailure = new(o.Enabled), new(o.IgnorePollFailure)
	}
	if d.HasBlue() {
		info.PreviousRevision = revision(d.Blue.Revision)
	}
	if d.Plan.Source.Type != "" {
		info.Revision, info.PreviousRevision = source(d.Plan.Source), nil
		if d.Plan.Previous.Type != "" {
			info.PreviousRevision = source(d.Plan.Previous)
		}
		return info
	}
	if d.Kind == deploy.KindRollback {
		// The record has the same two task sets as what it rolls back; what it deploys is blue's.
		info.Revision, info.PreviousRevision = revision(d.Blue.Revision), revision(d.Green.Revision)
	}
	return info
}

// group draws DeploymentGroupInfo. Both waits and the service are always there: `aws ecs deploy` reads them unasked.
func (v view) group(g *Group) codedeploy.DeploymentGroupInfo {
	info := codedeploy.DeploymentGroupInfo{
		ApplicationName:      g.Application,
		DeploymentGroupID:    g.ID,
		DeploymentGroupName:  g.Name,
		DeploymentConfigName: v.configName(g.Plan.ConfigName, g.Plan.Traffic),
		ServiceRoleARN:       g.ServiceRoleARN,
		ComputePlatform:      codedeploy.ComputePlatformECS,
		DeploymentStyle:      style(),
		EcsServices:          []codedeploy.ECSService{{ClusterName: g.Target.Cluster, ServiceName: g.Target.Service}},
		LoadBalancerInfo:     loadBalancer(g.Target),

		AlarmConfiguration:               alarms(g.Plan.Alarms),
		AutoRollbackConfiguration:        autoRollback(g.Plan.Rollback),
		BlueGreenDeploymentConfiguration: v.blueGreen(&g.Plan),
		LastSuccessfulDeployment:         last(g.LastSuccessful),
		LastAttemptedDeployment:          last(g.LastAttempted),

		// What only servers have is empty.
		AutoScalingGroups:            []codedeploy.AutoScalingGroup{},
		Ec2TagFilters:                []codedeploy.EC2TagFilter{},
		OnPremisesInstanceTagFilters: []codedeploy.TagFilter{},
		TriggerConfigurations:        []codedeploy.TriggerConfig{},
		OutdatedInstancesStrategy:    codedeploy.OutdatedInstancesStrategyUpdate,
		TerminationHookEnabled:       new(false),
	}
	if g.Stored != nil {
		v.stored(&info, g.Stored)
		if g.LastSuccessful != nil {
			info.TargetRevision = source(g.LastSuccessful.Plan.Source)
		}
		return info
	}
	if g.Revision.Digest != "" {
		info.TargetRevision = revision(g.Revision)
	}
	return info
}

func last(d *deploy.Deployment) *codedeploy.LastDeploymentInfo {
	if d == nil {
		return nil
	}
	return &codedeploy.LastDeploymentInfo{
		DeploymentID: d.ID,
		Status:       codedeploy.DeploymentStatus(d.Status),
		CreateTime:   shapes.At(d.CreatedAt),
		EndTime:      shapes.At(d.CompletedAt),
	}
}

func creator(d *deploy.Deployment) codedeploy.DeploymentCreator {
	if c := codedeploy.DeploymentCreator(d.Creator); c.Known() {
		return c
	}
	if d.Kind == deploy.KindRollback {
		return codedeploy.DeploymentCreatorCodeDeployRollback
	}
	return codedeploy.DeploymentCreatorUser
}

func style() *codedeploy.DeploymentStyle {
	return &codedeploy.DeploymentStyle{
		DeploymentType:   codedeploy.DeploymentTypeBlueGreen,
		DeploymentOption: codedeploy.DeploymentOptionWithTrafficControl,
	}
}

func revision(r deploy.Revision) *codedeploy.RevisionLocation {
	return &codedeploy.RevisionLocation{
		RevisionType:   codedeploy.RevisionLocationTypeAppSpecContent,
		AppSpecContent: &codedeploy.AppSpecContent{Sha256: r.Digest},
	}
}

func loadBalancer(t Target) *codedeploy.LoadBalancerInfo {
	pair := codedeploy.TargetGroupPairInfo{TargetGroups: []codedeploy.TargetGroupInfo{}}
	for _, name := range t.TargetGroups {
		pair.TargetGroups = append(pair.TargetGroups, codedeploy.TargetGroupInfo{Name: name})
	}
	if t.ProductionListener != "" {
		pair.ProdTrafficRoute = &codedeploy.TrafficRoute{ListenerARNs: []string{t.ProductionListener}}
	}
	if t.TestListener != "" {
		pair.TestTrafficRoute = &codedeploy.TrafficRoute{ListenerARNs: []string{t.TestListener}}
	}
	return &codedeploy.LoadBalancerInfo{TargetGroupPairInfoList: []codedeploy.TargetGroupPairInfo{pair}}
}

// blueGreen draws the two waits. Promotion "verified" is a wait that a passed verification ends, so on the wire it is
// STOP_DEPLOYMENT like "manual".
func (v view) blueGreen(p *deploy.Plan) *codedeploy.BlueGreenDeploymentConfiguration {
	ready := &codedeploy.DeploymentReadyOption{
		ActionOnTimeout:   codedeploy.DeploymentReadyActionContinueDeployment,
		WaitTimeInMinutes: new(int32(0)),
	}
	if p.Promotion != deploy.PromoteAuto {
		ready.ActionOnTimeout = codedeploy.DeploymentReadyActionStopDeployment
		ready.WaitTimeInMinutes = new(v.minutes(p.ReadyLimit))
	}
	return &codedeploy.BlueGreenDeploymentConfiguration{
		DeploymentReadyOption: ready,
		TerminateBlueInstancesOnDeploymentSuccess: &codedeploy.BlueInstanceTerminationOption{
			Action:                       codedeploy.InstanceActionTerminate,
			TerminationWaitTimeInMinutes: new(v.minutes(p.Bake)),
		},
	}
}

// minutes rounds up: a wait of 30 seconds is not no wait.
func (v view) minutes(d time.Duration) int32 {
	n := (d + v.minute - 1) / v.minute
	return int32(min(max(n, 0), math.MaxInt32))
}

func autoRollback(p deploy.RollbackPolicy) *codedeploy.AutoRollbackConfiguration {
	events := []codedeploy.AutoRollbackEvent{}
	if p.OnFailure {
		events = append(events, codedeploy.AutoRollbackEventDeploymentFailure)
	}
	if p.OnAlarm {
		events = append(events, codedeploy.AutoRollbackEventDeploymentStopOnAlarm)
	}
	if p.OnStop {
		events = append(events, codedeploy.AutoRollbackEventDeploymentStopOnRequest)
	}
	return &codedeploy.AutoRollbackConfiguration{Enabled: new(len(events) > 0), Events: events}
}

func alarms(names []string) *codedeploy.AlarmConfiguration {
	list := []codedeploy.Alarm{}
	for _, n := range names {
		list = append(list, codedeploy.Alarm{Name: n})
	}
	return &codedeploy.AlarmConfiguration{Enabled: new(len(list) > 0), IgnorePollAlarmFailure: new(false), Alarms: list}
}

// rollbackInfo tells the two halves of a rollback apart: the original names the record, the record names the original.
func rollbackInfo(r deploy.RollbackInfo) *codedeploy.RollbackInfo {
	if r.DeploymentID == "" && r.TriggeringID == "" && r.Message == "" {
		return nil
	}
	return &codedeploy.RollbackInfo{
		RollbackDeploymentID:           r.DeploymentID,
		RollbackTriggeringDeploymentID: r.TriggeringID,
		RollbackMessage:                r.Message,
	}
}

// overview is absent while the deployment runs and then counts the one target.
func overview(d *Deployment) *codedeploy.DeploymentOverview {
	if !d.Status.Terminal() {
		return nil
	}
	count := map[codedeploy.TargetStatus]int64{targetStatus(d): 1}
	return &codedeploy.DeploymentOverview{
		Pending:    new(count[codedeploy.TargetStatusPending]),
		InProgress: new(count[codedeploy.TargetStatusInProgress]),
		Succeeded:  new(count[codedeploy.TargetStatusSucceeded]),
		Failed:     new(count[codedeploy.TargetStatusFailed]),
		Skipped:    new(count[codedeploy.TargetStatusSkipped]),
		Ready:      new(count[codedeploy.TargetStatusReady]),
	}
}

// terminationStarted reports whether the wait before blue ends has begun (AWS's documented intent; in 2019 ECS
// deployments always said false).
func terminationStarted(d *deploy.Deployment) bool {
	switch d.Phase { //nolint:exhaustive // a predicate over three phases
	case deploy.PhaseTerminationWait, deploy.PhaseRetire, deploy.PhaseSucceeded:
		return true
	}
	return d.Cause != nil && d.Cause.Phase == deploy.PhaseTerminationWait
}

// errorInformation is there once the deployment has ended for a cause.
func errorInformation(d *deploy.Deployment) *codedeploy.ErrorInformation {
	if d.Cause == nil || !d.Status.Terminal() || d.Status == deploy.StatusSucceeded {
		return nil
	}
	code, own := errorCode(d.Cause.Reason)
	message := d.Cause.Message
	if !own && d.Cause.Reason != deploy.ReasonNone {
		message += " (" + string(d.Cause.Reason) + ")"
	}
	return &codedeploy.ErrorInformation{Code: code, Message: message}
}

// errorCode is the table from reasons to the error codes of the model. own says that the reason is such a code itself;
// where it is not, the message carries the reason, so that nothing is lost.
func errorCode(r deploy.Reason) (code codedeploy.ErrorCode, own bool) {
	if c := codedeploy.ErrorCode(r); c.Known() {
		return c, true
	}
	switch r { //nolint:exhaustive // reasons that are codes were answered above; the rest have no nearer code
	case deploy.ReasonHookTimeout, deploy.ReasonInconclusive, deploy.ReasonSmokeFailed:
		return codedeploy.ErrorCodeHookExecutionFailure, false
	case deploy.ReasonUnhealthy, deploy.ReasonRouteConflict, deploy.ReasonRouteFailed, deploy.ReasonErrorBudget,
		deploy.ReasonNoWayBack, deploy.ReasonBlueUnhealthy, deploy.ReasonRollbackUnconfirmed, deploy.ReasonHalted,
		deploy.ReasonRetirementUnconfirmed:
		return codedeploy.ErrorCodeEcsUpdateError, false
	case deploy.ReasonReadyWaitExpired:
		return codedeploy.ErrorCodeTimeout, false // unconfirmed
	}
	return codedeploy.ErrorCodeInternalError, false
}
