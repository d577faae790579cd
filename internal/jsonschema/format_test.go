package jsonschema

import "testing"

func TestFormat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ good, bad []string }{
		"date-time": {
			[]string{"2026-11-28T07:00:00Z", "2026-11-28t07:00:00.123z", "2026-11-28T07:00:00+05:30", "1998-12-31T23:59:60Z", "1998-12-31T15:59:60.1-08:00"},
			[]string{"", "2026-11-28", "2026-11-28 07:00:00Z", "2026-11-28T07:00:00", "2026-02-30T07:00:00Z", "2026-11-28T24:00:00Z", "1998-12-31T22:59:60Z", "2026-11-28T7:00:00Z"},
		},
		"date":          {[]string{"2024-02-29"}, []string{"2026-02-29", "2026-2-9", "20260209", "2026-11-28T"}},
		"time":          {[]string{"07:00:00Z", "23:59:60Z", "07:00:00.5-01:00"}, []string{"07:00:00", "7:00:00Z", "07:00Z", "07:00:61Z", "07:00:00,5Z", "07:00:00+25:00"}},
		"email":         {[]string{"a@b.test", "a.b+c@localhost", `"a b"@b.test`, "a@[127.0.0.1]", "a@[IPv6:::1]"}, []string{"", "a", "@b", "a@", "a b@c", ".a@b", "a..b@c", "a@b_c", "a@[::1]", "a@[1.2.3]", "<a@b>"}},
		"hostname":      {[]string{"a", "a.b-c.test", "1.test"}, []string{"", "-a", "a-", "a..b", "a_b", "é.test", ".a"}},
		"ipv4":          {[]string{"127.0.0.1"}, []string{"", "127.0.0", "256.0.0.1", "01.0.0.1", "::1", "1.2.3.4/8"}},
		"ipv6":          {[]string{"::1", "::ffff:1.2.3.4"}, []string{"", "127.0.0.1", "fe80::1%eth0", "[::1]", ":::1"}},
		"uri":           {[]string{"http://a.test/b?c#d", "urn:a:b", "mailto:a@b", "http://[::1]:80/"}, []string{"", "/a", "a b:", "http://a b", `\\a\b`, "http://é.test", ":a", "http://a:b:c/"}},
		"uri-reference": {[]string{"", "/a", "#b", "http://a.test", "a/b?c"}, []string{"a b", `\a`, "%zz", "{a}"}},
		"uuid":          {[]string{"2EB8AA08-AA98-11EA-B4AA-73B441D16380", "00000000-0000-0000-0000-000000000000"}, []string{"", "2eb8aa08aa9811eab4aa73b441d16380", "2eb8aa08-aa98-11ea-b4aa-73b441d1638g", "2eb8aa08-aa98-11ea-b4aa73b441d16380"}},
		"regex":         {[]string{"", "^a+$", `\u0061`, `\cJ`}, []string{"(", "a{2,1}", "[b-a]"}},
		"json-pointer":  {[]string{"", "/", "/a/b~0~1"}, []string{"a", "/~", "/~2", "#/a"}},
		"duration": {
			[]string{"P1Y2M3DT4H5M6S", "P0D", "PT36H", "P1W", "P1DT12H", "PT1M30S"},
			[]string{"", "P", "PT", "P1", "P1DT", "T1S", "P1D2H", "P1Y3D", "PT1H1S", "P1W2D", "P1WT1H", "P2D1Y", "P1YT", "P-1D", "PT0.5S", "1D", "P1d"},
		},
		"iri":                   {[]string{"http://é.test/ä?ö", "urn:ä"}, []string{"", "ä", "http://a b", `http://a\b`, "http://a/\xff"}},
		"iri-reference":         {[]string{"", "ä/b", "#ö"}, []string{"a b", "{a}", "\xff"}},
		"relative-json-pointer": {[]string{"0", "1/a", "10#", "0/a/~1"}, []string{"", "/a", "01", "-1", "1a", "0##", "0/~"}},
		"byte":                  {[]string{"", "YQ==", "YWJj"}, []string{"YQ", "Y", "a b", "YQ==="}},
	} {
		s := compile(t, `{"format":"`+name+`"}`)
		for _, v := range c.good {
			if faults := s.Validate(v); len(faults) > 0 {
				t.Errorf("%s: %v", name, faults)
			}
		}
		for _, v := range c.bad {
			if len(s.Validate(v)) == 0 {
				t.Errorf("%s takes %q", name, v)
			}
		}
		if faults := s.Validate(1); len(faults) > 0 {
			t.Errorf("%s is about numbers: %v", name, faults)
		}
		for _, draft := range []string{"https://json-schema.org/draft/2019-09/schema", "http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-06/schema#"} {
			if len(compile(t, `{"$schema":"`+draft+`","format":"`+name+`"}`).Validate(c.bad[len(c.bad)-1])) == 0 {
				t.Errorf("%s is not asserted in %s", name, draft)
			}
		}
	}
	if n := len(textFormats()); n != 17 {
		t.Errorf("%d formats are about texts; those above are all", n)
	}
}

// TestFormat_number: the formats of OpenAPI that are about numbers.
func TestFormat_number(t *testing.T) {
	t.Parallel()
	for schema, c := range map[string]struct{ good, bad string }{
		`{"format":"int32"}`:  {`[0, 2147483647, -2147483648, 1.0, 2e9, "a", null]`, `[2147483648, -2147483649, 1.5, 1e10]`},
		`{"format":"int64"}`:  {`[0, 9223372036854775807, -9223372036854775808]`, `[9223372036854775808, -9223372036854775809, 0.1, 1e999999999]`},
		`{"format":"double"}`: {`[0, 1.5, 1e400, "a"]`, `[]`},
	} {
		s := compile(t, schema)
		for _, bad := range []bool{false, true} {
			text := c.good
			if bad {
				text = c.bad
			}
			values, err := decode([]byte(text))
			list, _ := values.([]any)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range list {
				if faults := s.Validate(v); (len(faults) > 0) != bad {
					t.Errorf("%s of %v: %v", schema, v, faults)
				}
			}
		}
	}
}

func TestECMA(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		`a\u00e9b`: `a\x{00e9}b`, `\\u0061`: `\\u0061`, `\cJ`: `\x{a}`, `\d\.`: `\d\.`, `\u12`: `\u12`, `\c`: `\c`, `[\u0041-\u005A]é`: `[\x{0041}-\x{005A}]é`,
	} {
		if got := ecma(expr); got != want {
			t.Errorf("%s became %s, want %s", expr, got, want)
		}
	}
}

// FuzzFormat: no text makes a format fall over, and none but its own is taken by an exact one.
func FuzzFormat(f *testing.F) {
	for _, s := range []string{"", "2026-11-28T07:00:00Z", "a@[IPv6:::1]", "23:59:60Z", "~", `\u0061`, "é.test", "http://[::1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		all := textFormats()
		for _, is := range all {
			is(s)
		}
		if isTime(s) != isDateTime("2026-11-28T"+s) {
			t.Errorf("%q is a time in one of two ways", s)
		}
		for special, general := range map[string]string{"uri": "iri", "uri-reference": "iri-reference", "iri": "iri-reference"} {
			if all[special](s) && !all[general](s) {
				t.Errorf("%q is of %s and not of %s", s, special, general)
			}
		}
	})
}
