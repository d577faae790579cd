package iam

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParse_faults gives documents with all the faults that must be told, each as path and the begin of its message.
func TestParse_faults(t *testing.T) {
	t.Parallel()
	const ok = `"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`
	const trust = `"Effect":"Allow","Principal":{"Service":"codedeploy.amazonaws.com"},"Action":"sts:AssumeRole"`
	cases := []struct {
		name string
		kind Kind
		text string
		want []string
	}{
		{"not JSON", KindInline, `{"Version":"2012-10-17",` + "\n" + ` "Statement": [}`, []string{"|the document is not valid JSON at line 2, column 16: "}},
		{"nothing", KindInline, ``, []string{"|the document is not valid JSON at line 1, column 1: "}},
		{"two documents", KindInline, `{} {}`, []string{"|the document is not valid JSON at line 1, column 4: "}},
		{"a list", KindInline, `[]`, []string{"|a policy document is an object, not a list"}},
		{"null", KindInline, `null`, []string{"|a policy document is an object, not null"}},
		{"no statement", KindInline, `{}`, []string{"Statement|is missing"}},
		{"empty statements", KindInline, `{"Statement":[]}`, []string{"Statement|is empty"}},
		{"statement is text", KindInline, `{"Statement":"x"}`, []string{"Statement|must be an object or a list"}},
		{"statements are text", KindInline, `{"Statement":["x",{` + ok + `}]}`, []string{"Statement[0]|must be an object, not a string"}},
		{"too deep", KindInline, `{"Id":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`, []string{"|the document is nested too deeply"}},
		{"character", KindInline, `{"Id":"€"}`, []string{"|the document holds the character U+20AC"}},
		{"control character", KindInline, "{\"Id\":\"a\x00\"}", []string{"|the document holds the character U+0000"}},
		{"version", KindInline, `{"Version":"2012-10-18","Statement":{` + ok + `}}`, []string{`Version|"2012-10-18" is no version of the policy language: write "2012-10-17"`}},
		{"version is a number", KindInline, `{"Version":2012,"Statement":{` + ok + `}}`, []string{`Version|must be a string, not a number`}},
		{"unknown keys", KindInline, `{"version":"2012-10-17","Statement":{` + ok + `,"Actions":"x"}}`, []string{
			"version|is no element of a policy: did you mean Version?", "Statement.Actions|is no element of a policy: known are Sid, ",
		}},
		{"duplicate keys", KindInline, `{"Id":"a","Id":"b","Statement":[{` + ok + `,"Effect":"Deny","Condition":{"StringEquals":{"a:b":"1","a:b":"2"}}}]}`, []string{
			"Id|stands here twice", "Statement[0].Effect|stands here twice", "Statement[0].Condition.StringEquals.a:b|stands here twice",
		}},
		{"sids", KindInline, wrap(`{"Sid":"A",` + ok + `},{"Sid":"A",` + ok + `},{"Sid":"a b",` + ok + `},{"Sid":"",` + ok + `},{"Sid":"",` + ok + `},{"Sid":7,` + ok + `}`), []string{
			`Statement[2].Sid|"a b" may hold letters and digits only`, `Statement[5].Sid|must be a string, not a number`, `Statement[1].Sid|"A" is the Sid of Statement[0] already`,
		}},
		{"effect", KindInline, wrap(`{"Action":"s3:*","Resource":"*"},{"Effect":"allow","Action":"s3:*","Resource":"*"},{"Effect":true,"Action":"s3:*","Resource":"*"}`), []string{
			"Statement[0].Effect|is missing", `Statement[1].Effect|"allow" is no effect: write Allow or Deny`, "Statement[2].Effect|must be a string, not a boolean",
		}},
		{"no action, no resource", KindInline, wrap(`{"Effect":"Allow"}`), []string{
			"Statement[0].Action|is missing: a statement needs Action or NotAction", "Statement[0].Resource|is missing: a statement needs Resource or NotResource",
		}},
		{"both of a pair", KindInline, wrap(`{` + ok + `,"NotAction":"s3:*","NotResource":"*"}`), []string{
			"Statement[0].NotAction|stands beside Action", "Statement[0].NotResource|stands beside Resource",
		}},
		{"actions", KindInline, wrap(`{"Effect":"Allow","Action":["GetObject",":x","s3:","s*:Get","s3:Get Object","s3:${a:b}",7,"s3:Get*","*"],"Resource":"*"}`), []string{
			`Statement[0].Action[0]|"GetObject" must be a service, a colon and an action`, `Statement[0].Action[1]|":x" must be a service`,
			`Statement[0].Action[2]|"s3:" must be a service`, `Statement[0].Action[3]|"s*:Get": the service before the colon`, `Statement[0].Action[4]|"s3:Get Object": the action after the colon`,
			`Statement[0].Action[5]|"s3:${a:b}": the action after the colon`, `Statement[0].Action[6]|must be a string, not a number`,
		}},
		{"empty lists", KindInline, wrap(`{"Effect":"Allow","Action":[],"Resource":[],"Condition":{"StringEquals":{"a:b":[]}}}`), []string{
			"Statement[0].Action|is empty", "Statement[0].Resource|is empty", "Statement[0].Condition.StringEquals.a:b|is empty",
		}},
		{"resources", KindInline, wrap(`{"Effect":"Allow","Action":"*","Resource":["bucket","a*","arn:aws:s3","arn:aws:s3:*","arn:aws:s3:::${x}","arn:aws:s3:::${a:b","arn:aws:s3:::${a:b 'c'}","arn:aws:iam::${aws:PrincipalAccount}:role/x",null,"arn:aws:s3:::${a:b, 'c}"]}`), []string{
			`Statement[0].Resource[0]|"bucket" must be an ARN`, `Statement[0].Resource[1]|"a*" must be an ARN`, `Statement[0].Resource[2]|"arn:aws:s3" must be an ARN`,
			`Statement[0].Resource[4]|"arn:aws:s3:::${x}": a policy variable must name a context key`, `Statement[0].Resource[5]|"arn:aws:s3:::${a:b": a policy variable begins with`,
			`Statement[0].Resource[6]|"arn:aws:s3:::${a:b 'c'}": the default of a policy variable`, `Statement[0].Resource[7]|"arn:aws:iam::${aws:PrincipalAccount}:role/x": a policy variable may stand after the fifth colon only`,
			"Statement[0].Resource[8]|must be a string, not null", `Statement[0].Resource[9]|"arn:aws:s3:::${a:b, 'c}": the default of a policy variable`,
		}},
		{"long pattern", KindInline, wrap(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::` + strings.Repeat("a", MaxPattern) + `"}`), []string{
			"Statement[0].Resource|has 2061 characters, at most 2048 are allowed",
		}},
		{"principal in a permissions policy", KindManaged, wrap(`{` + ok + `,"Principal":"*"},{` + ok + `,"NotPrincipal":{"AWS":"*"}}`), []string{
			"Statement[0].Principal|a permissions policy has no principal", "Statement[1].NotPrincipal|a permissions policy has no principal",
		}},
		{"conditions", KindInline, wrap(`{` + ok + `,"Condition":"x"},{` + ok + `,"Condition":{"Equals":{"a:b":"c"},"NullIfExists":{"a:b":"true"},"ForAnyValue:Null":{"a:b":"true"},"NumericAbout":{"a:b":"1"},"StringEquals":"x","StringLike":{"nokey":"x","a:b":null,"a:c":["x",{}]}}}`), []string{
			"Statement[0].Condition|must be an object of operators, not a string", "Statement[1].Condition.Equals|is no condition operator", "Statement[1].Condition.NullIfExists|is no condition operator",
			"Statement[1].Condition.ForAnyValue:Null|is no condition operator", "Statement[1].Condition.NumericAbout|is no condition operator", "Statement[1].Condition.StringEquals|must be an object of condition keys, not a string",
			"Statement[1].Condition.StringLike.nokey|is no condition key", "Statement[1].Condition.StringLike.a:b|must be a string, not null", "Statement[1].Condition.StringLike.a:c[1]|must be a string, not an object",
		}},
		{"values of conditions", KindInline, wrap(`{` + ok + `,"Condition":{"NumericEquals":{"a:b":["x","1","${a:b}","0x1"]},"DateLessThan":{"a:b":"tomorrow"},"Bool":{"a:b":["yes","${a:b}"]},"BinaryEquals":{"a:b":"!"},"IpAddress":{"a:b":["10.0.0.0/33","fe80::1%eth0","::ffff:10.0.0.0/104"]},"ArnLike":{"a:b":["arn:aws:s3","${a:b}"]},"Null":{"a:b":"1"}}}`), []string{
			`Statement[0].Condition.NumericEquals.a:b[0]|"x" is not a number`, `Statement[0].Condition.NumericEquals.a:b[2]|"${a:b}" is not a number`, `Statement[0].Condition.NumericEquals.a:b[3]|"0x1" is not a number`,
			`Statement[0].Condition.DateLessThan.a:b|"tomorrow" is not a date`, `Statement[0].Condition.Bool.a:b[0]|"yes" is not true or false`, `Statement[0].Condition.BinaryEquals.a:b|"!" is not base64`,
			`Statement[0].Condition.IpAddress.a:b[0]|"10.0.0.0/33" is not an IP address`, `Statement[0].Condition.IpAddress.a:b[1]|"fe80::1%eth0" is not an IP address`, `Statement[0].Condition.IpAddress.a:b[2]|"::ffff:10.0.0.0/104" is not an IP address`,
			`Statement[0].Condition.ArnLike.a:b[0]|"arn:aws:s3" is not an ARN of six fields`, `Statement[0].Condition.Null.a:b|"1" is not true or false`,
		}},

		{"trust without principal", KindTrust, wrap(`{"Effect":"Allow","Action":"sts:AssumeRole"}`), []string{"Statement[0].Principal|is missing: a statement needs Principal or NotPrincipal"}},
		{"trust with resource", KindTrust, wrap(`{` + trust + `,"Resource":"*"}`), []string{"Statement[0].Resource|a trust policy has no resource"}},
		{"trust with another action", KindTrust, wrap(`{"Effect":"Allow","Principal":"*","Action":["sts:AssumeRole","s3:*","*"]}`), []string{
			`Statement[0].Action[1]|"s3:*": a trust policy may name actions of sts only`, `Statement[0].Action[2]|"*": a trust policy may name actions of sts only`,
		}},
		{"principals", KindTrust, wrap(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":["12345","arn:aws:iam::123456789012:user/*","arn:aws:iam::123456789012:group/g","arn:aws:s3:::b","arn:aws:iam::123456789012:user/a","*","arn:aws:iam::12:user/a","arn:aws:s3::123456789012:user/a"],"Service":["codedeploy","*.amazonaws.com",7],"CanonicalUser":"x"}}`), []string{
			"Statement[0].Principal.CanonicalUser|is no element of a policy: known are AWS, Service, Federated",
			`Statement[0].Principal.AWS[0]|"12345" is no principal`, `Statement[0].Principal.AWS[1]|"arn:aws:iam::123456789012:user/*": a wildcard cannot stand`, `Statement[0].Principal.AWS[2]|"arn:aws:iam::123456789012:group/g" is neither a user nor a role`,
			`Statement[0].Principal.AWS[3]|"arn:aws:s3:::b" is no principal`, `Statement[0].Principal.AWS[6]|"arn:aws:iam::12:user/a" is no principal`, `Statement[0].Principal.AWS[7]|"arn:aws:s3::123456789012:user/a" is no principal`, `Statement[0].Principal.Service[0]|"codedeploy" is no service principal`,
			`Statement[0].Principal.Service[1]|"*.amazonaws.com" is no service principal`, `Statement[0].Principal.Service[2]|must be a string, not a number`,
		}},
		{"no principals", KindTrust, wrap(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{}},{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"123456789012"},{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":[]}}`), []string{
			"Statement[0].Principal|is empty", `Statement[1].Principal|must be "*" or an object`, "Statement[2].Principal.AWS|is empty",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(c.kind, c.text)
			var malformed *MalformedError
			if !errors.As(err, &malformed) || doc != nil {
				t.Fatalf("document %v, error %v", doc, err)
			}
			got := make([]string, 0, len(malformed.Faults))
			for i, f := range malformed.Faults {
				line := f.Path + "|" + f.Message
				if i < len(c.want) && strings.HasPrefix(line, c.want[i]) {
					line = c.want[i]
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMalformedError_text(t *testing.T) {
	t.Parallel()
	_, err := Parse(KindInline, wrap(`{"Effect":"Allow","Action":"x","Resource":"*"},{"Effect":"Allow","Action":"s3:*"}`))
	const want = `Statement[0].Action: "x" must be a service, a colon and an action, such as lambda:InvokeFunction, or *; ` +
		`Statement[1].Resource: is missing: a statement needs Resource or NotResource`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	_, err = Parse(KindInline, wrap(`{"Effect":"Allow","Action":[`+strings.Repeat(`"x",`, 25)+`"x"],"Resource":"*"}`))
	if err == nil || !strings.HasSuffix(err.Error(), "; and 6 more") {
		t.Errorf("many faults: %v", err)
	}
}

// TestParse_accepts holds what must be taken.
func TestParse_accepts(t *testing.T) {
	t.Parallel()
	inline := []string{
		`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`,
		`{"Id":"with an id","Version":"2008-10-17","Statement":[{"Effect":"Deny","NotAction":"iam:*","NotResource":["*"]}]}`,
		wrap(`{"Sid":"","Effect":"Allow","Action":"s3-object-lambda:Get*","Resource":"arn:aws:s3:::x*"}`),
		wrap(`{"Effect":"Allow","Action":"lambda:*","Resource":["arn:aws:lambda:*","arn:*","arn:aws:lambda:::function:a:b:c"]}`),
		wrap(`{"Effect":"Allow","Action":"*:*","Resource":"*","Condition":{}}`),
		wrap(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{},"Bool":{"a:b":"${a:c}"},"ArnLike":{"a:b":"${aws:PrincipalArn}"}}}`),
		wrap(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${ aws:PrincipalTag/cost center , 'a}b'}x"}`),
		`{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:${x::y"}}`,
		" \n\t{\"Statement\":\r\n{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}} \n",
	}
	for _, text := range inline {
		if _, err := Parse(KindInline, text); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
	trust := []string{
		`{"AWS":"123456789012"}`, `{"AWS":["arn:aws:iam::123456789012:root","*"]}`, `"*"`, `{"Service":["codedeploy.amazonaws.com","codedeploy.us-east-1.amazonaws.com"]}`,
		`{"AWS":"arn:aws-cn:iam::123456789012:role/a/b"}`, `{"AWS":"AROAEXAMPLEDEPLOY001"}`, `{"Federated":"arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"}`,
		`{"AWS":"arn:aws:sts::123456789012:assumed-role/r/s"}`, `{"Service":"ecs-tasks.amazonaws.com.cn"}`,
	}
	for _, principal := range trust {
		for _, element := range []string{"Principal", "NotPrincipal"} {
			text := wrap(fmt.Sprintf(`{"Effect":"Allow",%q:%s,"Action":["sts:AssumeRole","sts:TagSession"]}`, element, principal))
			if _, err := Parse(KindTrust, text); err != nil {
				t.Errorf("%s\n%v", text, err)
			}
		}
	}
}

// TestParse_limits: white space does not count (reference_policies_grammar).
func TestParse_limits(t *testing.T) {
	t.Parallel()
	for kind, limit := range map[Kind]int{KindManaged: 6144, KindInline: 10240, KindTrust: 2048} {
		statement := `{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`
		if kind == KindTrust {
			statement = `{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"}`
		}
		base := `{"Id":"%s","Statement":` + statement + `}`
		room := limit - Size(fmt.Sprintf(base, ""))
		if _, err := Parse(kind, fmt.Sprintf(base, strings.Repeat("é", room))+strings.Repeat(" \n\t\r", 9000)); err != nil {
			t.Errorf("%s at its limit: %v", kind, err)
		}
		_, err := Parse(kind, fmt.Sprintf(base, strings.Repeat("a", room+1)))
		var over *LimitError
		if !errors.As(err, &over) || over.Size != limit+1 || over.Max != limit || over.Kind != kind {
			t.Errorf("%s over its limit: %v", kind, err)
		}
		if _, err = Parse(kind, strings.Repeat(" ", MaxText+1)); !errors.As(err, &over) {
			t.Errorf("%s of white space: %v", kind, err)
		}
	}
}

func TestParse_positions(t *testing.T) {
	t.Parallel()
	text := "{\n  \"Statement\": [\n    {\"Effect\":\"Deny\",\"Action\":\"s3:*\",\"Resource\":\"*\"},\n    {\n      \"Effect\":\"Allow\",\"Action\":\"sns:*\",\"Resource\":\"*\"\n    }]}"
	got := Evaluate(Request{Action: "sns:Publish", Resource: "*"}, []Policy{policy(t, "p", text)}).Statement
	want := Statement{Policy: "p", Index: 1, Start: Position{Line: 4, Column: 5}, End: Position{Line: 6, Column: 6}}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
