package scenario

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// side answers like one of two releases; requests counts what it was asked.
func side(t *testing.T, requests *atomic.Int64, answer func(w http.ResponseWriter, r *http.Request)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func asJSON(body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

func asText(body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

const plainCompare = "version: 1\ncompare: blue\nsteps: [{name: look, request: GET /}]\n"

func ignoring(places string) string {
	return "version: 1\ncompare: {with: blue, ignore: [" + places + "]}\nsteps: [{name: look, request: GET /}]\n"
}

// TestCompare: for everything that may differ one pair that is the same, and one that must not pass.
func TestCompare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, scenario, green, blue string
		verdict                     Verdict
		message                     string
	}{
		{"same", plainCompare, `{"a": [1, {"b": null}], "c": "x"}`, `{"c":"x","a":[1.0,{"b":null}]}`, Pass, ""},
		{"number", plainCompare, `{"total": 0}`, `{"total": 750}`, Fail, "body.total is the same as blue's: 0 against 750"},
		{"kind", plainCompare, `{"n": 1}`, `{"n": "1"}`, Fail, `body.n is the same as blue's: 1 against "1"`},
		{"null", plainCompare, `{"n": null}`, `{"n": 1}`, Fail, `body.n is the same as blue's: null against 1`},
		{"lost", plainCompare, `{}`, `{"n": 1}`, Fail, `body.n is the same as blue's: nothing against 1`},
		{"new", plainCompare, `{"n": null}`, `{}`, Fail, `body.n is the same as blue's: null against nothing`},
		{"deep", plainCompare, `{"i": [{"id": 1}, {"id": 2}]}`, `{"i": [{"id": 1}, {"id": 3}]}`, Fail, `body.i[1].id is the same as blue's: 2 against 3`},
		{"shorter", plainCompare, `{"i": [1]}`, `{"i": [1, 2]}`, Fail, `len(body.i) is the same as blue's: 1 against 2`},
		{"order", plainCompare, `[1, 2]`, `[2, 1]`, Fail, `body[0] is the same as blue's: 1 against 2`},
		{"not JSON", plainCompare, `<html>`, `{}`, Fail, `body is the same as blue's: "<html>" against "{}"`},
		{"ignored", ignoring(`body.at, "body.i[*].id"`), `{"at": 1, "i": [{"id": 1}]}`, `{"at": 2, "i": [{"id": 2}]}`, Pass, ""},
		{"ignored where it is not", ignoring(`body.at`), `{"at": 1}`, `{}`, Pass, ""},
		{"ignored, and more", ignoring(`body.at`), `{"at": 1, "n": 1}`, `{"at": 2, "n": 2}`, Fail, "body.n is"},
		{"ignored one item", ignoring(`"body[0]"`), `[1, 2]`, `[3, 2]`, Pass, ""},
		{"ignored another item", ignoring(`"body[1]"`), `[1, 2]`, `[3, 2]`, Fail, "body[0]"},
		{"ignored at any depth", ignoring(`body.**.id`), `{"id": 1, "a": [{"id": 2}]}`, `{"id": 3, "a": [{"id": 4}]}`, Pass, ""},
		{"ignored any key", ignoring(`body.*.id`), `{"a": {"id": 2}}`, `{"a": {"id": 4}}`, Pass, ""},
		{"an item is no key", ignoring(`body.*.id`), `[{"id": 2}]`, `[{"id": 4}]`, Fail, "body[0].id"},
		{"ignored body", ignoring(`body`), `[{"id": 2}]`, `{}`, Pass, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			r := load(t, c.scenario).Run(t.Context(), Options{
				BaseURL: side(t, &asked, asJSON(c.green)), CompareURL: side(t, &asked, asJSON(c.blue)),
			})
			want(t, r, c.verdict, c.message)
			if asked.Load() != 2 {
				t.Errorf("%d requests", asked.Load())
			}
		})
	}
}

// TestCompare_answers: what of an answer is compared beside JSON.
func TestCompare_answers(t *testing.T) {
	t.Parallel()
	header := func(name, value string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(name, value) }
	}
	code := func(n int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) }
	}
	headers := "version: 1\ncompare: {with: blue, headers: [Cache-Control, Set-Cookie]}\nsteps: [{request: GET /}]\n"
	for _, c := range []struct {
		name, scenario string
		green, blue    func(http.ResponseWriter, *http.Request)
		verdict        Verdict
		message        string
	}{
		{"status", plainCompare, code(200), code(203), Fail, "status is the same as blue's: 200 against 203"},
		{"content type", plainCompare, header("Content-Type", "text/a"), header("Content-Type", "text/b"), Fail, `headers["content-type"] is`},
		{"other header", plainCompare, header("X-Took", "1"), header("X-Took", "2"), Pass, ""},
		{"chosen header", headers, header("Cache-Control", "no-store"), code(200), Fail, `headers["cache-control"] is the same as blue's: "no-store" against nothing`},
		{"secret header", headers, header("Set-Cookie", "a=1"), header("Set-Cookie", "a=2"), Fail, `headers["set-cookie"] is the same as blue's: "***" against "***"`},
		{"lines", plainCompare, asText("a\nb\nc"), asText("a\nx\nc"), Fail, `body, line 2, is the same as blue's: "b" against "x"`},
		{"fewer lines", plainCompare, asText("a\nb"), asText("a"), Fail, `body, line 2, is the same as blue's: "b" against nothing`},
		{"bytes", plainCompare, asText("\xff\x00"), asText("\xff\x01"), Fail, `body is the same as blue's: "2 bytes with the SHA-256 `},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			r := load(t, c.scenario).Run(t.Context(), Options{BaseURL: side(t, &asked, c.green), CompareURL: side(t, &asked, c.blue)})
			want(t, r, c.verdict, c.message)
		})
	}
}

