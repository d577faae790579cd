package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"greengate/internal/config"
	"greengate/internal/deploy"
)

// This file looks ahead of a deployment of a pipeline's files: first what stands in the files, then, where a controller
// or Amazon can be asked, what the deployment would meet.

// checkPipeline is check --appspec.
func (a *app) checkPipeline(ctx context.Context, f pipelineFlags) error {
	r, err := readPipeline(f)
	if err != nil {
		return err
	}
	result := checkResult{Service: f.application, Controller: "asked", Findings: append([]deploy.Finding{}, r.findings...)}
	ahead, err := a.lookAhead(ctx, r)
	_, unreachable := errors.AsType[*unreachableError](err)
	switch {
	case unreachable || errors.Is(err, config.ErrNoController):
		result.Controller = "unreachable"
	case err != nil:
		return err
	default:
		result.Service = ahead.application + "/" + ahead.groupName
		result.Findings = append(result.Findings, ahead.findings...)
	}
	if err := a.printFindings(f.appspec, result); err != nil {
		return err
	}
	for _, f := range result.Findings {
		if f.Level == levelError {
			return exitWith(ExitRefused)
		}
	}
	return nil
}

// ahead is one look at what a deployment would meet.
type ahead struct {
	c                      *awsClient
	r                      *pipelineRevision
	application, groupName string
	group                  groupInfo
	// own says that a controller of ours answers; strict that the test listener moves in AllowTestTraffic only.
	own, strict bool
	// unable says of each hook that is no function why a controller of ours cannot run it; it has no answer of others.
	unable   map[deploy.Phase]string
	findings []deploy.Finding
}

