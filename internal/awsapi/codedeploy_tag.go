package awsapi

import (
	"context"
	"maps"
	"slices"
	"strings"

	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/cloud"
)

// tagged is something that has tags: what it is, and how to store others.
type tagged struct {
	arn  string // as the resource is called here, whatever region the caller wrote
	tags map[string]string
	put  func(d *cloud.Draft, tags map[string]string)
}

// find finds what an ARN names. missing is the error of operations that need it to exist.
func (c *codeDeploy) find(st cloud.State, arn string) (t tagged, missing error, err error) {
	if arn == "" {
		return t, nil, fault("ResourceArnRequiredException", "The ARN of a resource is required, but was not found.")
	}
	fields := strings.SplitN(arn, ":", 7)
	if len(fields) != 7 || fields[0] != "arn" || fields[2] != "codedeploy" || fields[6] == "" {
		return t, nil, fault("InvalidArnException", "The specified ARN is not in a valid format.")
	}
	name := fields[6]
	switch fields[5] {
	case "application":
		a, ok := cloud.Find[cloud.Application](st, name)
		t = tagged{c.arn(groupName{application: name}), a.Tags, func(d *cloud.Draft, tags map[string]string) { a.Tags = tags; d.Put(a) }}
		if !ok {
			missing = fault("ApplicationDoesNotExistException", "No application found for name: "+name)
		}
	case "deploymentgroup":
		g, ok := cloud.Find[cloud.DeploymentGroup](st, name)
		application, group, _ := strings.Cut(name, "/")
		t = tagged{c.arn(groupName{application, group}), g.Tags, func(d *cloud.Draft, tags map[string]string) { g.Tags = tags; d.Put(g) }}
		if !ok {
			missing = fault("DeploymentGroupDoesNotExistException", "No Deployment Group found for name: "+group)
		}
	case "deploymentconfig":
		dc, ok := cloud.Find[cloud.DeploymentConfig](st, name)
		t = tagged{c.configARN(name), dc.Tags, func(d *cloud.Draft, tags map[string]string) { dc.Tags = tags; d.Put(dc) }}
		if !ok {
			missing = fault("DeploymentConfigDoesNotExistException", "The deployment configuration "+name+" does not exist.")
		}
	default:
		return t, nil, fault("ArnNotSupportedException", "The specified ARN is not supported. Tags are of applications, deployment groups and deployment configurations.")
	}
	return t, missing, nil
}

// editTags changes the tags of a resource.
func (c *codeDeploy) editTags(ctx context.Context, by Principal, operation, arn string, edit func(tags map[string]string)) error {
	return c.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		t, missing, err := c.find(d.State(), arn)
		if err != nil {
			return err
		}
		if err := c.allowOn(ctx, by, operation, t.arn); err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		tags := maps.Clone(t.tags)
		if tags == nil {
			tags = map[string]string{}
		}
		edit(tags)
		if len(tags) > maxTags {
			return fault("InvalidTagsToAddException", "A resource has at most 50 tags.")
		}
		t.put(d, tags)
		return nil
	})
}

func (c *codeDeploy) tagResource(ctx context.Context, by Principal, in *codedeploy.TagResourceInput) (*codedeploy.TagResourceOutput, error) {
	if in.ResourceARN != "" && len(in.Tags) == 0 {
		return nil, fault("TagRequiredException", "A tag was not specified.")
	}
	tags, err := readTags(in.Tags)
	if err != nil {
		return nil, err
	}
	return &codedeploy.TagResourceOutput{}, c.editTags(ctx, by, "TagResource", in.ResourceARN, func(old map[string]string) { maps.Copy(old, tags) })
}

func (c *codeDeploy) untagResource(ctx context.Context, by Principal, in *codedeploy.UntagResourceInput) (*codedeploy.UntagResourceOutput, error) {
	if in.ResourceARN != "" && len(in.TagKeys) == 0 {
		return nil, fault("TagRequiredException", "A tag was not specified.")
	}
	return &codedeploy.UntagResourceOutput{}, c.editTags(ctx, by, "UntagResource", in.ResourceARN, func(old map[string]string) {
		for _, k := range in.TagKeys {
			delete(old, k)
		}
	})
}

func (c *codeDeploy) listTagsForResource(ctx context.Context, by Principal, in *codedeploy.ListTagsForResourceInput) (*codedeploy.ListTagsForResourceOutput, error) {
	t, _, err := c.find(c.cfg.Resources.State(), in.ResourceARN)
	if err != nil {
		return nil, err
	}
	if err := c.allowOn(ctx, by, "ListTagsForResource", t.arn); err != nil {
		return nil, err
	}
	out := &codedeploy.ListTagsForResourceOutput{Tags: []codedeploy.Tag{}}
	for _, k := range slices.Sorted(maps.Keys(t.tags)) {
		out.Tags = append(out.Tags, codedeploy.Tag{Key: k, Value: t.tags[k]})
	}
	return out, nil
}
