package scenario

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Comparer holds the answers of two releases against each other as `compare` in a scenario does, for who has received
// them by other ways than a scenario's requests.
type Comparer struct{ c comparison }

// DefaultCompared are the headers that are compared where nobody names others.
func DefaultCompared() []string { return []string{"content-type"} }

// NewComparer makes a Comparer of the names of headers and of the places in bodies that may differ. Its error says which
// place is none.
func NewComparer(headers, ignore []string) (*Comparer, error) {
	c := &Comparer{}
	for _, name := range headers {
		c.c.headers = append(c.c.headers, strings.ToLower(name))
	}
	for _, text := range ignore {
		p, err := parsePattern(text)
		if err != nil {
			return nil, err
		}
		c.c.ignore = append(c.c.ignore, p)
	}
	return c, nil
}

// Answer is one that was received whole. Where Partial is set its body is not known.
type Answer struct {
	Status  int
	Header  http.Header
	Body    []byte
	Partial bool
}

// Compare tells what is different, each as an assertion that failed, in the order in which people read an answer. The
// values of secrets are masked. Bodies are left out where one of them is not known, unless it alone is too long.
func (c *Comparer) Compare(green, blue Answer, secrets []string) []Assertion {
	mask := &masker{}
	for _, s := range secrets {
		mask.add(s)
	}
	own := c.c
	switch {
	case green.Partial && blue.Partial:
		own.ignore = []pattern{{"body"}}
	case green.Partial:
		green.Body = []byte("(a longer body)")
	case blue.Partial:
		blue.Body = []byte("(a longer body)")
	}
	var out []Assertion
	for i, d := range own.differences(green.exchange(), blue.exchange()) {
		a := Assertion{Verdict: Fail, Operator: "==", Expression: mask.text(d.path) + " is the same as blue's"}
		if i == maxDifferences {
			a.Message = "there are more differences"
			return append(out, a)
		}
		a.Left, a.Right = mask.shown(d.green), mask.shown(d.blue)
		if sensitivePlace(d.path) {
			a.Left, a.Right = masked, masked
		}
		out = append(out, a)
	}
	return out
}

// sensitivePlace reports whether the last key of a place is the name of a secret.
func sensitivePlace(path string) bool {
	last := strings.ToLower(path[strings.LastIndexByte(path, '.')+1:])
	for _, word := range []string{"password", "secret", "token", "session", "credential", "cookie", "authorization", "apikey", "api_key"} {
		if strings.Contains(last, word) {
			return true
		}
	}
	return false
}

// exchange is the answer as differences are looked for in it.
func (a Answer) exchange() exchange {
	raw := a.Body
	if strings.EqualFold(a.Header.Get("Content-Encoding"), "gzip") {
		if plain, err := unzip(raw); err == nil { // else it is compared as it came
			raw = plain
		}
	}
	return exchange{
		res: &http.Response{StatusCode: a.Status, Header: a.Header}, raw: raw, body: decodeBody(a.Header.Get("Content-Type"), raw),
	}
}

func unzip(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unzip body: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxAnswer+1))
	if err == nil && len(plain) > maxAnswer {
		err = fmt.Errorf("it has more than %d bytes", maxAnswer)
	}
	if err != nil {
		return nil, fmt.Errorf("unzip body: %w", err)
	}
	return plain, nil
}
