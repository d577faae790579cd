package shadow

import (
	"fmt"
	"time"

	"greengate/internal/scenario"
)

// result is what the counts come to. A fault says why the data plane could not be followed to the end.
func (t *tally) result(fault error) scenario.Result {
	r := scenario.Result{Version: 1, Scenario: t.job.Name, Digest: t.job.ID, Verdict: scenario.Pass, Steps: []scenario.StepResult{}}
	if t.job.First {
		r.Message = "there is no old version to compare with"
		r.Steps = append(r.Steps, scenario.StepResult{Name: "live traffic", Section: "steps", Kind: "shadow", Verdict: scenario.Pass, Message: r.Message})
		return r
	}
	answers := t.answers(fault)
	r.Verdict, r.Message = answers.Verdict, answers.Message
	for _, s := range t.samples { // they come first: the first check that failed is what people see of a verdict
		if answers.Verdict != scenario.Fail { // so few are tolerated, or too few were compared to tell
			s.Verdict, s.Attempts, s.Message = scenario.Pass, nil, "was answered otherwise: "+s.Message
		}
		r.Steps = append(r.Steps, s)
	}
	r.Steps = append(r.Steps, answers)
	if t.timed == 0 {
		return r
	}
	r.Steps = append(r.Steps, t.latency("p50", 0.5, t.job.Minimum), t.latency("p99", 0.99, max(tailFrom, t.job.Minimum)))
	for _, s := range r.Steps[len(r.Steps)-2:] {
		if s.Verdict == scenario.Fail && r.Verdict == scenario.Pass {
			r.Verdict, r.Message = scenario.Fail, s.Message
		}
	}
	if r.Verdict == scenario.Pass {
		r.Message += fmt.Sprintf("; p50 %s against %s", short(quantile(t.green, 0.5)), short(quantile(t.blue, 0.5)))
	}
	return r
}

// answers is the check of what was answered. One difference more than is tolerated is known, however few were compared;
// otherwise it takes the minimum to tell anything.
func (t *tally) answers(fault error) scenario.StepResult {
	s := scenario.StepResult{Name: "live traffic", Section: "steps", Kind: "shadow", Verdict: scenario.Pass}
	seen := fmt.Sprintf("%d live requests compared", t.compared)
	share := 0.0
	if t.compared > 0 {
		share = float64(t.differing) / float64(t.compared)
	}
	switch {
	case t.differing > 0 && (t.job.MaxDiffering == 0 || (t.compared >= t.job.Minimum && share > t.job.MaxDiffering)):
		s.Verdict = scenario.Fail
		s.Message = fmt.Sprintf("%d of %s were answered otherwise than by the old version (%.2g %% are allowed)", t.differing, seen, 100*t.job.MaxDiffering)
	case fault != nil:
		s.Verdict, s.Message = scenario.Error, "live traffic could not be compared to the end: "+fault.Error()
	case t.compared < t.job.Minimum:
		s.Verdict = scenario.Error
		s.Message = fmt.Sprintf("only %s in %s, and the minimum is %d (%s)", seen, t.job.For, t.job.Minimum, t.seen())
	default:
		s.Message = fmt.Sprintf("%s, %d answered otherwise", seen, t.differing)
		if t.unread > 0 {
			s.Message += fmt.Sprintf("; %d by status and headers alone, since their bodies are long", t.unread)
		}
	}
	return s
}

// seen says what became of the requests that were not compared.
func (t *tally) seen() string {
	eligible, dropped := t.earlier.Eligible+t.last.Eligible, t.earlier.Dropped+t.last.Dropped
	return fmt.Sprintf("of %d requests that can be copied %d %% were to be; %d copies were left out, and %d failed on the old version",
		eligible, t.job.Percent, dropped, t.excused)
}

// latency is the check of one quantile. With fewer requests than it takes it is only told.
func (t *tally) latency(name string, q float64, least int) scenario.StepResult {
	green, blue := quantile(t.green, q), quantile(t.blue, q)
	limit := max(time.Duration(t.job.MaxLatencyRatio*float64(blue)), blue+slack)
	s := scenario.StepResult{Name: "latency", Section: "steps", Kind: "shadow", Verdict: scenario.Pass}
	a := scenario.Assertion{Expression: name, Operator: "<=", Verdict: scenario.Pass, Left: short(green), Right: short(limit)}
	s.Message = fmt.Sprintf("%s is %s, that of the old version %s", name, short(green), short(blue))
	if t.job.MaxLatencyRatio == 0 || t.timed < least {
		s.Message += "; it is not judged"
		s.Name = "latency " + name
		return s
	}
	if green > limit {
		s.Verdict, a.Verdict = scenario.Fail, scenario.Fail
	}
	a.Message = s.Message
	s.Attempts = []scenario.Attempt{{Number: 1, Verdict: s.Verdict, Assertions: []scenario.Assertion{a}}}
	s.Tried = 1
	return s
}

func short(d time.Duration) string {
	if d > 100*time.Millisecond {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
