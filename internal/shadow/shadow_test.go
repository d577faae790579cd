package shadow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greengate/internal/proxy"
	"greengate/internal/scenario"
)

func pair(target, blue, green string) proxy.ShadowPair {
	answer := func(body string) proxy.ShadowAnswer {
		return proxy.ShadowAnswer{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body), Took: 10 * time.Millisecond}
	}
	return proxy.ShadowPair{Method: "GET", Target: target, From: answer(blue), To: answer(green)}
}

func edited(p proxy.ShadowPair, edit func(*proxy.ShadowPair)) proxy.ShadowPair {
	edit(&p)
	return p
}

func times(n int, p proxy.ShadowPair) []proxy.ShadowPair {
	var out []proxy.ShadowPair
	for range n {
		out = append(out, p)
	}
	return out
}

func took(green, blue time.Duration) func(*proxy.ShadowPair) {
	return func(p *proxy.ShadowPair) { p.To.Took, p.From.Took = green, blue }
}

// TestResult: what the counts come to, and what of it is said.
func TestResult(t *testing.T) {
	t.Parallel()
	same, other := pair("/a", `{"n":1}`, `{"n":1}`), pair("/b?user=1", `{"price":750}`, `{"price":0}`)
	for name, c := range map[string]struct {
		pairs []proxy.ShadowPair
		edit  func(*Job)
		fault error
		want  scenario.Verdict
		holds []string // of the result as JSON
	}{
		"the same":    {pairs: times(10, same), want: scenario.Pass, holds: []string{"10 live requests compared, 0 answered otherwise"}},
		"none":        {want: scenario.Error, holds: []string{"only 0 live requests compared"}},
		"too few":     {pairs: times(9, same), want: scenario.Error, holds: []string{"the minimum is 10"}},
		"one differs": {pairs: append(times(9, same), other), want: scenario.Fail, holds: []string{"GET /b?user=1", "body.price is the same as blue's", `"left":"0","right":"750"`}},
		"one of few":  {pairs: []proxy.ShadowPair{other}, want: scenario.Fail, holds: []string{"1 of 1 live requests"}},
		"tolerated": {
			pairs: append(times(9, same), other), edit: func(j *Job) { j.MaxDiffering = 0.1 }, want: scenario.Pass, holds: []string{"1 answered otherwise", "GET /b?user=1"},
		},
		"more than tolerated":        {pairs: append(times(8, same), other, other), edit: func(j *Job) { j.MaxDiffering = 0.1 }, want: scenario.Fail, holds: []string{"2 of 10"}},
		"tolerated, but too few":     {pairs: times(9, other), edit: func(j *Job) { j.MaxDiffering = 0.1 }, want: scenario.Error},
		"ignored":                    {pairs: times(10, other), edit: func(j *Job) { j.Ignore = []string{"body.price"} }, want: scenario.Pass},
		"another status":             {pairs: times(10, edited(same, func(p *proxy.ShadowPair) { p.To.Status = 404 })), want: scenario.Fail, holds: []string{`"left":"404","right":"200"`}},
		"another header":             {pairs: times(10, edited(same, func(p *proxy.ShadowPair) { p.To.Header = http.Header{} })), want: scenario.Fail, holds: []string{`headers[\"content-type\"]`}},
		"a header nobody named":      {pairs: times(10, edited(same, func(p *proxy.ShadowPair) { p.To.Header = http.Header{} })), edit: func(j *Job) { j.Headers = nil }, want: scenario.Pass},
		"no answer":                  {pairs: append(times(9, same), edited(same, func(p *proxy.ShadowPair) { p.Fault = "no whole answer within 10s" })), want: scenario.Fail, holds: []string{"the request is answered", "no whole answer within 10s"}},
		"blue fails":                 {pairs: times(10, edited(same, func(p *proxy.ShadowPair) { p.From.Status = 503 })), want: scenario.Error, holds: []string{"10 failed on the old version"}},
		"long bodies":                {pairs: times(10, edited(same, func(p *proxy.ShadowPair) { p.From.Partial, p.To.Partial = true, true })), want: scenario.Pass, holds: []string{"10 by status and headers alone"}},
		"one body is long":           {pairs: times(10, edited(same, func(p *proxy.ShadowPair) { p.To.Partial = true })), want: scenario.Fail},
		"slow":                       {pairs: times(10, edited(same, took(400*time.Millisecond, 100*time.Millisecond))), want: scenario.Fail, holds: []string{"p50 is 400ms, that of the old version 100ms"}},
		"slow, but not judged":       {pairs: times(10, edited(same, took(400*time.Millisecond, 100*time.Millisecond))), edit: func(j *Job) { j.MaxLatencyRatio = 0 }, want: scenario.Pass, holds: []string{"it is not judged"}},
		"many times next to nothing": {pairs: times(10, edited(same, took(40*time.Millisecond, time.Millisecond))), want: scenario.Pass},
		"a slow tail":                {pairs: append(times(195, same), times(5, edited(same, took(time.Second, 10*time.Millisecond)))...), want: scenario.Fail, holds: []string{"p99 is 1s"}},
		"a tail of few":              {pairs: append(times(19, same), edited(same, took(time.Second, 10*time.Millisecond))), want: scenario.Pass, holds: []string{"p99 is 1s, that of the old version 10ms; it is not judged"}},
		"cut off":                    {pairs: times(10, same), fault: errors.New("it was ended"), want: scenario.Error, holds: []string{"it was ended"}},
		"cut off, but known":         {pairs: times(10, other), fault: errors.New("it was ended"), want: scenario.Fail},
		"the first version":          {edit: func(j *Job) { j.First = true }, want: scenario.Pass, holds: []string{"there is no old version"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := Job{ID: "d-1/7", Name: "live", Percent: 10, For: time.Minute, Minimum: 10, Headers: []string{"Content-Type"}, MaxLatencyRatio: 3}
			if c.edit != nil {
				c.edit(&j)
			}
			tally, err := newTally(j)
			if err != nil {
				t.Fatal(err)
			}
			tally.batch(proxy.ShadowBatch{Epoch: "1", Pairs: c.pairs})
			r := tally.result(c.fault)
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict != c.want || r.Message == "" || r.Digest != j.ID {
				t.Errorf("%s %q, want %s", r.Verdict, r.Message, c.want)
			}
			got := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<").Replace(string(text))
			for _, want := range c.holds {
				if !strings.Contains(got, want) {
					t.Errorf("the result lacks %q: %s", want, got)
				}
			}
			for _, s := range r.Steps {
				if c.want == scenario.Pass && s.Verdict != scenario.Pass {
					t.Errorf("a step of a pass: %+v", s)
				}
			}
		})
	}
}

