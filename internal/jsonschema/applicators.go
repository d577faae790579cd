package jsonschema

import (
	"maps"
	"slices"
)

// The keywords that apply schemas to the value itself.

// every is several checks as one.
func every(all []check) check {
	return func(v *validation, value any, seen *evaluated) bool {
		ok := true
		for _, c := range all {
			ok = c(v, value, seen) && ok
		}
		return ok
	}
}

func has(object map[string]any, name string) bool {
	_, ok := object[name]
	return ok
}

func sortedKeys(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }

func ref(c *compiler, k site) check {
	r := c.reference(k)
	return func(v *validation, value any, seen *evaluated) bool { return v.apply(r.target, value, seen) }
}

func recursiveRef(c *compiler, k site) check {
	if k.value != "#" {
		c.problem(k.at, "must be \"#\", not %s", display(k.value))
		return nil
	}
	return dynamicRef(c, k)
}

// dynamicRef goes to the outermost of the schemas gone through that has the anchor, where its target has that anchor too.
func dynamicRef(c *compiler, k site) check {
	r := c.reference(k)
	return func(v *validation, value any, seen *evaluated) bool {
		target := r.target
		if r.anchored {
			for _, scope := range v.scope {
				if s := scope.dynamic[r.dynamic]; s != nil {
					target = s
					break
				}
			}
		}
		return v.apply(target, value, seen)
	}
}

// here notes schemas that are applied to the same value as the one they stand in.
func (k site) here(all ...*schema) {
	k.schema.inPlace = append(k.schema.inPlace, all...)
}

func allOf(c *compiler, k site) check {
	all := c.list(k)
	k.here(all...)
	return func(v *validation, value any, seen *evaluated) bool {
		ok := true
		for _, s := range all {
			ok = v.apply(s, value, seen) && ok
		}
		return ok
	}
}

func anyOf(c *compiler, k site) check {
	all := c.list(k)
	k.here(all...)
	return func(v *validation, value any, seen *evaluated) bool {
		fits, branches := v.branches(all, value, seen)
		return len(fits) > 0 || v.fail(k, value, nil, branches...)
	}
}

func oneOf(c *compiler, k site) check {
	all := c.list(k)
	k.here(all...)
	return func(v *validation, value any, seen *evaluated) bool {
		fits, branches := v.branches(all, value, seen)
		switch len(fits) {
		case 1:
			return true
		case 0:
			return v.fail(k, value, nil, branches...)
		}
		return v.fail(k, value, fits)
	}
}

func not(c *compiler, k site) check {
	s := c.sub(k)
	k.here(s)
	return func(v *validation, value any, _ *evaluated) bool {
		return !v.holds(s, value, nil) || v.fail(k, value, nil)
	}
}

func conditional(c *compiler, k site) check {
	test := c.sub(k)
	branch := func(name string) *schema {
		value, ok := k.object[name]
		if !ok {
			return nil
		}
		other := k
		other.at, other.value = k.schema.at+"/"+name, value
		return c.sub(other)
	}
	yes, no := branch("then"), branch("else")
	k.here(test)
	for _, s := range []*schema{yes, no} {
		if s != nil {
			k.here(s)
		}
	}
	return func(v *validation, value any, seen *evaluated) bool {
		next := no
		if v.holds(test, value, seen) {
			next = yes
		}
		return next == nil || v.apply(next, value, seen)
	}
}

func dependentSchemas(c *compiler, k site) check { return dependent(c, k, "schemas", fitsWith) }

// dependencies is dependentRequired and dependentSchemas before they were two. Later drafts allow to keep it, and a gate that
// passed over a condition which somebody wrote would be open.
func dependencies(c *compiler, k site) check {
	return dependent(c, k, "arrays and schemas", func(c *compiler, own site, name string) check {
		if _, isList := own.value.([]any); isList {
			return requiredWith(c, own, name)
		}
		return fitsWith(c, own, name)
	})
}

// dependent makes of each member of a keyword what is asked of an object that has a member of that name.
func dependent(c *compiler, k site, of string, with func(c *compiler, own site, name string) check) check {
	object, ok := k.value.(map[string]any)
	if !ok {
		c.problem(k.at, "must be an object of %s, not %s", of, article(k.value))
		return nil
	}
	var all []check
	for _, name := range sortedKeys(object) {
		all = append(all, with(c, k.within(name, object[name]), name))
	}
	return every(all)
}

// fitsWith is the part of dependentSchemas for one name.
func fitsWith(c *compiler, k site, name string) check {
	s := c.sub(k)
	k.here(s)
	return func(v *validation, value any, seen *evaluated) bool {
		object, _ := value.(map[string]any)
		return !has(object, name) || v.apply(s, value, seen)
	}
}
