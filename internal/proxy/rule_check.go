package proxy

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// validateRules tells what is wrong with the rules of a listener.
func (l Listener) validateRules(f *faults, groups map[string]bool) {
	names, priorities := map[string]bool{}, map[int]string{}
	for _, r := range l.Rules {
		at := place{where: l.place().where + ": rule " + strconv.Quote(r.Name), port: l.place().port}
		if !visibleASCII(r.Name, maxRuleName) {
			f.add("%s: name must be 1 to %d visible ASCII characters", at, maxRuleName)
		}
		if names[r.Name] {
			f.add("%s: name is used twice", at)
		}
		names[r.Name] = true
		if r.Priority < 1 || r.Priority > MaxPriority {
			f.add("%s: priority %d is not 1 to %d", at, r.Priority, MaxPriority)
		}
		if other, ok := priorities[r.Priority]; ok {
			f.add("%s: priority %d is that of rule %q too", at, r.Priority, other)
		}
		priorities[r.Priority] = r.Name
		r.validateConditions(f, at)
		r.Action.validate(f, at, groups)
	}
}

func (r Rule) validateConditions(f *faults, at place) {
	if len(r.Conditions) == 0 {
		f.add("%s: has no condition", at)
	}
	wildcards := 0
	for _, c := range r.Conditions {
		wildcards += c.validate(f, at)
	}
	if wildcards > MaxWildcards {
		f.add("%s: has %d wildcards, more than %d", at, wildcards, MaxWildcards)
	}
}

// validate returns how many wildcards the condition has.
func (c Condition) validate(f *faults, at place) int {
	kinds := 0
	for _, set := range []bool{
		len(c.HostHeader) > 0, len(c.PathPattern) > 0, c.HTTPHeader != nil, len(c.RequestMethod) > 0,
		len(c.QueryString) > 0, len(c.SourceIP) > 0,
	} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		f.add("%s: a condition must look at exactly one thing, this one looks at %d", at, kinds)
	}
	wildcards := 0
	for _, p := range c.HostHeader {
		wildcards += checkPattern(f, at, patternKind{name: "host", allowed: isHostPattern}, p)
	}
	for _, p := range c.PathPattern {
		wildcards += checkPattern(f, at, patternKind{name: "path", allowed: isVisible}, p)
	}
	for _, p := range c.QueryString {
		kind := patternKind{name: "query", allowed: isVisible, escapes: true}
		if p.Key != "" {
			wildcards += checkPattern(f, at, kind, p.Key)
		}
		wildcards += checkPattern(f, at, kind, p.Value)
	}
	if c.HTTPHeader != nil {
		wildcards += c.HTTPHeader.validate(f, at)
	}
	validateMethods(f, at, c.RequestMethod)
	validateSources(f, at, c.SourceIP)
	return wildcards
}

func (h HeaderCondition) validate(f *faults, at place) int {
	if !isToken([]byte(h.Name)) || len(h.Name) > maxHeaderName {
		f.add("%s: header name %q is not a field name of 1 to %d characters", at, h.Name, maxHeaderName)
	}
	if strings.EqualFold(h.Name, "host") {
		f.add("%s: header name %q: use a host condition", at, h.Name)
	}
	if len(h.Values) == 0 {
		f.add("%s: header %q has no value to be compared with", at, h.Name)
	}
	wildcards := 0
	for _, p := range h.Values {
		wildcards += checkPattern(f, at, patternKind{name: "header", allowed: isPrintable}, p)
	}
	return wildcards
}

// patternKind says what a pattern may consist of.
type patternKind struct {
	name    string
	allowed func(c byte) bool
	escapes bool
}

// checkPattern returns how many wildcards the pattern has.
func checkPattern(f *faults, at place, kind patternKind, text string) int {
	if text == "" || len(text) > maxPattern {
		f.add("%s: %s pattern %q is not 1 to %d characters", at, kind.name, text, maxPattern)
	}
	wildcards, ok := 0, true
	for _, t := range tokens(text, kind.escapes) {
		ok = ok && (t.wildcard || kind.allowed(t.char))
		if t.wildcard {
			wildcards++
		}
	}
	if !ok {
		f.add("%s: %s pattern %q has a character that cannot be there", at, kind.name, text)
	}
	return wildcards
}

