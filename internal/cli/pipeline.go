package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"greengate/internal/deploy"
)

// This file deploys what the files of a pipeline say, as CodePipeline's "Amazon ECS (Blue/Green)" action does.

// pipelineStarted is the document of a deployment that was begun and not waited for.
type pipelineStarted struct {
	DeploymentID    string `json:"deploymentId"`
	TaskDefinition  string `json:"taskDefinition"`
	Application     string `json:"application"`
	DeploymentGroup string `json:"deploymentGroup"`
}

func (a *app) deployPipeline(ctx context.Context, f deployFlags) error {
	r, err := readPipeline(f.pipelineFlags)
	if err != nil {
		return err
	}
	if err := r.refused(); err != nil {
		return err
	}
	c, err := a.connectAWS(false)
	if err != nil {
		return err
	}
	defer c.close()
	if c.at.AWS {
		a.note().line("no controller is known: deploying to %s", clean(c.at.Endpoint))
	}
	application, group, err := c.findGroup(ctx, f.pipelineFlags)
	if err != nil {
		return err
	}
	if err := c.deploymentGroup(ctx, application, group); err != nil {
		return err
	}
	done := pipelineStarted{Application: application, DeploymentGroup: group, TaskDefinition: r.spec.TaskDefinition}
	if r.definitionText != nil {
		if done.TaskDefinition, err = c.registerDefinition(ctx, r.definitionText); err != nil {
			return err
		}
		a.note().line("registered %s", clean(done.TaskDefinition))
	}
	if done.DeploymentID, err = c.createDeployment(ctx, done, r.filled(done.TaskDefinition), f.description); err != nil {
		return err
	}
	s := started{id: done.DeploymentID, what: "deployment of " + application + "/" + group, document: done}
	if f.wait && !c.ownDeployments(ctx, s.id) {
		a.note().line("started   %s %s", s.what, clean(s.id))
		return a.waitAWS(ctx, c, s.id, f.waitFlags)
	}
	return a.startedDeployment(ctx, c.client, s, f.waitFlags)
}

// refused says all that is wrong in the files; it is bad input.
func (r *pipelineRevision) refused() error {
	if len(r.findings) == 0 {
		return nil
	}
	lines := make([]string, len(r.findings))
	for i, f := range r.findings {
		lines[i] = f.Where + ": "
		if f.Field != "" {
			lines[i] += f.Field + ": "
		}
		lines[i] += f.Message
	}
	return usagef("the revision has %s; nothing was called\n%s", plural(len(lines), "fault"), strings.Join(lines, "\n"))
}

// maxPart is how much of the names of cluster and service `aws ecs deploy` takes for its default names.
const maxPart = 46

// findGroup says which application and deployment group are meant: by their names, by those that `aws ecs deploy` gives
// to a service's, or the only ones there are.
func (c *awsClient) findGroup(ctx context.Context, f pipelineFlags) (application, group string, err error) {
	application, group = f.application, f.group
	if f.service != "" {
		name := lastPart(f.cluster) + "-" + lastPart(f.service)
		application, group = orElse(application, "AppECS-"+name), orElse(group, "DgpECS-"+name)
	}
	if application == "" {
		if application, err = c.onlyApplication(ctx); err != nil {
			return "", "", err
		}
	}
	if group == "" {
		if group, err = c.onlyGroup(ctx, application); err != nil {
			return "", "", err
		}
	}
	return application, group, nil
}

// lastPart is the name of a cluster or service, from its ARN too, as far as it is used.
func lastPart(name string) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	return name[:min(len(name), maxPart)]
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (c *awsClient) onlyApplication(ctx context.Context) (string, error) {
	var list struct {
		Applications []string `json:"applications"`
	}
	if err := c.codedeploy(ctx, "ListApplications", struct{}{}, &list); err != nil {
		return "", err
	}
	var ecs []string
	for _, name := range list.Applications {
		var out struct {
			Application struct {
				ComputePlatform string `json:"computePlatform"`
			} `json:"application"`
		}
		if err := c.codedeploy(ctx, "GetApplication", map[string]string{"applicationName": name}, &out); err != nil {
			return "", err
		}
		if out.Application.ComputePlatform == "ECS" {
			ecs = append(ecs, name)
		}
	}
	return only(ecs, "application of the ECS platform", "--application")
}

func (c *awsClient) onlyGroup(ctx context.Context, application string) (string, error) {
	var list struct {
		DeploymentGroups []string `json:"deploymentGroups"`
	}
	if err := c.codedeploy(ctx, "ListDeploymentGroups", map[string]string{"applicationName": application}, &list); err != nil {
		return "", err
	}
	return only(list.DeploymentGroups, "deployment group of "+application, "--deployment-group")
}

// only is the one name of a list.
func only(names []string, what, flag string) (string, error) {
	switch len(names) {
	case 0:
		return "", withHint(usagef("there is no %s", what), "make one first: docs/aws.md has the commands")
	case 1:
		return names[0], nil
	}
	const most = 10
	shown := strings.Join(names[:min(len(names), most)], ", ")
	return "", usagef("there is more than one %s: name one with %s (%s)", what, flag, shown)
}

// outputOnly are the members that describe-task-definition adds; the input has no such.
func outputOnly() []string {
	return []string{"taskDefinitionArn", "revision", "status", "registeredAt", "registeredBy", "deregisteredAt", "compatibilities", "requiresAttributes"}
}

func (c *awsClient) registerDefinition(ctx context.Context, text []byte) (string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return "", usage(fmt.Errorf("decode task definition: %w", err))
	}
	for _, name := range outputOnly() {
		delete(members, name)
	}
	var out struct {
		TaskDefinition struct {
			ARN string `json:"taskDefinitionArn"`
		} `json:"taskDefinition"`
	}
	if err := c.ecs(ctx, "RegisterTaskDefinition", members, &out); err != nil {
		return "", fmt.Errorf("register task definition: %w", err)
	}
	if out.TaskDefinition.ARN == "" {
		return "", errors.New("register task definition: the answer names none")
	}
	return out.TaskDefinition.ARN, nil
}

func (c *awsClient) createDeployment(ctx context.Context, what pipelineStarted, content, description string) (string, error) {
	sum := sha256.Sum256([]byte(content))
	in := map[string]any{
		"applicationName": what.Application, "deploymentGroupName": what.DeploymentGroup,
		"revision": map[string]any{
			"revisionType": "AppSpecContent", "appSpecContent": map[string]string{"content": content, "sha256": hex.EncodeToString(sum[:])},
		},
	}
	if description != "" {
		in["description"] = description
	}
	var out struct {
		DeploymentID string `json:"deploymentId"`
	}
	if err := c.codedeploy(ctx, "CreateDeployment", in, &out); err != nil {
		return "", err
	}
	return out.DeploymentID, nil
}

// ownDeployments reports whether a controller of ours keeps the deployment, and tells us more of it than AWS's APIs do.
// One that does not know that action, or does not let this caller look, is followed as AWS is; one that is away for a
// moment is waited for.
func (c *awsClient) ownDeployments(ctx context.Context, id string) bool {
	if c.at.AWS {
		return false
	}
	err := c.call(ctx, "DescribeDeployment", deploy.DeploymentInput{ID: id}, nil)
	return err == nil || transient(err)
}