// No credential of a user is in a result: not where it is echoed, in a query, or under a key that names a secret.
func TestResult_masks(t *testing.T) {
	t.Parallel()
	tally, err := newTally(Job{Minimum: 1})
	if err != nil {
		t.Fatal(err)
	}
	p := pair("/me?api_key=query-secret&next=cookie-secret", `{"echo":"none","access_token":"old-secret"}`, `{"echo":"Bearer header-secret","access_token":"new-secret"}`)
	p.Secrets = []string{"Bearer header-secret", "header-secret", "cookie-secret"}
	tally.batch(proxy.ShadowBatch{Pairs: []proxy.ShadowPair{p}})
	text, err := json.Marshal(tally.result(nil))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "-secret") || !strings.Contains(string(text), "access_token") {
		t.Errorf("result %s", text)
	}
}

// Of many requests with the same difference one is shown, and of different ones so many.
func TestResult_samples(t *testing.T) {
	t.Parallel()
	tally, err := newTally(Job{Minimum: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxSamples {
		for range 3 {
			tally.pair(pair(fmt.Sprintf("/%d?x=%d", i, i), `{"n":1}`, `{"n":`+strings.Repeat("2", 2000)+`}`))
		}
	}
	r := tally.result(nil)
	if n := len(r.Steps); n != maxSamples+3 { // the answers and two latencies
		t.Errorf("%d steps", n)
	}
	if a := r.Steps[0].Attempts[0].Assertions[0]; len(a.Left) > maxShown+10 {
		t.Errorf("a value of %d bytes", len(a.Left))
	}
}

// plane is a data plane by a script: what each call answers.
type plane struct {
	calls  []proxy.ShadowSpec
	answer func(n int, spec proxy.ShadowSpec) (proxy.ShadowBatch, error)
	ended  int
}

func (p *plane) Shadow(_ context.Context, _ string, spec proxy.ShadowSpec) (proxy.ShadowBatch, error) {
	p.calls = append(p.calls, spec)
	return p.answer(len(p.calls), spec)
}

func (p *plane) EndShadow(context.Context, string) error {
	p.ended++
	return nil
}

// TestRun: it goes on for its time, also over a data plane that is away for a while, and waits for copies on their way.
func TestRun(t *testing.T) {
	t.Parallel()
	same := pair("/", `1`, `1`)
	for name, c := range map[string]struct {
		answer  func(n int, spec proxy.ShadowSpec) (proxy.ShadowBatch, error)
		cancel  time.Duration
		want    scenario.Verdict
		message string
		lasts   time.Duration
	}{
		"goes on": {
			answer: func(n int, _ proxy.ShadowSpec) (proxy.ShadowBatch, error) {
				if n%3 == 0 {
					return proxy.ShadowBatch{}, errors.New("away")
				}
				return proxy.ShadowBatch{Epoch: fmt.Sprint(n / 3), Eligible: 100, Pairs: times(1, same)}, nil
			}, want: scenario.Pass, lasts: 10 * time.Second,
		},
		"waits for the last": {
			answer: func(n int, spec proxy.ShadowSpec) (proxy.ShadowBatch, error) {
				b := proxy.ShadowBatch{InFlight: 1}
				if spec.Percent == 0 && n > 100 {
					b = proxy.ShadowBatch{Pairs: times(20, same)}
				}
				return b, nil
			}, want: scenario.Pass, lasts: 20 * time.Second,
		},
		"gives hanging ones up": {
			answer: func(int, proxy.ShadowSpec) (proxy.ShadowBatch, error) { return proxy.ShadowBatch{InFlight: 1}, nil },
			want:   scenario.Error, message: "only 0", lasts: 10*time.Second + patience,
		},
		"is away": {
			answer: func(int, proxy.ShadowSpec) (proxy.ShadowBatch, error) {
				return proxy.ShadowBatch{}, errors.New("nobody answers")
			},
			want: scenario.Error, message: "nobody answers", lasts: 10 * time.Second,
		},
		"is known early": {
			answer: func(int, proxy.ShadowSpec) (proxy.ShadowBatch, error) {
				return proxy.ShadowBatch{Pairs: times(4, pair("/", `1`, `2`))}, nil
			}, want: scenario.Fail, lasts: time.Second,
		},
		"is ended": {
			answer: func(int, proxy.ShadowSpec) (proxy.ShadowBatch, error) {
				return proxy.ShadowBatch{Pairs: times(20, same)}, nil
			},
			cancel: 3 * time.Second, want: scenario.Error, message: "ended before its time", lasts: 3 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := filepath.Join(t.TempDir(), "r.json")
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.cancel > 0 {
					time.AfterFunc(c.cancel, cancel)
				}
				p := &plane{answer: c.answer}
				begin := time.Now()
				r, err := Run(ctx, Job{ID: "d-1/7", Blue: "b", Green: "g", Percent: 10, For: 10 * time.Second, Minimum: 10, Result: result}, p, &strings.Builder{})
				if err != nil {
					t.Fatal(err)
				}
				if r.Verdict != c.want || !strings.Contains(r.Message, c.message) {
					t.Errorf("%s %q", r.Verdict, r.Message)
				}
				if d := time.Since(begin); d < c.lasts-time.Second || d > c.lasts+time.Second {
					t.Errorf("it took %s, want about %s", d, c.lasts)
				}
				if p.ended != 1 || p.calls[0].From != "b" || p.calls[0].To != "g" || p.calls[0].Lease <= poll {
					t.Errorf("ended %d times, calls %+v", p.ended, p.calls[0])
				}
			})
		})
	}
}
