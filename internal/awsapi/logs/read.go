package logs

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/logs"
)

const (
	// maxEvents and maxAnswer bound an answer (CloudWatch Logs API reference: 10,000 events or 1 MB).
	maxEvents, maxAnswer = 10_000, 1 << 20
)

// within reports whether an event is in the time that a caller asks for: start is included, end is not.
func within(e Event, start, end *int64) bool {
	return (start == nil || e.Timestamp >= *start) && (end == nil || e.Timestamp < *end)
}

// position reads the token of a stream: "f/" or "b/" and a position.
func position(token string) (backward bool, pos int64, err error) {
	text, forward := strings.CutPrefix(token, "f/")
	if !forward {
		text, backward = strings.CutPrefix(token, "b/")
	}
	pos, err = strconv.ParseInt(text, 10, 64)
	if err != nil || pos < 0 || forward == backward {
		return false, 0, invalid("The specified nextToken is invalid.")
	}
	return backward, pos, nil
}

// getEvents reads one stream: from a token on, from a token back, from its head, or its newest events. Reading ends where
// a token repeats.
func (s *Service) getEvents(ctx context.Context, _ awsapi.Principal, in *shape.GetLogEventsRequest) (*shape.GetLogEventsResponse, error) {
	if err := checkIdentified(in, in.LogGroupIdentifier); err != nil {
		return nil, err
	}
	g, err := s.group(ctx, groupOf(in.LogGroupName, in.LogGroupIdentifier))
	if err != nil {
		return nil, err
	}
	v, err := s.stream(ctx, g.Name, in.LogStreamName)
	if err != nil {
		return nil, err
	}
	backward, at := in.StartFromHead == nil || !*in.StartFromHead, int64(-1)
	if in.NextToken != "" {
		if backward, at, err = position(in.NextToken); err != nil {
			return nil, err
		}
	}
	w := &window{most: limit(in.Limit, maxEvents), newest: backward}
	since := max(at, 0)
	if backward {
		since = 0
	}
	end, err := s.each(ctx, g, v, since, func(e Event) bool {
		if backward && at >= 0 && e.Pos >= at {
			return false
		}
		return !within(e, in.StartTime, in.EndTime) || w.take(e)
	})
	if err != nil {
		return nil, err
	}
	first := end
	if len(w.events) > 0 {
		first = w.events[0].Pos
	}
	if !backward && len(w.events) == 0 {
		first = since
	}
	out := &shape.GetLogEventsResponse{
		Events: []shape.OutputLogEvent{}, NextForwardToken: "f/" + strconv.FormatInt(end, 10), NextBackwardToken: "b/" + strconv.FormatInt(first, 10),
	}
	for _, e := range w.events {
		out.Events = append(out.Events, shape.OutputLogEvent{Timestamp: new(e.Timestamp), IngestionTime: new(e.Ingested), Message: strings.TrimSuffix(e.Message, "\n")})
	}
	return out, nil
}

// window is what an answer has room for: the first events, or the newest.
type window struct {
	most, bytes int
	newest      bool
	events      []Event
}

// take adds an event; false says that there is no room for it.
func (w *window) take(e Event) bool {
	full := func() bool {
		return len(w.events) > 0 && (len(w.events) >= w.most || w.bytes+len(e.Message) > maxAnswer)
	}
	for full() {
		if !w.newest {
			return false
		}
		w.bytes -= len(w.events[0].Message)
		w.events = w.events[1:]
	}
	w.events, w.bytes = append(w.events, e), w.bytes+len(e.Message)
	return true
}

// found is an event of a search with what orders it.
type found struct {
	Event
	stream string
}

func (f found) compare(o found) int {
	return cmp.Or(cmp.Compare(f.Timestamp, o.Timestamp), strings.Compare(f.stream, o.stream), cmp.Compare(f.Pos, o.Pos))
}

