package jsonschema

import (
	"encoding/base64"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// format is asserted in every draft. Since 2019-09 that is left to the one who checks, and a word that asserted nothing would
// let pass what somebody meant to refuse.
func format(c *compiler, k site) check {
	name, ok := k.value.(string)
	if !ok {
		c.problem(k.at, "must be a string, not %s", article(k.value))
		return nil
	}
	all := formats()
	is, known := all[name]
	if !known {
		c.ignore(k.at, name, "is not a format that is known here", slices.Sorted(maps.Keys(all)))
		return nil
	}
	if is == nil {
		return nil
	}
	return func(v *validation, value any, _ *evaluated) bool { return is(value) || v.fail(k, value, name) }
}

// formats are those of [Compile]: what values they take. Those that describe a value and refuse none are nil.
func formats() map[string]func(value any) bool {
	all := map[string]func(value any) bool{
		"int32": wholeOf(32), "int64": wholeOf(64),
		"float": nil, "double": nil, "password": nil, "binary": nil,
	}
	for name, is := range textFormats() {
		all[name] = func(value any) bool {
			s, ok := value.(string)
			return !ok || is(s)
		}
	}
	return all
}

// textFormats are about texts: of draft 2020-12, and byte of OpenAPI.
func textFormats() map[string]func(s string) bool {
	return map[string]func(s string) bool{
		"date-time": isDateTime, "date": isDate, "time": isTime, "duration": isDuration,
		"email": isEmail, "hostname": isHostname,
		"ipv4":                  func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() },
		"ipv6":                  func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is6() && a.Zone() == "" },
		"uri":                   func(s string) bool { u, ok := reference3986(s); return ok && u.IsAbs() },
		"uri-reference":         func(s string) bool { _, ok := reference3986(s); return ok },
		"iri":                   func(s string) bool { u, ok := reference3987(s); return ok && u.IsAbs() },
		"iri-reference":         func(s string) bool { _, ok := reference3987(s); return ok },
		"uuid":                  isUUID,
		"regex":                 func(s string) bool { _, err := regexp.Compile(ecma(s)); return err == nil },
		"json-pointer":          isPointer,
		"relative-json-pointer": isRelativePointer,
		"byte":                  func(s string) bool { _, err := base64.StdEncoding.DecodeString(s); return err == nil },
	}
}

// wholeOf takes whole numbers of so many bits.
func wholeOf(bits int) func(value any) bool {
	limit, _ := numberOf(uint64(1) << (bits - 1))
	least := limit
	least.negative = true
	return func(value any) bool {
		n, ok := numberOf(value)
		return !ok || n.isInteger() && n.compare(least) >= 0 && n.compare(limit) < 0
	}
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// isDateTime is RFC 3339: a date, T and a time.
func isDateTime(s string) bool {
	if len(s) < 11 || s[10]|0x20 != 't' {
		return false
	}
	return isDate(s[:10]) && isTime(s[11:])
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

// isDuration is that of RFC 3339, appendix A: units in their order and none left out between two.
func isDuration(s string) bool {
	s, ok := strings.CutPrefix(s, "P")
	date, clock, timed := strings.Cut(s, "T")
	switch {
	case !ok || date == "" && !timed:
		return false
	case strings.HasSuffix(date, "W"):
		return !timed && isUnits(date, "W")
	}
	return (date == "" || isUnits(date, "YMD")) && (!timed || isUnits(clock, "HMS"))
}

// isUnits takes whole numbers, each with its unit, which are neighbours in units.
func isUnits(s, units string) bool {
	next := -1
	for s != "" {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		if digits == 0 || digits == len(s) {
			return false
		}
		unit := strings.IndexByte(units, s[digits])
		if unit < 0 || next >= 0 && unit != next {
			return false
		}
		next = unit + 1
		s = s[digits+1:]
	}
	return next >= 0
}

// reference3986 is a URI reference of RFC 3986, which has no letters beyond ASCII.
func reference3986(s string) (*url.URL, bool) {
	if strings.ContainsFunc(s, func(r rune) bool { return r >= 0x7f }) {
		return nil, false
	}
	return reference3987(s)
}

// reference3987 is an IRI reference of RFC 3987, which has no space and no backslash.
func reference3987(s string) (*url.URL, bool) {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f || strings.IndexByte("\"<>\\^`{|}", s[i]) >= 0 {
			return nil, false
		}
	}
	u, err := url.Parse(s)
	if err != nil || !utf8.ValidString(s) {
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

// isRelativePointer is a number of steps out and then # or a pointer ("Relative JSON Pointers", draft-bhutton).
func isRelativePointer(s string) bool {
	rest := strings.TrimLeft(s, "0123456789")
	steps := s[:len(s)-len(rest)]
	return steps != "" && (steps[0] != '0' || steps == "0") && (rest == "#" || isPointer(rest))
}
