package app

import (
	"context"
	"errors"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/autoscaling"
	"greengate/internal/awsapi/ecs"
	"greengate/internal/awsapi/elb"
	"greengate/internal/awsapi/iam"
	"greengate/internal/awsapi/lambda"
	wirelogs "greengate/internal/awsapi/logs"
	"greengate/internal/awsapi/s3"
	"greengate/internal/awsapi/sts"
	"greengate/internal/proxy"
	"greengate/internal/traffic/l7"
)

// services are the AWS services that the wire answers besides CodeDeploy, by their prefixes in IAM actions.
func (c *Controller) services() map[string]awsapi.Handlers {
	o := c.opts
	return map[string]awsapi.Handlers{
		"elasticloadbalancing": elb.New(elb.Config{
			Region: o.Region, AccountID: o.AccountID, Resources: c.cloud, Sync: c.syncListener, Fits: l7.Fits, Now: time.Now,
			Network: o.LoadBalancers,
		}).Handlers(),
		"ecs": ecs.New(ecs.Config{
			Region: o.Region, AccountID: o.AccountID, Resources: c.cloud, Runtime: reading{c.runtime}, Tasks: c.tasks, Now: time.Now,
		}).Handlers(),
		"lambda": lambda.New(lambda.Config{
			Region: o.Region, AccountID: o.AccountID, Resources: c.cloud, Now: time.Now,
			Code:    functionCode{o.Paths.Functions()},
			Invoker: invoker{functions: c.functions, endpoint: o.EndpointURL, sessions: c.sessions},
		}).Handlers(),
		"iam": iam.New(iam.Config{
			AccountID: o.AccountID, Resources: c.cloud, Judge: c.sessions.judge, Keys: c.sessions.keys, Now: time.Now,
		}).Handlers(),
		"sts": sts.New(sts.Config{AccountID: o.AccountID}).Handlers(),
		"s3": s3.New(s3.Config{
			Region: o.Region, Resources: c.cloud, Objects: c.objects, Access: c.access(), Now: time.Now,
		}).Handlers(),
		"application-autoscaling": autoscaling.New(autoscaling.Config{
			Region: o.Region, AccountID: o.AccountID, Resources: c.cloud, Now: time.Now,
		}).Handlers(),
		"sns":        c.topicService().Handlers(),
		"cloudwatch": c.meters.service(o),
		"logs": wirelogs.New(wirelogs.Config{
			Region: o.Region, AccountID: o.AccountID, Resources: c.cloud, Functions: functionLogs{c.functions},
			Store: groupLogs{c.logGroups}, Now: time.Now,
		}).Handlers(),
	}
}

// syncListener waits until the data plane serves what the resources say. Only the listener that is asked about may fail
// it: another one that cannot be opened is its owner's to mend.
func (c *Controller) syncListener(ctx context.Context, key string) error {
	err := c.router.Sync(ctx, c.cloud.State().Revision)
	if listen, ok := errors.AsType[*proxy.ListenError](err); ok && (key == "" || listen.Listener != l7.ListenerName(key)) {
		return nil
	}
	return err
}
