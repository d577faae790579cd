package cloudwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/cloudwatch"
	"greengate/internal/cloud"
	"greengate/internal/metric"
)

// maxAlarms is the quota of alarms in an account and region ("CloudWatch service quotas").
const maxAlarms = 5000

// maxLookBack is the longest that the evaluation periods of an alarm last together, in seconds (PutMetricAlarm).
const maxLookBack = 86400

func (s *Service) alarmHandlers(h awsapi.Handlers) {
	h["PutMetricAlarm"] = awsapi.Handle(s.putAlarm, func(in *shape.PutMetricAlarmInput) []string { return s.arns(in.AlarmName) })
	h["DescribeAlarms"] = awsapi.Handle(s.describeAlarms, nil)
	h["DescribeAlarmsForMetric"] = awsapi.Handle(s.describeForMetric, nil)
	h["DeleteAlarms"] = awsapi.Handle(s.deleteAlarms, func(in *shape.DeleteAlarmsInput) []string { return s.arns(in.AlarmNames...) })
}

func (s *Service) putAlarm(ctx context.Context, _ awsapi.Principal, in *shape.PutMetricAlarmInput) (*nothing, error) {
	a, err := alarmOf(in)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	return &nothing{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		old, exists := cloud.Find[cloud.Alarm](d.State(), in.AlarmName)
		summary := "Alarm \"" + in.AlarmName + "\" updated"
		next := a
		if exists {
			// An update leaves the state as it is, and takes no tags.
			next.State, next.Reason, next.ReasonData, next.StateSince = old.State, old.Reason, old.ReasonData, old.StateSince
			next.History, next.Tags = old.History, old.Tags
		} else {
			if len(cloud.All[cloud.Alarm](d.State())) >= maxAlarms {
				return awsapi.Fault("LimitExceededFault", "The quota of %d alarms was exceeded.", maxAlarms)
			}
			next.State, next.Reason, next.StateSince = cloud.AlarmInsufficient, "Unchecked: Initial alarm creation", now
			summary = "Alarm \"" + in.AlarmName + "\" created"
		}
		next.Updated = now
		d.Put(next.Noted(cloud.AlarmEvent{At: now, Type: cloud.AlarmConfigured, Summary: summary}))
		return nil
	})
}

// alarmOf checks the input and makes the alarm of it, without a state.
func alarmOf(in *shape.PutMetricAlarmInput) (cloud.Alarm, error) {
	if err := check(in); err != nil {
		return cloud.Alarm{}, err
	}
	if err := checkAlarm(in); err != nil {
		return cloud.Alarm{}, err
	}
	queries, period, err := alarmQueries(in)
	if err != nil {
		return cloud.Alarm{}, err
	}
	if err := checkEvaluation(in, period); err != nil {
		return cloud.Alarm{}, err
	}
	dims, err := dimensions(in.Dimensions)
	if err != nil {
		return cloud.Alarm{}, err
	}
	input := *in
	input.Tags = nil
	data, err := json.Marshal(input)
	if err != nil {
		return cloud.Alarm{}, fmt.Errorf("encode alarm: %w", err)
	}
	a := cloud.Alarm{
		Name: in.AlarmName, Namespace: in.Namespace, Metric: in.MetricName, Statistic: string(in.Statistic), Comparison: string(in.ComparisonOperator),
		Threshold: *in.Threshold, Period: int(period), Periods: int(*in.EvaluationPeriods), MissingData: in.TreatMissingData, Dimensions: dims,
		Tags: tagMap(in.Tags), Description: in.AlarmDescription, Muted: in.ActionsEnabled != nil && !*in.ActionsEnabled, Input: data,
		Actions: map[string][]string{}, Queries: queries,
	}
	if a.Statistic == "" {
		a.Statistic = in.ExtendedStatistic
	}
	if in.DatapointsToAlarm != nil {
		a.ToAlarm = int(*in.DatapointsToAlarm)
	}
	for state, list := range map[string][]string{cloud.AlarmOK: in.OKActions, cloud.AlarmInAlarm: in.AlarmActions, cloud.AlarmInsufficient: in.InsufficientDataActions} {
		if len(list) > 0 {
			a.Actions[state] = list
		}
	}
	return a, nil
}

