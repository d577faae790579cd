package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// comparison is what `compare` in a file says: the answers of the release under test are held against those of the old one.
type comparison struct {
	headers []string  // whose values must be the same, in lower case
	ignore  []pattern // places in bodies that may differ
	at      position
	file    string
}

// maxDifferences bounds how many differences of one answer are told.
const maxDifferences = 20

// exchange is a request that was answered, with what another one of its kind needs.
type exchange struct {
	req     *http.Request
	cookies []*http.Cookie
	res     *http.Response
	grpc    *GRPCStatus // of a call
	raw     []byte
	body    any
}

// Compares reports whether the scenario compares with the old release.
func (s *Scenario) Compares() bool { return s.compare != nil }

// compare reads `compare` of a file.
func (d *decoder) compare(s *Scenario, n *node) {
	if n == nil {
		return
	}
	c := &comparison{headers: []string{"content-type"}, at: n.at, file: d.file}
	if h := n.child("headers"); h != nil {
		c.headers = nil
		for _, item := range children(h) {
			c.headers = append(c.headers, strings.ToLower(item.text))
		}
	}
	for _, item := range children(n.child("ignore")) {
		p, err := parsePattern(item.text)
		if err != nil {
			if !d.blamed {
				d.fault(item.at, "%s", err)
			}
			continue
		}
		c.ignore = append(c.ignore, p)
	}
	s.compare = c
}

// comparable refuses a comparison that would have nothing to compare.
func (d *decoder) comparable(s *Scenario) {
	if s.compare != nil && !d.blamed && len(d.faults) == 0 && !anyStep(s.steps, (*step).compared) {
		d.fault(s.compare.at, "no step of the scenario is a request that only reads, so nothing would be compared")
	}
}

// compared reports whether a step is one whose answers are compared.
func (st *step) compared() bool {
	return (st.kind == stepRequest || st.kind == stepGRPC) && st.effect == EffectRead && !st.proof
}

func anyStep(steps []*step, holds func(*step) bool) bool {
	for _, st := range steps {
		inner := st.children
		if st.use != nil {
			inner = st.use.steps
		}
		if holds(st) || anyStep(inner, holds) {
			return true
		}
	}
	return false
}

// comparable refuses to run where the old release cannot be asked.
func (x *execution) comparable() error {
	if x.s.compare == nil || x.o.First {
		return nil
	}
	if x.o.CompareURL == "" {
		return errors.New("the scenario compares with the old version, and no address of it was given (--compare-url)")
	}
	u, err := url.Parse(x.o.CompareURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("the compare URL %q is not an http URL", x.o.CompareURL)
	}
	if x.ours(u) {
		return fmt.Errorf("the compare URL %s is that of the version under test: it would be compared with itself", x.o.CompareURL)
	}
	return nil
}

// compare asks the old release the same and adds what is different to what was observed. An error says that it could not
// be compared.
func (x *execution) compare(ctx context.Context, st *step, sc *scope, o *observation) error {
	c := x.s.compare
	if c == nil || sc.section != "steps" || !st.compared() || o.answered == nil || !x.ours(o.answered.req.URL) {
		return nil
	}
	result := Assertion{
		Expression: "the answer is the same as blue's", File: st.file, Line: st.at.line, Column: st.at.column, Verdict: Pass,
	}
	x.compares.Add(1)
	if x.o.First {
		result.Message = "there is no old version to compare with"
		o.checks = append(o.checks, result)
		return nil
	}
	ask := x.askBlue
	if st.kind == stepGRPC {
		ask = x.callBlue
	}
	blue, err := ask(ctx, st, sc, o)
	if err != nil {
		return fmt.Errorf("compare with blue: %w", err)
	}
	all := c.differences(*o.answered, *blue)
	if len(all) == 0 {
		o.checks = append(o.checks, result)
		return nil
	}
	for i, d := range all {
		a := result
		a.Verdict = Fail
		if i == maxDifferences {
			a.Message = fmt.Sprintf("%d more differences", len(all)-i)
			o.problems = append(o.problems, a)
			break
		}
		a.Expression, a.Operator = x.mask.text(d.path)+" is the same as blue's", "=="
		a.Left, a.Right = x.mask.shown(d.green), x.mask.shown(d.blue)
		o.problems = append(o.problems, a)
	}
	return nil
}

// askBlue sends the step's request to the old release, with the cookies that went to the new one.
func (x *execution) askBlue(ctx context.Context, st *step, sc *scope, o *observation) (*exchange, error) {
	values := maps.Clone(x.values(sc, nil))
	values["base_url"] = x.o.CompareURL
	req, _, err := x.build(st.request, values, x.o.CompareURL)
	if err != nil {
		return nil, err
	}
	for _, c := range o.answered.cookies {
		req.AddCookie(c)
	}
	client := &http.Client{Transport: x.client.Transport, CheckRedirect: x.client.CheckRedirect}
	res, raw, err := receive(client, req.WithContext(following(ctx, st.request.redirects))) //nolint:bodyclose // it is closed
	if err != nil {
		return nil, err
	}
	keep := o.keep
	o.keep = func(a *Attempt) {
		keep(a)
		a.Blue = x.recordResponse(res, raw)
	}
	seen := x.answer(res, raw, 0) // makes secrets of its cookies
	return &exchange{req: req, res: res, raw: raw, body: seen["body"]}, nil
}
