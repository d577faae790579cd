package iam

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSimulate(t *testing.T) {
	t.Parallel()
	policies := []Policy{
		policy(t, "hooks", wrap(`{"Sid":"A","Effect":"Allow","Action":"lambda:*","Resource":"arn:aws:lambda:*:*:function:CodeDeployHook_*"},`+
			`{"Sid":"B","Effect":"Allow","Action":"lambda:Invoke*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/Team}","aws:PrincipalAccount":"123456789012"}}}`)),
		policy(t, "guard", wrap(`{"Sid":"C","Effect":"Deny","Action":"lambda:Delete*","Resource":"*"}`)),
	}
	const other = "arn:aws:lambda:us-east-1:123456789012:function:other"
	got := Simulate(Simulation{
		Principal: deploy, Policies: policies, Time: noon,
		Actions: []string{"lambda:InvokeFunction", "lambda:DeleteFunction"}, Resources: []string{hook, other},
		Context: keys("AWS:principaltag/team", "x"),
	})
	type row struct {
		action, resource string
		effect           Effect
		matched          string
	}
	want := []row{
		{"lambda:InvokeFunction", hook, Allowed, "A "},
		{"lambda:InvokeFunction", other, ImplicitDeny, ""},
		{"lambda:DeleteFunction", hook, ExplicitDeny, "C "},
		{"lambda:DeleteFunction", other, ExplicitDeny, "C "},
	}
	rows := make([]row, 0, len(got))
	for _, s := range got {
		r := row{s.Action, s.Resource, s.Effect, ""}
		for _, m := range s.Matched {
			r.matched += m.Sid + " "
		}
		rows = append(rows, r)
		if diff := cmp.Diff([]string{"aws:ResourceTag/team"}, s.MissingContext); diff != "" {
			t.Error(diff)
		}
		if s.Decision.Effect != s.Effect {
			t.Errorf("decision %s, effect %s", s.Decision.Effect, s.Effect)
		}
	}
	if diff := cmp.Diff(want, rows, cmp.AllowUnexported(row{})); diff != "" {
		t.Error(diff)
	}
	if len(got[1].Decision.Missing) != 2 {
		t.Errorf("reasons: %+v", got[1].Decision.Missing)
	}
}

func TestSimulate_allThatAllow(t *testing.T) {
	t.Parallel()
	got := Simulate(Simulation{Policies: []Policy{policy(t, "a", wrap(allowAll)), policy(t, "b", wrap(allowAll))}, Actions: []string{"sns:Publish"}})
	if len(got) != 1 || got[0].Resource != "*" || len(got[0].Matched) != 2 || got[0].Matched[1].Policy != "b" || len(got[0].MissingContext) != 0 {
		t.Errorf("%+v", got)
	}
	if got = Simulate(Simulation{Policies: []Policy{policy(t, "a", wrap(allowAll))}}); len(got) != 0 {
		t.Errorf("no actions: %+v", got)
	}
}

func TestContextKeys(t *testing.T) {
	t.Parallel()
	p := policy(t, "p", wrap(`{"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::${aws:username}","arn:aws:s3:::${*}"],"Condition":{"StringLike":{"s3:prefix":["${aws:PrincipalTag/a, 'b'}","${AWS:userName}"]},"Null":{"aws:TokenIssueTime":true}}}`))
	got := ContextKeys([]Policy{{Name: "lost"}, p})
	if diff := cmp.Diff([]string{"aws:PrincipalTag/a", "aws:TokenIssueTime", "aws:username", "s3:prefix"}, got); diff != "" {
		t.Error(diff)
	}
}
