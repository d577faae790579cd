package hook

import (
	"io"
	"slices"
	"strings"

	"greengate/internal/deploy"
	"greengate/internal/scenario"
)

const (
	// maxResults bounds the file at $GREENGATE_RESULTS in bytes, maxChecks what a verdict holds of it.
	maxResults = 16 << 20
	maxChecks  = 1000
	// maxText bounds each text of a check, maxTexts all of them: a verdict is stored with every later step
	// of its deployment.
	maxText  = 4 << 10
	maxTexts = 256 << 10
)

// Report is what a JUnit XML report says.
type Report struct {
	// Checks are at most 1,000, failed ones before others.
	Checks []deploy.Check
	// Passed, Bad and Skipped count all cases.
	Passed, Bad, Skipped int
}

// Total is the number of cases.
func (r Report) Total() int { return r.Passed + r.Bad + r.Skipped }

// add counts a case and keeps it while there is room, a bad one also in the place of another.
func (r *Report) add(c deploy.Check) {
	switch c.Status {
	case deploy.VerdictPass:
		r.Passed++
	case deploy.CheckSkipped:
		r.Skipped++
	case deploy.VerdictFail, deploy.VerdictError:
		r.Bad++
	}
	if len(r.Checks) < maxChecks {
		r.Checks = append(r.Checks, c)
		return
	}
	if c.Status == deploy.VerdictPass || c.Status == deploy.CheckSkipped || r.Bad > maxChecks {
		return
	}
	for i, kept := range slices.Backward(r.Checks) {
		if s := kept.Status; s == deploy.VerdictPass || s == deploy.CheckSkipped {
			r.Checks = append(slices.Delete(r.Checks, i, i+1), c)
			return
		}
	}
}

// shorten takes texts away beyond what a verdict may hold, from the end.
func (r *Report) shorten() {
	left := maxTexts
	for i := range r.Checks {
		c := &r.Checks[i]
		if left -= len(c.Message) + len(c.Expected) + len(c.Actual) + len(c.Evidence); left < 0 {
			c.Message, c.Expected, c.Actual, c.Evidence = "", "", "", ""
		}
	}
}

// ParseJUnit reads the test cases of a JUnit XML report, wherever in it they stand. A report
// without any case is an error: nothing was tested.
func ParseJUnit(r io.Reader) (Report, error) {
	var report Report
	if err := scenario.ReadJUnit(r, func(c scenario.JUnitCase) { report.add(checkOf(c)) }); err != nil {
		return Report{}, err
	}
	report.shorten()
	return report, nil
}

func checkOf(c scenario.JUnitCase) deploy.Check {
	check := deploy.Check{Name: clip(c.Name), Status: deploy.VerdictPass, Duration: c.Took, Message: clip(c.Message)}
	switch c.Status {
	case scenario.JUnitPassed:
	case scenario.JUnitFailed:
		check.Status = deploy.VerdictFail
	case scenario.JUnitErrored:
		check.Status = deploy.VerdictError
	case scenario.JUnitSkipped:
		check.Status = deploy.CheckSkipped
	}
	return check
}

func clip(s string) string {
	if len(s) > maxText {
		return strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}
