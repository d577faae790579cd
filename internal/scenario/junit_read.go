package scenario

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	Failure   *junitProblem `xml:"failure"`
	Error     *junitProblem `xml:"error"`
	Skipped   *junitProblem `xml:"skipped"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// readJUnit makes checks of the test cases of a JUnit XML report. Skipped ones are left out.
func readJUnit(r io.Reader) ([]Assertion, error) {
	d := xml.NewDecoder(r)
	var all []Assertion
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
			return nil, fmt.Errorf("parse JUnit XML: %w", err)
		}
		total++
		if c.Skipped == nil || c.Failure != nil || c.Error != nil {
			all = append(all, c.assertion())
		}
	}
	if total == 0 {
		return nil, errors.New("no test case is in it")
	}
	return all, nil
}

func (c junitCase) assertion() Assertion {
	a := Assertion{Expression: strings.TrimSpace(c.ClassName + " " + c.Name), Verdict: Pass}
	problem := c.Failure
	if problem == nil {
		problem = c.Error
	}
	if problem != nil {
		a.Verdict, a.Message = Fail, strings.TrimSpace(problem.Message)
		if text := strings.TrimSpace(problem.Text); text != "" && text != a.Message {
			a.Message = strings.TrimSpace(a.Message + "\n" + text)
		}
		if a.Message == "" {
			a.Message = "the case failed"
		}
	}
	return a
}
