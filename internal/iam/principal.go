package iam

import (
	"slices"
	"strings"
)

// Principal is who makes a request (reference_policies_elements_principal).
type Principal struct {
	// ARN names a user (arn:aws:iam::ACCOUNT:user/NAME), an assumed role (arn:aws:sts::ACCOUNT:assumed-role/ROLE/NAME),
	// a role itself, or the root of an account (arn:aws:iam::ACCOUNT:root). Empty for a service.
	ARN string
	// RoleARN is the role that was assumed, with its path; empty for everybody else.
	RoleARN string
	// UserID is the unique id (aws:userid), such as AIDA…, or AROA…:NAME; may be empty.
	UserID string
	// Services are the names of a service principal, such as codedeploy.amazonaws.com; empty for everybody else.
	Services []string
}

// ServicePrincipal is the principal of a service, such as "codedeploy", by its global and its regional name; region may
// be empty.
func ServicePrincipal(service, region string) Principal {
	names := []string{service + ".amazonaws.com"}
	if region != "" {
		names = append(names, service+"."+region+".amazonaws.com")
	}
	return Principal{Services: names}
}

// String names the principal in messages: its role, user or service.
func (p Principal) String() string {
	switch {
	case p.RoleARN != "":
		return "role " + p.RoleARN
	case len(p.Services) > 0:
		return "service " + p.Services[0]
	case p.ARN == "":
		return "an anonymous caller"
	}
	switch resource := p.resource(); {
	case strings.HasPrefix(resource, "role/"):
		return "role " + p.ARN
	case strings.HasPrefix(resource, "user/"):
		return "user " + p.ARN
	}
	return p.ARN
}

// wireName is how AWS names the principal in an AccessDenied message.
func (p Principal) wireName() string {
	if p.ARN == "" && len(p.Services) > 0 {
		return p.Services[0]
	}
	return p.ARN
}

// known fills in the role that was assumed where it is not told; its path cannot be known then.
func (p Principal) known() Principal {
	assumed, ok := strings.CutPrefix(p.resource(), "assumed-role/")
	if !ok || p.RoleARN != "" {
		return p
	}
	role, _, _ := strings.Cut(assumed, "/")
	p.RoleARN = "arn:" + p.arnField(1) + ":iam::" + p.account() + ":role/" + role
	return p
}

func (p Principal) arnField(i int) string {
	if fields := arnSplit(p.ARN); len(fields) == arnFields {
		return fields[i]
	}
	return ""
}

func (p Principal) account() string  { return p.arnField(4) }
func (p Principal) resource() string { return p.arnField(5) }

// context gives the keys that describe the principal (reference_policies_condition-keys, "Properties of the
// principal"; reference_policies_variables, "Principal key values").
func (p Principal) context(set func(key, value string)) {
	resource := p.resource()
	kind := ""
	switch {
	case p.RoleARN != "" || strings.HasPrefix(resource, "assumed-role/") || strings.HasPrefix(resource, "role/"):
		kind = "AssumedRole"
	case strings.HasPrefix(resource, "user/"):
		kind = "User"
		set("aws:username", resource[strings.LastIndexByte(resource, '/')+1:])
	case resource == "root":
		kind = "Account"
	}
	arn := p.ARN
	if p.RoleARN != "" { // policies see the role itself, not who took it on
		arn = p.RoleARN
	}
	set("aws:principaltype", kind)
	set("aws:principalarn", arn)
	set("aws:principalaccount", p.account())
	set("aws:userid", p.UserID)
	if len(p.Services) > 0 {
		set("aws:principalisawsservice", "true")
		set("aws:principalservicename", p.Services[0])
		return
	}
	set("aws:principalisawsservice", "false")
}

// principals is the element Principal or NotPrincipal.
type principals struct {
	everybody bool
	// accounts holds account ids, arns full ARNs, ids unique ids, services names of services.
	accounts, arns, ids, services []string
}

// direct tells whether p is named itself: by its ARN, its role's, its unique id, its service, or by *.
func (e principals) direct(p Principal) bool {
	if e.everybody || e.root(p) {
		return true
	}
	if slices.ContainsFunc(p.Services, func(name string) bool { return slices.Contains(e.services, name) }) {
		return true
	}
	return e.names(p.ARN) || e.names(p.RoleARN) || e.identifies(p)
}

func (e principals) names(arn string) bool { return slices.Contains(e.arns, arn) }

