package hook

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"greengate/internal/deploy"
)

const (
	// maxResults bounds the file at $GREENGATE_RESULTS in bytes, maxChecks what a verdict holds of it.
	maxResults = 16 << 20
	maxChecks  = 1000
	// maxText bounds each text of a check.
	maxText = 4 << 10
)

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
// without any case is an error: nothing was tested. At most 1,000 cases are kept; failed ones always.
func ParseJUnit(r io.Reader) ([]deploy.Check, error) {
	d := xml.NewDecoder(r)
	var checks []deploy.Check
	total := 0
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("parse JUnit XML: %w", err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok || start.Name.Local != "testcase" {
			continue
		}
		var c junitCase
		if err := d.DecodeElement(&c, &start); err != nil {
			return nil, fmt.Errorf("parse JUnit test case %d: %w", total+1, err)
		}
		total++
		if check := c.check(); len(checks) < maxChecks || check.Status != deploy.VerdictPass {
			checks = append(checks, check)
		}
	}
	if total == 0 {
		return nil, errors.New("parse JUnit XML: no test case in it")
	}
	return checks, nil
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
