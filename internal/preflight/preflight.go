// Package preflight looks at what a deployment of a CodeDeploy deployment group for ECS would meet: the service, target
// groups and listeners, alarms, the hooks' functions, both permissions, and which version the test listener serves to each
// hook. It asks by the APIs of AWS, which Amazon and a controller of ours answer, and changes nothing.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"greengate/internal/appspec"
	"greengate/internal/deploy"
)

// The levels of findings. An error fails or refuses the deployment.
const (
	LevelError   = "error"
	LevelWarning = "warning"
	LevelNote    = "note"
)

// Services by the prefix of their host names and of their actions, with the target prefix of those that speak JSON and
// the version of those that take forms.
const (
	serviceGreengate  = "greengate"
	serviceCodeDeploy = "codedeploy"
	prefixCodeDeploy  = "CodeDeploy_20141006."
	serviceECS        = "ecs"
	prefixECS         = "AmazonEC2ContainerServiceV20141113."
	serviceELB        = "elasticloadbalancing"
	versionELB        = "2015-12-01"
	serviceAlarms     = "monitoring"
	versionAlarms     = "2010-08-01"
	serviceIAM        = "iam"
	versionIAM        = "2010-05-08"
)

// Asker asks. An error of it that is a Refusal is an answer; any other one ends the look.
type Asker interface {
	// JSON does an operation of a service that speaks JSON 1.1; target is that of X-Amz-Target.
	JSON(ctx context.Context, service, target string, in, out any) error
	// Query does an operation of a service that takes forms and answers XML; out takes the whole answer.
	Query(ctx context.Context, service, version string, form url.Values, out any) error
	// Function reads what Lambda has of a function (GetFunction), by its name or ARN; false where it has none.
	Function(ctx context.Context, name string, out any) (bool, error)
}

// Refusal is an error that was answered.
type Refusal interface {
	error
	// Name is its code without name space and without "Exception", in lower case.
	Name() string
}

// Target is what would be deployed, and where to.
type Target struct {
	Application, Group string
	// Amazon says that Amazon itself is asked.
	Amazon   bool
	Revision Revision
}

// Revision is what an AppSpec file says.
type Revision struct {
	Spec appspec.Spec
	// File holds the task definition that would be registered; without one it is the registered one that Spec names.
	File       string
	Definition appspec.TaskDefinition
	// Where is the place of a hook, for people.
	Where func(appspec.Hook) string
}

// Look returns what a deployment would meet. Its error is that nobody answered.
func Look(ctx context.Context, c Asker, t Target) ([]deploy.Finding, error) {
	l := &ahead{c: c, r: t.Revision, application: t.Application, groupName: t.Group, amazon: t.Amazon}
	var err error
	if l.group, err = l.deploymentGroup(ctx); err != nil {
		if named(err, "ApplicationDoesNotExist", "DeploymentGroupDoesNotExist") {
			l.add(LevelError, "deployment group "+l.application+"/"+l.groupName, err.Error(),
				"aws deploy create-deployment-group --application-name "+quote(l.application)+" --deployment-group-name "+quote(l.groupName)+
					" …; docs/aws.md has all of it, or name another with --application and --deployment-group")
			return l.findings, nil
		}
		return nil, err
	}
	for _, look := range []func(context.Context) error{l.revision, l.active, l.routing, l.alarms, l.hooks} {
		if err := look(ctx); err != nil {
			return nil, err
		}
	}
	return l.findings, nil
}

// ahead is one look.
type ahead struct {
	c                      Asker
	r                      Revision
	application, groupName string
	amazon                 bool
	group                  groupInfo
	// own says that a controller of ours answers; strict that the test listener moves in AllowTestTraffic only.
	own, strict bool
	// unable says of each hook that is no function why a controller of ours cannot run it; it has no answer of others.
	unable   map[deploy.Phase]string
	findings []deploy.Finding
}

// named reports whether an error was answered with one of the names, without the suffix Exception.
func named(err error, names ...string) bool {
	e, ok := errors.AsType[Refusal](err)
	return ok && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, e.Name()) })
}

// quote makes one word of a shell of a text.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (l *ahead) add(level, where, message, mend string) {
	l.findings = append(l.findings, deploy.Finding{Level: level, Where: where, Message: message, Mend: mend})
}

// blind notes that something could not be looked at. It returns errors that end the look: no answer came.
func (l *ahead) blind(what string, err error) error {
	if _, ok := errors.AsType[Refusal](err); !ok {
		return err
	}
	mend := ""
	switch {
	case named(err, "UnknownOperation", "InvalidAction"):
		mend = "what answers does not serve this; nothing to mend"
	case named(err, "AccessDenied"):
		mend = "let whoever runs check look at it"
	}
	l.add(LevelNote, what, "was not looked at: "+err.Error(), mend)
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

func (l *ahead) deploymentGroup(ctx context.Context) (groupInfo, error) {
	var out struct {
		Info groupInfo `json:"deploymentGroupInfo"`
	}
	in := map[string]string{"applicationName": l.application, "deploymentGroupName": l.groupName}
	err := l.c.JSON(ctx, serviceCodeDeploy, prefixCodeDeploy+"GetDeploymentGroup", in, &out)
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
	in := deploy.CheckRevisionInput{Application: l.application, Group: l.groupName, Container: l.r.Spec.ContainerName}
	for _, c := range l.r.Definition.Containers {
		in.Containers = append(in.Containers, deploy.CheckedContainer{Name: c.Name, Image: c.Image, EntryPoint: c.EntryPoint, Command: c.Command})
	}
	if l.r.File == "" {
		in.TaskDefinition = l.r.Spec.TaskDefinition
	}
	for _, h := range l.r.Spec.Hooks {
		if h.Kind != deploy.HookFunction {
			in.Hooks = append(in.Hooks, deploy.CheckedHook(h))
		}
	}
	l.strict = true
	if l.amazon || in.TaskDefinition == "" && len(in.Containers) == 0 {
		return l.foreignImages()
	}
	var out deploy.CheckRevisionOutput
	err := l.c.JSON(ctx, serviceGreengate, deploy.TargetPrefix+"CheckRevision", in, &out)
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
		if l.r.File != "" && strings.HasPrefix(f.Where, "container ") {
			if _, ok := l.r.Definition.Container(in.Container); !ok {
				continue // the files say it already
			}
			f.Where = l.r.File + ", " + f.Where
		}
		l.findings = append(l.findings, f)
	}
	return nil
}

// processImage begins the images that only a controller of ours runs (docs/aws.md).
const processImage = "process:"

func (l *ahead) foreignImages() error {
	for _, c := range l.r.Definition.Containers {
		if l.amazon && strings.HasPrefix(c.Image, processImage) {
			l.add(LevelError, l.r.File+", container "+c.Name, "the image "+c.Image+" runs on a Greengate controller only", "name the image of a registry")
		}
	}
	return nil
}

// active says that a deployment is running: another one would be refused.
func (l *ahead) active(context.Context) error {
	if last := l.group.LastAttempted; last.ID != "" && !last.Status.Terminal() {
		l.add(LevelWarning, "deployment "+last.ID, fmt.Sprintf("is %s: the deployment group takes no other until it has ended", last.Status),
			"aws deploy wait deployment-successful --deployment-id "+last.ID+", or aws deploy stop-deployment --deployment-id "+last.ID)
	}
	return nil
}
