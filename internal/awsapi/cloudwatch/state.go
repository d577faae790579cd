package cloudwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/cloudwatch"
	"greengate/internal/cloud"
)

func (s *Service) stateHandlers(h awsapi.Handlers) {
	h["SetAlarmState"] = awsapi.Handle(s.setState, func(in *shape.SetAlarmStateInput) []string { return s.arns(in.AlarmName) })
	h["EnableAlarmActions"] = awsapi.Handle(func(ctx context.Context, _ awsapi.Principal, in *shape.EnableAlarmActionsInput) (*nothing, error) {
		return s.mute(ctx, in, in.AlarmNames, false)
	}, func(in *shape.EnableAlarmActionsInput) []string { return s.arns(in.AlarmNames...) })
	h["DisableAlarmActions"] = awsapi.Handle(func(ctx context.Context, _ awsapi.Principal, in *shape.DisableAlarmActionsInput) (*nothing, error) {
		return s.mute(ctx, in, in.AlarmNames, true)
	}, func(in *shape.DisableAlarmActionsInput) []string { return s.arns(in.AlarmNames...) })
	h["DescribeAlarmHistory"] = awsapi.Handle(s.describeHistory, func(in *shape.DescribeAlarmHistoryInput) []string {
		if in.AlarmName == "" {
			return nil
		}
		return s.arns(in.AlarmName)
	})
}

// setState moves an alarm until it is evaluated again, and carries its actions out.
func (s *Service) setState(ctx context.Context, _ awsapi.Principal, in *shape.SetAlarmStateInput) (*nothing, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	if in.StateReasonData != "" && !json.Valid([]byte(in.StateReasonData)) {
		return nil, awsapi.Fault("InvalidFormatFault", "StateReasonData is not valid JSON.")
	}
	var before, after cloud.Alarm
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		a, ok := cloud.Find[cloud.Alarm](d.State(), in.AlarmName)
		if !ok {
			return awsapi.Fault("ResourceNotFound", "The alarm %s does not exist.", in.AlarmName)
		}
		before, after = a, a.Moved(string(in.StateValue), in.StateReason, in.StateReasonData, s.cfg.Now())
		d.Put(after)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.cfg.Act(ctx, before, after)
	return &nothing{}, nil
}

// mute switches the actions of alarms; names that do not exist are passed over, as the model has no error for them.
func (s *Service) mute(ctx context.Context, in any, names []string, muted bool) (*nothing, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	return &nothing{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		for _, name := range names {
			a, ok := cloud.Find[cloud.Alarm](d.State(), name)
			if !ok || a.Muted == muted {
				continue
			}
			a.Muted = muted
			word := "enabled"
			if muted {
				word = "disabled"
			}
			d.Put(a.Noted(cloud.AlarmEvent{At: s.cfg.Now(), Type: cloud.AlarmConfigured, Summary: "Alarm actions " + word}))
		}
		return nil
	})
}

// item is an event of an alarm with its place in the order of all.
type item struct {
	alarm string
	event cloud.AlarmEvent
	key   string
}

func (s *Service) describeHistory(_ context.Context, _ awsapi.Principal, in *shape.DescribeAlarmHistoryInput) (*shape.DescribeAlarmHistoryOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	after, err := position(in.NextToken)
	if err != nil {
		return nil, err
	}
	items := s.history(in)
	if in.ScanBy != shape.ScanByTimestampAscending {
		slices.Reverse(items)
	}
	start := 0
	if after != "" {
		if start = 1 + slices.IndexFunc(items, func(i item) bool { return i.key == after }); start == 0 {
			return nil, awsapi.Fault("InvalidNextToken", "The next token specified is invalid.")
		}
	}
	out := &shape.DescribeAlarmHistoryOutput{AlarmHistoryItems: []shape.AlarmHistoryItem{}}
	n := most(in.MaxRecords, 100)
	for _, i := range items[start:] {
		if len(out.AlarmHistoryItems) == n {
			out.NextToken = token(items[start+n-1].key)
			break
		}
		out.AlarmHistoryItems = append(out.AlarmHistoryItems, shape.AlarmHistoryItem{
			AlarmName: i.alarm, AlarmType: shape.AlarmTypeMetricAlarm, HistoryItemType: shape.HistoryItemType(i.event.Type),
			HistorySummary: i.event.Summary, HistoryData: string(i.event.Data), Timestamp: shapes.At(i.event.At),
		})
	}
	return out, nil
}

// history is what is asked for, oldest first.
func (s *Service) history(in *shape.DescribeAlarmHistoryInput) []item {
	var items []item
	from, to := at(in.StartDate, time.Time{}), at(in.EndDate, time.Unix(math.MaxInt32, 0))
	for _, a := range cloud.All[cloud.Alarm](s.cfg.Resources.State()) {
		if in.AlarmName != "" && in.AlarmName != a.Name || len(in.AlarmTypes) > 0 && !slices.Contains(in.AlarmTypes, shape.AlarmTypeMetricAlarm) {
			continue
		}
		for n, ev := range a.History {
			if in.HistoryItemType != "" && string(in.HistoryItemType) != ev.Type || ev.At.Before(from) || ev.At.After(to) {
				continue
			}
			items = append(items, item{alarm: a.Name, event: ev, key: fmt.Sprintf("%020d/%s/%s", ev.At.UnixNano(), a.Name, strconv.Itoa(1000+n))})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.key, b.key) })
	return items
}
