package scenario

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRun: what each kind of step sends and sees.
func TestRun(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"json":      `steps: [{request: POST /echo, json: {a: "${{ vars.n }}", b: "x${{ vars.n }}", c: null, d: [9007199254740993]}, assert: ['body.body == "{\"a\":7,\"b\":\"x7\",\"c\":null,\"d\":[9007199254740993]}"', 'body.type == "application/json"']}]`,
		"form":      `steps: [{request: POST /echo, form: {a: 1, b: x y}, assert: ['body.body == "a=1&b=x+y"']}]`,
		"body":      `steps: [{request: PUT /echo, body: "hello ${{ vars.n }}", headers: {content-type: text/x}, assert: ['body.body == "hello 7"', 'body.type == "text/x"']}]`,
		"file":      `steps: [{request: POST /echo, file: check.yaml, assert: ['body.body contains "check.yaml"']}]`,
		"multipart": `steps: [{request: POST /echo, multipart: {a: 1, f: {file: check.yaml, filename: f.txt, type: text/plain}}, assert: ['body.body contains "filename=\"f.txt\"" or body.body contains "filename=f.txt"', 'body.type startsWith "multipart/form-data"']}]`,
		"query":     `steps: [{request: "GET /echo?z=0", query: {a: [1, 2], b: "${{ vars.n }}"}, assert: ['body.query == "a=1&a=2&b=7&z=0"']}]`,
		"bearer":    `steps: [{request: GET /echo, auth: {bearer: "t-${{ vars.n }}"}, assert: ['body.authorization == "Bearer t-7"']}]`,
		"basic":     `steps: [{request: GET /echo, auth: {basic: {user: a, password: b}}, assert: ['body.authorization == "Basic YTpi"']}]`,
		"sigv4":     `steps: [{request: GET /echo, auth: {aws-sigv4: {region: r, service: s, access_key: AKID, secret_key: x}}, assert: ['body.authorization startsWith "AWS4-HMAC-SHA256 Credential=AKID/"']}]`,
		"cookies":   `steps: [{request: POST /login}, {request: GET /echo, assert: ['body.cookie == "session=cookie-value-1"']}]`,
		"no cookies": `cookies: false
steps: [{request: POST /login}, {request: GET /echo, assert: ['body.cookie == ""']}]`,
		"redirect":  `steps: [{request: GET /from, assert: [status == 302]}, {request: GET /from, redirects: 1, assert: ['status == 200 and url endsWith "/thing"']}]`,
		"trace":     `steps: [{request: GET /echo, assert: ['body.trace matches "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$"']}]`,
		"host":      `steps: [{request: GET /echo, headers: {host: shop.example}, assert: ['body.host == "shop.example"']}]`,
		"headers":   "headers: {x-own: all}\n" + `steps: [{request: GET /echo, assert: ['body.x == "all"']}, {request: GET /echo, headers: {x-own: "$${{ a }}"}, assert: ['body.x == "$" + "{{ a }}"']}]`,
		"retry":     `steps: [{request: GET /pending, retry: {timeout: 30s, interval: 1ms}, assert: ['body.state == "ready"']}]`,
		"captures":  `steps: [{name: login, request: POST /login, capture: {t: body.token}}, {request: GET /echo, auth: {bearer: "${{ steps.login.t }}"}, assert: ['body.authorization == "Bearer token-value-1"']}]`,
		"run":       `steps: [{run: {command: [sh, -c, 'echo "$BASE_URL $A $GREENGATE_VERSION"; exit 3'], env: {A: "${{ vars.n }}"}}, assert: [exit_code == 3, 'stdout endsWith " 7 v2\n"']}]`,
		"websocket": `steps: [{websocket: {url: /socket, send: [hello, {a: 1}], receive: 2}, assert: ['messages[0].echo == "hello"', 'messages[1].echo == "{\"a\":1}"']}]`,
		"parallel":  `steps: [{parallel: [{name: a, request: POST /login, capture: {t: body.token}}, {request: GET /thing}]}, {request: GET /echo, auth: {bearer: "${{ steps.a.t }}"}}]`,
		"foreach":   `steps: [{foreach: "[1, 2]", steps: [{request: "GET /echo?i=${{ index }}${{ item }}", assert: ['body.query == "i=" + string(index) + string(item)']}]}]`,
		"release":   "expect_release: {header: x-release}\n" + `steps: [{request: GET /text}]`,
		"when":      `setup: [{request: GET /broken, when: vars.n == 8}]` + "\n" + `steps: [{request: GET /text}]`,
		"uuid":      `steps: [{request: "GET /echo?id=${{ uuid() }}", assert: ['body.query matches "^id=[0-9a-f-]{36}$"']}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want(t, newService(t).run(t, "version: 1\nvars: {n: 7}\n"+content+"\n"), Pass, "")
		})
	}
}

// TestRun_cleanup: it runs after a failure, after the time limit and when the run is ended from outside, and leaves out
// what was never made.
func TestRun_cleanup(t *testing.T) {
	t.Parallel()
	const cleanup = "\ncleanup: [{request: DELETE /echo}, {request: 'DELETE /echo/${{ steps.never.id }}'}]\n"
	for name, c := range map[string]struct {
		steps   string
		verdict Verdict
	}{
		"failure":    {"steps: [{request: GET /broken}, {name: never, request: GET /thing, capture: {id: body.name}}]", Fail},
		"time limit": {"timeout: 100ms\nsteps: [{request: GET /slow}, {name: never, request: GET /thing, capture: {id: body.name}}]", Error},
		"ended":      {"steps: [{name: end, request: GET /slow}, {name: never, request: GET /thing, capture: {id: body.name}}]", Error},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			ctx, cancel := context.WithCancel(t.Context())
			if name == "ended" {
				go func() {
					for s.seen() == "" {
						time.Sleep(time.Millisecond)
					}
					cancel()
				}()
			}
			r := load(t, "version: 1\n"+c.steps+cleanup).Run(ctx, Options{BaseURL: s.URL})
			cancel()
			want(t, r, c.verdict, "")
			if !strings.Contains(s.seen(), "DELETE /echo") || strings.Contains(s.seen(), "DELETE /echo/") {
				t.Errorf("requests: %s", s.seen())
			}
			if last := r.Steps[len(r.Steps)-1]; last.Section != "cleanup" || last.Verdict != Skipped {
				t.Errorf("what was never made: %+v", last)
			}
		})
	}
}

// TestRun_secrets: no secret is in anything that a result becomes, in whatever form it was sent or came back.
func TestRun_secrets(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.run(t, `version: 1
name: secrets
secrets: [PASSWORD]
steps:
  - name: login
    request: POST /login
    json: {password: "${{ secrets.PASSWORD }}"}
    capture: {token: {value: body.token, secret: true}}
  - name: program
    run: {command: [sh, -c, 'echo "$1"; echo "$1" >&2', sh, "${{ secrets.PASSWORD }}"]}
  - name: echo
    request: POST /echo
    query: {p: "${{ secrets.PASSWORD }}"}
    headers: {x-own: "${{ secrets.PASSWORD }}"}
    form: {p: "${{ secrets.PASSWORD }}", t: "${{ steps.login.token }}"}
    auth: {basic: {user: a, password: "${{ secrets.PASSWORD }}"}}
    assert:
      - body.x == secrets.PASSWORD + "!"
`)
	want(t, r, Fail, "***")
	var all strings.Builder
	if err := json.NewEncoder(&all).Encode(r); err != nil {
		t.Fatal(err)
	}
	summary := Summarize([]Result{r})
	if err := WriteJUnit(&all, summary); err != nil {
		t.Fatal(err)
	}
	if err := WriteHTML(&all, summary); err != nil {
		t.Fatal(err)
	}
	for _, st := range r.Steps {
		if err := WriteStep(&all, st, true); err != nil {
			t.Fatal(err)
		}
	}
	for _, secret := range []string{"hunter2", "aHVudGVyMi", "YTpodW50ZXIy", "token-value-1", "cookie-value-1"} {
		if i := strings.Index(all.String(), secret); i >= 0 {
			t.Errorf("%q is in the results: %s", secret, all.String()[max(0, i-80):min(all.Len(), i+80)])
		}
	}
	if !strings.Contains(all.String(), "***") {
		t.Error("nothing was masked")
	}
}

// TestRun_junitSecrets: what another suite says of its failures is masked like the rest.
func TestRun_junitSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "results.xml")
	r := newService(t).run(t, fmt.Sprintf(`version: 1
secrets: [PASSWORD]
steps:
  - run:
      command: [sh, -c, 'printf "<testcase name=\"login with $1\"><failure message=\"$1 is refused\">as $1</failure></testcase>" > %[1]s', sh, "${{ secrets.PASSWORD }}"]
      junit: %[1]s
`, file))
	want(t, r, Fail, "*** is refused")
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("the secret is in the result: %s", text)
	}
}

// TestRun_password: a password in the base URL is sent, and kept nowhere.
func TestRun_password(t *testing.T) {
	t.Parallel()
	s := newService(t)
	sc := load(t, "version: 1\nsteps: [{request: GET /echo, assert: ['body.authorization == \"Basic YWxpY2U6b3Blbi1zZXNhbWU=\"']}]\n")
	r := sc.Run(t.Context(), Options{BaseURL: strings.Replace(s.URL, "http://", "http://alice:open-sesame@", 1)})
	want(t, r, Pass, "")
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "open-sesame") || strings.Contains(string(text), "YWxpY2U6b3Blbi1zZXNhbWU") {
		t.Errorf("the password is in the result: %s", text)
	}
}

// TestMask_cut: a secret at the place where a body is cut leaves no part of itself.
func TestMask_cut(t *testing.T) {
	t.Parallel()
	m := &masker{}
	m.add("0123456789abcdef")
	for at := maxBody - 20; at < maxBody+4; at++ {
		b := m.body([]byte(strings.Repeat("x", at) + "0123456789abcdef" + strings.Repeat("y", 100)))
		if strings.ContainsAny(b.Text, "0123456789abcdef") || len(b.Text) > maxBody || !b.Truncated {
			t.Fatalf("at %d: %d bytes, ends in %q", at, len(b.Text), b.Text[len(b.Text)-30:])
		}
	}
}

// TestRun_evidence: what a result keeps of an attempt.
func TestRun_evidence(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.run(t, "version: 1\nsteps:\n- name: a\n  request: GET /thing\n  assert:\n  - status == 200\n  - body.ok and body.n == 4\n- request: GET /text\n")
	want(t, r, Fail, "a: body.n == 4: 3 against 4")
	st := r.Steps[0]
	if len(r.Steps) != 2 || r.Steps[1].Verdict != Skipped || st.Line != 3 || len(st.Attempts) != 1 {
		t.Fatalf("steps %+v", r.Steps)
	}
	a := st.Attempts[0]
	bad := a.Assertions[len(a.Assertions)-1]
	if bad.Left != "3" || bad.Right != "4" || bad.Line != 7 || bad.Column != 5 || bad.Expression != "body.n == 4" || bad.Verdict != Fail {
		t.Errorf("assertion %+v", bad)
	}
	if a.Request.URL != s.URL+"/thing" || a.Response.Status != 200 || a.Response.Body.Text != thing || a.Timings.Total <= 0 {
		t.Errorf("attempt %+v", a)
	}
	long := s.run(t, "version: 1\nsteps: [{request: GET /long, assert: ['len(raw) > 65536']}]\n")
	want(t, long, Pass, "")
	if b := long.Steps[0].Attempts[0].Response.Body; !b.Truncated || len(b.Text) != maxBody || b.Bytes != maxBody+10 {
		t.Errorf("body of %d bytes, %d kept", b.Bytes, len(b.Text))
	}
	many := s.run(t, "version: 1\nsteps: [{request: GET /broken, retry: {attempts: 9, interval: 1ms}}]\n").Steps[0]
	if many.Tried != 9 || len(many.Attempts) != keptAttempts || many.Attempts[0].Number != 1 || many.Attempts[4].Number != 9 {
		t.Errorf("%d attempts, kept %d", many.Tried, len(many.Attempts))
	}
}

// TestRun_junit: results of another test suite become checks.
func TestRun_junit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		xml, message string
		verdict      Verdict
	}{
		"passed":  {`<testsuite><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite>`, "", Pass},
		"failed":  {`<testsuite><testcase name="a"/><testcase name="b"><failure message="no title"/></testcase></testsuite>`, "b: no title", Fail},
		"error":   {`<testsuite><testcase name="b"><error/></testcase></testsuite>`, "the case failed", Fail},
		"skipped": {`<testsuite><testcase name="b"><skipped/></testcase></testsuite>`, "every case was skipped", Error},
		"none":    {`<testsuite/>`, "no test case", Error},
		"cut off": {`<testsuite><testcase name="a"/>`, "parse JUnit XML", Error},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "results.xml")
			content := fmt.Sprintf("version: 1\nsteps: [{run: {command: [sh, -c, 'printf %%s \"$1\" > %s', sh, '%s'], junit: %s}}]\n", file, c.xml, file)
			want(t, newService(t).run(t, content), c.verdict, c.message)
			if c.verdict == Pass { // what a run before has left does not count
				if err := os.WriteFile(file, []byte(c.xml), 0o600); err != nil {
					t.Fatal(err)
				}
				want(t, newService(t).run(t, "version: 1\nsteps: [{run: {command: ['true'], junit: "+file+"}}]\n"), Error, "results in")
			}
		})
	}
}

// TestWriteJUnit: what a JUnit reader makes of a result is what the result says.
func TestWriteJUnit(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for content, counts := range map[string][4]int{ // tests, failures, errors, skipped
		"steps: [{request: GET /thing}]":                                  {1, 0, 0, 0},
		"steps: [{request: GET /broken}, {request: GET /thing}]":          {2, 1, 0, 1},
		"secrets: [NOTHING]\nsteps: [{request: GET /thing}]":              {1, 0, 1, 0},
		"setup: [{request: GET /broken}]\nsteps: [{request: GET /thing}]": {2, 1, 0, 1},
	} {
		var b strings.Builder
		if err := WriteJUnit(&b, Summarize([]Result{s.run(t, "version: 1\n"+content+"\n")})); err != nil {
			t.Fatal(err)
		}
		var doc junitSuites
		if err := xml.Unmarshal([]byte(b.String()), &doc); err != nil {
			t.Fatal(err)
		}
		got := doc.Suites[0]
		if [4]int{got.Tests, got.Failures, got.Errors, got.Skipped} != counts {
			t.Errorf("%s: %d tests, %d failures, %d errors, %d skipped, want %v", content, got.Tests, got.Failures, got.Errors, got.Skipped, counts)
		}
	}
}

// TestSummarize: no result, or one that is no pass, is no pass.
func TestSummarize(t *testing.T) {
	t.Parallel()
	for want, verdicts := range map[Verdict][]Verdict{Pass: {Pass, Pass}, Fail: {Pass, Error, Fail}, Error: {Error, Pass}} {
		var results []Result
		for _, v := range verdicts {
			results = append(results, Result{Verdict: v})
		}
		if got := Summarize(results).Verdict; got != want {
			t.Errorf("%v are %s, want %s", verdicts, got, want)
		}
	}
	if got := Summarize(nil).Verdict; got != Error {
		t.Errorf("no result is %s", got)
	}
}
