package cloudwatch

import (
	shape "greengate/internal/awsapi/shapes/cloudwatch"
	"greengate/internal/cloud"
	"greengate/internal/lazyregexp"
	"greengate/internal/metric"
)

// queryID is the form of a query's id (MetricDataQuery).
var queryID = lazyregexp.New(`^[a-z][a-zA-Z0-9_]*$`)

// queriesOf checks queries and makes them ready. All that ask for a statistic have the same period, which is returned, in
// seconds.
func queriesOf(list []shape.MetricDataQuery) (metric.Queries, int32, error) {
	queries, period := metric.Queries{}, int32(0)
	for _, q := range list {
		if _, twice := queries[q.ID]; twice || !queryID.MatchString(q.ID) {
			return nil, 0, invalid("The value for parameter MetricDataQueries.Id must begin with a lower-case letter, have letters, digits and underscores only, and be unique; '%s' is not.", q.ID)
		}
		if (q.MetricStat == nil) == (q.Expression == "") {
			return nil, 0, invalid("The query %s must have one of MetricStat and Expression.", q.ID)
		}
		made, seconds, err := queryOf(q)
		if err != nil {
			return nil, 0, err
		}
		queries[q.ID] = made
		if seconds == 0 {
			continue
		}
		if period != 0 && seconds != period {
			return nil, 0, invalid("All queries must have the same period here: %s has %d, others have %d.", q.ID, seconds, period)
		}
		period = seconds
	}
	if err := queries.Check(); err != nil {
		return nil, 0, invalid("Error in expression: %v.", err)
	}
	if period == 0 {
		return nil, 0, invalid("At least one query must have a MetricStat.")
	}
	return queries, period, nil
}

// queryOf makes one query; the period is 0 for an expression that has none.
func queryOf(q shape.MetricDataQuery) (metric.Query, int32, error) {
	if q.Expression != "" {
		e, err := metric.ParseExpression(q.Expression)
		if err != nil {
			return metric.Query{}, 0, invalid("Error in expression '%s': %v.", q.ID, err)
		}
		if q.Period != nil {
			return metric.Query{Expression: &e}, *q.Period, nil
		}
		return metric.Query{Expression: &e}, 0, nil
	}
	m := q.MetricStat
	if m.Metric.Namespace == "" || m.Metric.MetricName == "" {
		return metric.Query{}, 0, invalid("The metric of the query %s needs a Namespace and a MetricName.", q.ID)
	}
	stat, err := metric.ParseStat(m.Stat)
	if err != nil {
		return metric.Query{}, 0, invalid("The query %s: %v.", q.ID, err)
	}
	if err := checkPeriod(*m.Period); err != nil {
		return metric.Query{}, 0, err
	}
	dims, err := dimensions(m.Metric.Dimensions)
	return metric.Query{ID: metric.ID{Namespace: m.Metric.Namespace, Name: m.Metric.MetricName, Dimensions: dims}, Stat: stat}, *m.Period, err
}

// maxAlarmQueries is the most queries that an alarm has (PutMetricAlarm).
const maxAlarmQueries = 20

// alarmQueries are those of an alarm on metric math, nil for one on a metric; and its period in seconds.
func alarmQueries(in *shape.PutMetricAlarmInput) ([]cloud.AlarmQuery, int32, error) {
	if len(in.Metrics) == 0 {
		return nil, *in.Period, nil
	}
	if len(in.Metrics) > maxAlarmQueries {
		return nil, 0, invalid("The collection Metrics must not have a size greater than %d.", maxAlarmQueries)
	}
	queries, period, err := queriesOf(in.Metrics)
	if err != nil {
		return nil, 0, err
	}
	var list []cloud.AlarmQuery
	watched := 0
	for _, q := range in.Metrics {
		made := queries[q.ID]
		kept := cloud.AlarmQuery{
			ID: q.ID, Expression: q.Expression, Namespace: made.ID.Namespace, Metric: made.ID.Name, Dimensions: made.ID.Dimensions,
			Statistic: made.Stat.String(), Watched: q.ReturnData == nil || *q.ReturnData,
		}
		if kept.Watched {
			watched++
		}
		list = append(list, kept)
	}
	if watched != 1 {
		return nil, 0, invalid("Exactly one element of the metrics list should return data; %d do.", watched)
	}
	return list, period, nil
}