// TestCompare_run: what is asked of the old release, and what can not be told.
func TestCompare_run(t *testing.T) {
	t.Parallel()
	var green, blue atomic.Int64
	greenURL := side(t, &green, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret-of-green"})
		}
		_, _ = fmt.Fprint(w, r.Method, r.URL, r.Header.Get("Cookie"), r.Header.Get("X-Own"))
	})
	blueURL := side(t, &blue, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Method, r.URL, r.Header.Get("Cookie"), r.Header.Get("X-Own"))
	})
	content := `version: 1
compare: blue
headers: {x-own: all}
setup: [{request: GET /setup}]
steps:
  - request: POST /login
  - request: GET /a?b=c
    repeat: 3
  - {request: "GET ${{ base_url }}/d"}
  - {request: POST /search, effect: read}
`
	r := load(t, content).Run(t.Context(), Options{BaseURL: greenURL, CompareURL: blueURL})
	want(t, r, Pass, "")
	if green.Load() != 7 || blue.Load() != 3 {
		t.Errorf("green was asked %d times and blue %d times", green.Load(), blue.Load())
	}
	if last := r.Steps[len(r.Steps)-1].Attempts[0]; last.Blue == nil || last.Blue.Status != 200 {
		t.Errorf("the evidence lacks blue's answer: %+v", last)
	}
	version := func(v string) string {
		var asked atomic.Int64
		return side(t, &asked, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v" {
				_, _ = io.WriteString(w, v)
			}
		})
	}
	v1, v2 := version("v1"), version("v2")
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, c := range map[string]struct {
		content string
		o       Options
		verdict Verdict
		message string
	}{
		"release":       {"expect_release: {request: GET /v, field: raw}\n" + plainCompare, Options{BaseURL: v2, CompareURL: v1, Release: Release{Version: "v2"}}, Pass, ""},
		"first release": {plainCompare, Options{BaseURL: blueURL, First: true}, Pass, ""},
		"no address":    {plainCompare, Options{BaseURL: blueURL}, Error, "no address of it was given (--compare-url)"},
		"no URL":        {plainCompare, Options{BaseURL: blueURL, CompareURL: "blue:80"}, Error, "is not an http URL"},
		"itself":        {plainCompare, Options{BaseURL: blueURL, CompareURL: blueURL + "/"}, Error, "it would be compared with itself"},
		"blue is gone":  {plainCompare, Options{BaseURL: blueURL, CompareURL: gone.URL}, Error, "compare with blue: no answer"},
		"elsewhere": {
			"version: 1\ncompare: blue\nsteps: [{request: GET " + greenURL + "/}]\n",
			Options{BaseURL: blueURL, CompareURL: gone.URL},
			Error, "nothing was compared with blue",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want(t, load(t, c.content).Run(t.Context(), c.o), c.verdict, c.message)
		})
	}
}

// TestCompare_many: an answer that is wholly different stays readable.
func TestCompare_many(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	many := func(n int) string { return "[" + strings.Repeat(fmt.Sprintf("%d,", n), 99) + "0]" }
	r := load(t, plainCompare).Run(t.Context(), Options{
		BaseURL: side(t, &asked, asJSON(many(1))), CompareURL: side(t, &asked, asJSON(many(2))),
	})
	want(t, r, Fail, "body[0] is the same as blue's: 1 against 2")
	all := r.Steps[0].Attempts[0].Assertions
	if last := all[len(all)-1]; len(all) != maxDifferences+2 || !strings.Contains(last.Message, "79 more differences") {
		t.Errorf("%d assertions, the last %+v", len(all), last)
	}
	var text, page strings.Builder
	if err := WriteStep(&text, r.Steps[0], false); err != nil || !strings.Contains(text.String(), "blue -> 200") {
		t.Errorf("%v\n%s", err, text.String())
	}
	if err := WriteHTML(&page, Summarize([]Result{r})); err != nil || !strings.Contains(page.String(), "blue answered HTTP/1.1 200") {
		t.Errorf("the page lacks blue's answer: %v", err)
	}
}

// FuzzPattern: a pattern that is taken matches the place that it spells out.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{"body", "body.a", "body[0].b", "body.**.id", "body[*].*", "body.", "body[", "body]", "bodyx", "body.a[b]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePattern(text)
		if err != nil {
			return
		}
		if !p.matches(p) {
			t.Errorf("%q does not match itself: %q", text, []string(p))
		}
		if shownPlace(p) != text {
			t.Errorf("%q is shown as %q", text, shownPlace(p))
		}
	})
}
