package scenario

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// JUnitCase is a test case of a JUnit XML report.
type JUnitCase struct {
	// Name is that of its class and its own.
	Name string
	// Took is 0 where the report does not say, or says nonsense.
	Took   time.Duration
	Status JUnitStatus
	// Message says why it did not pass, as far as the report does.
	Message string
}

// JUnitStatus is how a test case ended.
type JUnitStatus string

// The ways in which a test case ends. JUnitErrored is one that broke off where JUnitFailed is an assertion that was false.
const (
	JUnitPassed  JUnitStatus = "passed"
	JUnitFailed  JUnitStatus = "failed"
	JUnitErrored JUnitStatus = "errored"
	JUnitSkipped JUnitStatus = "skipped"
)

// ReadJUnit gives the test cases of a JUnit XML report to each, wherever in it they stand. A report without any case is an
// error: nothing was tested. So is one whose suites count failures that none of its cases shows: what failed was not a case, as
// what is done before the first one. After an error what was given counts for nothing.
func ReadJUnit(r io.Reader, each func(JUnitCase)) error {
	d := xml.NewDecoder(r)
	counted, bad := 0, 0
	for total := 0; ; {
		tok, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && total == 0:
			return errors.New("parse JUnit XML: no test case is in it")
		case errors.Is(err, io.EOF) && counted > 0 && bad == 0:
			return fmt.Errorf("parse JUnit XML: a suite counts %d failures and errors, and no case failed", counted)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("parse JUnit XML: %w", err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok || start.Name.Local != "testcase" {
			counted = max(counted, countedFailures(start))
			continue
		}
		total++
		var c junitElement
		if err := d.DecodeElement(&c, &start); err != nil {
			return fmt.Errorf("parse JUnit test case %d: %w", total, err)
		}
		read := c.read()
		if read.Status == JUnitFailed || read.Status == JUnitErrored {
			bad++
		}
		each(read)
	}
}

// countedFailures are the failures and errors that a suite, or all suites, say they have.
func countedFailures(e xml.StartElement) int {
	sum := 0
	if e.Name.Local != "testsuite" && e.Name.Local != "testsuites" {
		return sum
	}
	for _, a := range e.Attr {
		if n, err := strconv.Atoi(a.Value); err == nil && (a.Name.Local == "failures" || a.Name.Local == "errors") {
			sum += max(0, n)
		}
	}
	return sum
}

type junitElement struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	Time      string        `xml:"time,attr"`
	Status    string        `xml:"status,attr"` // few write it, and most of these beside an element
	Failure   *junitProblem `xml:"failure"`
	Error     *junitProblem `xml:"error"`
	Skipped   *junitProblem `xml:"skipped"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (e junitElement) read() JUnitCase {
	c := JUnitCase{Name: strings.TrimSpace(e.ClassName + " " + e.Name), Status: JUnitPassed}
	if s, err := strconv.ParseFloat(strings.ReplaceAll(e.Time, ",", ""), 64); err == nil && s > 0 && s < 1e6 {
		c.Took = time.Duration(s * float64(time.Second))
	}
	switch {
	case e.Failure != nil:
		c.Status, c.Message = JUnitFailed, e.Failure.text()
	case e.Error != nil:
		c.Status, c.Message = JUnitErrored, e.Error.text()
	case e.Skipped != nil:
		c.Status, c.Message = JUnitSkipped, e.Skipped.text()
	case strings.HasPrefix(strings.ToLower(e.Status), "fail"), strings.HasPrefix(strings.ToLower(e.Status), "err"):
		c.Status, c.Message = JUnitFailed, "the status is "+e.Status
	}
	return c
}

func (p junitProblem) text() string {
	message := strings.TrimSpace(p.Message)
	if text := strings.TrimSpace(p.Text); text != "" && text != message {
		message = strings.TrimSpace(message + "\n" + text)
	}
	return message
}
