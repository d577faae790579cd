package preflight

import (
	"net/url"
	"testing"
)

func TestTrusts(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]string{
		`{"Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}}`:                  "yes",
		`{"Statement": [{"Effect": "Allow", "Principal": {"Service": ["x", "lambda.eu-west-1.amazonaws.com"]}, "Action": ["a", "sts:*"]}]}`: "yes",
		`{"Statement": [{"Effect": "Deny", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}`:                 "no",
		`{"Statement": [{"Effect": "Allow", "Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole"}]}`:            "no",
		`{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}]}`:          "no",
		`{"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:TagSession"}]}`:                "no",
		`{}`: "no",
		`{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}`: "unclear",
		`{`: "unclear",
	} {
		trusted, err := trusts(url.QueryEscape(policy), "lambda.amazonaws.com")
		got := map[bool]string{true: "yes", false: "no"}[trusted]
		if err != nil {
			got = "unclear"
		}
		if got != want {
			t.Errorf("%s: %s, want %s (%v)", policy, got, want, err)
		}
	}
}

func TestFunctionName(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"check": "check", "check:live": "check", "function:check": "check",
		"arn:aws:lambda:eu-west-1:000000000000:function:check:7": "check", "000000000000:function:check": "check",
	} {
		if got := FunctionName(ref); got != want {
			t.Errorf("%s: %q, want %q", ref, got, want)
		}
	}
}
