package iam

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse: reading ends, tells faults or a usable document, and a document decides the same twice.
func FuzzParse(f *testing.F) {
	for _, m := range ManagedPolicies() {
		f.Add(m.Text, "s3:GetObject", "arn:aws:s3:::rev/a", "x")
	}
	f.Add(wrap(allowAll), "s3:GetObject", "*", "")
	f.Add(wrap(`{"Effect":"Allow","Principal":{"AWS":["123456789012","*"],"Service":"a.amazonaws.com"},"Action":"sts:AssumeRole"}`), "sts:AssumeRole", "*", "")
	f.Add(wrap(`{"Effect":"Deny","NotAction":"s3:*","NotResource":"arn:aws:s3:::${a:k, 'x'}${*}","Condition":{"ForAnyValue:StringLikeIfExists":{"a:k":["*",5,true]},"IpAddress":{"a:k":"10.0.0.0/8"}}}`), "a:b", "arn:aws:s3:::x*", "x")
	f.Add(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"a:k":"2026"},"NumericEquals":{"a:k":1e9},"ArnLike":{"a:k":"arn:*:*:*:*:*"}}}}`, "a:b", "*", "1")
	f.Add(`{"a":1,"a":2}`, "", "", "")
	f.Fuzz(func(t *testing.T, text, action, res, value string) {
		r := Request{Principal: alice, Action: action, Resource: res, Context: keys("a:k", value)}
		for _, kind := range []Kind{KindManaged, KindInline, KindTrust} {
			doc, err := Parse(kind, text)
			if err != nil {
				checkParseError(t, doc, err)
				continue
			}
			if doc.Len() == 0 || doc.Kind() != kind || doc.Version() == "" || Size(text) > kind.limit() {
				t.Fatalf("%s: %+v", kind, doc)
			}
			p := Policy{Name: "p", Document: doc}
			if kind == KindTrust {
				CanAssume(alice, p, action, r.Context)
				continue
			}
			first, second := Evaluate(r, []Policy{p}), Evaluate(r, []Policy{p})
			if first.Effect != second.Effect || first.Statement != second.Statement || first.Explain(r) != second.Explain(r) {
				t.Fatalf("%+v, then %+v", first, second)
			}
			ContextKeys([]Policy{p})
		}
	})
}

func checkParseError(t *testing.T, doc *Document, err error) {
	t.Helper()
	var malformed *MalformedError
	var over *LimitError
	switch {
	case doc != nil:
		t.Fatalf("a document and %v", err)
	case errors.As(err, &malformed):
		if len(malformed.Faults) == 0 || malformed.Error() == "" {
			t.Fatal("malformed without a fault")
		}
	case !errors.As(err, &over):
		t.Fatalf("another error: %v", err)
	}
}

// FuzzGlob: both matchers agree, and agree with trying all ways where these are few.
func FuzzGlob(f *testing.F) {
	f.Add("arn:aws:s3:::*/CodeDeploy/*", "arn:aws:s3:::rev/CodeDeploy/appspec.yaml")
	f.Add("a*b?c*:d", "axbxc:d")
	f.Add("*:*?:**", "::::")
	f.Fuzz(func(t *testing.T, pattern, value string) {
		if len(pattern) > 512 || len(value) > 512 || !utf8.ValidString(pattern) || !utf8.ValidString(value) {
			t.Skip("bounded so that the comparison is quick")
		}
		for _, g := range []glob{compileText(pattern), compileResource(template{{text: pattern}})} {
			got := g.match([]rune(value))
			if got != g.matchBound([]rune(value)) {
				t.Fatalf("match(%q, %q) = %v, matchBound differs", pattern, value, got)
			}
			if strings.Count(pattern, "*") <= 4 && len(value) <= 24 && got != reference(g, []rune(value)) {
				t.Fatalf("match(%q, %q) = %v, trying all ways differs", pattern, value, got)
			}
		}
		if !compile(template{{text: value, fixed: true}}).match([]rune(value)) {
			t.Fatalf("%q does not match itself", value)
		}
	})
}

// FuzzTemplate: variables are found or refused, and what is not a variable stays as it is.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"", "a", "${aws:username}", "${a:b, 'c'}x", "${*}${?}${$}", "${", "${}", "$${a:b}", "${a:b, 'c}", "${a:b,'}'}"} {
		f.Add(text, "v")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		parts, err := parseTemplate(text, Version2012)
		if err != nil {
			return
		}
		expanded, missing := parts.expand(lookup{"a:b": {value}})
		if missing == "" && !strings.Contains(text, "${") && expanded.join() != text {
			t.Fatalf("%q became %q", text, expanded.join())
		}
		if missing != "" && !parts.variable() {
			t.Fatalf("%q has no variable and misses %q", text, missing)
		}
		if old, _ := parseTemplate(text, Version2008); old.join() != text {
			t.Fatalf("%q became %q in 2008", text, old.join())
		}
	})
}
