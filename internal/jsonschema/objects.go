package jsonschema

import (
	"regexp"
	"slices"
)

// The keywords that apply schemas to the members of an object.

func properties(c *compiler, k site) check {
	all := c.mapping(k)
	return func(v *validation, value any, seen *evaluated) bool {
		object, _ := value.(map[string]any)
		ok := true
		if len(object) == 0 {
			return true
		}
		for _, n := range all {
			if member, there := object[n.name]; there {
				seen.property(n.name)
				ok = v.member(n.schema, n.name, member) && ok
			}
		}
		return ok
	}
}

func patternProperties(c *compiler, k site) check {
	type rule struct {
		expr   *regexp.Regexp
		schema *schema
	}
	var all []rule
	for _, n := range c.mapping(k) {
		if r := c.regexp(k.at+"/"+escape(n.name), n.name); r != nil {
			all = append(all, rule{r, n.schema})
		}
	}
	return func(v *validation, value any, seen *evaluated) bool {
		object, _ := value.(map[string]any)
		ok := true
		for _, name := range sortedKeys(object) {
			for _, r := range all {
				if r.expr.MatchString(name) {
					seen.property(name)
					ok = v.member(r.schema, name, object[name]) && ok
				}
			}
		}
		return ok
	}
}

func additionalProperties(c *compiler, k site) check {
	s := c.sub(k)
	declared, _ := k.object["properties"].(map[string]any)
	known := sortedKeys(declared)
	var patterns []*regexp.Regexp
	if object, ok := k.object["patternProperties"].(map[string]any); ok {
		for _, expr := range sortedKeys(object) {
			if r := c.patterns[expr]; r != nil { // one that does not compile was reported there
				patterns = append(patterns, r)
			}
		}
	}
	return func(v *validation, value any, seen *evaluated) bool {
		object, _ := value.(map[string]any)
		var rest []string
		for name := range object {
			matches := func(r *regexp.Regexp) bool { return r.MatchString(name) }
			if !has(declared, name) && !slices.ContainsFunc(patterns, matches) {
				rest = append(rest, name)
			}
		}
		return remainder{k, s, known}.check(v, object, rest, seen)
	}
}

func unevaluatedProperties(c *compiler, k site) check {
	s := c.sub(k)
	k.schema.asks = true
	return func(v *validation, value any, seen *evaluated) bool {
		object, _ := value.(map[string]any)
		var rest []string
		for name := range object {
			if !seen.hasProperty(name) {
				rest = append(rest, name)
			}
		}
		return remainder{k, s, nil}.check(v, object, rest, seen)
	}
}

// remainder is the schema of the members that nothing else is for.
type remainder struct {
	site   site
	schema *schema
	known  []string // the names that would have been something
}

func (r remainder) check(v *validation, object map[string]any, names []string, seen *evaluated) bool {
	if len(names) == 0 {
		return true
	}
	slices.Sort(names)
	if r.schema.never {
		return v.fail(r.site, names, r.known)
	}
	ok := true
	for _, name := range names {
		seen.property(name)
		ok = v.member(r.schema, name, object[name]) && ok
	}
	return ok
}

func propertyNames(c *compiler, k site) check {
	s := c.sub(k)
	return func(v *validation, value any, _ *evaluated) bool {
		object, _ := value.(map[string]any)
		ok := true
		for _, name := range sortedKeys(object) {
			if fits, faults := v.try(s, name, nil); !fits {
				ok = v.fail(k, name, nil, faults)
			}
		}
		return ok
	}
}