// identifies: IAM keeps the unique id in place of an ARN; an id of a role stands for all who assumed it (AROA…:NAME).
func (e principals) identifies(p Principal) bool {
	role, _, _ := strings.Cut(p.UserID, ":")
	return slices.Contains(e.ids, p.UserID) || slices.Contains(e.ids, role)
}

// root tells whether p is the root of an account that is named.
func (e principals) root(p Principal) bool { return p.resource() == "root" && e.account(p) }

// account tells whether the account of p is named, which leaves it to that account whom it lets in.
func (e principals) account(p Principal) bool {
	return slices.Contains(e.accounts, p.account())
}

// exempt tells whether NotPrincipal keeps p out of a Deny: an account there exempts its root only, and an assumed
// role is exempt only where both its own ARN and the ARN of the role are named (reference_policies_elements_notprincipal).
func (e principals) exempt(p Principal) bool {
	if p.RoleARN == "" || e.everybody {
		return e.direct(p)
	}
	return e.names(p.ARN) && e.names(p.RoleARN) || e.identifies(p)
}

// applies tells whether the statement is about p.
func (s statement) applies(p Principal) bool {
	switch {
	case s.principals == nil:
		return true
	case !s.notPrincipal:
		return s.principals.direct(p) || s.principals.account(p)
	case s.deny:
		return !s.principals.exempt(p)
	}
	return !s.principals.direct(p) && !s.principals.account(p)
}

func (p *parser) principals(n node, path string, s *statement) {
	trust := p.doc.kind == KindTrust
	child, at, not, ok := p.either(n, path, "Principal", trust)
	if !ok {
		return
	}
	if !trust {
		p.fault(at, "a permissions policy has no principal: it is about whom it is attached to")
		return
	}
	s.notPrincipal = not
	s.principals = &principals{}
	if child.kind == nodeText && child.text == "*" {
		s.principals.everybody = true
		return
	}
	if child.kind != nodeObject {
		p.fault(at, `must be "*" or an object with AWS, Service or Federated`)
		return
	}
	if len(child.fields) == 0 {
		p.fault(at, "is empty: name at least one principal")
	}
	p.known(child, at, []string{"AWS", "Service", "Federated"})
	for _, f := range child.fields {
		p.each(f.value, join(at, shorten(f.key)), func(e entry) { p.principal(f.key, e, s.principals) })
	}
}

func (p *parser) principal(kind string, e entry, to *principals) {
	switch kind {
	case "AWS":
		p.awsPrincipal(e, to)
	case "Service":
		if !strings.HasSuffix(e.text, ".amazonaws.com") && !strings.HasSuffix(e.text, ".amazonaws.com.cn") || strings.ContainsAny(e.text, "*?") {
			p.fault(e.path, "%q is no service principal: write one such as codedeploy.amazonaws.com", shorten(e.text))
		}
		to.services = append(to.services, e.text)
	}
	// Federated principals sign in with tokens of others, which nobody does here: they match nobody.
}

// awsPrincipal: an account by its id or the ARN of its root, a user, a role, an assumed role, or *. A * stands
// alone: no wildcard stands for a part of a name or an ARN (reference_policies_elements_principal).
func (p *parser) awsPrincipal(e entry, to *principals) {
	switch fields := arnSplit(e.text); {
	case e.text == "*":
		to.everybody = true
	case accountID(e.text):
		to.accounts = append(to.accounts, e.text)
	case len(e.text) >= 16 && (strings.HasPrefix(e.text, "AIDA") || strings.HasPrefix(e.text, "AROA")):
		to.ids = append(to.ids, e.text)
	case strings.ContainsAny(e.text, "*?"):
		p.fault(e.path, "%q: a wildcard cannot stand for a part of a principal; use * with a condition on aws:PrincipalArn", shorten(e.text))
	case len(fields) != arnFields || fields[0] != "arn" || fields[2] != "iam" && fields[2] != "sts" || !accountID(fields[4]):
		p.fault(e.path, "%q is no principal: write an account id, or the ARN of a user or role", shorten(e.text))
	case fields[5] == "root":
		to.accounts = append(to.accounts, fields[4])
	case slices.ContainsFunc(principalTypes(), func(t string) bool { return strings.HasPrefix(fields[5], t) }):
		to.arns = append(to.arns, e.text)
	default:
		p.fault(e.path, "%q is neither a user nor a role: a group, for one, is no principal", shorten(e.text))
	}
}

func principalTypes() []string {
	return []string{"user/", "role/", "assumed-role/", "federated-user/"}
}

func accountID(text string) bool {
	return len(text) == 12 && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}
