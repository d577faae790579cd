package iam

import (
	"fmt"
	"slices"
	"strings"
)

// Parse reads a document of the given kind.
//
// It returns a [*LimitError] for a document that is too long, else a [*MalformedError] with every fault it found: JSON
// syntax, keys that are unknown or stand twice, elements that are missing, excluded or malformed
// (reference_policies_grammar, reference_policies_elements).
func Parse(kind Kind, text string) (*Document, error) {
	if len(text) > MaxText {
		return nil, &LimitError{Kind: kind, Size: len(text), Max: MaxText}
	}
	if size := Size(text); size > kind.limit() {
		return nil, &LimitError{Kind: kind, Size: size, Max: kind.limit()}
	}
	p := parser{lines: newLines(text), doc: Document{kind: kind, version: Version2008}}
	if r, ok := badRune(text); ok {
		return nil, &MalformedError{Faults: []Fault{{Message: fmt.Sprintf(
			"the document holds the character %U; allowed are tab, line end and U+0020 to U+00FF", r)}}}
	}
	root, faults := readTree(text)
	p.faults = faults
	if root.kind != "" {
		p.document(root)
	}
	if len(p.faults) > 0 {
		return nil, &MalformedError{Faults: p.faults}
	}
	return &p.doc, nil
}

// badRune finds a character outside the pattern of the parameter PolicyDocument in the IAM API.
func badRune(text string) (rune, bool) {
	for _, r := range text {
		if r > 0xFF || r < 0x20 && r != '\t' && r != '\n' && r != '\r' {
			return r, true
		}
	}
	return 0, false
}

type parser struct {
	lines  lines
	doc    Document
	faults []Fault
}

func (p *parser) fault(path, format string, args ...any) {
	p.faults = append(p.faults, Fault{Path: path, Message: fmt.Sprintf(format, args...)})
}

// known refuses fields that are not in names, and suggests the one that differs in case only.
func (p *parser) known(n node, path string, names []string) {
	for _, f := range n.fields {
		if slices.Contains(names, f.key) {
			continue
		}
		hint := "known are " + strings.Join(names, ", ")
		for _, name := range names {
			if strings.EqualFold(name, f.key) {
				hint = "did you mean " + name + "?"
			}
		}
		p.fault(join(path, shorten(f.key)), "is no element of a policy: %s", hint)
	}
}

func (p *parser) document(root node) {
	if root.kind != nodeObject {
		p.fault("", "a policy document is an object, not %s", root.kind)
		return
	}
	p.known(root, "", []string{"Version", "Id", "Statement"})
	if n, ok := root.field("Version"); ok {
		p.doc.version = p.text(n, "Version")
		if n.kind == nodeText && p.doc.version != Version2008 && p.doc.version != Version2012 {
			p.fault("Version", "%q is no version of the policy language: write %q", shorten(p.doc.version), Version2012)
		}
	}
	// The grammar keeps Id out of permissions policies; IAM takes it all the same, and so does this.
	if n, ok := root.field("Id"); ok {
		p.doc.id = p.text(n, "Id")
	}
	n, ok := root.field("Statement")
	switch {
	case !ok:
		p.fault("Statement", "is missing: a policy needs at least one statement")
	case n.kind == nodeObject:
		p.statement(n, "Statement")
	case n.kind != nodeList:
		p.fault("Statement", "must be an object or a list of objects, not %s", n.kind)
	case len(n.items) == 0:
		p.fault("Statement", "is empty: a policy needs at least one statement")
	default:
		for i, child := range n.items {
			p.statement(child, item("Statement", i))
		}
	}
	p.uniqueSids()
}

// uniqueSids: no two statements of a policy share a Sid (reference_policies_elements_sid). Empty ones are none.
func (p *parser) uniqueSids() {
	seen := map[string]int{}
	for _, s := range p.doc.statements {
		if first, twice := seen[s.sid]; twice && s.sid != "" {
			p.fault(item("Statement", s.index)+".Sid", "%q is the Sid of Statement[%d] already: Sids must be unique in a policy", shorten(s.sid), first)
			continue
		}
		seen[s.sid] = s.index
	}
}

func (p *parser) statement(n node, path string) {
	index := len(p.doc.statements)
	if n.kind != nodeObject {
		p.fault(path, "must be an object, not %s", n.kind)
		p.doc.statements = append(p.doc.statements, statement{index: index})
		return
	}
	p.known(n, path, []string{
		"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
	})
	s := statement{index: index, start: p.lines.position(n.start), end: p.lines.position(n.end)}
	if sid, ok := n.field("Sid"); ok {
		s.sid = p.sid(sid, path+".Sid")
	}
	s.deny = p.effect(n, path)
	p.actions(n, path, &s)
	p.resources(n, path, &s)
	p.principals(n, path, &s)
	if c, ok := n.field("Condition"); ok {
		s.conditions = p.conditions(c, path+".Condition")
	}
	p.doc.statements = append(p.doc.statements, s)
}

// sid: a Sid is made of ASCII letters and digits, nothing else (reference_policies_grammar).
func (p *parser) sid(n node, path string) string {
	sid := p.text(n, path)
	if strings.ContainsFunc(sid, func(r rune) bool { return !alphanumeric(r) }) {
		p.fault(path, "%q may hold letters and digits only", shorten(sid))
	}
	return sid
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// effect: Allow or Deny, in exactly this spelling (reference_policies_elements_effect).
func (p *parser) effect(n node, path string) (deny bool) {
	path += ".Effect"
	e, ok := n.field("Effect")
	if !ok {
		p.fault(path, "is missing: write Allow or Deny")
		return true
	}
	text := p.text(e, path)
	if e.kind == nodeText && text != "Allow" && text != "Deny" {
		p.fault(path, "%q is no effect: write Allow or Deny", shorten(text))
	}
	return text != "Allow"
}

// either returns the one of two elements that exclude each other. Missing both is a fault where required is set.
func (p *parser) either(n node, path, name string, required bool) (child node, at string, not, ok bool) {
	plain, hasPlain := n.field(name)
	negated, hasNot := n.field("Not" + name)
	switch {
	case hasPlain && hasNot:
		p.fault(join(path, "Not"+name), "stands beside %s: a statement has one of the two", name)
		return plain, join(path, name), false, true
	case hasPlain:
		return plain, join(path, name), false, true
	case hasNot:
		return negated, join(path, "Not"+name), true, true
	case required:
		p.fault(join(path, name), "is missing: a statement needs %s or Not%s", name, name)
	}
	return node{}, "", false, false
}

// entry is a string with its place.
type entry struct {
	path, text string
}

// each calls do for a string, or for each string of a list of at least one.
func (p *parser) each(n node, path string, do func(e entry)) {
	if n.kind != nodeList {
		p.entry(n, path, do)
		return
	}
	if len(n.items) == 0 {
		p.fault(path, "is empty: give at least one value")
	}
	for i, child := range n.items {
		p.entry(child, item(path, i), do)
	}
}

func (p *parser) entry(n node, path string, do func(e entry)) {
	switch {
	case n.kind != nodeText:
		p.fault(path, "must be a string, not %s", n.kind)
	case len(n.text) > MaxPattern:
		p.fault(path, "has %d characters, at most %d are allowed", len(n.text), MaxPattern)
	default:
		do(entry{path: path, text: n.text})
	}
}

func (p *parser) text(n node, path string) string {
	if n.kind != nodeText {
		p.fault(path, "must be a string, not %s", n.kind)
		return ""
	}
	return n.text
}
