// Package logs answers the CloudWatch Logs operations (API version 2014-03-28) by which people read what their functions
// wrote: `aws logs tail /aws/lambda/NAME --follow` and what SDKs do. A log group is there for each function; groups that
// clients make themselves are not served.
package logs

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/logs"
	"greengate/internal/cloud"
)

// groupPrefix begins the names of functions' log groups.
const groupPrefix = "/aws/lambda/"

// Event is one line.
type Event struct {
	Timestamp int64 // milliseconds since 1970
	Message   string
}

// Source reads what functions wrote.
type Source interface {
	// Streams are the log streams of a function, oldest first.
	Streams(ctx context.Context, function string) ([]string, error)
	// Read returns the events of a stream from a position on, and where to read on.
	Read(ctx context.Context, function, stream string, since int64) (events []Event, next int64, err error)
}

// Config is what a Service needs.
type Config struct {
	Region, AccountID string
	// State knows the functions.
	State  func() cloud.State
	Source Source
}

// Service answers CloudWatch Logs.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Handlers are the operations that are served.
func (s *Service) Handlers() awsapi.Handlers {
	return awsapi.Handlers{
		"DescribeLogGroups": awsapi.Handle(s.describeGroups, nil),
		"DescribeLogStreams": awsapi.Handle(s.describeStreams, func(in *shape.DescribeLogStreamsRequest) []string {
			return s.on(in.LogGroupName, in.LogGroupIdentifier)
		}),
		"GetLogEvents":    awsapi.Handle(s.getEvents, func(in *shape.GetLogEventsRequest) []string { return s.on(in.LogGroupName, in.LogGroupIdentifier) }),
		"FilterLogEvents": awsapi.Handle(s.filterEvents, func(in *shape.FilterLogEventsRequest) []string { return s.on(in.LogGroupName, in.LogGroupIdentifier) }),
	}
}

// groupOf is the name of a group from its name, or from an identifier, which may be an ARN.
func groupOf(name, identifier string) string {
	if name != "" {
		return name
	}
	if _, rest, ok := strings.Cut(identifier, ":log-group:"); ok {
		return strings.TrimSuffix(rest, ":*")
	}
	return identifier
}

func (s *Service) arn(group string) string {
	return "arn:aws:logs:" + s.cfg.Region + ":" + s.cfg.AccountID + ":log-group:" + group
}

func (s *Service) on(name, identifier string) []string {
	return []string{s.arn(groupOf(name, identifier)) + ":*"}
}

// function is the one that a log group belongs to.
func (s *Service) function(name, identifier string) (string, error) {
	group := groupOf(name, identifier)
	f, ok := strings.CutPrefix(group, groupPrefix)
	if ok {
		_, ok = cloud.Find[cloud.Function](s.cfg.State(), f)
	}
	if !ok {
		return "", awsapi.Fault("ResourceNotFoundException", "The specified log group does not exist.")
	}
	return f, nil
}

func (s *Service) describeGroups(_ context.Context, _ awsapi.Principal, in *shape.DescribeLogGroupsRequest) (*shape.DescribeLogGroupsResponse, error) {
	out := &shape.DescribeLogGroupsResponse{LogGroups: []shape.LogGroup{}}
	n := limit(in.Limit, 50)
	for _, f := range cloud.All[cloud.Function](s.cfg.State()) {
		name := groupPrefix + f.Name
		if !strings.HasPrefix(name, in.LogGroupNamePrefix) || !strings.Contains(name, in.LogGroupNamePattern) || name <= in.NextToken {
			continue
		}
		if len(out.LogGroups) == n {
			out.NextToken = out.LogGroups[n-1].LogGroupName
			break
		}
		out.LogGroups = append(out.LogGroups, shape.LogGroup{
			LogGroupName: name, ARN: s.arn(name) + ":*", LogGroupARN: s.arn(name), CreationTime: new(f.Latest.Modified.UnixMilli()), MetricFilterCount: new(int32(0)),
		})
	}
	return out, nil
}

func limit(n *int32, most int) int {
	if n == nil || int(*n) < 1 || int(*n) > most {
		return most
	}
	return int(*n)
}

