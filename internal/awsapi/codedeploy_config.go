package awsapi

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

const configECSAllAtOnce = "CodeDeployDefault.ECSAllAtOnce"

// predefinedConfig is a deployment configuration that every account has.
type predefinedConfig struct {
	name     string
	platform codedeploy.ComputePlatform
	kind     deploy.TrafficKind // empty for servers
	percent  int32
	minutes  int32
}

// predefinedConfigs lists the 17 that a fresh account shows (captured; user guide, "Predefined deployment
// configurations"). Those of Lambda and servers are listed because clients list them; nothing deploys by them here.
func predefinedConfigs() []predefinedConfig {
	const prefix = "CodeDeployDefault."
	ecs, lambda, server := codedeploy.ComputePlatformECS, codedeploy.ComputePlatformLambda, codedeploy.ComputePlatformServer
	allAtOnce, canary, linear := deploy.TrafficAllAtOnce, deploy.TrafficCanary, deploy.TrafficLinear
	list := []predefinedConfig{
		{configECSAllAtOnce, ecs, allAtOnce, 0, 0},
		{prefix + "ECSCanary10Percent5Minutes", ecs, canary, 10, 5},
		{prefix + "ECSCanary10Percent15Minutes", ecs, canary, 10, 15},
		{prefix + "ECSLinear10PercentEvery1Minutes", ecs, linear, 10, 1},
		{prefix + "ECSLinear10PercentEvery3Minutes", ecs, linear, 10, 3},
		{prefix + "LambdaAllAtOnce", lambda, allAtOnce, 0, 0},
		{prefix + "LambdaCanary10Percent5Minutes", lambda, canary, 10, 5},
		{prefix + "LambdaCanary10Percent10Minutes", lambda, canary, 10, 10},
		{prefix + "LambdaCanary10Percent15Minutes", lambda, canary, 10, 15},
		{prefix + "LambdaCanary10Percent30Minutes", lambda, canary, 10, 30},
		{prefix + "LambdaLinear10PercentEvery1Minute", lambda, linear, 10, 1},
		{prefix + "LambdaLinear10PercentEvery2Minutes", lambda, linear, 10, 2},
		{prefix + "LambdaLinear10PercentEvery3Minutes", lambda, linear, 10, 3},
		{prefix + "LambdaLinear10PercentEvery10Minutes", lambda, linear, 10, 10},
		{prefix + "AllAtOnce", server, "", 0, 0},
		{prefix + "HalfAtATime", server, "", 0, 0},
		{prefix + "OneAtATime", server, "", 0, 0},
	}
	slices.SortFunc(list, func(a, b predefinedConfig) int { return strings.Compare(a.name, b.name) })
	return list
}

func (c *codeDeploy) getDeploymentConfig(ctx context.Context, by Principal, in *codedeploy.GetDeploymentConfigInput) (*codedeploy.GetDeploymentConfigOutput, error) {
	if err := c.allowOn(ctx, by, "GetDeploymentConfig", c.configARN(in.DeploymentConfigName)); err != nil {
		return nil, err
	}
	switch {
	case in.DeploymentConfigName == "":
		return nil, fault("DeploymentConfigNameRequiredException", "The deployment configuration name must be specified.")
	case !validName(in.DeploymentConfigName):
		return nil, fault("InvalidDeploymentConfigNameException", "The deployment configuration name was specified in an invalid format.")
	}
	for _, p := range predefinedConfigs() {
		if p.name == in.DeploymentConfigName {
			return &codedeploy.GetDeploymentConfigOutput{DeploymentConfigInfo: p.info()}, nil
		}
	}
	if custom, ok := cloud.Find[cloud.DeploymentConfig](c.cfg.Resources.State(), in.DeploymentConfigName); ok {
		return &codedeploy.GetDeploymentConfigOutput{DeploymentConfigInfo: customInfo(custom)}, nil
	}
	return nil, fault("DeploymentConfigDoesNotExistException",
		"The deployment configuration "+in.DeploymentConfigName+" does not exist.")
}

func (c *codeDeploy) listDeploymentConfigs(ctx context.Context, by Principal, in *codedeploy.ListDeploymentConfigsInput) (*codedeploy.ListDeploymentConfigsOutput, error) {
	if err := c.allow(ctx, by, "ListDeploymentConfigs", nil); err != nil {
		return nil, err
	}
	var names []string
	for _, p := range predefinedConfigs() {
		names = append(names, p.name)
	}
	for _, custom := range cloud.All[cloud.DeploymentConfig](c.cfg.Resources.State()) {
		names = append(names, custom.Name)
	}
	slices.Sort(names)
	items, next, err := page(pageConfigs, names, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &codedeploy.ListDeploymentConfigsOutput{DeploymentConfigsList: items, NextToken: next}, nil
}

func (p predefinedConfig) info() *codedeploy.DeploymentConfigInfo {
	info := &codedeploy.DeploymentConfigInfo{
		DeploymentConfigID:   stableUUID(p.name),
		DeploymentConfigName: p.name,
		ComputePlatform:      p.platform,
		// They are as old as the API version that defines them.
		CreateTime: shapes.At(time.Date(2014, time.October, 6, 0, 0, 0, 0, time.UTC)),
	}
	switch p.kind {
	case deploy.TrafficAllAtOnce:
		info.TrafficRoutingConfig = &codedeploy.TrafficRoutingConfig{Type: codedeploy.TrafficRoutingTypeAllAtOnce}
	case deploy.TrafficCanary:
		info.TrafficRoutingConfig = &codedeploy.TrafficRoutingConfig{
			Type:            codedeploy.TrafficRoutingTypeTimeBasedCanary,
			TimeBasedCanary: &codedeploy.TimeBasedCanary{CanaryPercentage: new(p.percent), CanaryInterval: new(p.minutes)},
		}
	case deploy.TrafficLinear:
		info.TrafficRoutingConfig = &codedeploy.TrafficRoutingConfig{
			Type:            codedeploy.TrafficRoutingTypeTimeBasedLinear,
			TimeBasedLinear: &codedeploy.TimeBasedLinear{LinearPercentage: new(p.percent), LinearInterval: new(p.minutes)},
		}
	}
	return info
}

// configOf names the configuration of a deployment. The record of a rollback always says all at once (captured).
func (v view) configOf(d *deploy.Deployment) string {
	if d.Kind == deploy.KindRollback {
		return configECSAllAtOnce
	}
	return v.configName(d.Plan.ConfigName, d.Plan.Traffic)
}

// configName names a plan's configuration: the name it was made with, else the predefined one that moves traffic alike.
// A plan of greengate.yaml with steps of its own has none, and the member is absent.
func (v view) configName(name string, t deploy.Traffic) string {
	if name != "" {
		return name
	}
	if t.Kind == deploy.TrafficAllAtOnce {
		return configECSAllAtOnce
	}
	for _, p := range predefinedConfigs() {
		if p.platform == codedeploy.ComputePlatformECS && p.kind == t.Kind && int(p.percent) == t.Percent &&
			time.Duration(p.minutes)*v.minute == t.Interval {
			return p.name
		}
	}
	return ""
}

// stableUUID makes a UUID (version 8) out of a name, so that what has no stored id always has the same.
func stableUUID(name string) string {
	b := sha256.Sum256([]byte(name))
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