func isPrintable(c byte) bool { return c >= ' ' && c < 0x7f }
func isVisible(c byte) bool   { return c > ' ' && c < 0x7f }

// isHostPattern leaves out the colon: ports are not compared. IPv6 addresses can be matched with wildcards.
func isHostPattern(c byte) bool { return classes[c]&hostChar != 0 && c != ':' }

func validateMethods(f *faults, at place, methods []string) {
	for _, m := range methods {
		ok := m != "" && len(m) <= maxMethod
		for i := range len(m) {
			ok = ok && (('A' <= m[i] && m[i] <= 'Z') || m[i] == '-' || m[i] == '_')
		}
		if !ok {
			f.add("%s: method %q is not 1 to %d of A-Z - _", at, m, maxMethod)
		}
	}
}

func validateSources(f *faults, at place, blocks []string) {
	for _, b := range blocks {
		if p, err := netip.ParsePrefix(b); err != nil || p.Addr().Is4In6() {
			f.add("%s: source %q is not a CIDR block of IPv4 or IPv6", at, b)
		}
	}
}

// validate expects at to tell the port of the listener.
func (r Redirect) validate(f *faults, at place) {
	if r.StatusCode != 301 && r.StatusCode != 302 {
		f.add("%s: redirect status %d is not 301 or 302", at, r.StatusCode)
	}
	switch r.Protocol {
	case "", "HTTP", "HTTPS", keyProtocol:
	default:
		f.add("%s: redirect protocol %q is not HTTP, HTTPS or %s", at, r.Protocol, keyProtocol)
	}
	if r.Port != "" && r.Port != keyPort && (!validPort(r.Port) || strings.TrimLeft(r.Port, "0") != r.Port) {
		f.add("%s: redirect port %q is not 1 to 65535 or %s", at, r.Port, keyPort)
	}
	if !validTemplate(r.Host, isHostPattern, keyHost) {
		f.add("%s: redirect host %q is not a host name that may use %s", at, r.Host, keyHost)
	}
	inPath := func(c byte) bool { return isVisible(c) && c != '?' && c != '#' }
	if (r.Path != "" && r.Path[0] != '/') || !validTemplate(r.Path, inPath, keyHost, keyPath, keyPort) {
		f.add("%s: redirect path %q does not begin with /, or has a character or keyword that cannot be there", at, r.Path)
	}
	inQuery := func(c byte) bool { return isVisible(c) && c != '#' }
	if r.Query != nil && !validTemplate(*r.Query, inQuery, keyProtocol, keyHost, keyPort, keyPath, keyQuery) {
		f.add("%s: redirect query %q has a character or keyword that cannot be there", at, *r.Query)
	}
	if r.loops(at.port) {
		f.add("%s: redirect loops; change protocol, host, port or path", at)
	}
}

// loops tells whether a redirect leads to where it came from. As AWS has it, another query alone does not count.
func (r Redirect) loops(port string) bool {
	r = r.withDefaults()
	return r.Protocol != "HTTPS" && r.Host == keyHost && (r.Port == keyPort || r.Port == port) && r.Path == "/"+keyPath
}

// validTemplate tells whether text, without the keywords that it may use, consists of what is allowed.
func validTemplate(text string, allowed func(c byte) bool, keywords ...string) bool {
	if len(text) > maxPattern {
		return false
	}
	for _, k := range keywords {
		text = strings.ReplaceAll(text, k, "")
	}
	for i := range len(text) {
		if !allowed(text[i]) {
			return false
		}
	}
	return true
}

// place is where a fault was found.
type place struct {
	where string
	port  string // of the listener; empty when the kernel chooses it
}

func (p place) String() string { return p.where }

func (l Listener) place() place {
	_, port, err := net.SplitHostPort(l.Address)
	if err != nil || port == "0" {
		port = ""
	}
	return place{where: "listener " + strconv.Quote(l.Name), port: port}
}
