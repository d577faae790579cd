package iam

import (
	"testing"
	"time"
)

const (
	account = "123456789012"
	hook    = "arn:aws:lambda:us-east-1:123456789012:function:CodeDeployHook_check"
	group   = "arn:aws:codedeploy:us-east-1:123456789012:deploymentgroup:shop/prod"
)

var (
	alice  = Principal{ARN: "arn:aws:iam::123456789012:user/team/alice", UserID: "AIDAEXAMPLEALICE0001"}
	deploy = Principal{ARN: "arn:aws:iam::123456789012:role/ci/deploy"}
	runner = Principal{
		ARN:     "arn:aws:sts::123456789012:assumed-role/deploy/build-7",
		RoleARN: "arn:aws:iam::123456789012:role/ci/deploy",
		UserID:  "AROAEXAMPLEDEPLOY001:build-7",
	}
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// wrap makes a document of statements.
func wrap(statements string) string {
	return `{"Version":"2012-10-17","Statement":[` + statements + `]}`
}

func policy(t *testing.T, name, text string) Policy {
	t.Helper()
	return parsed(t, KindInline, name, text)
}

func parsed(t *testing.T, kind Kind, name, text string) Policy {
	t.Helper()
	doc, err := Parse(kind, text)
	if err != nil {
		t.Fatalf("parse %s: %v\n%s", name, err, text)
	}
	return Policy{Name: name, Document: doc}
}

// keys makes a context of pairs.
func keys(pairs ...string) map[string][]string {
	ctx := map[string][]string{}
	for i := 0; i < len(pairs); i += 2 {
		ctx[pairs[i]] = append(ctx[pairs[i]], pairs[i+1])
	}
	return ctx
}
