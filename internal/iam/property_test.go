package iam

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// statementGen draws statements over few words, so that they match often.
func statementGen() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		pick := func(name string, values ...string) string { return rapid.SampledFrom(values).Draw(t, name) }
		effect := pick("effect", "Allow", "Deny", "Allow")
		action := fmt.Sprintf("%q:%q", pick("action element", "Action", "Action", "NotAction"), pick("action", "*", "s3:*", "s3:Get*", "s3:PutObject", "sns:Publish"))
		res := fmt.Sprintf("%q:%q", pick("resource element", "Resource", "Resource", "NotResource"),
			pick("resource", "*", "arn:aws:s3:::a", "arn:aws:s3:::a*", "arn:aws:s3:::${aws:username}", "arn:aws:s3:::${a:none}", "arn:aws:s3:::${a:none, 'a'}"))
		condition := pick("condition", "", "",
			`"StringEquals":{"a:k":"1"}`, `"StringNotEquals":{"a:k":["1","2"]}`, `"StringEqualsIfExists":{"a:k":"${a:v}"}`,
			`"ForAllValues:StringLike":{"a:k":"1*"}`, `"ForAnyValue:StringNotLike":{"a:k":"1*"}`, `"Null":{"a:k":"true"}`,
			`"NumericLessThan":{"a:k":"2"}`, `"Bool":{"a:b":"true"}`)
		return fmt.Sprintf(`{"Effect":%q,%s,%s,"Condition":{%s}}`, effect, action, res, condition)
	})
}

func requestGen() *rapid.Generator[Request] {
	return rapid.Custom(func(t *rapid.T) Request {
		r := Request{
			Principal: alice,
			Action:    rapid.SampledFrom([]string{"s3:GetObject", "s3:PutObject", "sns:Publish"}).Draw(t, "action"),
			Resource:  rapid.SampledFrom([]string{"arn:aws:s3:::a", "arn:aws:s3:::ab", "arn:aws:s3:::alice", "*"}).Draw(t, "resource"),
			Context:   map[string][]string{},
		}
		if values := rapid.SliceOfN(rapid.SampledFrom([]string{"1", "2", "12"}), 0, 2).Draw(t, "a:k"); len(values) > 0 {
			r.Context["a:k"] = values
		}
		for _, key := range []string{"a:v", "a:b"} {
			if rapid.Bool().Draw(t, key) {
				r.Context[key] = []string{rapid.SampledFrom([]string{"1", "true"}).Draw(t, key)}
			}
		}
		return r
	})
}

// TestEvaluate_properties: the order of statements and of policies does not matter, nor how statements are spread over
// policies; another Deny never turns a refusal into an allow; another Allow never lifts an explicit deny; what a
// statement decides alone is what the whole is made of.
func TestEvaluate_properties(t *testing.T) {
	t.Parallel()
	var seen [3]int
	rapid.Check(t, func(rt *rapid.T) {
		statements := rapid.SliceOfN(statementGen(), 1, 6).Draw(rt, "statements")
		r := requestGen().Draw(rt, "request")
		whole := []Policy{policy(t, "p", wrap(strings.Join(statements, ",")))}
		got := Evaluate(r, whole)
		seen[slices.Index([]Effect{Allowed, ExplicitDeny, ImplicitDeny}, got.Effect)]++

		if want := fold(t, r, statements); got.Effect != want {
			rt.Fatalf("%s, its statements alone say %s", got.Effect, want)
		}
		shuffled := slices.Clone(statements)
		rand.New(rand.NewSource(rapid.Int64().Draw(rt, "seed"))).Shuffle(len(shuffled), func(i, j int) {
			shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
		})
		cut := rapid.IntRange(0, len(shuffled)-1).Draw(rt, "cut")
		spread := []Policy{policy(t, "b", wrap(strings.Join(shuffled[cut:], ",")))}
		if cut > 0 {
			spread = append(spread, policy(t, "a", wrap(strings.Join(shuffled[:cut], ","))))
		}
		if other := Evaluate(r, spread); other.Effect != got.Effect {
			rt.Fatalf("%s, in another order %s", got.Effect, other.Effect)
		}

		extra := statementGen().Draw(rt, "extra")
		denied := strings.Replace(extra, `"Effect":"Allow"`, `"Effect":"Deny"`, 1)
		if more := Evaluate(r, append(whole, policy(t, "deny", wrap(denied)))); !got.Allowed() && more.Allowed() {
			rt.Fatalf("a further deny allowed: %s", denied)
		}
		allowed := strings.Replace(extra, `"Effect":"Deny"`, `"Effect":"Allow"`, 1)
		if more := Evaluate(r, append(whole, policy(t, "allow", wrap(allowed)))); got.Effect == ExplicitDeny && more.Effect != ExplicitDeny {
			rt.Fatalf("a further allow lifted a deny: %s", allowed)
		}
	})
	for i, n := range seen {
		if n == 0 {
			t.Errorf("no run ended with effect %d", i)
		}
	}
}

// fold decides by the answers of each statement alone.
func fold(t *testing.T, r Request, statements []string) Effect {
	t.Helper()
	result := ImplicitDeny
	for _, s := range statements {
		switch Evaluate(r, []Policy{policy(t, "one", wrap(s))}).Effect {
		case ExplicitDeny:
			return ExplicitDeny
		case Allowed:
			result = Allowed
		case ImplicitDeny:
		}
	}
	return result
}

// TestEvaluate_requestIsNotChanged: documents and requests are shared by goroutines.
func TestEvaluate_requestIsNotChanged(t *testing.T) {
	t.Parallel()
	r := Request{Principal: ServicePrincipal("codedeploy", "us-east-1"), Action: "S3:GetObject", Resource: "*", Time: noon, Context: map[string][]string{
		"A:K": make([]string, 1, 8), "a:k": {"x"},
	}}
	p := []Policy{policy(t, "p", wrap(allowAll))}
	done := make(chan Decision)
	for range 4 {
		go func() { done <- Evaluate(r, p) }()
	}
	for range 4 {
		if d := <-done; !d.Allowed() {
			t.Errorf("%+v", d)
		}
	}
	if len(r.Context) != 2 || r.Context["A:K"][0] != "" || r.Context["A:K"][:2][1] != "" || r.Action != "S3:GetObject" {
		t.Errorf("%+v", r)
	}
}
