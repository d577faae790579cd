// Package logs answers the CloudWatch Logs operations (API version 2014-03-28): groups that clients write to, and those of
// functions (/aws/lambda/NAME), whose streams the sandboxes write. Both are read, searched, followed and deleted alike.
package logs

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/logs"
	"greengate/internal/cloud"
)

// groupPrefix begins the names of functions' log groups.
const groupPrefix = "/aws/lambda/"

// Event is one line. Times are milliseconds since 1970.
type Event struct {
	// Pos is where in its stream it begins.
	Pos       int64
	Timestamp int64
	Ingested  int64
	Message   string
}

// Stream is a log stream; the times are zero where it has no events.
type Stream struct {
	Name                          string
	Created, First, Last, Arrived int64 // milliseconds since 1970
	Bytes                         int64
	// function: it is of a function.
	function bool
}

// Functions reads and removes what functions wrote.
type Functions interface {
	// Logged are the functions that have a log, whether or not they are still known.
	Logged(ctx context.Context) ([]string, error)
	// Streams are the log streams of a function, oldest first.
	Streams(ctx context.Context, function string) ([]string, error)
	// Read returns the events of a stream from a position on, and where to read on.
	Read(ctx context.Context, function, stream string, since int64) (events []Event, next int64, err error)
	// Delete removes a stream, or all where it is empty; with a time only those to which nothing was added since.
	Delete(ctx context.Context, function, stream string, before time.Time) error
}

// Store keeps what clients write. Its errors are those of this package, or faults of ours.
type Store interface {
	// Create makes a stream (ErrStreamExists, ErrTooManyStreams).
	Create(group, stream string, at time.Time) error
	Streams(group string) ([]Stream, error)
	// Append adds events to a stream and returns where it then ends (ErrNoStream).
	Append(group, stream string, events []Event) (int64, error)
	// Read returns the events of a stream from a position on, and where to read on (ErrNoStream).
	Read(group, stream string, since int64) (events []Event, next int64, err error)
	// Remove deletes a stream, or a whole group where it is empty.
	Remove(group, stream string) error
}

// Errors of a Store.
var (
	ErrNoStream       = awsapi.Fault("ResourceNotFoundException", "The specified log stream does not exist.")
	ErrStreamExists   = awsapi.Fault("ResourceAlreadyExistsException", "The specified log stream already exists")
	ErrTooManyStreams = awsapi.Fault("LimitExceededException", "The log group has too many log streams; delete some.")
)

// Resources keeps log groups and knows functions; *cloud.Cloud is one.
type Resources interface {
	State() cloud.State
	Update(ctx context.Context, edit func(d *cloud.Draft) error) error
}

// Config is what a Service needs.
type Config struct {
	Region, AccountID string
	Resources         Resources
	Functions         Functions
	Store             Store
	Now               func() time.Time
}

