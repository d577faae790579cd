package jsonschema

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// format asserts the formats of [Compile] until draft 07.
func format(c *compiler, k site) check {
	name, ok := k.value.(string)
	if !ok {
		c.problem(k.at, "must be a string, not %s", article(k.value))
		return nil
	}
	is := formatOf(name)
	if is == nil || k.schema.resource.draft >= draft2019 {
		return nil
	}
	return func(v *validation, value any, _ *evaluated) bool {
		s, ok := value.(string)
		return !ok || is(s) || v.fail(k, s, name)
	}
}

func formatOf(name string) func(string) bool {
	switch name {
	case "date-time":
		return isDateTime
	case "date":
		return func(s string) bool { _, err := time.Parse(time.DateOnly, s); return err == nil }
	case "time":
		return isTime
	case "email":
		return isEmail
	case "hostname":
		return isHostname
	case "ipv4":
		return func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() }
	case "ipv6":
		return func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is6() && a.Zone() == "" }
	case "uri":
		return func(s string) bool { u, ok := uriReference(s); return ok && u.IsAbs() }
	case "uri-reference":
		return func(s string) bool { _, ok := uriReference(s); return ok }
	case "uuid":
		return isUUID
	case "regex":
		return func(s string) bool { _, err := regexp.Compile(ecma(s)); return err == nil }
	case "json-pointer":
		return isPointer
	}
	return nil
}

// isDateTime is RFC 3339: a date, T and a time.
func isDateTime(s string) bool {
	if len(s) < 11 || s[10]|0x20 != 't' {
		return false
	}
	_, err := time.Parse(time.DateOnly, s[:10])
	return err == nil && isTime(s[11:])
}

// isTime is full-time of RFC 3339. A leap second is one that ends a day of UTC.
func isTime(s string) bool {
	s = strings.ToUpper(s)
	if len(s) < 9 {
		return false
	}
	leap := s[6:8] == "60"
	if leap {
		s = s[:6] + "59" + s[8:]
	}
	if strings.Contains(s, ",") { // package time takes it for a point
		return false
	}
	at, err := time.Parse("15:04:05Z07:00", s)
	if err != nil {
		return false
	}
	at = at.UTC()
	return !leap || at.Hour() == 23 && at.Minute() == 59
}

// isEmail is the mailbox of RFC 5321: a dot-atom or a quoted text, @, and a host or an address in brackets.
func isEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 {
		return false
	}
	local, host := s[:at], s[at+1:]
	if inner, ok := strings.CutPrefix(local, `"`); ok {
		if inner, ok = strings.CutSuffix(inner, `"`); !ok || strings.ContainsAny(inner, `\"`) {
			return false
		}
	} else if !isDotAtom(local) {
		return false
	}
	if literal, ok := strings.CutPrefix(host, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		six, isSix := strings.CutPrefix(literal, "IPv6:")
		a, err := netip.ParseAddr(six)
		return ok && err == nil && a.Zone() == "" && a.Is6() == isSix
	}
	return isHostname(host)
}

func isDotAtom(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`()<>[]:;@\,"`, s[i]) >= 0 {
			return false
		}
	}
	return !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && !strings.Contains(s, "..")
}

// isHostname is RFC 1123.
func isHostname(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
		for i := range len(label) {
			if b := label[i]; b != '-' && (b < '0' || b > '9') && !isLetter(b) {
				return false
			}
		}
	}
	return true
}

// uriReference is RFC 3986, which has no space, no backslash and no letters beyond ASCII.
func uriReference(s string) (*url.URL, bool) {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte("\"<>\\^`{|}", s[i]) >= 0 {
			return nil, false
		}
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, false
	}
	return u, !strings.Contains(u.Host, ":") || strings.HasPrefix(u.Host, "[") || u.Port() != "" || strings.HasSuffix(u.Host, ":")
}

// isUUID is RFC 4122, in either case.
func isUUID(s string) bool {
	groups := strings.Split(s, "-")
	if len(groups) != 5 {
		return false
	}
	for i, length := range []int{8, 4, 4, 4, 12} {
		if len(groups[i]) != length || !isHex(groups[i]) {
			return false
		}
	}
	return true
}

// isPointer is RFC 6901.
func isPointer(s string) bool {
	if s != "" && s[0] != '/' {
		return false
	}
	rest := strings.ReplaceAll(strings.ReplaceAll(s, "~0", ""), "~1", "")
	return !strings.Contains(rest, "~")
}
