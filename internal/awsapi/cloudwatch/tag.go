package cloudwatch

import (
	"context"
	"maps"
	"slices"
	"strings"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/cloudwatch"
	"greengate/internal/cloud"
)

// maxTags is the most an alarm has (TagResource).
const maxTags = 50

func (s *Service) tagHandlers(h awsapi.Handlers) {
	h["TagResource"] = awsapi.Handle(s.tagResource, func(in *shape.TagResourceInput) []string { return []string{in.ResourceARN} })
	h["UntagResource"] = awsapi.Handle(s.untagResource, func(in *shape.UntagResourceInput) []string { return []string{in.ResourceARN} })
	h["ListTagsForResource"] = awsapi.Handle(s.listTags, func(in *shape.ListTagsForResourceInput) []string { return []string{in.ResourceARN} })
}

func tagMap(tags []shape.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// tagged finds the alarm of an ARN.
func (s *Service) tagged(st cloud.State, arn string) (cloud.Alarm, error) {
	fields := strings.SplitN(arn, ":", 6)
	if len(fields) != 6 || fields[0] != "arn" || fields[2] != "cloudwatch" || !strings.HasPrefix(fields[5], alarmPart) {
		return cloud.Alarm{}, badValue("The value %s for parameter ResourceARN is invalid.", arn)
	}
	a, ok := cloud.Find[cloud.Alarm](st, strings.TrimPrefix(fields[5], alarmPart))
	if !ok || s.arn(a.Name) != arn {
		return a, awsapi.Fault("ResourceNotFoundException", "Resource not found: %s", arn)
	}
	return a, nil
}

func (s *Service) retag(ctx context.Context, arn string, change func(tags map[string]string)) error {
	return s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		a, err := s.tagged(d.State(), arn)
		if err != nil {
			return err
		}
		tags := map[string]string{}
		maps.Copy(tags, a.Tags)
		change(tags)
		if len(tags) > maxTags {
			return badValue("An alarm has at most %d tags.", maxTags)
		}
		a.Tags = tags
		d.Put(a)
		return nil
	})
}

func (s *Service) tagResource(ctx context.Context, _ awsapi.Principal, in *shape.TagResourceInput) (*shape.TagResourceOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	return &shape.TagResourceOutput{}, s.retag(ctx, in.ResourceARN, func(tags map[string]string) { maps.Copy(tags, tagMap(in.Tags)) })
}

func (s *Service) untagResource(ctx context.Context, _ awsapi.Principal, in *shape.UntagResourceInput) (*shape.UntagResourceOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	return &shape.UntagResourceOutput{}, s.retag(ctx, in.ResourceARN, func(tags map[string]string) {
		for _, k := range in.TagKeys {
			delete(tags, k)
		}
	})
}

func (s *Service) listTags(_ context.Context, _ awsapi.Principal, in *shape.ListTagsForResourceInput) (*shape.ListTagsForResourceOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	a, err := s.tagged(s.cfg.Resources.State(), in.ResourceARN)
	if err != nil {
		return nil, err
	}
	out := &shape.ListTagsForResourceOutput{Tags: []shape.Tag{}}
	for _, k := range slices.Sorted(maps.Keys(a.Tags)) {
		out.Tags = append(out.Tags, shape.Tag{Key: k, Value: a.Tags[k]})
	}
	return out, nil
}
