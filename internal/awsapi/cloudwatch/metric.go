package cloudwatch

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/cloudwatch"
	"greengate/internal/metric"
)

// Limits of the API reference.
const (
	maxData       = 1000 // PutMetricData: metrics a request
	maxValues     = 150  // and values a metric
	maxStatistics = 1440 // GetMetricStatistics: datapoints an answer
	maxQueries    = 500  // GetMetricData: queries a request
	maxAnswers    = 100_800
	listPage      = 500 // ListMetrics: metrics a page

	maxAge    = 14 * 24 * time.Hour // PutMetricData: how old a sample may be
	maxFuture = 2 * time.Hour       // and how far in the future
)

func (s *Service) metricHandlers(h awsapi.Handlers) {
	h["PutMetricData"] = awsapi.Handle(s.putData, nil)
	h["GetMetricData"] = awsapi.Handle(s.getData, nil)
	h["GetMetricStatistics"] = awsapi.Handle(s.getStatistics, nil)
	h["ListMetrics"] = awsapi.Handle(s.listMetrics, nil)
}

// sample is a checked MetricDatum.
type sample struct {
	id    metric.ID
	at    time.Time
	value metric.Value
}

// putData takes all samples, or none where one is not valid.
func (s *Service) putData(_ context.Context, _ awsapi.Principal, in *shape.PutMetricDataInput) (*nothing, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	if strings.HasPrefix(in.Namespace, "AWS/") || strings.HasPrefix(in.Namespace, ":") {
		return nil, badValue("The value %s for parameter Namespace is invalid.", in.Namespace)
	}
	data := slices.Clone(in.MetricData)
	for _, e := range in.EntityMetricData {
		data = append(data, e.MetricData...)
	}
	if len(data) == 0 {
		return nil, awsapi.Fault("MissingRequiredParameterException", "The parameter MetricData is required.")
	}
	if len(data) > maxData {
		return nil, badValue("The collection MetricData must not have a size greater than %d.", maxData)
	}
	now := s.cfg.Now()
	samples := make([]sample, len(data))
	for i, d := range data {
		id := metric.ID{Namespace: in.Namespace, Name: d.MetricName, Unit: string(d.Unit)}
		var err error
		if id.Dimensions, err = dimensions(d.Dimensions); err != nil {
			return nil, err
		}
		samples[i] = sample{id: id, at: at(d.Timestamp, now)}
		if samples[i].at.Before(now.Add(-maxAge)) || samples[i].at.After(now.Add(maxFuture)) {
			return nil, badValue("The parameter MetricData.member.%d.Timestamp must specify a time within the past two weeks and no more than two hours in the future.", i+1)
		}
		if samples[i].value, err = valueOf(d, i+1); err != nil {
			return nil, err
		}
	}
	for _, m := range samples {
		s.cfg.Metrics.Put(m.id, m.at, m.value, now)
	}
	return &nothing{}, nil
}

// valueOf sums up the samples of a datum; n is its place, for messages.
func valueOf(d shape.MetricDatum, n int) (metric.Value, error) {
	given := 0
	for _, set := range []bool{d.Value != nil, len(d.Values) > 0, d.StatisticValues != nil} {
		if set {
			given++
		}
	}
	switch {
	case given == 0:
		return metric.Value{}, awsapi.Fault("MissingRequiredParameterException", "At least one of the parameters MetricData.member.%d.Value, Values and StatisticValues must be specified.", n)
	case given > 1:
		return metric.Value{}, badCombination("The parameters MetricData.member.%d.Value, Values and StatisticValues are mutually exclusive and you have specified more than one.", n)
	case len(d.Counts) > 0 && len(d.Counts) != len(d.Values):
		return metric.Value{}, badValue("The parameters MetricData.member.%d.Values and Counts must be of the same size.", n)
	case len(d.Values) > maxValues:
		return metric.Value{}, badValue("The collection MetricData.member.%d.Values must not have a size greater than %d.", n, maxValues)
	case d.StatisticValues != nil:
		return setOf(d.StatisticValues, n)
	}
	values, counts := d.Values, d.Counts
	if d.Value != nil {
		values = []float64{*d.Value}
	}
	var sum metric.Value
	for i, v := range values {
		count := 1.0
		if i < len(counts) {
			count = counts[i]
		}
		if !possible(v) || !possible(count) || count < 0 {
			return sum, badValue("The value %v for parameter MetricData.member.%d.Value is invalid.", v, n)
		}
		if count > 0 {
			sum = sum.Add(metric.Sample(v, count))
		}
	}
	return sum, nil
}