// Service answers CloudWatch Logs.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Handlers are the operations that are served.
func (s *Service) Handlers() awsapi.Handlers {
	h := awsapi.Handlers{
		"DescribeLogGroups": awsapi.Handle(s.describeGroups, nil),
		"DescribeLogStreams": awsapi.Handle(s.describeStreams, func(in *shape.DescribeLogStreamsRequest) []string {
			return s.on(in.LogGroupName, in.LogGroupIdentifier)
		}),
		"GetLogEvents":    awsapi.Handle(s.getEvents, func(in *shape.GetLogEventsRequest) []string { return s.on(in.LogGroupName, in.LogGroupIdentifier) }),
		"FilterLogEvents": awsapi.Handle(s.filterEvents, func(in *shape.FilterLogEventsRequest) []string { return s.on(in.LogGroupName, in.LogGroupIdentifier) }),
	}
	s.groupHandlers(h)
	s.streamHandlers(h)
	return h
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

func invalid(format string, args ...any) error {
	return awsapi.Fault("InvalidParameterException", format, args...)
}

func check(in any) error {
	if faults := shapes.Check(in); len(faults) > 0 {
		return invalid("%s", strings.Join(faults, "; "))
	}
	return nil
}

func noGroup() error {
	return awsapi.Fault("ResourceNotFoundException", "The specified log group does not exist.")
}

// functionName is what names of functions are like; another group that begins with /aws/lambda/ is nobody's.
var functionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// FunctionOf is the function whose log a group holds.
func FunctionOf(group string) (string, bool) {
	f, ok := strings.CutPrefix(group, groupPrefix)
	return f, ok && functionName.MatchString(f)
}

// group finds a group: one that somebody made, one of a function, or what a function that is gone has left behind.
func (s *Service) group(ctx context.Context, name string) (cloud.LogGroup, error) {
	st := s.cfg.Resources.State()
	if g, ok := cloud.Find[cloud.LogGroup](st, name); ok {
		return g, nil
	}
	f, ok := FunctionOf(name)
	if !ok {
		return cloud.LogGroup{}, noGroup()
	}
	if known, ok := cloud.Find[cloud.Function](st, f); ok {
		return cloud.LogGroup{Name: name, Created: known.Latest.Modified}, nil
	}
	streams, err := s.cfg.Functions.Streams(ctx, f)
	if err != nil || len(streams) == 0 {
		return cloud.LogGroup{}, cmp.Or(err, noGroup())
	}
	return cloud.LogGroup{Name: name}, nil
}

// groups are all that there are, by name.
func (s *Service) groups(ctx context.Context) (map[string]cloud.LogGroup, error) {
	logged, err := s.cfg.Functions.Logged(ctx)
	if err != nil {
		return nil, err
	}
	st, all := s.cfg.Resources.State(), map[string]cloud.LogGroup{}
	for _, f := range logged {
		all[groupPrefix+f] = cloud.LogGroup{Name: groupPrefix + f}
	}
	for _, f := range cloud.All[cloud.Function](st) {
		all[groupPrefix+f.Name] = cloud.LogGroup{Name: groupPrefix + f.Name, Created: f.Latest.Modified}
	}
	for _, g := range cloud.All[cloud.LogGroup](st) {
		all[g.Name] = g
	}
	return all, nil
}

func (s *Service) describeGroups(ctx context.Context, _ awsapi.Principal, in *shape.DescribeLogGroupsRequest) (*shape.DescribeLogGroupsResponse, error) {
	all, err := s.groups(ctx)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeLogGroupsResponse{LogGroups: []shape.LogGroup{}}
	n := limit(in.Limit, 50)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(name, in.LogGroupNamePrefix) || !strings.Contains(name, in.LogGroupNamePattern) || name <= in.NextToken {
			continue
		}
		if len(out.LogGroups) == n {
			out.NextToken = out.LogGroups[n-1].LogGroupName
			break
		}
		v, err := s.groupShape(all[name])
		if err != nil {
			return nil, err
		}
		out.LogGroups = append(out.LogGroups, v)
	}
	return out, nil
}

// groupShape draws a group. What functions wrote is not in its size.
func (s *Service) groupShape(g cloud.LogGroup) (shape.LogGroup, error) {
	v := shape.LogGroup{
		LogGroupName: g.Name, ARN: s.arn(g.Name) + ":*", LogGroupARN: s.arn(g.Name), MetricFilterCount: new(int32(0)), StoredBytes: new(int64(0)),
		LogGroupClass: shape.LogGroupClassStandard, CreationTime: new(int64(0)),
	}
	if !g.Created.IsZero() {
		v.CreationTime = new(g.Created.UnixMilli())
	}
	if g.Retention > 0 {
		v.RetentionInDays = new(int32(g.Retention)) //nolint:gosec // one of a few numbers
	}
	streams, err := s.cfg.Store.Streams(g.Name)
	for _, st := range streams {
		*v.StoredBytes += st.Bytes
	}
	return v, err
}

func limit(n *int32, most int) int {
	if n == nil || int(*n) < 1 || int(*n) > most {
		return most
	}
	return int(*n)
}

