package scenario

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// TestMask_forms: a secret is taken out in whatever way somebody escaped it, and nothing else is.
func TestMask_forms(t *testing.T) {
	t.Parallel()
	const secret = `p@ss/w"o\rd +ü<😀>&%41`
	m := &masker{}
	m.add(secret)
	twice := func(f func(string) string) string { return f(f(secret)) }
	inner := func(s string) string { return inJSON(s, false) }
	for name, form := range map[string]string{
		"raw": secret, "query": url.QueryEscape(secret), "segment": url.PathEscape(secret), "path": (&url.URL{Path: secret}).EscapedPath(),
		"lower case": strings.ToLower(url.QueryEscape("x"))[1:] + lowerPercent(secret), "query twice": twice(url.QueryEscape),
		"JSON": inner(secret), "JSON with <": inJSON(secret, true), "JSON twice": twice(inner), "JSON four times": inner(inner(twice(inner))),
		"ASCII JSON": inASCII(secret), "ASCII JSON in JSON": inner(inASCII(secret)), "JSON with /": strings.ReplaceAll(inASCII(secret), "/", `\/`),
		"HTML": html.EscapeString(secret), "HTML by name": strings.ReplaceAll(html.EscapeString(secret), "&#34;", "&quot;"),
		"HTML of JSON": html.EscapeString("p@ss/w") + `\&quot;o\\rd +ü&lt;😀&gt;&amp;%41`, "hexadecimal": fmt.Sprintf("%x", secret),
		"Latin-1": asLatin1(secret), "Latin-1 in JSON": inASCII(asLatin1(secret)), "every byte": percentAll(secret), "quoted percent": strings.ReplaceAll(percentAll(secret), "%", "%25"),
	} {
		for _, around := range [][2]string{{"", ""}, {"a ", " z"}, {`{"k":"`, `"}`}, {"?s=", "&t=%20"}, {"%", "%"}, {`\\`, `\n`}, {"p@", "p"}} {
			if got, want := m.text(around[0]+form+around[1]), around[0]+masked+around[1]; got != want && name != "HTML of JSON" {
				t.Errorf("%s: %q became %q, want %q", name, around[0]+form+around[1], got, want)
			}
		}
	}
	for _, other := range []string{
		secret[:len(secret)-1], secret[1:], strings.ToUpper(secret), url.QueryEscape(secret[:len(secret)-2]), "%", `\`, "&", "+", `\u`, `\u00`, "%2", "&#", `p\`,
	} {
		if got := m.text(other); got != other {
			t.Errorf("%q is not the secret, and became %q", other, got)
		}
	}
}

// TestMask_base64: a secret inside the base64 of a longer text, wherever in a group of three bytes it begins.
func TestMask_base64(t *testing.T) {
	t.Parallel()
	m := &masker{}
	m.add("plain-secret?>")
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for _, before := range []string{"", "u:", "us:", "use:"} {
			for _, after := range []string{"", "x", "xy"} {
				text := e.EncodeToString([]byte(before + "plain-secret?>" + after))
				if got := m.text(text); !strings.Contains(got, masked) || len(got) > len(masked)+14 {
					t.Errorf("the base64 of %q, %s, is shown as %s", before+"plain-secret?>"+after, text, got)
				}
			}
		}
	}
	short := &masker{}
	short.add("abc")
	if text := base64.StdEncoding.EncodeToString([]byte("1abc")); short.text(text) != text {
		t.Errorf("what three bytes leave in base64 is taken for the secret")
	}
}

// TestMask_long: a body is looked through as far as it is kept, so that one of beginnings of escapes takes no minutes.
func TestMask_long(t *testing.T) {
	t.Parallel()
	m := &masker{}
	m.add("secret-value")
	m.add(`an"other`)
	for _, c := range []string{"%", "&", `\`, "s"} {
		b := m.body([]byte("secret-value" + strings.Repeat(c, maxAnswer)))
		if !b.Truncated || len(b.Text) != maxBody || !strings.HasPrefix(b.Text, masked+c) {
			t.Errorf("of %q %d bytes are kept, truncated: %v", c, len(b.Text), b.Truncated)
		}
	}
	if b := m.body([]byte(strings.Repeat("x", maxBody-3) + "secret-value")); b.Truncated || !strings.HasSuffix(b.Text, "x"+masked) {
		t.Error("a secret at the end is not masked")
	}
	// What makes the text shorter must not bring a part of another secret in from behind the end.
	for pad := range 40 {
		b := m.body([]byte(strings.Repeat("x", pad) + strings.Repeat("secret%2dvalue|an%22other|", maxBody/8)))
		if strings.Contains(b.Text, "se") || strings.Contains(b.Text, "an") || len(b.Text) != maxBody {
			t.Fatalf("%d bytes are kept, with %q", len(b.Text), b.Text[len(b.Text)-40:])
		}
	}
}

func percentAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

func lowerPercent(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf && r != '%' && r != '"' && r != ' ' {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.ToLower(percentAll(string(r))))
	}
	return b.String()
}

// inASCII is a text in JSON as most languages but Go write it.
func inASCII(s string) string {
	var b strings.Builder
	for _, r := range inJSON(s, false) {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, "\\u%04x", unit)
		}
	}
	return b.String()
}

// BenchmarkMask is what masking a body costs that is made of escapes alone, beside one that has none.
func BenchmarkMask(b *testing.B) {
	m := &masker{}
	m.add("correct horse battery staple")
	m.add(`\\"`)
	for name, text := range map[string]string{
		"plain": strings.Repeat("abcdefgh", maxBody/8), "backslashes": strings.Repeat(`\`, maxBody), "percent": strings.Repeat("%25", maxBody/3),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				m.text(text)
			}
		})
	}
}

// FuzzMask: whatever a secret is, and however each of its characters is escaped, it is found as a whole.
func FuzzMask(f *testing.F) {
	f.Add("p@ss w\"o\\rd", []byte{0, 1, 2, 3, 4}, "a", "b")
	f.Add(`\\\\`, []byte{4, 4, 4}, "", "")
	f.Add("%41+", []byte{1, 2}, "%", "41")
	f.Add("ü😀", []byte{3, 5}, "&", ";")
	f.Fuzz(func(t *testing.T, secret string, how []byte, before, after string) {
		if secret == "" || len(secret) > 64 || !utf8.ValidString(secret) || len(how) == 0 {
			return
		}
		var b strings.Builder
		i := 0
		for _, r := range secret {
			b.WriteString(spelled(r, how[i%len(how)]))
			i++
		}
		m := &masker{}
		m.add(secret)
		text := m.text(before + b.String() + after)
		if !strings.Contains(text, masked) && !strings.Contains(before+after, masked) {
			t.Errorf("%q is in %q", secret, text)
		}
		if strings.Contains(secret, "*") || strings.Contains(masked, secret) {
			return
		}
		if strings.Contains(text, secret) {
			t.Errorf("%q is left in %q", secret, text)
		}
	})
}

// spelled is a character in one of the ways in which it may be escaped.
func spelled(r rune, how byte) string {
	char := string(r)
	switch how % 6 {
	case 1:
		return percentAll(char)
	case 2:
		return url.QueryEscape(url.QueryEscape(char))
	case 3:
		return html.EscapeString(char)
	case 4:
		return inJSON(char, true)
	case 5:
		return inASCII(char)
	}
	return char
}