func setOf(set *shape.StatisticSet, n int) (metric.Value, error) {
	v := metric.Value{Count: *set.SampleCount, Sum: *set.Sum, Min: *set.Minimum, Max: *set.Maximum}
	if !possible(v.Count) || v.Count < 0 || !possible(v.Sum) || !possible(v.Min) || !possible(v.Max) || v.Min > v.Max {
		return v, badValue("The parameter MetricData.member.%d.StatisticValues is invalid.", n)
	}
	return v, nil
}

// possible is what CloudWatch takes as a value: -2^360 to 2^360, and no NaN.
func possible(v float64) bool { return math.Abs(v) <= math.Ldexp(1, 360) }

func checkPeriod(period int32) error {
	if period != 1 && period != 5 && period != 10 && period != 20 && period != 30 && period%60 != 0 {
		return badValue("The parameter Period must be 1, 5, 10, 20, 30, or a multiple of 60; %d is not.", period)
	}
	return nil
}

// statistics are what is asked for, checked.
func statistics(in *shape.GetMetricStatisticsInput) ([]metric.Stat, error) {
	var stats []metric.Stat
	for _, name := range in.Statistics {
		stat, err := metric.ParseStat(string(name))
		if err != nil {
			return nil, badValue("The value %s for parameter Statistics is invalid.", name)
		}
		stats = append(stats, stat)
	}
	for _, name := range in.ExtendedStatistics {
		stat, err := metric.ParseStat(name)
		if err != nil || !strings.HasPrefix(name, "p") {
			return nil, badValue("The value %s for parameter ExtendedStatistics is not supported: only percentiles, p0 to p100, are.", name)
		}
		stats = append(stats, stat)
	}
	if len(stats) == 0 {
		return nil, badCombination("At least one of the parameters Statistics and ExtendedStatistics must be specified.")
	}
	return stats, nil
}

func (s *Service) getStatistics(_ context.Context, _ awsapi.Principal, in *shape.GetMetricStatisticsInput) (*shape.GetMetricStatisticsOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	stats, err := statistics(in)
	if err != nil {
		return nil, err
	}
	if !in.StartTime.Before(in.EndTime.Time) {
		return nil, badValue("The parameter StartTime must be less than the parameter EndTime.")
	}
	if err := checkPeriod(*in.Period); err != nil {
		return nil, err
	}
	period := s.span(*in.Period)
	if n := in.EndTime.Sub(in.StartTime.Time) / period; n > maxStatistics {
		return nil, badCombination("You have requested up to %d datapoints, which exceeds the limit of %d. You may reduce the datapoints requested by increasing Period, or decreasing the time range.", n, maxStatistics)
	}
	id := metric.ID{Namespace: in.Namespace, Name: in.MetricName}
	if id.Dimensions, err = dimensions(in.Dimensions); err != nil {
		return nil, err
	}
	out := &shape.GetMetricStatisticsOutput{Label: in.MetricName, Datapoints: []shape.Datapoint{}}
	unit := shape.StandardUnit(s.cfg.Metrics.Unit(id))
	if in.Unit != "" && unit != "" && in.Unit != unit {
		return out, nil
	}
	for _, p := range s.cfg.Metrics.Query(id, in.StartTime.Truncate(period), in.EndTime.Time, period) {
		out.Datapoints = append(out.Datapoints, datapoint(p, stats, unit))
	}
	return out, nil
}

func datapoint(p metric.Point, stats []metric.Stat, unit shape.StandardUnit) shape.Datapoint {
	if unit == "" {
		unit = shape.StandardUnitNone
	}
	d := shape.Datapoint{Timestamp: shapes.At(p.At), Unit: unit}
	for _, stat := range stats {
		v, ok := stat.Of(p.Value)
		if !ok {
			continue
		}
		switch stat.String() {
		case "SampleCount":
			d.SampleCount = &v
		case "Average":
			d.Average = &v
		case "Sum":
			d.Sum = &v
		case "Minimum":
			d.Minimum = &v
		case "Maximum":
			d.Maximum = &v
		default:
			if d.ExtendedStatistics == nil {
				d.ExtendedStatistics = map[string]float64{}
			}
			d.ExtendedStatistics[stat.String()] = v
		}
	}
	return d
}

