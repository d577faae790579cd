package iam

import (
	"fmt"
	"strings"
)

// condition is one operator with one key and its values. The conditions of a statement must all hold
// (reference_policies_condition-logic-multiple-context-keys-or-values).
type condition struct {
	operator operator
	// written is the operator, name the key, as the document spells them.
	written, name string
	// key is name in lower case, since the case of a key does not count (reference_policies_variables).
	key    string
	values []template
}

// lookup holds the context of a request by key in lower case.
type lookup map[string][]string

// test tells whether c holds for a statement that denies or allows, and if not, why.
func (c condition) test(ctx lookup, deny bool) (bool, string) {
	have := ctx[c.key]
	if c.operator.family == familyNull {
		return c.testNull(len(have) == 0)
	}
	if len(have) == 0 {
		return c.testMissing()
	}
	switch c.operator.quantifier {
	case forAll:
		return c.testAll(have, ctx)
	case forAny:
		return c.testAny(have, ctx)
	case single:
	}
	if len(have) > 1 {
		// Several values are to be compared with a set operator; what happens without is not said. Our choice is the
		// safe side: an Allow does not apply, a Deny does.
		return deny, fmt.Sprintf("%s has several values, which %s cannot compare: use ForAllValues or ForAnyValue", c.name, c.written)
	}
	if c.holds(have[0], ctx) {
		return true, ""
	}
	return false, c.refusal(have)
}

// testNull: true in the policy asks for a request that lacks the key, false for one that has it with a value.
func (c condition) testNull(absent bool) (bool, string) {
	for _, v := range c.values {
		if want, _ := parseBool(v.join()); want == absent {
			return true, ""
		}
	}
	if absent {
		return false, fmt.Sprintf("the request has no %s", c.name)
	}
	return false, fmt.Sprintf("the request has %s", c.name)
}

// testMissing: a key that the request lacks equals nothing, so a plain operator fails and a negated one holds. With
// IfExists the condition is true, with ForAllValues as well, with ForAnyValue alone false.
func (c condition) testMissing() (bool, string) {
	o := c.operator
	holds := o.ifExists || o.quantifier == forAll || o.quantifier == single && o.negated
	return holds, fmt.Sprintf("the request has no %s", c.name)
}

// testAll: no value of the request may fail; an empty data set, such as an empty string, is true.
func (c condition) testAll(have []string, ctx lookup) (bool, string) {
	for _, h := range have {
		if h != "" && !c.holds(h, ctx) {
			return false, c.refusal([]string{h})
		}
	}
	return true, ""
}

// testAny: one value of the request that matches is enough; an empty data set is false.
func (c condition) testAny(have []string, ctx lookup) (bool, string) {
	for _, h := range have {
		if h != "" && c.holds(h, ctx) {
			return true, ""
		}
	}
	return false, c.refusal(have)
}

// holds compares one value of the request: values of the policy are joined by OR, those of a negated operator by NOR.
func (c condition) holds(have string, ctx lookup) bool {
	for _, v := range c.values {
		// A variable without a value makes its text equal to nothing, so a negated operator holds
		// (reference_policies_variables, "Policy variables with no value").
		want, missing := v.expand(ctx)
		if missing == "" && c.operator.matches(have, want) {
			return !c.operator.negated
		}
	}
	return c.operator.negated
}

func (c condition) refusal(have []string) string {
	wanted := make([]string, 0, len(c.values))
	for _, v := range c.values {
		wanted = append(wanted, v.written())
	}
	return fmt.Sprintf("%s is %s, and the condition is %s %s",
		c.name, quoteList(have), c.written, quoteList(wanted))
}

// written is the text as the document spells it, defaults of variables left out.
func (t template) written() string {
	var b strings.Builder
	for _, p := range t {
		switch {
		case p.key != "":
			b.WriteString("${" + p.name + "}")
		case p.fixed:
			b.WriteString("${" + p.text + "}")
		default:
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// quotedValues bounds how many values a message repeats, and quotedRunes how much of each.
const (
	quotedValues = 4
	quotedRunes  = 120
)

func quoteList(values []string) string {
	shown := make([]string, 0, quotedValues+1)
	for _, v := range values[:min(len(values), quotedValues)] {
		shown = append(shown, fmt.Sprintf("%q", shorten(v)))
	}
	if len(values) > quotedValues {
		shown = append(shown, "…")
	}
	return strings.Join(shown, ", ")
}

func shorten(text string) string {
	runes := []rune(text)
	if len(runes) <= quotedRunes {
		return text
	}
	return string(runes[:quotedRunes]) + "…"
}

// keys adds the context keys that c needs.
func (c condition) keys(add func(key string)) {
	add(c.name)
	for _, v := range c.values {
		v.keys(add)
	}
}

func (t template) keys(add func(key string)) {
	for _, p := range t {
		if p.key != "" {
			add(p.name)
		}
	}
}