func checkAlarm(in *shape.PutMetricAlarmInput) error {
	switch {
	case in.ThresholdMetricID != "", in.EvaluationCriteria != nil:
		return invalid("Anomaly detection and PromQL are not served.")
	case in.EvaluationPeriods == nil:
		return awsapi.Fault("MissingRequiredParameterException", "The parameter EvaluationPeriods is required.")
	case in.Threshold == nil:
		return invalid("Threshold must be specified.")
	case math.IsNaN(*in.Threshold) || math.IsInf(*in.Threshold, 0):
		return invalid("The threshold must be a finite number.")
	case len(in.Metrics) > 0:
		if in.MetricName != "" || in.Namespace != "" || in.Statistic != "" || in.ExtendedStatistic != "" || in.Period != nil || len(in.Dimensions) > 0 || in.Unit != "" {
			return badCombination("Metrics may not be specified together with MetricName, Namespace, Dimensions, Statistic, ExtendedStatistic, Period or Unit.")
		}
		return nil
	case in.MetricName == "" || in.Namespace == "":
		return invalid("Namespace and MetricName must both be specified.")
	case in.Statistic == "" && in.ExtendedStatistic == "":
		return invalid("One of Statistic and ExtendedStatistic must be specified.")
	case in.Statistic != "" && in.ExtendedStatistic != "":
		return badCombination("Statistic and ExtendedStatistic may not both be specified.")
	case in.Period == nil:
		return invalid("Period must be specified.")
	}
	if in.ExtendedStatistic != "" {
		if _, err := metric.ParseStat(in.ExtendedStatistic); err != nil || !strings.HasPrefix(in.ExtendedStatistic, "p") {
			return badValue("The value %s for parameter ExtendedStatistic is not supported: only percentiles, p0 to p100, are.", in.ExtendedStatistic)
		}
	}
	return nil
}

func checkEvaluation(in *shape.PutMetricAlarmInput, period int32) error {
	periods := *in.EvaluationPeriods
	switch in.ComparisonOperator {
	case shape.ComparisonOperatorGreaterThanOrEqualToThreshold, shape.ComparisonOperatorGreaterThanThreshold,
		shape.ComparisonOperatorLessThanThreshold, shape.ComparisonOperatorLessThanOrEqualToThreshold:
	case shape.ComparisonOperatorGreaterThanUpperThreshold, shape.ComparisonOperatorLessThanLowerThreshold,
		shape.ComparisonOperatorLessThanLowerOrGreaterThanUpperThreshold:
		return invalid("ComparisonOperator %s is for anomaly detection, which is not served.", in.ComparisonOperator)
	default:
		return awsapi.Fault("MissingRequiredParameterException", "The parameter ComparisonOperator is required.")
	}
	switch {
	case period != 10 && period != 20 && period != 30 && period%60 != 0:
		return invalid("Period must be 10, 20, 30, or a multiple of 60; %d is not.", period)
	case int64(period)*int64(periods) > maxLookBack:
		return invalid("Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= %d).", maxLookBack)
	case in.DatapointsToAlarm != nil && *in.DatapointsToAlarm > periods:
		return invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
	}
	switch in.TreatMissingData {
	case "", metric.MissingIsMissing, metric.MissingIsIgnored, metric.MissingIsBreaching, metric.MissingIsNotBreaching:
	default:
		return invalid("TreatMissingData must be one of breaching, notBreaching, ignore and missing; '%s' is not.", in.TreatMissingData)
	}
	switch in.EvaluateLowSampleCountPercentile {
	case "", "evaluate", "ignore":
	default:
		return invalid("Option %s is not supported for EvaluateLowSampleCountPercentile. Supported options are evaluate and ignore.", in.EvaluateLowSampleCountPercentile)
	}
	for _, action := range slices.Concat(in.OKActions, in.AlarmActions, in.InsufficientDataActions) {
		if !strings.HasPrefix(action, "arn:") {
			return invalid("Invalid arn syntax: %s", action)
		}
	}
	return nil
}

