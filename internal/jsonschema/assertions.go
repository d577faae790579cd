package jsonschema

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The keywords that look at a value alone.

func typeIs(c *compiler, k site) check {
	var want []string
	if name, ok := k.value.(string); ok {
		want = []string{name}
	} else if want = c.names(k); len(want) == 0 {
		c.problem(k.at, "names no type")
	}
	for _, name := range want {
		if !slices.Contains(types(), name) {
			c.problem(k.at, "%q is not a type; types are %s", name, strings.Join(types(), ", "))
		}
	}
	// In one order, whatever that of the schema is: messages of two schemas that say the same are the same.
	want = slices.DeleteFunc(types(), func(name string) bool { return !slices.Contains(want, name) })
	integer := slices.Contains(want, typeInteger)
	return func(v *validation, value any, _ *evaluated) bool {
		got := typeOf(value)
		if slices.Contains(want, got) {
			return true
		}
		if got == typeNumber && integer {
			if n, ok := numberOf(value); ok && n.isInteger() {
				return true
			}
		}
		return v.fail(k, got, want)
	}
}

func constant(_ *compiler, k site) check {
	return func(v *validation, value any, _ *evaluated) bool {
		return equal(k.value, value) || v.fail(k, value, k.value)
	}
}

func enum(c *compiler, k site) check {
	want, ok := k.value.([]any)
	if !ok {
		c.problem(k.at, "must be an array of values, not %s", article(k.value))
		return nil
	}
	return func(v *validation, value any, _ *evaluated) bool {
		for _, w := range want {
			if equal(w, value) {
				return true
			}
		}
		return v.fail(k, value, want)
	}
}

func multipleOf(c *compiler, k site) check {
	of, ok := numberOf(k.value)
	if !ok || of.sign() <= 0 {
		c.problem(k.at, "must be a number greater than 0, not %s", display(k.value))
		return nil
	}
	return func(v *validation, value any, _ *evaluated) bool {
		n, ok := numberOf(value)
		return !ok || n.isMultipleOf(of) || v.fail(k, value, k.value)
	}
}

// bound is minimum, maximum and their exclusive forms.
func bound(c *compiler, k site) check {
	limit, ok := numberOf(k.value)
	if !ok {
		c.problem(k.at, "must be a number, not %s", display(k.value))
		return nil
	}
	lower := strings.HasSuffix(k.name, "inimum")
	exclusive := strings.HasPrefix(k.name, "exclusive")
	return func(v *validation, value any, _ *evaluated) bool {
		n, ok := numberOf(value)
		if !ok {
			return true
		}
		order := n.compare(limit)
		if !lower {
			order = -order
		}
		return order > 0 || order == 0 && !exclusive || v.fail(k, value, k.value)
	}
}

// size is a bound of the length of a text in characters, of a list or of an object.
func size(c *compiler, k site) check {
	limit := c.count(k)
	atLeast := strings.HasPrefix(k.name, "min")
	of := strings.TrimPrefix(strings.TrimPrefix(k.name, "min"), "max")
	return func(v *validation, value any, _ *evaluated) bool {
		got := length(value, of)
		if got < 0 || got == limit || (got > limit) == atLeast {
			return true
		}
		return v.fail(k, got, limit)
	}
}

// length is that of a value of the kind that a keyword is about, and -1 of others.
func length(value any, of string) int {
	switch v := value.(type) {
	case string:
		if of == "Length" {
			return utf8.RuneCountInString(v)
		}
	case []any:
		if of == "Items" {
			return len(v)
		}
	case map[string]any:
		if of == "Properties" {
			return len(v)
		}
	}
	return -1
}

func uniqueItems(c *compiler, k site) check {
	unique, ok := k.value.(bool)
	if !ok {
		c.problem(k.at, "must be true or false, not %s", article(k.value))
	}
	if !unique {
		return nil
	}
	return func(v *validation, value any, _ *evaluated) bool {
		items, ok := value.([]any)
		if !ok || len(items) < 2 {
			return true
		}
		seen := make(map[string]int, len(items))
		var key []byte
		for i, item := range items {
			key = appendKey(key[:0], item)
			if first, double := seen[string(key)]; double {
				return v.fail(k, []int{first, i}, nil)
			}
			seen[string(key)] = i
		}
		return true
	}
}

func required(c *compiler, k site) check {
	names := c.names(k)
	return func(v *validation, value any, _ *evaluated) bool {
		missing := lacking(value, names)
		return len(missing) == 0 || v.fail(k, nil, missing)
	}
}

// lacking are the names that an object does not have.
func lacking(value any, names []string) []string {
	object, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	var missing []string
	for _, name := range names {
		if !has(object, name) {
			missing = append(missing, name)
		}
	}
	return missing
}

func dependentRequired(c *compiler, k site) check { return dependent(c, k, "arrays", requiredWith) }

// requiredWith is the part of dependentRequired for one name.
func requiredWith(c *compiler, k site, name string) check {
	names := c.names(k)
	return func(v *validation, value any, _ *evaluated) bool {
		if object, ok := value.(map[string]any); !ok || !has(object, name) {
			return true
		}
		missing := lacking(value, names)
		return len(missing) == 0 || v.fail(k, name, missing)
	}
}

func pattern(c *compiler, k site) check {
	expr, ok := k.value.(string)
	if !ok {
		c.problem(k.at, "must be a string, not %s", article(k.value))
		return nil
	}
	r := c.regexp(k.at, expr)
	if r == nil {
		return nil
	}
	return func(v *validation, value any, _ *evaluated) bool {
		s, ok := value.(string)
		return !ok || r.MatchString(s) || v.fail(k, s, expr)
	}
}

// regexp compiles a pattern, or says why it cannot.
func (c *compiler) regexp(at, expr string) *regexp.Regexp {
	if r := c.patterns[expr]; r != nil {
		return r
	}
	r, err := regexp.Compile(ecma(expr))
	if err != nil {
		reason := err.Error()
		if e, ok := errors.AsType[*syntax.Error](err); ok {
			reason = string(e.Code) + " in " + strconv.Quote(e.Expr)
		}
		c.problem(at, "%q is not a regular expression that can be used here (there is no look-around and no back-reference): %s", expr, reason)
		return nil
	}
	c.patterns[expr] = r
	return r
}

// ecma rewrites the escapes that only ECMA-262 has into those of package regexp: \u0061 and \cJ.
func ecma(expr string) string {
	if !strings.Contains(expr, `\u`) && !strings.Contains(expr, `\c`) {
		return expr
	}
	var b strings.Builder
	for i := 0; i < len(expr); i++ {
		rest := expr[i:]
		switch {
		case len(rest) >= 6 && strings.HasPrefix(rest, `\u`) && isHex(rest[2:6]):
			b.WriteString(`\x{` + rest[2:6] + `}`)
			i += 5
		case len(rest) >= 3 && strings.HasPrefix(rest, `\c`) && isLetter(rest[2]):
			b.WriteString(`\x{` + strconv.FormatInt(int64(rest[2]&31), 16) + `}`)
			i += 2
		case len(rest) >= 2 && rest[0] == '\\':
			b.WriteString(rest[:2])
			i++
		default:
			b.WriteByte(rest[0])
		}
	}
	return b.String()
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdefABCDEF") == "" }

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }
