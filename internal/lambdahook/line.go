package lambdahook

import (
	"encoding/json"
	"fmt"
	"strings"

	"greengate/internal/scenario"
)

// What the two lines of a run begin with. Nothing else that the function logs begins at the margin.
const (
	verdictMark = "GREENGATE VERDICT "
	resultMark  = "GREENGATE RESULT "
)

// maxLine bounds a line that is logged, in bytes: CloudWatch Logs has taken 256 KiB an event, with 26 bytes of its own.
const maxLine = 250 << 10

// Verdict is the last line of a run, the one that counts.
type Verdict struct {
	Verdict scenario.Verdict
	// Deployment and Execution are the ids of the event; "-" for none.
	Deployment, Execution string
	// Told is what was told to who asked: Succeeded or Failed (CodeDeploy), SUCCEEDED, FAILED or IN_PROGRESS (ECS), or nothing.
	Told string
	// Text is for people: the scenario, how many steps passed, and what was wrong.
	Text string
}

// String is the line.
func (v Verdict) String() string {
	return fmt.Sprintf("%s%s deployment=%s execution=%s told=%s %s", verdictMark, v.Verdict, word(v.Deployment), word(v.Execution), word(v.Told), flat(v.Text))
}

// word makes one word of an id, and flat one line of a text: what an event or a service says makes no line of its own.
func word(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), "_")
	if s == "" {
		return "-"
	}
	return s
}

func flat(s string) string { return strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ") }

// ParseVerdict reads a verdict line; false where a line is none.
func ParseVerdict(line string) (Verdict, bool) {
	var v Verdict
	rest, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), verdictMark)
	if !ok {
		return v, false
	}
	words := strings.SplitN(rest, " ", 5)
	if len(words) != 5 {
		return v, false
	}
	v.Verdict, v.Text = scenario.Verdict(words[0]), words[4]
	for i, to := range []*string{&v.Deployment, &v.Execution, &v.Told} {
		name := [...]string{"deployment=", "execution=", "told="}[i]
		if *to, ok = strings.CutPrefix(words[i+1], name); !ok || *to == "" {
			return v, false
		}
	}
	known := v.Verdict == scenario.Pass || v.Verdict == scenario.Fail || v.Verdict == scenario.Error
	return v, known
}

// resultLine is the whole result on one line, as greengate verify --json has it. One that is too long loses first the bodies
// of what passed, then of everything, then the attempts.
func resultLine(c call, r scenario.Result) (string, error) {
	head := fmt.Sprintf("%sdeployment=%s execution=%s ", resultMark, word(c.deployment), word(c.execution))
	for _, shorter := range []func(*scenario.Attempt) bool{
		func(*scenario.Attempt) bool { return true },
		func(a *scenario.Attempt) bool { return dropBodies(a, a.Verdict == scenario.Pass) },
		func(a *scenario.Attempt) bool { return dropBodies(a, true) },
		func(*scenario.Attempt) bool { return false },
	} {
		text, err := json.Marshal(shortened(r, shorter))
		if err != nil {
			return "", fmt.Errorf("encode result: %w", err)
		}
		if len(head)+len(text) <= maxLine {
			return head + string(text), nil
		}
	}
	r.Steps = nil
	text, err := json.Marshal(r)
	return head + string(text), err
}

// shortened is a copy of a result whose attempts went through keep, which says whether to keep one.
func shortened(r scenario.Result, keep func(*scenario.Attempt) bool) scenario.Result {
	steps := make([]scenario.StepResult, len(r.Steps))
	for i, s := range r.Steps {
		var kept []scenario.Attempt
		for _, a := range s.Attempts {
			if keep(&a) {
				kept = append(kept, a)
			}
		}
		s.Attempts = kept
		steps[i] = s
	}
	r.Steps = steps
	return r
}

func dropBodies(a *scenario.Attempt, drop bool) bool {
	if !drop {
		return true
	}
	if a.Request != nil {
		own := *a.Request
		own.Body = without(own.Body)
		a.Request = &own
	}
	if a.Response != nil {
		own := *a.Response
		own.Body = without(own.Body)
		a.Response = &own
	}
	if a.Program != nil {
		own := *a.Program
		own.Stdout, own.Stderr = without(own.Stdout), without(own.Stderr)
		a.Program = &own
	}
	a.Messages = nil
	return true
}

func without(b scenario.Body) scenario.Body {
	if b.Text != "" {
		b.Text, b.Truncated = "", true
	}
	return b
}

// ParseResult reads the line of a result; false where a line is none. The deployment is as in the verdict line.
func ParseResult(line string) (r scenario.Result, deployment string, ok bool) {
	rest, ok := strings.CutPrefix(line, resultMark)
	if !ok {
		return r, "", false
	}
	words := strings.SplitN(rest, " ", 3)
	if len(words) != 3 {
		return r, "", false
	}
	deployment, ok = strings.CutPrefix(words[0], "deployment=")
	if !ok || json.Unmarshal([]byte(words[2]), &r) != nil {
		return scenario.Result{}, "", false
	}
	return r, deployment, true
}
