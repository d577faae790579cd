package proxy

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// rule is a Rule made ready for use.
type rule struct {
	conditions []condition
	action     action
}

// condition is a Condition made ready: one of its fields is set.
type condition struct {
	hosts, paths []*pattern
	header       string // lower case
	values       []*pattern
	methods      []string
	query        []queryPattern
	sources      []netip.Prefix
}

type queryPattern struct{ key, value *pattern }

// inOrder returns the rules as they are tried.
func inOrder(rules []Rule) []Rule {
	return slices.SortedFunc(slices.Values(rules), func(a, b Rule) int { return cmp.Compare(a.Priority, b.Priority) })
}

// compileConditions expects that they are valid.
func compileConditions(specs []Condition) []condition {
	list := make([]condition, 0, len(specs))
	for _, s := range specs {
		c := condition{hosts: foldPatterns(s.HostHeader), methods: s.RequestMethod}
		for _, p := range s.PathPattern {
			c.paths = append(c.paths, compilePattern(tokens(p, false), false))
		}
		if s.HTTPHeader != nil {
			c.header, c.values = strings.ToLower(s.HTTPHeader.Name), foldPatterns(s.HTTPHeader.Values)
		}
		for _, q := range s.QueryString {
			key := q.Key
			if key == "" {
				key = "*"
			}
			c.query = append(c.query, queryPattern{
				compilePattern(tokens(key, true), true), compilePattern(tokens(q.Value, true), true),
			})
		}
		for _, b := range s.SourceIP {
			if p, err := netip.ParsePrefix(b); err == nil {
				c.sources = append(c.sources, p)
			}
		}
		list = append(list, c)
	}
	return list
}

func foldPatterns(texts []string) []*pattern {
	var list []*pattern
	for _, t := range texts {
		list = append(list, compilePattern(tokens(t, false), true))
	}
	return list
}

// subject is what conditions look at.
type subject struct {
	host, path, query []byte
	req               *request
	source            netip.Addr
}

func subjectOf(r *request, from *origin) subject {
	path, query := r.splitTarget()
	return subject{host: hostName(r.host), path: path, query: query, req: r, source: from.addr}
}

// splitTarget returns path and query (without the question mark) of the request target. A fragment, which no client should
// send, belongs to neither.
func (r *request) splitTarget() (path, query []byte) {
	path = r.target
	if i := bytes.IndexByte(path, '#'); i >= 0 {
		path = path[:i]
	}
	path, query, _ = bytes.Cut(path, []byte{'?'})
	return path, query
}

// hostName takes the port off an authority.
func hostName(authority []byte) []byte {
	i := bytes.IndexByte(authority, ':')
	if len(authority) > 0 && authority[0] == '[' {
		i = bytes.IndexByte(authority, ']') + 1
	}
	if i <= 0 {
		return authority
	}
	return authority[:i]
}

// match returns the action of the first rule whose conditions all hold, else that of the listener. It is short enough to
// be inlined: most listeners have no rules.
func (r *route) match(req *request, from *origin) *action {
	if len(r.rules) == 0 {
		return &r.otherwise
	}
	return r.matchRules(req, from)
}

func (r *route) matchRules(req *request, from *origin) *action {
	s := subjectOf(req, from)
	for i := range r.rules {
		if r.rules[i].applies(&s) {
			return &r.rules[i].action
		}
	}
	return &r.otherwise
}

func (r *rule) applies(s *subject) bool {
	for i := range r.conditions {
		if !r.conditions[i].holds(s) {
			return false
		}
	}
	return true
}

func (c *condition) holds(s *subject) bool {
	switch {
	case c.hosts != nil:
		return matchAny(c.hosts, s.host)
	case c.paths != nil:
		return matchAny(c.paths, s.path)
	case c.values != nil:
		return c.matchHeader(s.req.fields)
	case c.methods != nil:
		return c.matchMethod(s.req.method)
	case c.query != nil:
		return c.matchQuery(s.query)
	}
	return c.matchSource(s.source)
}

func matchAny(list []*pattern, subject []byte) bool {
	for _, p := range list {
		if p.match(subject) {
			return true
		}
	}
	return false
}

func (c *condition) matchHeader(fields []field) bool {
	for i := range fields {
		if f := &fields[i]; foldEqual(f.name, c.header) && matchAny(c.values, f.value) {
			return true
		}
	}
	return false
}

func (c *condition) matchMethod(method []byte) bool {
	return slices.ContainsFunc(c.methods, func(m string) bool { return m == string(method) })
}

func (c *condition) matchQuery(query []byte) bool {
	for len(query) > 0 {
		var parameter []byte
		parameter, query, _ = bytes.Cut(query, []byte{'&'})
		key, value, _ := bytes.Cut(parameter, []byte{'='})
		if len(parameter) == 0 {
			continue
		}
		for i := range c.query {
			if c.query[i].key.match(key) && c.query[i].value.match(value) {
				return true
			}
		}
	}
	return false
}

func (c *condition) matchSource(source netip.Addr) bool {
	for _, p := range c.sources {
		if p.Contains(source) {
			return true
		}
	}
	return false
}
