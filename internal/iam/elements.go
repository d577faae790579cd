package iam

import "strings"

func (p *parser) actions(n node, path string, s *statement) {
	child, at, not, ok := p.either(n, path, "Action", true)
	if !ok {
		return
	}
	s.notAction = not
	p.each(child, at, func(e entry) {
		p.checkAction(e)
		s.actions = append(s.actions, compileText(strings.ToLower(e.text)))
	})
}

// checkAction: an action is written service:name, where name may hold wildcards (reference_policies_grammar). Trust
// policies allow actions of STS only.
func (p *parser) checkAction(e entry) {
	service, name, colon := strings.Cut(e.text, ":")
	switch {
	case p.doc.kind == KindTrust && !strings.EqualFold(service, "sts"):
		p.fault(e.path, "%q: a trust policy may name actions of sts only, such as sts:AssumeRole", shorten(e.text))
	case e.text == "*":
	case !colon || service == "" || name == "":
		p.fault(e.path, "%q must be a service, a colon and an action, such as lambda:InvokeFunction, or *", shorten(e.text))
	case service != "*" && strings.ContainsFunc(service, func(r rune) bool { return !alphanumeric(r) && r != '-' }):
		p.fault(e.path, "%q: the service before the colon may hold letters, digits and hyphens, no wildcards", shorten(e.text))
	case strings.ContainsFunc(name, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune("*?_-", r) }):
		p.fault(e.path, "%q: the action after the colon may hold letters, digits, * and ?", shorten(e.text))
	}
}

func (p *parser) resources(n node, path string, s *statement) {
	trust := p.doc.kind == KindTrust
	child, at, not, ok := p.either(n, path, "Resource", !trust)
	if !ok {
		return
	}
	if trust {
		p.fault(at, "a trust policy has no resource: it is about the role it belongs to")
		return
	}
	s.notResource = not
	p.each(child, at, func(e entry) {
		if r, ok := p.resource(e); ok {
			s.resources = append(s.resources, r)
		}
	})
}

// resource: a resource is named by its ARN, and variables may stand in the last of its six fields only
// (reference_policies_elements_resource, reference_policies_variables).
func (p *parser) resource(e entry) (resource, bool) {
	fields := arnSplit(e.text)
	open := strings.HasSuffix(e.text, "*") // the last star stands for the fields that are not there
	if e.text != "*" && (fields[0] != "arn" || len(fields) < arnFields && !open) {
		p.fault(e.path, "%q must be an ARN (arn:partition:service:region:account:resource) or *", shorten(e.text))
		return resource{}, false
	}
	text, err := parseTemplate(e.text, p.doc.version)
	if err != nil {
		p.fault(e.path, "%q: %s", shorten(e.text), err)
		return resource{}, false
	}
	// A variable further to the front would never be replaced, and so a Deny with it would never bite.
	front := strings.Join(fields[:min(len(fields), arnFields-1)], ":")
	if p.doc.version == Version2012 && strings.Contains(front, "${") {
		p.fault(e.path, "%q: a policy variable may stand after the fifth colon only", shorten(e.text))
		return resource{}, false
	}
	r := resource{written: e.text, text: text}
	if !text.variable() {
		r.pattern = compileResource(text)
	}
	return r, true
}

func (p *parser) conditions(n node, path string) []condition {
	if n.kind != nodeObject {
		p.fault(path, "must be an object of operators, not %s", n.kind)
		return nil
	}
	var all []condition
	for _, f := range n.fields {
		at := join(path, shorten(f.key))
		op, ok := parseOperator(f.key)
		if !ok {
			p.fault(at, "is no condition operator: write one such as StringEquals, ArnLike or Null")
			continue
		}
		if f.value.kind != nodeObject {
			p.fault(at, "must be an object of condition keys, not %s", f.value.kind)
			continue
		}
		for _, key := range f.value.fields {
			c := condition{operator: op, written: f.key, name: key.key, key: strings.ToLower(key.key)}
			c.values = p.conditionValues(key.value, join(at, shorten(key.key)), c)
			all = append(all, c)
		}
	}
	return all
}

func (p *parser) conditionValues(n node, path string, c condition) []template {
	if vendor, name, ok := strings.Cut(c.name, ":"); !ok || vendor == "" || name == "" {
		p.fault(path, "is no condition key: a key has a prefix, such as aws:SourceIp")
	}
	var values []template
	p.each(scalars(n), path, func(e entry) {
		if t, ok := p.conditionValue(e, c.operator); ok {
			values = append(values, t)
		}
	})
	return values
}

// scalars turns numbers and booleans into strings, as both may be written without quotes (reference_policies_grammar).
func scalars(n node) node {
	if n.kind == nodeNumber || n.kind == nodeBool {
		n.kind = nodeText
	}
	items := make([]node, 0, len(n.items))
	for _, child := range n.items {
		if child.kind == nodeNumber || child.kind == nodeBool {
			child.kind = nodeText
		}
		items = append(items, child)
	}
	n.items = items
	return n
}

// conditionValue refuses values that the operator could never match: IAM would keep them without effect.
func (p *parser) conditionValue(e entry, op operator) (template, bool) {
	version := p.doc.version
	if !op.family.variables() {
		version = Version2008
	}
	t, err := parseTemplate(e.text, version)
	if err != nil {
		p.fault(e.path, "%q: %s", shorten(e.text), err)
		return nil, false
	}
	if t.variable() {
		return t, true
	}
	if expected, ok := op.valid(t.join()); !ok {
		p.fault(e.path, "%q is not %s", shorten(e.text), expected)
		return nil, false
	}
	return t, true
}
