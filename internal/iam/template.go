package iam

import (
	"errors"
	"strings"
)

// template is a value with policy variables (reference_policies_variables).
type template []part

// part is literal text, or a variable where key is set.
type part struct {
	text string
	// fixed text is taken as it stands: its * and ? are no wildcards.
	fixed bool
	// name is the context key of a variable as written, key the same in lower case.
	name, key string
	// fallback stands in where the request has no value and hasFallback is set.
	fallback    string
	hasFallback bool
}

var (
	errVariableEnd  = errors.New(`a policy variable begins with "${" and has no "}"; write ${$} for a dollar sign`)
	errVariableName = errors.New("a policy variable must name a context key, such as ${aws:username}")
	errVariableText = errors.New("the default of a policy variable must stand in single quotes after a comma, such as ${aws:username, 'nobody'}")
)

// parseTemplate splits text at its variables. A document of version 2008-10-17 has none: there they are literal.
func parseTemplate(text, version string) (template, error) {
	if version != Version2012 {
		return template{{text: text}}, nil
	}
	var t template
	for {
		before, rest, found := strings.Cut(text, "${")
		if before != "" {
			t = append(t, part{text: before})
		}
		if !found {
			return t, nil
		}
		p, after, err := parseVariable(rest)
		if err != nil {
			return nil, err
		}
		t, text = append(t, p), after
	}
}

// parseVariable reads what follows "${" up to its "}".
func parseVariable(rest string) (part, string, error) {
	// ${*}, ${?} and ${$} are these characters themselves ("Special characters").
	if len(rest) >= 2 && rest[1] == '}' && strings.ContainsRune("*?$", rune(rest[0])) {
		return part{text: rest[:1], fixed: true}, rest[2:], nil
	}
	inner, after, closed := strings.Cut(rest, "}")
	if !closed {
		return part{}, "", errVariableEnd
	}
	name, _, quoted := strings.Cut(inner, "'")
	if !quoted {
		key := strings.TrimSpace(name)
		return part{name: key, key: strings.ToLower(key)}, after, checkVariable(key)
	}
	// A default follows the name after a comma and a space, in single quotes ("Specifying default values").
	key, comma := strings.CutSuffix(strings.TrimSpace(name), ",")
	fallback, after, closed := strings.Cut(rest[len(name)+1:], "'}")
	if !comma || !closed {
		return part{}, "", errVariableText
	}
	key = strings.TrimSpace(key)
	return part{name: key, key: strings.ToLower(key), fallback: fallback, hasFallback: true}, after, checkVariable(key)
}

func checkVariable(key string) error {
	if vendor, name, ok := strings.Cut(key, ":"); !ok || vendor == "" || name == "" || strings.ContainsAny(key, "${}*?,") {
		return errVariableName
	}
	return nil
}

// variable tells whether t holds one whose value depends on the request.
func (t template) variable() bool {
	for _, p := range t {
		if p.key != "" {
			return true
		}
	}
	return false
}

// expand puts the values of ctx in. It reports the key of a variable that has no value: then
// nothing equals the text ("Policy variables with no value"). A multivalued key cannot be a variable
// (reference_policies_condition-single-vs-multi-valued-context-keys). Values are literal text: a user named * is no
// wildcard.
func (t template) expand(ctx lookup) (pieces template, missing string) {
	if !t.variable() {
		return t, ""
	}
	pieces = make(template, 0, len(t))
	for _, p := range t {
		if p.key == "" {
			pieces = append(pieces, p)
			continue
		}
		values := ctx[p.key]
		switch {
		case len(values) == 1:
			pieces = append(pieces, part{text: values[0], fixed: true})
		case p.hasFallback:
			pieces = append(pieces, part{text: p.fallback, fixed: true})
		default:
			return nil, p.name
		}
	}
	return pieces, ""
}

// join is the text of expanded pieces.
func (t template) join() string {
	var b strings.Builder
	for _, p := range t {
		b.WriteString(p.text)
	}
	return b.String()
}
