package logs

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/logs"
	"greengate/internal/cloud"
)

// Limits of PutLogEvents (its API reference).
const (
	maxBatch    = 1 << 20 // bytes, of which each event has 26 on top of its message
	perEvent    = 26
	maxSpan     = 24 * time.Hour
	maxAhead    = 2 * time.Hour
	maxAge      = 14 * 24 * time.Hour
	maxTags     = 50
	maxGroups   = 10_000
	anySequence = "49590302938475629384756293847562938475629384756293847562"
)

var (
	groupName  = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)
	streamName = regexp.MustCompile(`^[^:*]{1,512}$`)
)

// retentions are the days that PutRetentionPolicy takes.
var retentions = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

func (s *Service) groupHandlers(h awsapi.Handlers) {
	h["CreateLogGroup"] = awsapi.Handle(s.createGroup, func(in *shape.CreateLogGroupRequest) []string { return s.on(in.LogGroupName, "") })
	h["DeleteLogGroup"] = awsapi.Handle(s.deleteGroup, func(in *shape.DeleteLogGroupRequest) []string { return s.on(in.LogGroupName, "") })
	h["PutRetentionPolicy"] = awsapi.Handle(s.putRetention, func(in *shape.PutRetentionPolicyRequest) []string { return s.on(in.LogGroupName, "") })
	h["DeleteRetentionPolicy"] = awsapi.Handle(s.deleteRetention, func(in *shape.DeleteRetentionPolicyRequest) []string { return s.on(in.LogGroupName, "") })
	h["TagResource"] = awsapi.Handle(s.tag, func(in *shape.TagResourceRequest) []string { return []string{in.ResourceARN} })
	h["UntagResource"] = awsapi.Handle(s.untag, func(in *shape.UntagResourceRequest) []string { return []string{in.ResourceARN} })
	h["ListTagsForResource"] = awsapi.Handle(s.listTags, func(in *shape.ListTagsForResourceRequest) []string { return []string{in.ResourceARN} })
	h["ListTagsLogGroup"] = awsapi.Handle(s.listGroupTags, func(in *shape.ListTagsLogGroupRequest) []string { return s.on(in.LogGroupName, "") })
}

func (s *Service) streamHandlers(h awsapi.Handlers) {
	one := func(group, stream string) []string { return []string{s.arn(group) + ":log-stream:" + stream} }
	h["CreateLogStream"] = awsapi.Handle(s.createStream, func(in *shape.CreateLogStreamRequest) []string { return s.on(in.LogGroupName, "") })
	h["DeleteLogStream"] = awsapi.Handle(s.deleteStream, func(in *shape.DeleteLogStreamRequest) []string { return one(in.LogGroupName, in.LogStreamName) })
	h["PutLogEvents"] = awsapi.Handle(s.putEvents, func(in *shape.PutLogEventsRequest) []string { return one(in.LogGroupName, in.LogStreamName) })
}

func (s *Service) createGroup(ctx context.Context, _ awsapi.Principal, in *shape.CreateLogGroupRequest) (*struct{}, error) {
	switch err := check(in); {
	case err != nil:
		return nil, err
	case !groupName.MatchString(in.LogGroupName):
		return nil, invalid("The log group name '%s' does not match %s", in.LogGroupName, groupName)
	case in.KmsKeyID != "":
		return nil, invalid("There are no encryption keys: kmsKeyId is not served.")
	case in.LogGroupClass != "" && in.LogGroupClass != shape.LogGroupClassStandard:
		return nil, invalid("The log group class %s is not served; STANDARD is.", in.LogGroupClass)
	case in.DeletionProtectionEnabled != nil && *in.DeletionProtectionEnabled:
		return nil, invalid("deletionProtectionEnabled is not served.")
	}
	return &struct{}{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		if _, ok := cloud.Find[cloud.LogGroup](d.State(), in.LogGroupName); ok {
			return awsapi.Fault("ResourceAlreadyExistsException", "The specified log group already exists")
		}
		if len(cloud.All[cloud.LogGroup](d.State())) >= maxGroups {
			return awsapi.Fault("LimitExceededException", "There are too many log groups; delete some.")
		}
		d.Put(cloud.LogGroup{Name: in.LogGroupName, Created: s.cfg.Now(), Tags: in.Tags})
		return nil
	})
}

