package awsapi

import (
	"context"
	"strings"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

// reservedPrefix begins the names of predefined configurations.
const reservedPrefix = "CodeDeployDefault."

func (c *codeDeploy) createDeploymentConfig(ctx context.Context, by Principal, in *codedeploy.CreateDeploymentConfigInput) (*codedeploy.CreateDeploymentConfigOutput, error) {
	if err := c.allowOn(ctx, by, "CreateDeploymentConfig", c.configARN(in.DeploymentConfigName)); err != nil {
		return nil, err
	}
	name := in.DeploymentConfigName
	switch {
	case name == "":
		return nil, fault("DeploymentConfigNameRequiredException", "The deployment configuration name must be specified.")
	case !validName(name) || strings.HasPrefix(name, reservedPrefix):
		return nil, fault("InvalidDeploymentConfigNameException", "The deployment configuration name was specified in an invalid format, or begins with CodeDeployDefault.")
	case in.ComputePlatform != "" && !in.ComputePlatform.Known():
		return nil, fault("InvalidComputePlatformException", "The computePlatform is invalid. It is Lambda, Server or ECS.")
	}
	config := cloud.DeploymentConfig{Name: name, ID: newUUID(), Platform: string(in.ComputePlatform), Created: c.cfg.Now()}
	if in.ComputePlatform != codedeploy.ComputePlatformECS {
		return nil, fault("InvalidComputePlatformException", "Only deployment configurations of the ECS compute platform are served; give computePlatform ECS.")
	}
	if in.MinimumHealthyHosts != nil {
		return nil, fault("InvalidMinimumHealthyHostValueException", "The minimum healthy hosts are of the Server compute platform; an ECS deployment configuration has none.")
	}
	if in.ZonalConfig != nil {
		return nil, fault("InvalidZonalDeploymentConfigurationException", "A zonal configuration is of the Server compute platform; an ECS deployment configuration has none.")
	}
	if err := routing(&config, in.TrafficRoutingConfig); err != nil {
		return nil, err
	}
	err := c.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if _, ok := cloud.Find[cloud.DeploymentConfig](d.State(), name); ok {
			return fault("DeploymentConfigAlreadyExistsException", "A deployment configuration with the name "+name+" already exists.")
		}
		if len(cloud.All[cloud.DeploymentConfig](d.State())) >= maxConfigs {
			return fault("DeploymentConfigLimitExceededException", "The deployment configurations limit was exceeded.")
		}
		d.Put(config)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &codedeploy.CreateDeploymentConfigOutput{DeploymentConfigID: config.ID}, nil
}

// routing reads how traffic moves, within the documented limits.
func routing(config *cloud.DeploymentConfig, in *codedeploy.TrafficRoutingConfig) error {
	invalid := func(why string) error {
		return fault("InvalidTrafficRoutingConfigurationException", "The configuration that specifies how traffic is routed during a deployment is invalid: "+why)
	}
	if in == nil {
		return invalid("trafficRoutingConfig is missing.")
	}
	var percent, minutes *int32
	steps := 1
	switch in.Type {
	case codedeploy.TrafficRoutingTypeAllAtOnce:
		if in.TimeBasedCanary != nil || in.TimeBasedLinear != nil {
			return invalid("AllAtOnce has no steps.")
		}
		config.Kind = deploy.TrafficAllAtOnce
		return nil
	case codedeploy.TrafficRoutingTypeTimeBasedCanary:
		if in.TimeBasedCanary == nil || in.TimeBasedLinear != nil {
			return invalid("TimeBasedCanary needs timeBasedCanary and nothing else.")
		}
		config.Kind, percent, minutes = deploy.TrafficCanary, in.TimeBasedCanary.CanaryPercentage, in.TimeBasedCanary.CanaryInterval
	case codedeploy.TrafficRoutingTypeTimeBasedLinear:
		if in.TimeBasedLinear == nil || in.TimeBasedCanary != nil {
			return invalid("TimeBasedLinear needs timeBasedLinear and nothing else.")
		}
		config.Kind, percent, minutes = deploy.TrafficLinear, in.TimeBasedLinear.LinearPercentage, in.TimeBasedLinear.LinearInterval
	default:
		return invalid("the type is AllAtOnce, TimeBasedCanary or TimeBasedLinear.")
	}
	if percent == nil || *percent < 1 || *percent > 99 {
		return invalid("the percentage must be between 1 and 99.")
	}
	if config.Kind == deploy.TrafficLinear {
		steps = int(99 / *percent) // waits between the first shift and the last
	}
	if minutes == nil || *minutes < 1 || int(*minutes)*steps > maxWait {
		return invalid("the interval must be at least one minute, and all of them together at most 2880.")
	}
	config.Percent, config.Minutes = int(*percent), int(*minutes)
	return nil
}

// deleteDeploymentConfig removes a custom configuration that nobody uses. One that does not exist is none: the model has
// no error for it.
func (c *codeDeploy) deleteDeploymentConfig(ctx context.Context, by Principal, in *codedeploy.DeleteDeploymentConfigInput) (*nothing, error) {
	if err := c.allowOn(ctx, by, "DeleteDeploymentConfig", c.configARN(in.DeploymentConfigName)); err != nil {
		return nil, err
	}
	name := in.DeploymentConfigName
	switch {
	case name == "":
		return nil, fault("DeploymentConfigNameRequiredException", "The deployment configuration name must be specified.")
	case !validName(name):
		return nil, fault("InvalidDeploymentConfigNameException", "The deployment configuration name was specified in an invalid format.")
	case strings.HasPrefix(name, reservedPrefix):
		return nil, fault("InvalidOperationException", "The predefined deployment configuration "+name+" cannot be deleted.")
	}
	return &nothing{}, c.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		for _, g := range cloud.All[cloud.DeploymentGroup](d.State()) {
			if g.Config == name {
				return fault("DeploymentConfigInUseException", "The deployment configuration "+name+" is still in use by deployment group "+g.Name+".")
			}
		}
		d.Remove(cloud.DeploymentConfig{Name: name})
		return nil
	})
}

// deploymentConfig finds a configuration by which an ECS group can deploy.
func deploymentConfig(st cloud.State, name string) (cloud.DeploymentConfig, error) {
	if !validName(name) {
		return cloud.DeploymentConfig{}, fault("InvalidDeploymentConfigNameException", "The deployment configuration name was specified in an invalid format.")
	}
	for _, p := range predefinedConfigs() {
		if p.name == name && p.platform == codedeploy.ComputePlatformECS {
			return cloud.DeploymentConfig{Name: name, Platform: string(p.platform), Kind: p.kind, Percent: int(p.percent), Minutes: int(p.minutes)}, nil
		}
		if p.name == name {
			return cloud.DeploymentConfig{}, fault("InvalidDeploymentConfigNameException", "The deployment configuration "+name+" is of the compute platform "+string(p.platform)+", not of ECS.")
		}
	}
	config, ok := cloud.Find[cloud.DeploymentConfig](st, name)
	if !ok {
		return config, fault("DeploymentConfigDoesNotExistException", "The deployment configuration "+name+" does not exist.")
	}
	return config, nil
}

// customInfo draws a custom configuration.
func customInfo(config cloud.DeploymentConfig) *codedeploy.DeploymentConfigInfo {
	p := predefinedConfig{
		name: config.Name, platform: codedeploy.ComputePlatform(config.Platform), kind: config.Kind,
		percent: int32(config.Percent), minutes: int32(config.Minutes), //nolint:gosec // at most 2880
	}
	info := p.info()
	info.DeploymentConfigID, info.CreateTime = config.ID, shapes.At(config.Created)
	return info
}