// token names an event as the last one of a page.
func (f found) token() string {
	return strconv.FormatInt(f.Timestamp, 10) + "/" + strconv.FormatInt(f.Pos, 10) + "/" + f.stream
}

func readToken(token string) (found, error) {
	f := found{}
	at, rest, _ := strings.Cut(token, "/")
	pos, stream, ok := strings.Cut(rest, "/")
	var err error
	if f.Timestamp, err = strconv.ParseInt(at, 10, 64); err == nil {
		f.Pos, err = strconv.ParseInt(pos, 10, 64)
	}
	if f.stream = stream; err != nil || !ok {
		return f, invalid("The specified nextToken is invalid.")
	}
	return f, nil
}

// filterEvents searches all streams of a group, in the order of time.
func (s *Service) filterEvents(ctx context.Context, _ awsapi.Principal, in *shape.FilterLogEventsRequest) (*shape.FilterLogEventsResponse, error) {
	if err := checkIdentified(in, in.LogGroupIdentifier); err != nil {
		return nil, err
	}
	if in.LogStreamNamePrefix != "" && len(in.LogStreamNames) > 0 {
		return nil, invalid("logStreamNames and logStreamNamePrefix cannot be given together.")
	}
	g, err := s.group(ctx, groupOf(in.LogGroupName, in.LogGroupIdentifier))
	if err != nil {
		return nil, err
	}
	match, err := parsePattern(in.FilterPattern)
	if err != nil {
		return nil, invalid("Invalid filter pattern: %v", err)
	}
	after := found{Event: Event{Timestamp: -1}}
	if in.NextToken != "" {
		if after, err = readToken(in.NextToken); err != nil {
			return nil, err
		}
	}
	streams, err := s.streams(ctx, g.Name)
	if err != nil {
		return nil, err
	}
	p := &results{most: limit(in.Limit, maxEvents)}
	for _, v := range streams {
		if !strings.HasPrefix(v.Name, in.LogStreamNamePrefix) || len(in.LogStreamNames) > 0 && !slices.Contains(in.LogStreamNames, v.Name) {
			continue
		}
		_, err := s.each(ctx, g, v, 0, func(e Event) bool {
			f := found{e, v.Name}
			if within(e, in.StartTime, in.EndTime) && f.compare(after) > 0 && match.matches(strings.TrimSuffix(e.Message, "\n")) {
				p.add(f)
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return p.answer(), nil
}

// results keeps the oldest of what a search finds: no more than an answer has room for, and one to know that there is more.
type results struct {
	most, bytes int
	list        []found
	cut         bool // something was left out
}

func (p *results) add(f found) {
	p.list, p.bytes = append(p.list, f), p.bytes+len(f.Message)
	if len(p.list) > 2*p.most || p.bytes > 4*maxAnswer {
		p.shrink()
	}
}

func (p *results) shrink() {
	slices.SortFunc(p.list, found.compare)
	p.bytes = 0
	for i, f := range p.list {
		if i > 0 && (i >= p.most || p.bytes+len(f.Message) > maxAnswer) {
			clear(p.list[i:])
			p.list, p.cut = p.list[:i], true
			return
		}
		p.bytes += len(f.Message)
	}
}

func (p *results) answer() *shape.FilterLogEventsResponse {
	out := &shape.FilterLogEventsResponse{Events: []shape.FilteredLogEvent{}, SearchedLogStreams: []shape.SearchedLogStream{}}
	p.shrink()
	for _, f := range p.list {
		out.Events = append(out.Events, shape.FilteredLogEvent{
			EventID: f.stream + "/" + strconv.FormatInt(f.Pos, 10), LogStreamName: f.stream, Timestamp: new(f.Timestamp), IngestionTime: new(f.Ingested),
			Message: strings.TrimSuffix(f.Message, "\n"),
		})
	}
	if p.cut {
		out.NextToken = p.list[len(p.list)-1].token()
	}
	return out
}
