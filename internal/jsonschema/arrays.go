package jsonschema

import "strconv"

// The keywords that apply schemas to the items of a list.

func prefixItems(c *compiler, k site) check { return tuple(c.list(k)) }

// tuple applies one schema to each of the first items.
func tuple(all []*schema) check {
	return func(v *validation, value any, seen *evaluated) bool {
		list, _ := value.([]any)
		ok := true
		for i, item := range list[:min(len(list), len(all))] {
			ok = v.item(all[i], i, item) && ok
		}
		seen.itemsTo(len(all))
		return ok
	}
}

func items(c *compiler, k site) check {
	if k.schema.resource.draft >= draft2020 {
		prefix, _ := k.object[keyPrefixItems].([]any)
		return rest(c, k, len(prefix))
	}
	list, isTuple := k.value.([]any)
	if !isTuple {
		return rest(c, k, 0)
	}
	all := make([]*schema, len(list))
	for i, item := range list {
		all[i] = c.sub(k.within(strconv.Itoa(i), item))
	}
	return tuple(all)
}

func additionalItems(c *compiler, k site) check {
	first, isTuple := k.object[keyItems].([]any)
	check := rest(c, k, len(first))
	if !isTuple {
		return nil // items is for all, or is not there: then this keyword counts for nothing
	}
	return check
}

// rest applies a schema to every item after the first ones.
func rest(c *compiler, k site, first int) check {
	s := c.sub(k)
	return func(v *validation, value any, seen *evaluated) bool {
		list, _ := value.([]any)
		if len(list) <= first {
			return true
		}
		seen.itemsTo(len(list))
		if s.never {
			return v.fail(k, len(list), first)
		}
		ok := true
		for i, item := range list[first:] {
			ok = v.item(s, first+i, item) && ok
		}
		return ok
	}
}

// contains is that keyword with minContains and maxContains.
func contains(c *compiler, k site) check {
	s := c.sub(k)
	least, most := 1, -1
	if k.schema.resource.draft >= draft2019 {
		if n, ok := numberOf(k.object["minContains"]); ok {
			least, _ = n.count()
		}
		if n, ok := numberOf(k.object["maxContains"]); ok {
			most, _ = n.count()
		}
	}
	above := k
	above.name, above.at = "maxContains", k.schema.at+"/maxContains"
	marks := k.schema.resource.draft >= draft2020
	return func(v *validation, value any, seen *evaluated) bool {
		list, ok := value.([]any)
		if !ok {
			return true
		}
		got := 0
		for i, item := range list {
			if !v.holds(s, item, nil) {
				continue
			}
			got++
			if marks {
				seen.item(i)
			}
		}
		switch {
		case got < least:
			return v.fail(k, got, least)
		case most >= 0 && got > most:
			return v.fail(above, got, most)
		}
		return true
	}
}

// containsBound checks the form of what contains reads.
func containsBound(c *compiler, k site) check {
	c.count(k)
	return nil
}

func unevaluatedItems(c *compiler, k site) check {
	s := c.sub(k)
	k.schema.asks = true
	return func(v *validation, value any, seen *evaluated) bool {
		list, _ := value.([]any)
		ok := true
		var left []int
		for i, item := range list {
			switch {
			case seen.hasItem(i):
			case s.never:
				left = append(left, i)
			default:
				ok = v.item(s, i, item) && ok
			}
		}
		seen.itemsTo(len(list))
		if len(left) > 0 {
			return v.fail(k, left, nil)
		}
		return ok
	}
}
