package metric_test

import (
	"strings"
	"testing"
	"time"

	"greengate/internal/metric"
)

var start = time.Date(2026, 11, 27, 22, 0, 0, 0, time.UTC)

// points reads the notation of AWS's guide: X breaches (above 0), 0 does not, - is missing. The newest comes last.
func points(text string) []metric.Datapoint {
	var list []metric.Datapoint
	for i, word := range strings.Fields(text) {
		p := metric.Datapoint{At: start.Add(time.Duration(i) * time.Minute), Known: word != "-"}
		if word == "X" {
			p.Value = 1
		}
		list = append(list, p)
	}
	return list
}

// The two tables of "Configuring how CloudWatch alarms treat missing data", whole: three evaluation periods, a range of five.
func TestRule_Evaluate_missingData(t *testing.T) {
	t.Parallel()
	const retain = "retain"
	for _, c := range []struct {
		toAlarm                                  int
		points                                   string
		missing, ignore, breaching, notBreaching string
	}{
		{3, "0 - X - X", metric.OK, metric.OK, metric.OK, metric.OK},
		{3, "- - - - 0", metric.OK, metric.OK, metric.OK, metric.OK},
		{3, "- - - - -", metric.Insufficient, retain, metric.InAlarm, metric.OK},
		{3, "0 X X - X", metric.InAlarm, metric.InAlarm, metric.InAlarm, metric.InAlarm},
		{3, "- - X - -", metric.InAlarm, retain, metric.InAlarm, metric.OK},
		{2, "0 - X - X", metric.InAlarm, metric.InAlarm, metric.InAlarm, metric.InAlarm},
		{2, "0 0 X 0 X", metric.InAlarm, metric.InAlarm, metric.InAlarm, metric.InAlarm},
		{2, "0 - X - -", metric.OK, metric.OK, metric.InAlarm, metric.OK},
		{2, "- - - - 0", metric.OK, metric.OK, metric.InAlarm, metric.OK},
		{2, "- - - X -", metric.InAlarm, retain, metric.InAlarm, metric.OK},
		// One late datapoint does not alarm early ("Avoiding premature transitions to alarm state").
		{3, "- - - - X", retain, retain, metric.InAlarm, metric.OK},
		{3, "- - - X X", retain, retain, metric.InAlarm, metric.OK},
	} {
		for treat, want := range map[string]string{
			"": c.missing, metric.MissingIsMissing: c.missing, metric.MissingIsIgnored: c.ignore, metric.MissingIsBreaching: c.breaching,
			metric.MissingIsNotBreaching: c.notBreaching,
		} {
			r := metric.Rule{Comparison: "GreaterThanThreshold", Periods: 3, ToAlarm: c.toAlarm, Missing: treat}
			if r.Range() != 5 {
				t.Fatalf("the range is %d", r.Range())
			}
			for _, before := range []string{metric.OK, metric.InAlarm, metric.Insufficient} {
				want := want
				if want == retain {
					want = before
				}
				if got := r.Evaluate(points(c.points), before); got.State != want {
					t.Errorf("%d of 3, %q as %q, was %s: %s, want %s (%s)", c.toAlarm, c.points, treat, before, got.State, want, got.Reason)
				}
			}
		}
	}
}

func TestRule_Evaluate_comparison(t *testing.T) {
	t.Parallel()
	for comparison, want := range map[string]string{ // of 4, 5 and 6 with 5
		"GreaterThanThreshold": "OK OK ALARM", "GreaterThanOrEqualToThreshold": "OK ALARM ALARM",
		"LessThanThreshold": "ALARM OK OK", "LessThanOrEqualToThreshold": "ALARM ALARM OK",
	} {
		var got []string
		for _, v := range []float64{4, 5, 6} {
			r := metric.Rule{Comparison: comparison, Threshold: 5, Periods: 1}
			got = append(got, r.Evaluate([]metric.Datapoint{{}, {}, {Value: v, Known: true}}, metric.OK).State)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: %s, want %s", comparison, s, want)
		}
	}
}

// Reasons read as those of CloudWatch do.
func TestRule_Evaluate_reason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule   metric.Rule
		points string
		want   string
	}{
		{
			metric.Rule{Comparison: "GreaterThanThreshold", Threshold: 0.5, Periods: 1},
			"- - X",
			"Threshold Crossed: 1 datapoint [1.0 (27/11/26 22:02:00)] was greater than the threshold (0.5).",
		},
		{
			metric.Rule{Comparison: "GreaterThanOrEqualToThreshold", Threshold: 1, Periods: 2},
			"- - 0 X",
			"Threshold Crossed: 2 datapoints [1.0 (27/11/26 22:03:00), 0.0 (27/11/26 22:02:00)] were not greater than or equal to the threshold (1.0).",
		},
		{
			metric.Rule{Comparison: "GreaterThanThreshold", Periods: 3, ToAlarm: 1},
			"- - X 0 0",
			"Threshold Crossed: 1 out of the last 3 datapoints [0.0 (27/11/26 22:04:00), 0.0 (27/11/26 22:03:00), 1.0 (27/11/26 22:02:00)] was greater than the threshold (0.0).",
		},
		{metric.Rule{Comparison: "GreaterThanThreshold", Periods: 2}, "- - - -", "Insufficient Data: 2 datapoints were unknown."},
		{
			metric.Rule{Comparison: "GreaterThanThreshold", Periods: 1, Missing: metric.MissingIsNotBreaching},
			"- - -",
			"Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [NonBreaching].",
		},
	} {
		if got := c.rule.Evaluate(points(c.points), metric.Insufficient).Reason; got != c.want {
			t.Errorf("%q:\n%s\nwant\n%s", c.points, got, c.want)
		}
	}
}