func (s *Service) getData(_ context.Context, _ awsapi.Principal, in *shape.GetMetricDataInput) (*shape.GetMetricDataOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	switch {
	case in.NextToken != "": // answers are never cut
		return nil, awsapi.Fault("InvalidNextToken", "The next token specified is invalid.")
	case !in.StartTime.Before(in.EndTime.Time):
		return nil, invalid("The parameter StartTime must be less than the parameter EndTime.")
	case len(in.MetricDataQueries) > maxQueries:
		return nil, invalid("The collection MetricDataQueries must not have a size greater than %d.", maxQueries)
	}
	queries, period, err := queriesOf(in.MetricDataQueries)
	if err != nil {
		return nil, err
	}
	span := s.span(period)
	from := in.StartTime.Truncate(span)
	n := int((in.EndTime.Sub(from) + span - 1) / span)
	if n*len(in.MetricDataQueries) > maxAnswers {
		return nil, invalid("The answer would have more than %d datapoints; ask for longer periods or a shorter time.", maxAnswers)
	}
	out := &shape.GetMetricDataOutput{MetricDataResults: []shape.MetricDataResult{}, Messages: []shape.MessageData{}}
	for _, q := range in.MetricDataQueries {
		if q.ReturnData != nil && !*q.ReturnData {
			continue
		}
		points := s.cfg.Metrics.Compute(queries, q.ID, from.Add(time.Duration(n)*span), span, n)
		out.MetricDataResults = append(out.MetricDataResults, result(q, points, in.ScanBy))
	}
	return out, nil
}

func result(q shape.MetricDataQuery, points []metric.Datapoint, order shape.ScanBy) shape.MetricDataResult {
	r := shape.MetricDataResult{ID: q.ID, Label: q.Label, StatusCode: shape.StatusCodeComplete, Timestamps: []shapes.Timestamp{}, Values: []float64{}}
	switch {
	case r.Label != "":
	case q.MetricStat != nil:
		r.Label = q.MetricStat.Metric.MetricName
	default:
		r.Label = q.ID
	}
	for _, p := range points {
		if p.Known {
			r.Timestamps, r.Values = append(r.Timestamps, shapes.Timestamp{Time: p.At}), append(r.Values, p.Value)
		}
	}
	if order != shape.ScanByTimestampAscending {
		slices.Reverse(r.Timestamps)
		slices.Reverse(r.Values)
	}
	return r
}

// recentHours is what RecentlyActive asks for.
const recentHours = 3

func (s *Service) listMetrics(_ context.Context, _ awsapi.Principal, in *shape.ListMetricsInput) (*shape.ListMetricsOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	after, err := position(in.NextToken)
	if err != nil {
		return nil, badValue("The value %s for parameter NextToken is invalid.", in.NextToken)
	}
	var since time.Time
	if in.RecentlyActive != "" {
		since = s.cfg.Now().Add(-recentHours * 60 * s.cfg.Minute)
	}
	out := &shape.ListMetricsOutput{Metrics: []shape.Metric{}}
	last := ""
	for _, id := range s.cfg.Metrics.Metrics(since) {
		if id.Key() <= after || !listed(id, in) {
			continue
		}
		if len(out.Metrics) == listPage {
			out.NextToken = token(last)
			break
		}
		last = id.Key()
		out.Metrics = append(out.Metrics, shape.Metric{Namespace: id.Namespace, MetricName: id.Name, Dimensions: dimensionList(id.Dimensions)})
	}
	return out, nil
}

func listed(id metric.ID, in *shape.ListMetricsInput) bool {
	if in.Namespace != "" && in.Namespace != id.Namespace || in.MetricName != "" && in.MetricName != id.Name {
		return false
	}
	return !slices.ContainsFunc(in.Dimensions, func(f shape.DimensionFilter) bool {
		v, ok := id.Dimensions[f.Name]
		return !ok || f.Value != "" && f.Value != v
	})
}
