package scenario

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	// masked stands in the place of a secret.
	masked = "***"
	// maxBody bounds what a result keeps of a body, in bytes; maxOperand of an operand.
	maxBody    = 64 << 10
	maxOperand = 2 << 10
)

// masker takes secrets out of whatever a result keeps. It works before anything is shortened, so that no part of a
// secret stays at the cut.
type masker struct {
	mu       sync.Mutex
	values   []string
	forms    []string
	replacer *strings.Replacer
}

// add makes a value a secret, in all forms in which it is sent.
func (m *masker) add(value string) {
	if value == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// Escaped forms are here though undisguise knows them: a value can be the begin of its own, which must go as a whole.
	forms := []string{value, url.QueryEscape(value), url.PathEscape(value), inJSON(value, true), inJSON(value, false)}
	forms = append(forms, base64Forms(value)...)
	forms = append(forms, hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))))
	for _, f := range forms {
		if !slices.Contains(m.forms, f) {
			m.forms = append(m.forms, f)
		}
	}
	slices.SortStableFunc(m.forms, func(a, b string) int { return len(b) - len(a) }) // the longest is tried first
	m.values = slices.Clone(m.values)                                                // one who masks just now keeps the old list
	for _, v := range []string{value, asLatin1(value)} {
		if !slices.Contains(m.values, v) {
			m.values = append(m.values, v)
		}
	}
	pairs := make([]string, 0, 2*len(m.forms))
	for _, f := range m.forms {
		pairs = append(pairs, f, masked)
	}
	m.replacer = strings.NewReplacer(pairs...)
}

// asLatin1 is what many a server makes of a header: each byte is a character.
func asLatin1(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

func inJSON(s string, escapeHTML bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	if e.Encode(s) != nil {
		return s
	}
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), `"`), "\"\n") // one of each: others belong to the text
}

func (m *masker) text(s string) string { return m.upTo(s, math.MaxInt) }

// upTo masks a text until there are more than so many bytes of it.
func (m *masker) upTo(s string, most int) string {
	m.mu.Lock()
	r, values := m.replacer, m.values
	m.mu.Unlock()
	if r == nil || s == "" {
		return s
	}
	return undisguise(r.Replace(s), values, masked, most)
}

// sensitive are headers whose values are never kept.
func sensitive(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Amz-Security-Token":
		return true
	}
	return false
}

func (m *masker) headers(h http.Header) []Header {
	var out []Header
	for name, values := range h {
		for _, v := range values {
			if sensitive(name) {
				v = masked
			}
			out = append(out, Header{m.text(name), clip(m.text(v), maxOperand)})
		}
	}
	slices.SortFunc(out, func(a, b Header) int { return strings.Compare(a.Name+a.Value, b.Name+b.Value) })
	return out
}

func (m *masker) body(content []byte) Body {
	b := Body{Bytes: len(content)}
	text := string(content)
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		b.Binary = true
		return b
	}
	text = m.upTo(text, maxBody)
	if len(text) > maxBody {
		b.Truncated = true
		text = strings.ToValidUTF8(text[:maxBody], "")
	}
	b.Text = text
	return b
}

// shown is a value for people, as JSON.
func (m *masker) shown(v any) string {
	if s, ok := v.(interface{ String() string }); ok {
		return clip(m.text(s.String()), maxOperand)
	}
	if bad, ok := v.(unreadable); ok {
		return clip(m.text(bad.Error()), maxOperand)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "(" + kindOf(v) + ")"
	}
	return clip(m.text(strings.TrimSuffix(b.String(), "\n")), maxOperand)
}

// clip shortens a text.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
