package metric_test

import (
	"fmt"
	"testing"
	"time"

	"greengate/internal/metric"
)

func TestExpression(t *testing.T) {
	t.Parallel()
	values := map[string]float64{"m5xx": 5, "requests": 200, "a_1": -2, "zero": 0}
	get := func(id string) (float64, bool) { v, ok := values[id]; return v, ok }
	for text, want := range map[string]float64{
		"m5xx/requests*100": 2.5, "100 * (m5xx + a_1) / requests": 1.5, "-a_1": 2, "2 - -a_1": 0, "1+2*a_1": -3, "8/4/a_1": -1,
		"FILL(gone, 0) + m5xx": 5, "IF(requests > 100, m5xx/requests, 0)": 0.025, "IF(requests < 100, m5xx, 7)": 7, "MAX([m5xx, a_1])": 5,
		"MIN(m5xx,a_1)": -2, "SUM([m5xx, a_1, 1])": 4, "m5xx >= 5": 1, "m5xx != 5": 0, "1.5e": 0,
	} {
		e, err := metric.ParseExpression(text)
		if text == "1.5e" {
			if err == nil {
				t.Error("1.5e is read")
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, ok := e.Of(get); !ok || got != want {
			t.Errorf("%s: %v %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"gone+1", "m5xx/zero", "IF(gone > 1, 1, 2)"} {
		e, err := metric.ParseExpression(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if v, ok := e.Of(get); ok {
			t.Errorf("%s is %v", text, v)
		}
	}
	for _, text := range []string{"", "1", "m5xx+", "(m5xx", "m5xx)", "M5XX", "ANOMALY_DETECTION_BAND(m5xx)", "m5xx requests", "m5xx ! 1", "FILL(m5xx)", "SEARCH('x')"} {
		if _, err := metric.ParseExpression(text); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

func FuzzParseExpression(f *testing.F) {
	for _, s := range []string{"a/b*100", "IF(a>1,FILL(b,0),-c)", "((a))", "SUM([a,b])"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := metric.ParseExpression(text)
		if err != nil {
			return
		}
		if len(e.IDs()) == 0 {
			t.Errorf("%q speaks of no metric", text)
		}
		e.Of(func(string) (float64, bool) { return 1, true })
		e.Of(func(string) (float64, bool) { return 0, false })
	})
}

// Expressions may need others, but not themselves; what many need is computed once.
func TestQueries(t *testing.T) {
	t.Parallel()
	expression := func(text string) metric.Query {
		e, err := metric.ParseExpression(text)
		if err != nil {
			t.Fatal(err)
		}
		return metric.Query{Expression: &e}
	}
	sum, err := metric.ParseStat("Sum")
	if err != nil {
		t.Fatal(err)
	}
	for want, q := range map[string]metric.Queries{
		"there is no query b":        {"a": expression("b+1")},
		"the query a needs itself":   {"a": expression("b"), "b": expression("a")},
		"the query own needs itself": {"own": expression("own*2")},
	} {
		if err := q.Check(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	id := metric.ID{Namespace: "N", Name: "m"}
	q := metric.Queries{"e0": {ID: id, Stat: sum}, "e1": expression("e0")}
	for i := 2; i < 400; i++ { // each needs the two before: 2^200 ways
		q[fmt.Sprint("e", i)] = expression(fmt.Sprintf("e%d - e%d + e%d", i-1, i-2, i-2))
	}
	if err := q.Check(); err != nil {
		t.Fatal(err)
	}
	s := metric.NewStore(time.Minute)
	s.Put(id, start, metric.Sample(3, 1), start)
	got := s.Compute(q, "e399", start.Add(time.Minute), time.Minute, 2)
	if got[0].Known || !got[1].Known || got[1].Value != 3 || !got[1].At.Equal(start) {
		t.Errorf("%+v", got)
	}
}
