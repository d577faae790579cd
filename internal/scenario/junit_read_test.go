package scenario

import (
	"strings"
	"testing"
)

// TestReadJUnit_counts: what failed outside of every case is in the counts of the suite alone.
func TestReadJUnit_counts(t *testing.T) {
	t.Parallel()
	for report, fault := range map[string]string{
		`<testsuite errors="1"><testcase name="a"/><error message="boom"/></testsuite>`:                               "counts 1 failures and errors",
		`<testsuites failures="2"><testsuite><testcase name="a"/></testsuite></testsuites>`:                           "counts 2 failures and errors",
		`<testsuite errors="0" failures="0"><testcase name="a"/></testsuite>`:                                         "",
		`<testsuite errors="1" failures="1"><testcase name="a"><failure/></testcase><testcase name="b"/></testsuite>`: "",
	} {
		err := ReadJUnit(strings.NewReader(report), func(JUnitCase) {})
		if (err == nil) != (fault == "") || (err != nil && !strings.Contains(err.Error(), fault)) {
			t.Errorf("%s: the error is %v, want %q", report, err, fault)
		}
	}
}

// TestReadJUnit_status: a case may say that it failed by its status alone.
func TestReadJUnit_status(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]JUnitStatus{"failed": JUnitFailed, "Error": JUnitFailed, "passed": JUnitPassed, "run": JUnitPassed} {
		var got []JUnitCase
		err := ReadJUnit(strings.NewReader(`<testsuite><testcase name="a" status="`+status+`"/></testsuite>`), func(c JUnitCase) { got = append(got, c) })
		if err != nil || len(got) != 1 || got[0].Status != want {
			t.Errorf("%s: %+v, %v", status, got, err)
		}
	}
}
