package scenario

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzReadJUnit: whatever a program leaves as its results, cases come out of it or an error.
func FuzzReadJUnit(f *testing.F) {
	f.Add([]byte(`<testsuite><testcase name="a"/><testcase name="b"><failure message="x">y</failure></testcase></testsuite>`))
	f.Add([]byte(`<testcase classname="c"><skipped/><error/></testcase>`))
	f.Add([]byte(`<testsuite><testcase`))
	f.Fuzz(func(t *testing.T, content []byte) {
		cases := 0
		err := ReadJUnit(bytes.NewReader(content), func(c JUnitCase) {
			cases++
			if c.Took < 0 || c.Status == JUnitPassed && c.Message != "" {
				t.Errorf("%+v", c)
			}
		})
		if err == nil && cases == 0 {
			t.Error("no case, and no error")
		}
	})
}

// FuzzUnpack: a bundle that was packed comes back; anything else is refused.
func FuzzUnpack(f *testing.F) {
	good, err := Pack(map[string][]byte{"a.yaml": []byte("version: 1")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("")
	f.Add("H4sIAAAA")
	f.Fuzz(func(t *testing.T, bundle string) {
		files, err := Unpack(bundle)
		if err != nil {
			return
		}
		again, err := Pack(files)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Unpack(again); err != nil || len(back) != len(files) {
			t.Errorf("%d files became %d: %v", len(files), len(back), err)
		}
	})
}

// FuzzAssertion: an expression on any body is true, false or an error; it does not fall over, and what is not true or
// false does not pass.
func FuzzAssertion(f *testing.F) {
	for _, source := range []string{
		`body.a == 1`, `all(body.list, .x > 0)`, `body?.a`, `let x = body; x.a in [1]`, `body[0:1] == ["a"]`, `not has(body, "a")`,
		`body | len() > 1`, `1..9 == body`, `find(body, # == 1) != 2`, `"a" matches body`,
	} {
		f.Add(source, `{"a":1,"list":[{"x":1}]}`)
		f.Add(source, `[1,"a",null]`)
	}
	f.Fuzz(func(t *testing.T, source, body string) {
		if len(body) > 1<<10 || strings.Contains(source, "..") { // a range may be as long as it likes
			return
		}
		program, _, err := compile(source, env{stage: afterHTTP}, boolResult)
		if err != nil {
			return
		}
		v, err := evaluate(program, map[string]any{"body": decodeBody("application/json", []byte(body)), "status": 200})
		if _, isBool := v.(bool); err == nil && v != nil && !isBool {
			a := &assertion{expression: &expression{}, parts: []assertionPart{{source: source, program: program}}}
			x := &execution{mask: &masker{}}
			if got := x.assertion(a, map[string]any{"body": decodeBody("application/json", []byte(body)), "status": 200}); got[0].Verdict == Pass {
				t.Errorf("%q is %v and passes", source, v)
			}
		}
	})
}
