package hook

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"greengate/internal/deploy"
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

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	Time      string        `xml:"time,attr"`
	Failure   *junitProblem `xml:"failure"`
	Error     *junitProblem `xml:"error"`
	Skipped   *junitProblem `xml:"skipped"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// ParseJUnit reads the test cases of a JUnit XML report, wherever in it they stand. A report
// without any case is an error: nothing was tested.
func ParseJUnit(r io.Reader) (Report, error) {
	d := xml.NewDecoder(r)
	var report Report
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Report{}, fmt.Errorf("parse JUnit XML: %w", err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok || start.Name.Local != "testcase" {
			continue
		}
		var c junitCase
		if err := d.DecodeElement(&c, &start); err != nil {
			return Report{}, fmt.Errorf("parse JUnit test case %d: %w", report.Total()+1, err)
		}
		report.add(c.check())
	}
	if report.Total() == 0 {
		return Report{}, errors.New("parse JUnit XML: no test case in it")
	}
	report.shorten()
	return report, nil
}

func (c junitCase) check() deploy.Check {
	check := deploy.Check{Name: clip(c.Name), Status: deploy.VerdictPass}
	if c.ClassName != "" {
		check.Name = clip(c.ClassName + " " + c.Name)
	}
	if s, err := strconv.ParseFloat(strings.ReplaceAll(c.Time, ",", ""), 64); err == nil && s > 0 && s < 1e6 {
		check.Duration = time.Duration(s * float64(time.Second))
	}
	switch {
	case c.Failure != nil:
		check.Status, check.Message = deploy.VerdictFail, c.Failure.text()
	case c.Error != nil:
		check.Status, check.Message = deploy.VerdictError, c.Error.text()
	case c.Skipped != nil:
		check.Status, check.Message = deploy.CheckSkipped, c.Skipped.text()
	}
	return check
}

func (p junitProblem) text() string {
	msg := strings.TrimSpace(p.Message)
	if text := strings.TrimSpace(p.Text); text != "" && text != msg {
		msg = strings.TrimSpace(msg + "\n" + text)
	}
	return clip(msg)
}

func clip(s string) string {
	if len(s) > maxText {
		return strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}
