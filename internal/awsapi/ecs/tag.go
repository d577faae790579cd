package ecs

import (
	"context"
	"maps"
	"strings"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/cloud"
)

func (s *Service) tagHandlers(h awsapi.Handlers) {
	h["TagResource"] = awsapi.Handle(s.tagResource, func(in *shape.TagResourceRequest) []string { return []string{in.ResourceARN} })
	h["UntagResource"] = awsapi.Handle(s.untagResource, func(in *shape.UntagResourceRequest) []string { return []string{in.ResourceARN} })
	h["ListTagsForResource"] = awsapi.Handle(s.listTags, func(in *shape.ListTagsForResourceRequest) []string { return []string{in.ResourceARN} })
}

// tagged finds what an ARN names: its tags, and how to store others.
func (s *Service) tagged(st cloud.State, arn string) (map[string]string, func(d *cloud.Draft, tags map[string]string), error) {
	_, resource, _ := strings.Cut(arn, ":ecs:")
	fields := strings.SplitN(resource, ":", 3)
	if len(fields) != 3 {
		return nil, nil, awsapi.Fault("InvalidParameterException", "Invalid identifier: '%s'.", arn)
	}
	kind, name, _ := strings.Cut(fields[2], "/")
	switch kind {
	case "cluster":
		c, err := cluster(st, name)
		return c.Tags, func(d *cloud.Draft, t map[string]string) { c.Tags = t; d.Put(c) }, err
	case "service":
		svc, err := s.service(st, "", arn)
		return svc.Tags, func(d *cloud.Draft, t map[string]string) { svc.Tags = t; d.Put(svc) }, err
	case "task-definition":
		def, err := s.definition(st, name)
		return def.Tags, func(d *cloud.Draft, t map[string]string) { def.Tags = t; d.Put(def) }, err
	}
	return nil, nil, awsapi.Fault("InvalidParameterException", "Tags of '%s' are not served.", arn)
}

// maxTags is the most a resource has.
const maxTags = 50

func (s *Service) tagResource(ctx context.Context, _ awsapi.Principal, in *shape.TagResourceRequest) (*shape.TagResourceResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	return &shape.TagResourceResponse{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		tags, put, err := s.tagged(d.State(), in.ResourceARN)
		if err != nil {
			return err
		}
		next := tagMap(in.Tags)
		for k, v := range tags {
			if _, given := next[k]; !given {
				next[k] = v
			}
		}
		if len(next) > maxTags {
			return awsapi.Fault("InvalidParameterException", "A resource has at most %d tags.", maxTags)
		}
		put(d, next)
		return nil
	})
}

func (s *Service) untagResource(ctx context.Context, _ awsapi.Principal, in *shape.UntagResourceRequest) (*shape.UntagResourceResponse, error) {
	return &shape.UntagResourceResponse{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		tags, put, err := s.tagged(d.State(), in.ResourceARN)
		if err != nil {
			return err
		}
		tags = maps.Clone(tags)
		for _, k := range in.TagKeys {
			delete(tags, k)
		}
		put(d, tags)
		return nil
	})
}

func (s *Service) listTags(_ context.Context, _ awsapi.Principal, in *shape.ListTagsForResourceRequest) (*shape.ListTagsForResourceResponse, error) {
	tags, _, err := s.tagged(s.cfg.Resources.State(), in.ResourceARN)
	return &shape.ListTagsForResourceResponse{Tags: tagList(tags)}, err
}
