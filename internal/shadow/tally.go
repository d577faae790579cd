package shadow

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"

	"greengate/internal/proxy"
	"greengate/internal/scenario"
)

const (
	// maxSamples bounds how many requests with different answers a result shows.
	maxSamples = 10
	// maxShown bounds a value of live traffic in a result, in bytes.
	maxShown = 200
	// maxTimes bounds how many latencies are kept; of more a fair sample is.
	maxTimes = 20_000
	// slack is a difference of latencies that is never held against a version.
	slack = 50 * time.Millisecond
	// tailFrom is how many requests a p99 needs to mean anything.
	tailFrom = 200
)

// tally counts pairs.
type tally struct {
	job     Job
	compare *scenario.Comparer

	compared, differing int
	// excused are requests that blue itself answered with 500 and more; unread those whose bodies were too long.
	excused, unread int
	green, blue     []time.Duration
	timed           int
	samples         []scenario.StepResult
	shown           map[string]bool

	epoch         string
	earlier, last proxy.ShadowBatch // counters of the processes before, and of this one
}

func newTally(j Job) (*tally, error) {
	c, err := scenario.NewComparer(j.Headers, j.Ignore)
	if err != nil {
		return nil, err
	}
	return &tally{job: j, compare: c, shown: map[string]bool{}}, nil
}

// batch counts what a data plane handed out.
func (t *tally) batch(b proxy.ShadowBatch) {
	if b.Epoch != t.epoch {
		t.earlier.Eligible += t.last.Eligible
		t.earlier.Dropped += t.last.Dropped
		t.epoch = b.Epoch
	}
	t.last = b
	for _, p := range b.Pairs {
		t.pair(p)
	}
	t.last.Pairs = nil
}

func (t *tally) pair(p proxy.ShadowPair) {
	if p.From.Status >= 500 { // what blue does not answer is no standard
		t.excused++
		return
	}
	t.compared++
	if p.Fault != "" {
		t.differ(p, []scenario.Assertion{{
			Expression: "the request is answered", Verdict: scenario.Fail, Operator: "==", Left: quoted(p.Fault), Right: fmt.Sprint(p.From.Status),
		}})
		return
	}
	t.time(p.To.Took, p.From.Took)
	if p.From.Partial && p.To.Partial {
		t.unread++
	}
	if found := t.compare.Compare(answer(p.To), answer(p.From), p.Secrets); len(found) > 0 {
		t.differ(p, found)
	}
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }

func answer(a proxy.ShadowAnswer) scenario.Answer {
	return scenario.Answer{Status: a.Status, Header: a.Header, Body: a.Body, Partial: a.Partial}
}

func (t *tally) time(green, blue time.Duration) {
	t.timed++
	if len(t.green) < maxTimes {
		t.green, t.blue = append(t.green, green), append(t.blue, blue)
		return
	}
	if i := rand.IntN(t.timed); i < maxTimes { //nolint:gosec // a fair sample needs no secret
		t.green[i], t.blue[i] = green, blue
	}
}

// differ counts a request that was answered otherwise. Of those with the same first difference at the same path one is shown.
func (t *tally) differ(p proxy.ShadowPair, found []scenario.Assertion) {
	t.differing++
	path, _, _ := strings.Cut(p.Target, "?")
	kind := p.Method + " " + path + " " + found[0].Expression
	if len(t.samples) == maxSamples || t.shown[kind] {
		return
	}
	t.shown[kind] = true
	for i := range found {
		found[i].Left, found[i].Right = clip(found[i].Left), clip(found[i].Right)
	}
	target := maskTarget(p.Target, p.Secrets)
	s := scenario.StepResult{Name: p.Method + " " + target, Section: "steps", Kind: "request", Verdict: scenario.Fail, Tried: 1}
	s.Message = found[0].Expression
	at := scenario.Attempt{
		Number: 1, Verdict: scenario.Fail, Assertions: found, Request: &scenario.Request{Method: p.Method, URL: target},
		Blue: &scenario.Response{Status: p.From.Status, Body: scenario.Body{Bytes: len(p.From.Body)}},
	}
	if p.Fault == "" {
		at.Response = &scenario.Response{Status: p.To.Status, Body: scenario.Body{Bytes: len(p.To.Body)}}
	}
	s.Attempts = []scenario.Attempt{at}
	t.samples = append(t.samples, s)
}

func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}

// maskTarget hides what in a query may be a secret: live traffic is shown here.
func maskTarget(target string, secrets []string) string {
	for _, s := range secrets {
		target = strings.ReplaceAll(target, s, "***")
		target = strings.ReplaceAll(target, url.QueryEscape(s), "***")
	}
	path, query, has := strings.Cut(target, "?")
	if !has {
		return clip(path)
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, _, valued := strings.Cut(part, "=")
		if valued && secretName(name) {
			parts[i] = name + "=***"
		}
	}
	return clip(path + "?" + strings.Join(parts, "&"))
}

func secretName(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"token", "key", "secret", "password", "signature", "sig", "auth", "code", "session", "credential"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// quantile of values that need not be in order; 0 of none.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