func (a *app) lookAhead(ctx context.Context, r *pipelineRevision) (*ahead, error) {
	c, err := a.connectAWS(r.files.aws)
	if err != nil {
		return nil, err
	}
	defer c.close()
	l := &ahead{c: c, r: r}
	if c.at.AWS && !r.files.aws && r.files.application == "" && r.files.group == "" && r.files.service == "" {
		return nil, config.ErrNoController // nobody meant Amazon
	}
	if l.application, l.groupName, err = c.findGroup(ctx, r.files); err != nil {
		return nil, err
	}
	if l.group, err = c.deploymentGroup(ctx, l.application, l.groupName); err != nil {
		if named(err, "ApplicationDoesNotExist", "DeploymentGroupDoesNotExist") {
			l.add(levelError, "deployment group "+l.application+"/"+l.groupName, err.Error(),
				"aws deploy create-deployment-group --application-name "+quote(l.application)+" --deployment-group-name "+quote(l.groupName)+
					" …; docs/aws.md has all of it, or name another with --application and --deployment-group")
			return l, nil
		}
		return nil, err
	}
	for _, look := range []func(context.Context) error{l.revision, l.active, l.routing, l.alarms, l.hooks} {
		if err := look(ctx); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *ahead) add(level, where, message, mend string) {
	l.findings = append(l.findings, deploy.Finding{Level: level, Where: where, Message: message, Mend: mend})
}

// blind notes that something could not be looked at. It returns errors that end the look: no answer came.
func (l *ahead) blind(what string, err error) error {
	if _, ok := errors.AsType[*wireError](err); !ok {
		return err
	}
	mend := ""
	switch {
	case named(err, "UnknownOperation", "InvalidAction"):
		mend = "what answers does not serve this; nothing to mend"
	case named(err, "AccessDenied"):
		mend = "let whoever runs check look at it"
	}
	l.add(levelNote, what, "was not looked at: "+err.Error(), mend)
	return nil
}

// groupInfo is what we read of DeploymentGroupInfo.
type groupInfo struct {
	ServiceRole string `json:"serviceRoleArn"`
	ECSServices []struct {
		Service string `json:"serviceName"`
		Cluster string `json:"clusterName"`
	} `json:"ecsServices"`
	LoadBalancerInfo struct {
		Pairs []struct {
			TargetGroups []struct {
				Name string `json:"name"`
			} `json:"targetGroups"`
			Production struct {
				Listeners []string `json:"listenerArns"`
			} `json:"prodTrafficRoute"`
			Test struct {
				Listeners []string `json:"listenerArns"`
			} `json:"testTrafficRoute"`
		} `json:"targetGroupPairInfoList"`
	} `json:"loadBalancerInfo"`
	Alarms struct {
		Enabled           bool `json:"enabled"`
		IgnorePollFailure bool `json:"ignorePollAlarmFailure"`
		Alarms            []struct {
			Name string `json:"name"`
		} `json:"alarms"`
	} `json:"alarmConfiguration"`
	LastAttempted struct {
		ID     string        `json:"deploymentId"`
		Status deploy.Status `json:"status"`
	} `json:"lastAttemptedDeployment"`
}

func (c *awsClient) deploymentGroup(ctx context.Context, application, group string) (groupInfo, error) {
	var out struct {
		Info groupInfo `json:"deploymentGroupInfo"`
	}
	in := map[string]string{"applicationName": application, "deploymentGroupName": group}
	err := c.codedeploy(ctx, "GetDeploymentGroup", in, &out)
	return out.Info, err
}

// service names the ECS service of the group as it was given to it.
func (g groupInfo) service() (cluster, service string) {
	if len(g.ECSServices) == 0 {
		return "", ""
	}
	return g.ECSServices[0].Cluster, g.ECSServices[0].Service
}

// listeners are the ARNs of the production and the test listener, and the names of the target groups.
func (g groupInfo) listeners() (production, test string, groups []string) {
	if len(g.LoadBalancerInfo.Pairs) == 0 {
		return "", "", nil
	}
	pair := g.LoadBalancerInfo.Pairs[0]
	for _, t := range pair.TargetGroups {
		groups = append(groups, t.Name)
	}
	return first(pair.Production.Listeners), first(pair.Test.Listeners), groups
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// revision asks a controller of ours whether the tasks can run there; Amazon alone knows what it can run.
func (l *ahead) revision(ctx context.Context) error {
	in := deploy.CheckRevisionInput{Application: l.application, Group: l.groupName, Container: l.r.spec.ContainerName}
	for _, c := range l.r.definition.Containers {
		in.Containers = append(in.Containers, deploy.CheckedContainer{Name: c.Name, Image: c.Image, EntryPoint: c.EntryPoint, Command: c.Command})
	}
	if l.r.definitionText == nil {
		in.TaskDefinition = l.r.spec.TaskDefinition
	}
	for _, h := range l.r.spec.Hooks {
		if h.Kind != deploy.HookFunction {
			in.Hooks = append(in.Hooks, deploy.CheckedHook(h))
		}
	}
	l.strict = true
	if l.c.at.AWS || in.TaskDefinition == "" && len(in.Containers) == 0 {
		return l.foreignImages()
	}
	var out deploy.CheckRevisionOutput
	err := l.c.call(ctx, "CheckRevision", in, &out)
	switch {
	case named(err, "UnknownOperation"):
		return l.foreignImages()
	case err != nil:
		return l.blind("task definition", err)
	}
	l.own, l.strict, l.unable = true, out.StrictTestTraffic, map[deploy.Phase]string{}
	for i, h := range in.Hooks {
		if i < len(out.Hooks) {
			l.unable[h.Event] = out.Hooks[i]
		}
	}
	for _, f := range out.Findings {
		if l.r.definitionText != nil {
			f.Where = l.r.files.taskdef + ", " + f.Where
		}
		if _, ok := l.r.definition.Container(in.Container); !ok && l.r.definitionText != nil {
			continue // the files say it already
		}
		l.findings = append(l.findings, f)
	}
	return nil
}

// processImage begins the images that only a controller of ours runs (docs/aws.md).
const processImage = "process:"

func (l *ahead) foreignImages() error {
	for _, c := range l.r.definition.Containers {
		if l.c.at.AWS && strings.HasPrefix(c.Image, processImage) {
			l.add(levelError, l.r.files.taskdef+", container "+c.Name, "the image "+c.Image+" runs on a Greengate controller only", "name the image of a registry")
		}
	}
	return nil
}

// active says that a deployment is running: another one would be refused.
func (l *ahead) active(context.Context) error {
	if last := l.group.LastAttempted; last.ID != "" && !last.Status.Terminal() {
		l.add(levelWarning, "deployment "+last.ID, fmt.Sprintf("is %s: the deployment group takes no other until it has ended", last.Status),
			"aws deploy wait deployment-successful --deployment-id "+last.ID+", or aws deploy stop-deployment --deployment-id "+last.ID)
	}
	return nil
}