// deleteGroup removes a group with all that is in it. First its events go: a group of the same name must not find them.
func (s *Service) deleteGroup(ctx context.Context, _ awsapi.Principal, in *shape.DeleteLogGroupRequest) (*struct{}, error) {
	g, err := s.group(ctx, in.LogGroupName)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Store.Remove(g.Name, ""); err != nil {
		return nil, err
	}
	if f, ok := FunctionOf(g.Name); ok {
		if err := s.cfg.Functions.Delete(ctx, f, "", time.Time{}); err != nil {
			return nil, err
		}
	}
	return &struct{}{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		d.Remove(g)
		return nil
	})
}

// change edits a group. One of a function, which nobody made, becomes one by what is to be remembered of it.
func (s *Service) change(ctx context.Context, name string, edit func(g *cloud.LogGroup) error) error {
	found, err := s.group(ctx, name)
	if err != nil {
		return err
	}
	return s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		g, ok := cloud.Find[cloud.LogGroup](d.State(), name)
		if !ok {
			if g = found; g.Created.IsZero() {
				g.Created = s.cfg.Now()
			}
		}
		if g.Tags = maps.Clone(g.Tags); g.Tags == nil {
			g.Tags = map[string]string{}
		}
		if err := edit(&g); err != nil {
			return err
		}
		d.Put(g)
		return nil
	})
}

func (s *Service) putRetention(ctx context.Context, _ awsapi.Principal, in *shape.PutRetentionPolicyRequest) (*struct{}, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	days := *in.RetentionInDays
	if !slices.Contains(retentions, days) {
		return nil, invalid("Invalid retention value. Valid values are: %s", strings.Trim(fmt.Sprint(retentions), "[]"))
	}
	return &struct{}{}, s.change(ctx, in.LogGroupName, func(g *cloud.LogGroup) error {
		g.Retention = int(days)
		return nil
	})
}

func (s *Service) deleteRetention(ctx context.Context, _ awsapi.Principal, in *shape.DeleteRetentionPolicyRequest) (*struct{}, error) {
	return &struct{}{}, s.change(ctx, in.LogGroupName, func(g *cloud.LogGroup) error {
		g.Retention = 0
		return nil
	})
}

// taggedGroup is the group in an ARN.
func taggedGroup(arn string) (string, error) {
	_, name, ok := strings.Cut(arn, ":log-group:")
	if !ok {
		return "", invalid("'%s' is not the ARN of a log group", arn)
	}
	return strings.TrimSuffix(name, ":*"), nil
}

