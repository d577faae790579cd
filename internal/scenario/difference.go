package scenario

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// difference is one place at which the answers of two releases are not the same.
type difference struct {
	path        string
	green, blue any
}

// absent stands for what one of the answers does not have.
type absent struct{}

func (absent) String() string { return "nothing" }

// pattern is a path into a body, in parts: a key, "[2]", "*" for any key, "[*]" for any item, "**" for any number of parts.
type pattern []string

func parsePattern(text string) (pattern, error) {
	bad := fmt.Errorf("%q is not a place in a body; write for example body.created, body.items[*].id or body.**.id", text)
	rest, ok := strings.CutPrefix(text, "body")
	p := pattern{"body"}
	for ok && rest != "" {
		end := strings.IndexAny(rest[1:], ".[") + 1
		if end == 0 {
			end = len(rest)
		}
		part := rest[:end]
		rest = rest[end:]
		switch {
		case part[0] == '.' && len(part) > 1:
			p = append(p, part[1:])
		case part == "[*]" || isIndex(part):
			p = append(p, part)
		default:
			return nil, bad
		}
	}
	if !ok {
		return nil, bad
	}
	return p, nil
}

// isIndex reports whether a part is "[" number "]".
func isIndex(part string) bool {
	inner, opened := strings.CutPrefix(part, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	_, err := strconv.ParseUint(inner, 10, 31)
	return opened && closed && err == nil
}

// matches reports whether the pattern is of exactly that place.
func (p pattern) matches(place []string) bool {
	switch {
	case len(p) == 0:
		return len(place) == 0
	case p[0] == "**":
		return p[1:].matches(place) || (len(place) > 0 && p.matches(place[1:]))
	case len(place) == 0:
		return false
	}
	index := isIndex(place[0])
	same := p[0] == place[0] || (p[0] == "*" && !index) || (p[0] == "[*]" && index)
	return same && p[1:].matches(place[1:])
}

// differences are those of two answers, in the order in which people read an answer.
func (c *comparison) differences(green, blue exchange) []difference {
	var all []difference
	if a, b := green.status(), blue.status(); a != b {
		all = append(all, difference{"status", a, b})
	}
	for _, name := range c.headers {
		a, b := headerOf(green, name), headerOf(blue, name)
		if a == b {
			continue
		}
		if sensitive(name) {
			a, b = masked, masked
		}
		all = append(all, difference{fmt.Sprintf("headers[%q]", name), a, b})
	}
	d := differ{ignore: c.ignore}
	_, badGreen := green.body.(unreadable)
	_, badBlue := blue.body.(unreadable)
	if badGreen || badBlue { // what is not what it says it is, is compared as it came
		green.body, blue.body = string(green.raw), string(blue.raw)
	}
	d.values([]string{"body"}, green.body, blue.body)
	return append(all, d.found...)
}

func (e exchange) status() any {
	if e.grpc != nil {
		return e.grpc.Name
	}
	return e.res.StatusCode
}

func headerOf(e exchange, name string) any {
	values := e.res.Header.Values(name)
	if len(values) == 0 {
		return absent{}
	}
	return strings.Join(values, ", ")
}

type differ struct {
	ignore []pattern
	found  []difference
}

func (d *differ) add(place []string, green, blue any) {
	d.found = append(d.found, difference{shownPlace(place), green, blue})
}

func shownPlace(place []string) string {
	var b strings.Builder
	for i, part := range place {
		if i > 0 && part != "[*]" && !isIndex(part) {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

// values compares what stands at one place of both bodies.
func (d *differ) values(place []string, green, blue any) {
	if slices.ContainsFunc(d.ignore, func(p pattern) bool { return p.matches(place) }) {
		return
	}
	switch a := green.(type) {
	case map[string]any:
		if b, ok := blue.(map[string]any); ok {
			d.mappings(place, a, b)
			return
		}
	case []any:
		if b, ok := blue.([]any); ok {
			d.lists(place, a, b)
			return
		}
	case string:
		if b, ok := blue.(string); ok {
			d.texts(place, a, b)
			return
		}
	}
	if same, err := equal(green, blue); err != nil || !same {
		d.add(place, green, blue)
	}
}

func (d *differ) mappings(place []string, green, blue map[string]any) {
	names := maps.Clone(green)
	maps.Copy(names, blue)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d.values(append(slices.Clone(place), name), orAbsent(green, name), orAbsent(blue, name))
	}
}

func orAbsent(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return v
	}
	return absent{}
}

func (d *differ) lists(place []string, green, blue []any) {
	if len(green) != len(blue) {
		d.found = append(d.found, difference{"len(" + shownPlace(place) + ")", len(green), len(blue)})
	}
	for i := range min(len(green), len(blue)) {
		d.values(append(slices.Clone(place), fmt.Sprintf("[%d]", i)), green[i], blue[i])
	}
}

// texts shows of long texts the first line that is not the same, and of bytes their digests.
func (d *differ) texts(place []string, green, blue string) {
	switch {
	case green == blue:
	case !utf8.ValidString(green) || !utf8.ValidString(blue):
		d.add(place, digested(green), digested(blue))
	case strings.Contains(green, "\n") || strings.Contains(blue, "\n"):
		a, b := strings.Split(green, "\n"), strings.Split(blue, "\n")
		i := 0
		for i < min(len(a), len(b)) && a[i] == b[i] {
			i++
		}
		at := fmt.Sprintf("%s, line %d,", shownPlace(place), i+1)
		d.found = append(d.found, difference{at, lineOf(a, i), lineOf(b, i)})
	default:
		d.add(place, green, blue)
	}
}

func lineOf(lines []string, i int) any {
	if i < len(lines) {
		return lines[i]
	}
	return absent{}
}

func digested(s string) string {
	return fmt.Sprintf("%d bytes with the SHA-256 %x", len(s), sha256.Sum256([]byte(s)))
}
