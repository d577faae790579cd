package hook_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/deploy"
	"greengate/internal/hook"
)

func TestParseJUnit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, xml string
		want      hook.Report
	}{
		{
			"one case", `<testsuite><testcase name="a" classname="x.T" time="0.25"/></testsuite>`,
			hook.Report{Passed: 1, Checks: []deploy.Check{{Name: "x.T a", Status: deploy.VerdictPass, Duration: 250 * time.Millisecond}}},
		},
		{
			"suites in suites, with what else there may be",
			`<?xml version="1.0" encoding="UTF-8"?><!-- c --><testsuites><properties/><testsuite name="s"><testsuite>
			<testcase name="deep"><system-out>log</system-out><properties><property name="a" value="b"/></properties></testcase></testsuite></testsuite></testsuites>`,
			hook.Report{Passed: 1, Checks: []deploy.Check{{Name: "deep", Status: deploy.VerdictPass}}},
		},
		{
			"failure, error, skipped",
			`<testsuite><testcase name="f"><failure message="want 200"> got 500 </failure></testcase><testcase name="e"><error>boom</error></testcase>
			<testcase name="s"><skipped message="not here"/></testcase><testcase name="p"/></testsuite>`,
			hook.Report{Passed: 1, Bad: 2, Skipped: 1, Checks: []deploy.Check{
				{Name: "f", Status: deploy.VerdictFail, Message: "want 200\ngot 500"},
				{Name: "e", Status: deploy.VerdictError, Message: "boom"},
				{Name: "s", Status: deploy.CheckSkipped, Message: "not here"},
				{Name: "p", Status: deploy.VerdictPass},
			}},
		},
		{
			"a failure wins over a skip", `<testsuite><testcase name="a"><skipped/><failure/></testcase></testsuite>`,
			hook.Report{Bad: 1, Checks: []deploy.Check{{Name: "a", Status: deploy.VerdictFail}}},
		},
		{
			"all skipped", `<testsuite><testcase name="a"><skipped/></testcase></testsuite>`,
			hook.Report{Skipped: 1, Checks: []deploy.Check{{Name: "a", Status: deploy.CheckSkipped}}},
		},
		{
			"odd times", `<testsuite><testcase name="a" time="1,234.5"/><testcase name="b" time="NaN"/><testcase name="c" time="-1"/><testcase name="d" time="1e300"/></testsuite>`,
			hook.Report{Passed: 4, Checks: []deploy.Check{
				{Name: "a", Status: deploy.VerdictPass, Duration: 1234500 * time.Millisecond},
				{Name: "b", Status: deploy.VerdictPass},
				{Name: "c", Status: deploy.VerdictPass},
				{Name: "d", Status: deploy.VerdictPass},
			}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := hook.ParseJUnit(strings.NewReader(c.xml))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseJUnit_refuses(t *testing.T) {
	t.Parallel()
	for name, xml := range map[string]string{
		"nothing":         "",
		"no case":         `<testsuite tests="0"></testsuite>`,
		"cut off":         `<testsuite><testcase name="a"/><testcase name="b">`,
		"no XML":          `{"tests": 1}`,
		"unknown charset": `<?xml version="1.0" encoding="EBCDIC"?><testsuite><testcase/></testsuite>`,
		"bad bytes":       "<testsuite><testcase name=\"\xff\"/></testsuite>",
	} {
		if got, err := hook.ParseJUnit(strings.NewReader(xml)); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
}

// TestParseJUnit_many: what is kept is bounded, what is counted is not.
func TestParseJUnit_many(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("<testsuite>")
	for range 1500 {
		b.WriteString(`<testcase name="s"><skipped/></testcase>`)
	}
	for i := range 10 {
		fmt.Fprintf(&b, `<testcase name="p%d"/><testcase name="f%d"><failure>%s</failure></testcase>`, i, i, strings.Repeat("é", 4000))
	}
	got, err := hook.ParseJUnit(strings.NewReader(b.String() + "</testsuite>"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Passed != 10 || got.Bad != 10 || got.Skipped != 1500 || len(got.Checks) != 1000 {
		t.Fatalf("%d passed, %d bad, %d skipped, %d kept", got.Passed, got.Bad, got.Skipped, len(got.Checks))
	}
	bad := 0
	for _, c := range got.Checks {
		if c.Status == deploy.VerdictFail {
			bad++
			if len(c.Message) > 4200 || !utf8.ValidString(c.Message) || !strings.HasSuffix(c.Message, "…") {
				t.Errorf("message of %d bytes ends %q", len(c.Message), c.Message[max(0, len(c.Message)-4):])
			}
		}
	}
	if bad != 10 {
		t.Errorf("%d of 10 failed cases were kept", bad)
	}

	b.Reset()
	b.WriteString("<testsuite>")
	for range 3000 {
		b.WriteString(`<testcase name="f"><failure>` + strings.Repeat("x", 3000) + `</failure></testcase>`)
	}
	if got, err = hook.ParseJUnit(strings.NewReader(b.String() + "</testsuite>")); err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, c := range got.Checks {
		size += len(c.Message)
	}
	if got.Bad != 3000 || len(got.Checks) != 1000 || size > 256<<10 || got.Checks[0].Message == "" {
		t.Errorf("%d bad, %d kept with %d bytes of text", got.Bad, len(got.Checks), size)
	}
}

func FuzzParseJUnit(f *testing.F) {
	f.Add(`<testsuite><testcase name="a" classname="x" time="0.2"/></testsuite>`)
	f.Add(`<testsuites><testsuite><testcase name="f"><failure message="m">t</failure></testcase></testsuite></testsuites>`)
	f.Add(`<testcase><skipped/></testcase>`)
	f.Add(`<a><testcase name="&lt;"><error/><failure/></testcase>`)
	f.Add(`<!DOCTYPE x [<!ENTITY a "b">]><testcase name="&a;"/>`)
	f.Fuzz(func(t *testing.T, xml string) {
		r, err := hook.ParseJUnit(strings.NewReader(xml))
		if err != nil {
			if r.Total() != 0 || r.Checks != nil {
				t.Errorf("an error with a report: %+v", r)
			}
			return
		}
		if r.Total() == 0 || len(r.Checks) == 0 || len(r.Checks) > 1000 || len(r.Checks) > r.Total() {
			t.Errorf("%d cases, %d kept", r.Total(), len(r.Checks))
		}
		var bad int
		for _, c := range r.Checks {
			switch c.Status {
			case deploy.VerdictFail, deploy.VerdictError:
				bad++
			case deploy.VerdictPass, deploy.CheckSkipped:
			default:
				t.Errorf("status %q", c.Status)
			}
			if c.Duration < 0 || !utf8.ValidString(c.Message) || !utf8.ValidString(c.Name) {
				t.Errorf("check %+v", c)
			}
		}
		if bad != min(r.Bad, 1000) {
			t.Errorf("%d bad cases kept of %d", bad, r.Bad)
		}
	})
}
