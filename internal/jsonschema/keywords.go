package jsonschema

// keyword is what the compiler does with one.
type keyword struct {
	rank         int // checks are made in this order, and their faults reported
	since, until draft
	checks       bool // it is more than an annotation
	compile      func(c *compiler, k site) check
}

// Keywords that code asks for by name.
const (
	keyDynamicRef   = "$dynamicRef"
	keyRecursiveRef = "$recursiveRef"
	keyPrefixItems  = "prefixItems"
	keyItems        = "items"
	keyAdditional   = "additionalProperties"
	keyUnevaluated  = "unevaluatedProperties"
)

// entry is a keyword and its name.
type entry struct {
	name         string
	since, until draft
	compile      func(c *compiler, k site) check
}

// keywords are all of them by name. It is a function so that nothing is built before a schema is compiled.
func keywords() map[string]keyword {
	all := make(map[string]keyword, 64)
	for i, group := range [][]entry{annotations(), references(), assertions(), applicators()} {
		for _, e := range group {
			all[e.name] = keyword{len(all), e.since, e.until, i > 0, e.compile}
		}
	}
	return all
}

// isCore tells of a keyword that it says who a schema is (see identify), or is an annotation of any form.
func isCore(name string) bool {
	switch name {
	case "$id", "$schema", "$anchor", "$dynamicAnchor", "$vocabulary", "default":
		return true
	}
	return false
}

// annotations assert nothing; their form is checked.
func annotations() []entry {
	return []entry{
		{"title", draft6, draft2020, stringOnly},
		{"description", draft6, draft2020, stringOnly},
		{"$comment", draft7, draft2020, stringOnly},
		{"examples", draft6, draft2020, anyList},
		{"readOnly", draft7, draft2020, boolean},
		{"writeOnly", draft7, draft2020, boolean},
		{"deprecated", draft2019, draft2020, boolean},
		{"contentEncoding", draft7, draft2020, stringOnly},
		{"contentMediaType", draft7, draft2020, stringOnly},
		{"contentSchema", draft2019, draft2020, apart},
		{"$recursiveAnchor", draft2019, draft2019, boolean},
		{"definitions", draft6, draft2020, definitions},
		{"$defs", draft2019, draft2020, definitions},
	}
}

func references() []entry {
	return []entry{
		{"$ref", draft6, draft2020, ref},
		{keyDynamicRef, draft2020, draft2020, dynamicRef},
		{keyRecursiveRef, draft2019, draft2019, recursiveRef},
	}
}

// assertions look at a value alone.
func assertions() []entry {
	return []entry{
		{"type", draft6, draft2020, typeIs},
		{"const", draft6, draft2020, constant},
		{"enum", draft6, draft2020, enum},
		{"multipleOf", draft6, draft2020, multipleOf},
		{"minimum", draft6, draft2020, bound},
		{"exclusiveMinimum", draft6, draft2020, bound},
		{"maximum", draft6, draft2020, bound},
		{"exclusiveMaximum", draft6, draft2020, bound},
		{"minLength", draft6, draft2020, size},
		{"maxLength", draft6, draft2020, size},
		{"pattern", draft6, draft2020, pattern},
		{"format", draft6, draft2020, format},
		{"minItems", draft6, draft2020, size},
		{"maxItems", draft6, draft2020, size},
		{"uniqueItems", draft6, draft2020, uniqueItems},
		{"minProperties", draft6, draft2020, size},
		{"maxProperties", draft6, draft2020, size},
		{"required", draft6, draft2020, required},
		{"dependentRequired", draft2019, draft2020, dependentRequired},
	}
}

// applicators apply other schemas, to the value or to what is in it. Those that look at what the others did come last.
func applicators() []entry {
	return []entry{
		{"propertyNames", draft6, draft2020, propertyNames},
		{"properties", draft6, draft2020, properties},
		{"patternProperties", draft6, draft2020, patternProperties},
		{keyAdditional, draft6, draft2020, additionalProperties},
		{"dependencies", draft6, draft2020, dependencies},
		{"dependentSchemas", draft2019, draft2020, dependentSchemas},
		{keyPrefixItems, draft2020, draft2020, prefixItems},
		{keyItems, draft6, draft2020, items},
		{"additionalItems", draft6, draft2019, additionalItems},
		{"contains", draft6, draft2020, contains},
		{"minContains", draft2019, draft2020, containsBound},
		{"maxContains", draft2019, draft2020, containsBound},
		{"allOf", draft6, draft2020, allOf},
		{"anyOf", draft6, draft2020, anyOf},
		{"oneOf", draft6, draft2020, oneOf},
		{"not", draft6, draft2020, not},
		{"if", draft7, draft2020, conditional},
		{"then", draft7, draft2020, apart},
		{"else", draft7, draft2020, apart},
		{"unevaluatedItems", draft2019, draft2020, unevaluatedItems},
		{keyUnevaluated, draft2019, draft2020, unevaluatedProperties},
	}
}

// text checks the form of a keyword that holds one.
func stringOnly(c *compiler, k site) check {
	if _, ok := k.value.(string); !ok {
		c.problem(k.at, "must be a string, not %s", article(k.value))
	}
	return nil
}

func boolean(c *compiler, k site) check {
	if _, ok := k.value.(bool); !ok {
		c.problem(k.at, "must be true or false, not %s", article(k.value))
	}
	return nil
}

func anyList(c *compiler, k site) check {
	if _, ok := k.value.([]any); !ok {
		c.problem(k.at, "must be an array, not %s", article(k.value))
	}
	return nil
}

func definitions(c *compiler, k site) check {
	c.mapping(k)
	return nil
}

// apart compiles a schema that is applied by another keyword, or by references alone.
func apart(c *compiler, k site) check {
	c.sub(k)
	return nil
}

// names reads a list of texts that differ.
func (c *compiler) names(k site) []string {
	items, ok := k.value.([]any)
	if !ok {
		c.problem(k.at, "must be an array of strings, not %s", article(k.value))
		return nil
	}
	all := make([]string, 0, len(items))
	seen := map[string]bool{}
	for _, item := range items {
		name, ok := item.(string)
		switch {
		case !ok:
			c.problem(k.at, "must be an array of strings; %s is none", display(item))
		case seen[name]:
			c.problem(k.at, "has %q twice", name)
		}
		seen[name] = true
		all = append(all, name)
	}
	return all
}

// count reads a length.
func (c *compiler) count(k site) int {
	n, ok := numberOf(k.value)
	if i, whole := n.count(); ok && whole {
		return i
	}
	c.problem(k.at, "must be a whole number that is not negative, not %s", display(k.value))
	return 0
}
