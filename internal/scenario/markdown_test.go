package scenario

import (
	"strings"
	"testing"
)

func TestWriteMarkdown(t *testing.T) {
	t.Parallel()
	failed := StepResult{
		Name: "order", Section: "steps", Verdict: Fail, Seconds: 0.5, Tried: 1, Attempts: []Attempt{{
			Assertions: []Assertion{{Expression: "body.total == 750", File: "shop.yaml", Line: 7, Column: 5, Verdict: Fail, Left: "700", Right: "750"}},
			Response:   &Response{Body: Body{Text: "````\n# not a heading"}},
		}},
	}
	for name, tc := range map[string]struct {
		results []Result
		want    string
	}{
		"nothing": {nil, "## Scenarios: error\n\n0 of 0 passed.\n"},
		"all": {
			[]Result{
				{Scenario: "fine", Verdict: Pass, Seconds: 1, Release: Release{Version: "v2"}, Steps: []StepResult{{Verdict: Pass}}},
				{Scenario: "<b>|\nbad", Verdict: Fail, Steps: []StepResult{{Verdict: Pass}, failed}},
				{Scenario: "early", Verdict: Error, Message: "the secret P has no value"},
			},
			`## Scenarios: fail

1 of 3 passed.

| verdict | scenario | release | steps passed | time |
|---|---|---|---|---|
| pass | fine | v2 | 1 of 1 | 1s |
| **fail** | \<b\>\| bad |  | 1 of 2 | 0s |
| **error** | early |  | 0 of 0 | 0s |

### fail: \<b\>\| bad

~~~~~
  fail     order  500ms
           shop.yaml:7:5: body.total == 750
             left   700
             right  750
           body: ~~~~
           # not a heading
~~~~~

### error: early

~~~
the secret P has no value
~~~
`,
		},
	} {
		var b strings.Builder
		if err := WriteMarkdown(&b, Summarize(tc.results)); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(b.String(), "`", "~"); got != tc.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, tc.want)
		}
	}
}
