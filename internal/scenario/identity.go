package scenario

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// HeaderTaskSet is the header by which a test listener of Greengate names the task set that answered. What a service
// itself says by that name does not come through such a listener.
const HeaderTaskSet = "X-Greengate-Task-Set"

// Identity is what the header of a listener must say, so that the release under test answered. Where a scenario is run
// for a deployment, the listener says it of every answer of a target, whatever the scenario asks for: that the wrong pool
// cannot pass is not left to who writes scenarios.
type Identity struct {
	Header string `json:"header"`
	Value  string `json:"value"`
}

// ExpectsTaskSet reports whether the scenario demands HeaderTaskSet, which only a test listener gives.
func (s *Scenario) ExpectsTaskSet() bool {
	return s.expect != nil && strings.EqualFold(s.expect.header, HeaderTaskSet)
}

// ours reports whether an address is below the base URL.
func (x *execution) ours(u *url.URL) bool {
	base, err := url.Parse(x.o.BaseURL)
	return err == nil && (base.Host == u.Host || hostPort(base) == hostPort(u))
}

// hostPort is the host of an address and its port, also where that goes without saying.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "ws": "80", "https": "443", "wss": "443"}[u.Scheme]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}

// fromBase are the heads of the answers from the base URL on the way to an answer, redirects that were followed, the last one
// first.
func (x *execution) fromBase(res *http.Response) []http.Header {
	var all []http.Header
	for ; res != nil; res = res.Request.Response {
		if x.ours(res.Request.URL) {
			all = append(all, res.Header)
		}
	}
	return all
}

// stranger is an error where another task set answered than the one under test: then it could not be told, and the
// version under test is not to blame. An answer of the listener itself names nobody.
func (x *execution) stranger(res *http.Response) error {
	id := x.o.Identity
	if id == nil {
		return nil
	}
	for _, answer := range x.fromBase(res) {
		switch got := answer.Get(id.Header); got {
		case id.Value:
			x.named.Add(1)
		case "":
			x.unnamed.Add(1)
		default:
			return fmt.Errorf("another task set answered: the listener says %s: %q, and %q is under test", id.Header, got, id.Value)
		}
	}
	return nil
}

// proofs are the checks that no expression makes: the release's header and the schema.
func (x *execution) proofs(st *step, res *http.Response, raw []byte) (passed, failed []Assertion) {
	add := func(a Assertion) {
		if a.Verdict == Pass {
			passed = append(passed, a)
			return
		}
		failed = append(failed, a)
	}
	if answers := x.fromBase(res); x.s.expect != nil && len(answers) > 0 {
		x.proven.Add(1)
		e := x.s.expect
		want, _ := x.release()[e.is].(string)
		got := answers[0].Get(e.header)
		a := Assertion{
			Expression: fmt.Sprintf("headers[%q] == release.%s", strings.ToLower(e.header), e.is), File: x.s.File, Line: 1, Column: 1,
			Verdict: Pass, Operator: "==", Left: x.mask.shown(got), Right: x.mask.shown(want),
		}
		if got != want {
			a.Verdict, a.Message = Fail, fmt.Sprintf("another release answered: %q instead of %q", got, want)
		}
		add(a)
	}
	if st.schema != nil {
		a := Assertion{Expression: "body keeps " + st.schema.name, File: st.file, Line: st.schema.at.line, Column: st.schema.at.column, Verdict: Pass}
		if faults := st.schema.check(raw); len(faults) > 0 {
			a.Verdict, a.Message = Fail, strings.Join(faults, "; ")
		}
		add(a)
	}
	return passed, failed
}
