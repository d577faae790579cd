package iam

import (
	"fmt"
	"strings"
	"testing"
)

// TestCondition asks one condition on the key a:k; have is nil where the request lacks the key
// (reference_policies_elements_condition_operators).
func TestCondition(t *testing.T) {
	t.Parallel()
	none, is := []string(nil), func(values ...string) []string { return values }
	cases := []struct {
		operator, values string
		have             []string
		want             bool
	}{
		{"StringEquals", `"a"`, is("a"), true},
		{"StringEquals", `"a"`, is("A"), false},
		{"StringEquals", `"a*"`, is("ab"), false},
		{"StringEquals", `["b","a"]`, is("a"), true},
		{"StringEquals", `"a"`, none, false},
		{"StringEquals", `""`, is(""), true},
		{"stringequals", `"a"`, is("a"), true},
		{"StringEquals", `"a${*}"`, is("a*"), true},
		{"StringEquals", `5`, is("5"), true},
		{"StringEquals", `[true]`, is("true"), true},
		{"StringEqualsIfExists", `"a"`, none, true},
		{"StringEqualsIfExists", `"a"`, is("b"), false},
		{"StringEqualsIfExists", `"a"`, is("a"), true},
		{"StringNotEquals", `"a"`, is("a"), false},
		{"StringNotEquals", `"a"`, is("b"), true},
		{"StringNotEquals", `["a","b"]`, is("b"), false},
		{"StringNotEquals", `["a","b"]`, is("c"), true},
		{"StringNotEquals", `"a"`, none, true},
		{"StringNotEqualsIfExists", `"a"`, none, true},
		{"StringNotEqualsIfExists", `"a"`, is("a"), false},
		{"StringEqualsIgnoreCase", `"aB"`, is("Ab"), true},
		{"StringEqualsIgnoreCase", `"ab"`, is("abc"), false},
		{"StringNotEqualsIgnoreCase", `"aB"`, is("Ab"), false},
		{"StringNotEqualsIgnoreCase", `"aB"`, is("c"), true},
		{"StringLike", `"a*c"`, is("abc"), true},
		{"StringLike", `"a*c"`, is("ABC"), false},
		{"StringLike", `"a?c"`, is("abc"), true},
		{"StringLike", `"a?c"`, is("ac"), false},
		{"StringLike", `"*"`, is(""), true},
		{"StringLike", `"*"`, none, false},
		{"StringLike", `"a"`, is("ab"), false},
		{"StringLike", `"arn:aws:someservice:*:111122223333:finance/*"`, is("arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"), true},
		{"StringNotLike", `"a*"`, is("abc"), false},
		{"StringNotLike", `"a*"`, is("bc"), true},
		{"StringNotLike", `"a*"`, none, true},

		{"NumericEquals", `"10"`, is("10"), true},
		{"NumericEquals", `10`, is("10.0"), true},
		{"NumericEquals", `"9007199254740993"`, is("9007199254740992"), false},
		{"NumericEquals", `"10"`, is("x"), false},
		{"NumericEquals", `"10"`, none, false},
		{"NumericNotEquals", `"10"`, is("11"), true},
		{"NumericNotEquals", `"10"`, is("10"), false},
		{"NumericNotEquals", `["10","11"]`, is("11"), false},
		{"NumericLessThan", `"10"`, is("9.5"), true},
		{"NumericLessThan", `"10"`, is("10"), false},
		{"NumericLessThan", `"10"`, is("0x1"), false},
		{"NumericLessThan", `"10"`, is("NaN"), false},
		{"NumericLessThanEquals", `"10"`, is("10"), true},
		{"NumericLessThanEquals", `"10"`, is("11"), false},
		{"NumericGreaterThan", `"10"`, is("11"), true},
		{"NumericGreaterThan", `"10"`, is("10"), false},
		{"NumericGreaterThan", `"10"`, is("Inf"), false},
		{"NumericGreaterThanEquals", `"10"`, is("10"), true},
		{"NumericGreaterThanEqualsIfExists", `"10"`, none, true},
		{"NumericGreaterThanEquals", `"-1e2"`, is("-100"), true},

		{"DateEquals", `"2026-11-22T12:00:00Z"`, is("2026-11-22T13:00:00+01:00"), true},
		{"DateEquals", `"2026-11-22T12:00:00Z"`, is("1795348800"), true},
		{"DateEquals", `1795348800`, is("2026-11-22T12:00Z"), true},
		{"DateNotEquals", `"2026-11-22"`, is("2026-11-22T00:00:00Z"), false},
		{"DateNotEquals", `"2026-11-22"`, is("2026-11-23"), true},
		{"DateLessThan", `"2026-11"`, is("2026-10-31T23:59:59.999Z"), true},
		{"DateLessThan", `"2026-11"`, is("2026-11-01"), false},
		{"DateLessThanEquals", `"2026-11"`, is("2026-11-01"), true},
		{"DateGreaterThan", `"2026"`, is("2025-12-31T23:59:59Z"), false},
		{"DateGreaterThan", `"2026"`, is("2026-01-01T00:00:01Z"), true},
		{"DateGreaterThanEquals", `"2026"`, is("2026-01-01"), true},
		{"DateGreaterThan", `"2026"`, is("tomorrow"), false},
		{"DateLessThan", `"2026"`, is("tomorrow"), false},
		{"DateGreaterThan", `"2026"`, none, false},

		{"Bool", `"true"`, is("true"), true},
		{"Bool", `true`, is("True"), true},
		{"Bool", `"false"`, is("true"), false},
		{"Bool", `"false"`, is("no"), false},
		{"Bool", `"false"`, none, false},
		{"BoolIfExists", `"false"`, none, true},
		{"BoolIfExists", `"false"`, is("true"), false},

		{"BinaryEquals", `"QmluYXJ5"`, is("QmluYXJ5"), true},
		{"BinaryEquals", `"QmluYXJ5"`, is("QmluYXJ6"), false},
		{"BinaryEquals", `"QmluYXJ5"`, is("Binary"), false},
		{"BinaryEquals", `""`, is("!"), false},

		{"IpAddress", `"203.0.113.0/24"`, is("203.0.113.7"), true},
		{"IpAddress", `"203.0.113.0/24"`, is("203.0.114.7"), false},
		{"IpAddress", `"203.0.113.9/24"`, is("203.0.113.7"), true},
		{"IpAddress", `"203.0.113.7"`, is("203.0.113.7"), true},
		{"IpAddress", `"203.0.113.7"`, is("203.0.113.8"), false},
		{"IpAddress", `"203.0.113.0/24"`, is("::ffff:203.0.113.7"), true},
		{"IpAddress", `["203.0.113.0/24","2001:DB8:1234:5678::/64"]`, is("2001:db8:1234:5678::1"), true},
		{"IpAddress", `"2001:db8::1"`, is("2001:db8::1"), true},
		{"IpAddress", `"0.0.0.0/0"`, is("::1"), false},
		{"IpAddress", `"0.0.0.0/0"`, is("localhost"), false},
		{"IpAddress", `"0.0.0.0/0"`, none, false},
		{"NotIpAddress", `"203.0.113.0/24"`, is("203.0.113.7"), false},
		{"NotIpAddress", `"203.0.113.0/24"`, is("10.0.0.1"), true},
		{"NotIpAddress", `"203.0.113.0/24"`, none, true},

		{"ArnEquals", `"arn:aws:sns:us-east-1:123456789012:t"`, is("arn:aws:sns:us-east-1:123456789012:t"), true},
		{"ArnEquals", `"arn:aws:sns:*:123456789012:t*"`, is("arn:aws:sns:us-east-1:123456789012:topic"), true},
		{"ArnLike", `"arn:aws:someservice:*:111122223333:finance/*"`, is("arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"), false},
		{"ArnLike", `"arn:aws:lambda:*:*:function:a*"`, is("arn:aws:lambda:us-east-1:123456789012:function:ab:7"), true},
		{"ArnLike", `"arn:aws:lambda:*:*:function:a"`, is("arn:aws:lambda:us-east-1:123456789012:function:A"), false},
		{"ArnLike", `"arn:aws:lambda:*:*:*"`, is("not an arn"), false},
		{"ArnLike", `"arn:aws:lambda:*:*:*"`, is("arn"), false},
		{"ArnLike", `"arn:aws:lambda:*:*:*"`, is("arn:aws:lambda:us-east-1:123456789012"), false},
		{"ArnLike", `"${a:none, 'arn'}"`, is("arn"), false},
		{"ArnLike", `"${a:none, 'arn'}"`, is("arn:aws:lambda:us-east-1:123456789012:function:a"), false},
		{"ArnLike", `"${a:none, 'arn:aws:sns:us-east-1:123456789012:*'}"`, is("arn:aws:sns:us-east-1:123456789012:*"), true},
		{"ArnLike", `"${a:none, 'arn:aws:sns:us-east-1:123456789012:*'}"`, is("arn:aws:sns:us-east-1:123456789012:t"), false},
		{"ArnLike", `"arn:aws:lambda:*:*:*"`, none, false},
		{"ArnNotEquals", `"arn:aws:sns:*:*:t*"`, is("arn:aws:sns:us-east-1:123456789012:topic"), false},
		{"ArnNotLike", `"arn:aws:sns:*:*:t*"`, is("arn:aws:sns:us-east-1:123456789012:other"), true},
		{"ArnNotLike", `"arn:aws:sns:*:*:t*"`, none, true},

		{"Null", `"true"`, none, true},
		{"Null", `true`, is("x"), false},
		{"Null", `"false"`, is("x"), true},
		{"Null", `"false"`, none, false},
		{"Null", `["true","false"]`, is("x"), true},

		{"ForAllValues:StringEquals", `["a","b"]`, is("a", "b"), true},
		{"ForAllValues:StringEquals", `["a","b"]`, is("a"), true},
		{"ForAllValues:StringEquals", `["a","b"]`, is("a", "c"), false},
		{"ForAllValues:StringEquals", `["a","b"]`, none, true},
		{"ForAllValues:StringEquals", `["a","b"]`, is(""), true},
		{"ForAllValues:StringNotEquals", `["a","b"]`, is("c", "d"), true},
		{"ForAllValues:StringNotEquals", `["a","b"]`, is("c", "a"), false},
		{"ForAllValues:StringLike", `"a*"`, is("ab", "ac"), true},
		{"ForAnyValue:StringEquals", `["a","b"]`, is("c", "b"), true},
		{"ForAnyValue:StringEquals", `["a","b"]`, is("c", "d"), false},
		{"ForAnyValue:StringEquals", `["a","b"]`, none, false},
		{"ForAnyValue:StringEquals", `""`, is(""), false},
		{"ForAnyValue:StringNotEquals", `["a","b"]`, is("a", "c"), true},
		{"ForAnyValue:StringNotEquals", `["a","b"]`, is("a", "b"), false},
		{"ForAnyValue:StringNotEquals", `["a","b"]`, none, false},
		{"ForAnyValue:StringEqualsIfExists", `"a"`, none, true},
		{"ForAnyValue:ArnLike", `"arn:aws:iam::*:role/x"`, is("arn:aws:iam::123456789012:role/y", "arn:aws:iam::123456789012:role/x"), true},
		{"foranyvalue:stringlikeifexists", `"a*"`, is("b", "ab"), true},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s %s %v", c.operator, c.values, c.have), func(t *testing.T) {
			t.Parallel()
			text := wrap(fmt.Sprintf(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{%q:{"A:K":%s}}}`, c.operator, c.values))
			r := Request{Principal: alice, Action: "s3:GetObject", Resource: "*"}
			if c.have != nil {
				r.Context = map[string][]string{"a:k": c.have}
			}
			got := Evaluate(r, []Policy{policy(t, "p", text)})
			if got.Allowed() != c.want {
				t.Errorf("holds = %v, want %v: %s", got.Allowed(), c.want, got.Explain(r))
			}
			if c.want {
				return
			}
			if len(got.Missing) != 1 || got.Missing[0].Element != "Condition" || !strings.Contains(got.Missing[0].Reason, "A:K") {
				t.Errorf("reasons: %+v", got.Missing)
			}
		})
	}
}
