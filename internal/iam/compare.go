package iam

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// matches compares one value of the request with one of the policy, negation left aside. A value of the request that
// is not of the operator's type matches nothing.
func (o operator) matches(have string, want template) bool {
	switch o.family {
	case familyString:
		return have == want.join()
	case familyFold:
		return strings.EqualFold(have, want.join())
	case familyLike:
		return compile(want).match([]rune(have))
	case familyARN:
		return compile(want).matchARN(have)
	case familyBool:
		a, okA := parseBool(have)
		b, okB := parseBool(want.join())
		return okA && okB && a == b
	case familyBinary:
		a, okA := parseBinary(have)
		b, okB := parseBinary(want.join())
		return okA && okB && bytes.Equal(a, b)
	case familyIP:
		addr, okA := parseAddr(have)
		prefix, okB := parsePrefix(want.join())
		return okA && okB && prefix.Contains(addr)
	case familyNumeric:
		order, ok := compareNumbers(have, want.join())
		return ok && slices.Contains(o.order, order)
	case familyDate:
		a, okA := parseDate(have)
		b, okB := parseDate(want.join())
		return okA && okB && slices.Contains(o.order, a.Compare(b))
	case familyNull: // asks for presence, see condition.test
		return false
	}
	return false
}

// valid tells whether text can be a value of the policy for o, and what is expected where it cannot.
func (o operator) valid(text string) (expected string, ok bool) {
	switch o.family {
	case familyString, familyFold, familyLike:
		return "", true
	case familyARN:
		fields := arnSplit(text)
		return "an ARN of six fields (arn:partition:service:region:account:resource)", len(fields) == arnFields && fields[0] == "arn"
	case familyBool, familyNull:
		_, ok = parseBool(text)
		return "true or false", ok
	case familyBinary:
		_, ok = parseBinary(text)
		return "base64", ok
	case familyIP:
		_, ok = parsePrefix(text)
		return "an IP address or a range such as 203.0.113.0/24", ok
	case familyNumeric:
		_, ok = parseFloat(text)
		return "a number", ok
	case familyDate:
		_, ok = parseDate(text)
		return "a date such as 2026-01-31T12:00:00Z or seconds since 1970", ok
	}
	return "", false
}

func parseBool(text string) (value, ok bool) {
	if strings.EqualFold(text, "true") {
		return true, true
	}
	return false, strings.EqualFold(text, "false")
}

func parseBinary(text string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(text)
	return b, err == nil
}

func parseAddr(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	return addr.Unmap().WithZone(""), err == nil
}

// parsePrefix reads a range. An address that stands alone is a range of one: its prefix is /32.
func parsePrefix(text string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix, !prefix.Addr().Is4In6()
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, addr.BitLen()), true
}

// compareNumbers compares integers exactly and everything else as floating point.
func compareNumbers(a, b string) (order int, ok bool) {
	x, errX := strconv.ParseInt(a, 10, 64)
	y, errY := strconv.ParseInt(b, 10, 64)
	if errX == nil && errY == nil {
		return cmp.Compare(x, y), true
	}
	f, okF := parseFloat(a)
	g, okG := parseFloat(b)
	return cmp.Compare(f, g), okF && okG
}

// parseFloat reads a decimal; ParseFloat alone would also take hexadecimal, underscores, infinity and NaN.
func parseFloat(text string) (float64, bool) {
	for _, r := range text {
		if !strings.ContainsRune("0123456789+-.eE", r) {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

// parseDate reads a date in one of the forms that the W3C took from ISO 8601, or epoch time. Four digits are a
// year; other integers are seconds (our choice: the page does not say how the two are told apart).
func parseDate(text string) (time.Time, bool) {
	layouts := []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006"}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}