// view is an alarm as the wire shows it.
func (s *Service) view(a cloud.Alarm) (shape.MetricAlarm, error) {
	var v shape.MetricAlarm
	if len(a.Input) > 0 {
		if err := json.Unmarshal(a.Input, &v); err != nil {
			return v, fmt.Errorf("decode alarm %s: %w", a.Name, err)
		}
	}
	v.AlarmName, v.AlarmARN, v.ActionsEnabled = a.Name, s.arn(a.Name), new(!a.Muted)
	v.StateValue, v.StateReason, v.StateReasonData = shape.StateValue(a.State), a.Reason, a.ReasonData
	v.StateUpdatedTimestamp, v.StateTransitionedTimestamp = shapes.At(a.StateSince), shapes.At(a.StateSince)
	v.AlarmConfigurationUpdatedTimestamp = shapes.At(a.Updated)
	for _, list := range []*[]string{&v.OKActions, &v.AlarmActions, &v.InsufficientDataActions} {
		if *list == nil {
			*list = []string{}
		}
	}
	if v.Dimensions == nil {
		v.Dimensions = []shape.Dimension{}
	}
	return v, nil
}

func (s *Service) describeAlarms(_ context.Context, _ awsapi.Principal, in *shape.DescribeAlarmsInput) (*shape.DescribeAlarmsOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	if len(in.AlarmNames) > 0 && in.AlarmNamePrefix != "" {
		return nil, badCombination("AlarmNames and AlarmNamePrefix may not both be specified.")
	}
	after, err := position(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeAlarmsOutput{MetricAlarms: []shape.MetricAlarm{}, CompositeAlarms: []shape.CompositeAlarm{}}
	if len(in.AlarmTypes) > 0 && !slices.Contains(in.AlarmTypes, shape.AlarmTypeMetricAlarm) || in.ChildrenOfAlarmName != "" || in.ParentsOfAlarmName != "" {
		return out, nil // there are no composite alarms
	}
	n := most(in.MaxRecords, 50)
	for _, a := range cloud.All[cloud.Alarm](s.cfg.Resources.State()) {
		if a.Name <= after || !wanted(a, in) {
			continue
		}
		if len(out.MetricAlarms) == n {
			out.NextToken = token(out.MetricAlarms[n-1].AlarmName)
			break
		}
		v, err := s.view(a)
		if err != nil {
			return nil, err
		}
		out.MetricAlarms = append(out.MetricAlarms, v)
	}
	return out, nil
}

func wanted(a cloud.Alarm, in *shape.DescribeAlarmsInput) bool {
	if len(in.AlarmNames) > 0 && !slices.Contains(in.AlarmNames, a.Name) || !strings.HasPrefix(a.Name, in.AlarmNamePrefix) ||
		in.StateValue != "" && string(in.StateValue) != a.State {
		return false
	}
	if in.ActionPrefix == "" {
		return true
	}
	for _, list := range a.Actions {
		if slices.ContainsFunc(list, func(arn string) bool { return strings.HasPrefix(arn, in.ActionPrefix) }) {
			return true
		}
	}
	return false
}

func (s *Service) describeForMetric(_ context.Context, _ awsapi.Principal, in *shape.DescribeAlarmsForMetricInput) (*shape.DescribeAlarmsForMetricOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	dims, err := dimensions(in.Dimensions)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeAlarmsForMetricOutput{MetricAlarms: []shape.MetricAlarm{}}
	stat := string(in.Statistic)
	if stat == "" {
		stat = in.ExtendedStatistic
	}
	for _, a := range cloud.All[cloud.Alarm](s.cfg.Resources.State()) {
		if a.Namespace != in.Namespace || a.Metric != in.MetricName || !same(a.Dimensions, dims) ||
			stat != "" && stat != a.Statistic || in.Period != nil && int(*in.Period) != a.Period {
			continue
		}
		v, err := s.view(a)
		if err != nil {
			return nil, err
		}
		if in.Unit != "" && in.Unit != v.Unit {
			continue
		}
		out.MetricAlarms = append(out.MetricAlarms, v)
	}
	return out, nil
}

func same(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}

// deleteAlarms deletes all of them, or none where one does not exist.
func (s *Service) deleteAlarms(ctx context.Context, _ awsapi.Principal, in *shape.DeleteAlarmsInput) (*nothing, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	return &nothing{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		for _, name := range in.AlarmNames {
			a, ok := cloud.Find[cloud.Alarm](d.State(), name)
			if !ok {
				return awsapi.Fault("ResourceNotFound", "The alarm %s does not exist; no alarm was deleted.", name)
			}
			d.Remove(a)
		}
		return nil
	})
}

// at is the time of a member, or otherwise.
func at(t *shapes.Timestamp, otherwise time.Time) time.Time {
	if t == nil {
		return otherwise
	}
	return t.Time
}