// streams are all of a group, sorted by name: those that clients made, and those of a function.
func (s *Service) streams(ctx context.Context, group string) ([]Stream, error) {
	list, err := s.cfg.Store.Streams(group)
	if err != nil {
		return nil, err
	}
	if f, ok := FunctionOf(group); ok {
		names, err := s.cfg.Functions.Streams(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			list = append(list, Stream{Name: name, function: true})
		}
	}
	slices.SortFunc(list, func(a, b Stream) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (s *Service) stream(ctx context.Context, group, name string) (Stream, error) {
	list, err := s.streams(ctx, group)
	if err != nil {
		return Stream{}, err
	}
	i := slices.IndexFunc(list, func(v Stream) bool { return v.Name == name })
	if i < 0 {
		return Stream{}, ErrNoStream
	}
	return list[i], nil
}

// cutoff is the time before which the events of a group are deleted, in milliseconds since 1970.
func (s *Service) cutoff(g cloud.LogGroup) int64 {
	if g.Retention == 0 {
		return 0
	}
	return s.cfg.Now().AddDate(0, 0, -g.Retention).UnixMilli()
}

// read returns events of a stream from a position on, without those that are too old to be there.
func (s *Service) read(ctx context.Context, g cloud.LogGroup, v Stream, since int64) (events []Event, next int64, err error) {
	if f, _ := FunctionOf(g.Name); v.function {
		events, next, err = s.cfg.Functions.Read(ctx, f, v.Name, since)
	} else {
		events, next, err = s.cfg.Store.Read(g.Name, v.Name, since)
	}
	old := s.cutoff(g)
	return slices.DeleteFunc(events, func(e Event) bool { return e.Timestamp < old }), next, err
}

// each calls take for all events of a stream from a position on, until it says that it has enough.
func (s *Service) each(ctx context.Context, g cloud.LogGroup, v Stream, since int64, take func(Event) bool) (end int64, err error) {
	for {
		events, next, err := s.read(ctx, g, v, since)
		if err != nil {
			return since, err
		}
		for _, e := range events {
			if !take(e) {
				return e.Pos, nil
			}
		}
		if next == since {
			return since, nil
		}
		since = next
	}
}

func (s *Service) describeStreams(ctx context.Context, _ awsapi.Principal, in *shape.DescribeLogStreamsRequest) (*shape.DescribeLogStreamsResponse, error) {
	if in.OrderBy == shape.OrderByLastEventTime && in.LogStreamNamePrefix != "" {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	g, err := s.group(ctx, groupOf(in.LogGroupName, in.LogGroupIdentifier))
	if err != nil {
		return nil, err
	}
	streams, err := s.streams(ctx, g.Name)
	if err != nil {
		return nil, err
	}
	list := []shape.LogStream{}
	for _, v := range streams {
		if !strings.HasPrefix(v.Name, in.LogStreamNamePrefix) {
			continue
		}
		drawn, err := s.streamShape(ctx, g, v)
		if err != nil {
			return nil, err
		}
		list = append(list, drawn)
	}
	if in.OrderBy == shape.OrderByLastEventTime {
		slices.SortStableFunc(list, func(a, b shape.LogStream) int {
			return cmp.Compare(value(a.LastEventTimestamp), value(b.LastEventTimestamp))
		})
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

func (s *Service) streamShape(ctx context.Context, g cloud.LogGroup, v Stream) (shape.LogStream, error) {
	out := shape.LogStream{LogStreamName: v.Name, ARN: s.arn(g.Name) + ":log-stream:" + v.Name, StoredBytes: new(int64(0)), CreationTime: new(v.Created)}
	if v.function {
		_, err := s.each(ctx, g, v, 0, func(e Event) bool {
			if v.First == 0 {
				v.First, v.Created = e.Timestamp, e.Timestamp
			}
			v.Last, v.Arrived = e.Timestamp, e.Timestamp
			return true
		})
		if err != nil {
			return out, err
		}
	}
	if v.First != 0 {
		out.CreationTime, out.FirstEventTimestamp, out.LastEventTimestamp, out.LastIngestionTime = &v.Created, &v.First, &v.Last, &v.Arrived
	}
	return out, nil
}

func value(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}