func (s *Service) tag(ctx context.Context, _ awsapi.Principal, in *shape.TagResourceRequest) (*struct{}, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	name, err := taggedGroup(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &struct{}{}, s.change(ctx, name, func(g *cloud.LogGroup) error {
		if maps.Copy(g.Tags, in.Tags); len(g.Tags) > maxTags {
			return awsapi.Fault("TooManyTagsException", "A resource has at most %d tags.", maxTags)
		}
		return nil
	})
}

func (s *Service) untag(ctx context.Context, _ awsapi.Principal, in *shape.UntagResourceRequest) (*struct{}, error) {
	name, err := taggedGroup(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &struct{}{}, s.change(ctx, name, func(g *cloud.LogGroup) error {
		for _, k := range in.TagKeys {
			delete(g.Tags, k)
		}
		return nil
	})
}

func (s *Service) listTags(ctx context.Context, _ awsapi.Principal, in *shape.ListTagsForResourceRequest) (*shape.ListTagsForResourceResponse, error) {
	name, err := taggedGroup(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	g, err := s.group(ctx, name)
	return &shape.ListTagsForResourceResponse{Tags: orEmpty(g.Tags)}, err
}

func (s *Service) listGroupTags(ctx context.Context, _ awsapi.Principal, in *shape.ListTagsLogGroupRequest) (*shape.ListTagsLogGroupResponse, error) {
	g, err := s.group(ctx, in.LogGroupName)
	return &shape.ListTagsLogGroupResponse{Tags: orEmpty(g.Tags)}, err
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func (s *Service) createStream(ctx context.Context, _ awsapi.Principal, in *shape.CreateLogStreamRequest) (*struct{}, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	if !streamName.MatchString(in.LogStreamName) {
		return nil, invalid("The log stream name '%s' does not match %s", in.LogStreamName, streamName)
	}
	g, err := s.group(ctx, in.LogGroupName)
	if err != nil {
		return nil, err
	}
	if v, err := s.stream(ctx, g.Name, in.LogStreamName); err == nil && v.function {
		return nil, ErrStreamExists
	}
	return &struct{}{}, s.cfg.Store.Create(g.Name, in.LogStreamName, s.cfg.Now())
}

func (s *Service) deleteStream(ctx context.Context, _ awsapi.Principal, in *shape.DeleteLogStreamRequest) (*struct{}, error) {
	g, err := s.group(ctx, in.LogGroupName)
	if err != nil {
		return nil, err
	}
	v, err := s.stream(ctx, g.Name, in.LogStreamName)
	if err != nil {
		return nil, err
	}
	if f, _ := FunctionOf(g.Name); v.function {
		return &struct{}{}, s.cfg.Functions.Delete(ctx, f, v.Name, time.Time{})
	}
	return &struct{}{}, s.cfg.Store.Remove(g.Name, v.Name)
}

// checkBatch refuses a batch that AWS refuses whole.
func checkBatch(list []shape.InputLogEvent) error {
	size := 0
	for i, e := range list {
		size += len(e.Message) + perEvent
		if i > 0 && *e.Timestamp < *list[i-1].Timestamp {
			return invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	if size > maxBatch {
		return invalid("Upload too large: %d bytes exceeds limit of %d", size, maxBatch)
	}
	if *list[len(list)-1].Timestamp-*list[0].Timestamp > maxSpan.Milliseconds() {
		return invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	return nil
}

// putEvents stores a batch, without the events that are too new, too old or past the retention of the group.
func (s *Service) putEvents(ctx context.Context, _ awsapi.Principal, in *shape.PutLogEventsRequest) (*shape.PutLogEventsResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	if err := checkBatch(in.LogEvents); err != nil {
		return nil, err
	}
	g, err := s.group(ctx, in.LogGroupName)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	old, expired, ahead := now.Add(-maxAge).UnixMilli(), s.cutoff(g), now.Add(maxAhead).UnixMilli()
	out, info := &shape.PutLogEventsResponse{NextSequenceToken: anySequence}, shape.RejectedLogEventsInfo{}
	var events []Event
	for i, e := range in.LogEvents {
		at, n := *e.Timestamp, int32(i)
		switch {
		case at < old:
			info.TooOldLogEventEndIndex = new(n + 1)
		case at < expired:
			info.ExpiredLogEventEndIndex = new(n + 1)
		case at > ahead:
			if info.TooNewLogEventStartIndex == nil {
				info.TooNewLogEventStartIndex = new(n)
			}
		default:
			events = append(events, Event{Timestamp: at, Ingested: now.UnixMilli(), Message: e.Message})
		}
	}
	if info != (shape.RejectedLogEventsInfo{}) {
		out.RejectedLogEventsInfo = &info
	}
	// Also without events: the stream must be there.
	_, err = s.cfg.Store.Append(g.Name, in.LogStreamName, events)
	return out, err
}