func (s *Service) describeStreams(ctx context.Context, _ awsapi.Principal, in *shape.DescribeLogStreamsRequest) (*shape.DescribeLogStreamsResponse, error) {
	f, err := s.function(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	names, err := s.cfg.Source.Streams(ctx, f)
	if err != nil {
		return nil, err
	}
	var list []shape.LogStream
	for _, name := range names {
		if !strings.HasPrefix(name, in.LogStreamNamePrefix) {
			continue
		}
		events, _, err := s.cfg.Source.Read(ctx, f, name, 0)
		if err != nil {
			return nil, err
		}
		v := shape.LogStream{LogStreamName: name, ARN: s.arn(groupPrefix+f) + ":log-stream:" + name, StoredBytes: new(int64(0))}
		if len(events) > 0 {
			first, last := events[0].Timestamp, events[len(events)-1].Timestamp
			v.CreationTime, v.FirstEventTimestamp, v.LastEventTimestamp, v.LastIngestionTime = &first, &first, &last, &last
		}
		list = append(list, v)
	}
	if in.OrderBy == shape.OrderByLastEventTime {
		slices.SortStableFunc(list, func(a, b shape.LogStream) int {
			return cmp.Compare(value(a.LastEventTimestamp), value(b.LastEventTimestamp))
		})
	} else {
		slices.SortFunc(list, func(a, b shape.LogStream) int { return strings.Compare(a.LogStreamName, b.LogStreamName) })
	}
	if in.Descending != nil && *in.Descending {
		slices.Reverse(list)
	}
	start := slices.IndexFunc(list, func(v shape.LogStream) bool { return v.LogStreamName == in.NextToken }) + 1
	out := &shape.DescribeLogStreamsResponse{LogStreams: list[start:]}
	if n := limit(in.Limit, 50); len(out.LogStreams) > n {
		out.LogStreams = out.LogStreams[:n]
		out.NextToken = out.LogStreams[n-1].LogStreamName
	}
	return out, nil
}

func value(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}

// window is the time that a caller asks for: start is included, end is not.
func within(e Event, start, end *int64) bool {
	return (start == nil || e.Timestamp >= *start) && (end == nil || e.Timestamp < *end)
}

// getEvents reads one stream. A token is "f/" or "b/" and a position; reading forward ends where the token repeats.
func (s *Service) getEvents(ctx context.Context, _ awsapi.Principal, in *shape.GetLogEventsRequest) (*shape.GetLogEventsResponse, error) {
	f, err := s.function(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	names, err := s.cfg.Source.Streams(ctx, f)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, in.LogStreamName) {
		return nil, awsapi.Fault("ResourceNotFoundException", "The specified log stream does not exist.")
	}
	since := int64(0)
	if position, ok := strings.CutPrefix(in.NextToken, "f/"); ok {
		if since, err = strconv.ParseInt(position, 10, 64); err != nil || since < 0 {
			return nil, awsapi.Fault("InvalidParameterException", "The specified nextToken is invalid.")
		}
	} else if in.NextToken != "" {
		return &shape.GetLogEventsResponse{Events: []shape.OutputLogEvent{}, NextForwardToken: "f/0", NextBackwardToken: in.NextToken}, nil
	}
	events, next, err := s.cfg.Source.Read(ctx, f, in.LogStreamName, since)
	if err != nil {
		return nil, err
	}
	out := &shape.GetLogEventsResponse{Events: []shape.OutputLogEvent{}, NextForwardToken: "f/" + strconv.FormatInt(next, 10), NextBackwardToken: "b/" + strconv.FormatInt(since, 10)}
	for _, e := range events {
		if within(e, in.StartTime, in.EndTime) {
			out.Events = append(out.Events, shape.OutputLogEvent{Timestamp: new(e.Timestamp), IngestionTime: new(e.Timestamp), Message: strings.TrimSuffix(e.Message, "\n")})
		}
	}
	if n := limit(in.Limit, 10000); len(out.Events) > n {
		out.Events = out.Events[len(out.Events)-n:]
	}
	return out, nil
}

// filterEvents searches all streams of a group, in the order of time. All that matches comes at once, so there is no
// token.
func (s *Service) filterEvents(ctx context.Context, _ awsapi.Principal, in *shape.FilterLogEventsRequest) (*shape.FilterLogEventsResponse, error) {
	f, err := s.function(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	match, err := parsePattern(in.FilterPattern)
	if err != nil {
		return nil, awsapi.Fault("InvalidParameterException", "Invalid filter pattern: %v", err)
	}
	names, err := s.cfg.Source.Streams(ctx, f)
	if err != nil {
		return nil, err
	}
	out := &shape.FilterLogEventsResponse{Events: []shape.FilteredLogEvent{}, SearchedLogStreams: []shape.SearchedLogStream{}}
	for _, name := range names {
		if !strings.HasPrefix(name, in.LogStreamNamePrefix) || len(in.LogStreamNames) > 0 && !slices.Contains(in.LogStreamNames, name) {
			continue
		}
		events, _, err := s.cfg.Source.Read(ctx, f, name, 0)
		if err != nil {
			return nil, err
		}
		for i, e := range events {
			if within(e, in.StartTime, in.EndTime) && match.matches(e.Message) {
				out.Events = append(out.Events, shape.FilteredLogEvent{
					EventID: name + "/" + strconv.Itoa(i), LogStreamName: name, Timestamp: new(e.Timestamp), IngestionTime: new(e.Timestamp),
					Message: strings.TrimSuffix(e.Message, "\n"),
				})
			}
		}
	}
	slices.SortStableFunc(out.Events, func(a, b shape.FilteredLogEvent) int { return cmp.Compare(*a.Timestamp, *b.Timestamp) })
	if n := limit(in.Limit, 10000); len(out.Events) > n {
		out.Events = out.Events[len(out.Events)-n:]
	}
	return out, nil
}
