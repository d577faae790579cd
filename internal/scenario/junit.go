package scenario

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Stamp    string      `xml:"timestamp,attr"`
	Cases    []junitStep `xml:"testcase"`
}

type junitStep struct {
	Name    string       `xml:"name,attr"`
	Class   string       `xml:"classname,attr"`
	Time    string       `xml:"time,attr"`
	File    string       `xml:"file,attr"`
	Line    int          `xml:"line,attr"`
	Failure *junitReason `xml:"failure"`
	Error   *junitReason `xml:"error"`
	Skipped *junitReason `xml:"skipped"`
}

type junitReason struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes results as JUnit XML: a suite a scenario, a case a step.
func WriteJUnit(w io.Writer, s Summary) error {
	var doc junitSuites
	for _, r := range s.Results {
		doc.Suites = append(doc.Suites, suiteOf(r))
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return fmt.Errorf("encode JUnit XML: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func suiteOf(r Result) junitSuite {
	suite := junitSuite{Name: r.Scenario, Time: fmt.Sprintf("%.3f", r.Seconds), Stamp: r.Start.UTC().Format("2006-01-02T15:04:05")}
	for _, s := range r.Steps {
		c := junitStep{Name: s.Name, Class: r.Scenario, Time: fmt.Sprintf("%.3f", s.Seconds), File: s.File, Line: s.Line}
		if s.Section != "steps" {
			c.Name = s.Section + ": " + c.Name
		}
		var b strings.Builder
		if s.Verdict != Pass {
			s.explain(&b)
		}
		reason := &junitReason{Message: printable(s.Message), Text: strings.ToValidUTF8(b.String(), "")}
		switch s.Verdict {
		case Fail:
			c.Failure = reason
		case Error:
			c.Error = reason
		case Skipped:
			c.Skipped = &junitReason{Message: reason.Message}
		case Pass:
		}
		suite.add(c)
	}
	if r.Verdict != Pass && suite.Failures+suite.Errors == 0 {
		suite.add(junitStep{Name: "scenario", Class: r.Scenario, Time: "0.000", File: r.File, Line: 1, Error: &junitReason{Message: printable(r.Message)}})
	}
	return suite
}

func (s *junitSuite) add(c junitStep) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}
