package scenario

import (
	"encoding/base64"
	"html"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// escapers are the characters with which an escaped character begins.
const escapers = `%\&+`

// minInside is the length in bytes from which on a secret is looked for inside the base64 of a longer text; what a shorter
// one leaves there would be found in ordinary words.
const minInside = 6

// base64Forms are those of a secret by itself, and what it leaves in the base64 of a longer text, which depends on where in
// a group of three bytes it begins.
func base64Forms(value string) []string {
	var forms []string
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		forms = append(forms, e.EncodeToString([]byte(value)))
	}
	if len(value) < minInside {
		return forms
	}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for ahead := range 3 {
			text := e.EncodeToString([]byte("\x00\x00"[:ahead] + value))
			from, to := (ahead*8+5)/6, (ahead+len(value))*8/6 // the characters that the secret alone decides
			forms = append(forms, text[from:to])
		}
	}
	return forms
}

// undisguise replaces values in a text also where some of their characters are escaped and others are not: by percent, as in JSON
// or as in HTML, and several times over. Every library has its own opinion of what must be escaped, and a server that quotes what
// it was sent uses its own.
//
// It ends when it has made more than most bytes: what a service sends may be long, and made to be slow to look through.
func undisguise(text string, values []string, replacement string, most int) string {
	if !strings.ContainsAny(text, escapers) {
		return text
	}
	var begins [256]bool
	for _, c := range []byte(escapers) {
		begins[c] = true
	}
	for _, v := range values {
		begins[v[0]] = true
	}
	var b strings.Builder
	kept, i := 0, 0
	for i < len(text) && b.Len()+i-kept <= most {
		n := 0
		if begins[text[i]] {
			for _, v := range values {
				n = max(n, disguised(text[i:], v))
			}
		}
		if n == 0 {
			i++
			continue
		}
		b.WriteString(text[kept:i])
		b.WriteString(replacement)
		i += n
		kept = i
	}
	b.WriteString(text[kept:i])
	return b.String()
}

// disguised is how much of a text's begin is the value, 0 where it does not begin with it. A character can be meant in more than
// one way, so all ways are followed at once.
func disguised(text, value string) int {
	var room [3][8]int // mostly there is one way
	ends, next, lengths := append(room[0][:0], 0), room[1][:0], room[2][:0]
	for value != "" && len(ends) > 0 {
		_, size := utf8.DecodeRuneInString(value)
		next = next[:0]
		for _, at := range ends {
			lengths = spellings(lengths[:0], text[at:], value[:size])
			for _, n := range lengths {
				if !slices.Contains(next, at+n) {
					next = append(next, at+n)
				}
			}
		}
		ends, next, value = next, ends, value[size:]
	}
	if len(ends) == 0 {
		return 0
	}
	return slices.Max(ends)
}

// spellings appends the lengths in which a text begins with a character.
func spellings(all []int, text, char string) []int {
	if strings.HasPrefix(text, char) {
		all = append(all, len(char))
	}
	if text == "" {
		return all
	}
	switch text[0] {
	case '+':
		if char == " " {
			all = append(all, 1)
		}
	case '%':
		for _, sign := range []string{"%", "%25", "%2525"} { // what is escaped again has its signs escaped
			if n := percent(text, char, sign); n > 0 {
				all = append(all, n)
			}
			if n := percent(text, "+", sign); n > 0 && char == " " {
				all = append(all, n)
			}
		}
	case '&':
		const longest = 12
		end := strings.IndexByte(text[:min(len(text), longest)], ';')
		if end > 0 && html.UnescapeString(text[:end+1]) == char {
			all = append(all, end+1)
		}
	case '\\':
		all = backslashes(all, text, char)
	}
	return all
}

// percent is the length of a character whose bytes are all escaped by a sign and two digits.
func percent(text, char, sign string) int {
	rest := text
	for i := range len(char) {
		var ok bool
		if rest, ok = strings.CutPrefix(rest, sign); !ok || len(rest) < 2 {
			return 0
		}
		if hexadecimal(rest[:2]) != int(char[i]) {
			return 0
		}
		rest = rest[2:]
	}
	return len(text) - len(rest)
}

// hexadecimal is the value of some digits, -1 where they are none. Package strconv makes an error of each text that is none.
func hexadecimal(digits string) int {
	n := 0
	for i := range len(digits) {
		d := strings.IndexByte("0123456789abcdefABCDEF", digits[i])
		if d < 0 {
			return -1
		}
		if d > 15 {
			d -= 6
		}
		n = n<<4 | d
	}
	return n
}

// backslashes appends the lengths of a character that is escaped as in JSON; each time that JSON stands in a text of JSON doubles its
// backslashes.
func backslashes(all []int, text, char string) []int {
	run := leading(text)
	if char == `\` {
		for n := 2; n <= run; n *= 2 {
			all = append(all, n)
		}
		return all
	}
	if run > mostBackslashes || run == len(text) {
		return all
	}
	rest := text[run:]
	switch {
	case rest[0] == 'u':
		if n := codeUnits(text[run-1:], char); n > 0 {
			all = append(all, run-1+n)
		}
	case strings.HasPrefix(rest, char) && strings.Contains(`"'/`, char), control(char) != "" && strings.HasPrefix(rest, control(char)):
		all = append(all, run+1)
	}
	return all
}

// mostBackslashes escape a character in JSON that stands in JSON four times over.
const mostBackslashes = 15

// leading counts backslashes, up to one more than may escape a character: a text of backslashes alone costs no more.
func leading(text string) int {
	n := 0
	for n < len(text) && n <= mostBackslashes && text[n] == '\\' {
		n++
	}
	return n
}

// control is the letter that stands for a control character in JSON, "" for others.
func control(char string) string {
	switch char {
	case "\n":
		return "n"
	case "\t":
		return "t"
	case "\r":
		return "r"
	case "\b":
		return "b"
	case "\f":
		return "f"
	}
	return ""
}

// codeUnits is the length of a character that is written as \u and four digits, twice where it is beyond the first 65,536.
func codeUnits(text, char string) int {
	rest := text
	for _, unit := range utf16.Encode([]rune(char)) {
		rest = rest[leading(rest):]
		if len(rest) < 5 || rest[0] != 'u' {
			return 0
		}
		if hexadecimal(rest[1:5]) != int(unit) {
			return 0
		}
		rest = rest[5:]
	}
	return len(text) - len(rest)
}
