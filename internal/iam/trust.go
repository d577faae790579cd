package iam

import "fmt"

// Trust is the answer of a trust policy.
type Trust struct {
	Decision
	// Delegated says that the role trusts the principal's account only, not the principal itself: the principal's own
	// policies must allow the action on the role as well (reference_policies_elements_principal, "AWS account
	// principals"). A principal of another account needs that in any case, which the caller must see to.
	Delegated bool
}

// CanAssume asks the trust policy of a role whether principal may perform action, such as sts:AssumeRole, on it.
// context holds context keys such as sts:ExternalId and aws:SourceArn; it may be nil.
//
// A policy that is not of [KindTrust], or has no document, trusts nobody.
func CanAssume(principal Principal, trust Policy, action string, context map[string][]string) Trust {
	// A trust policy has no resources; the star only says that the request is complete.
	e := newEvaluation(Request{Principal: principal, Action: action, Resource: "*", Context: context})
	e.policies([]Policy{trust}, true)
	d := e.decision()
	return Trust{Decision: d, Delegated: d.Allowed() && !e.direct}
}

// AccessDenied is the message of an AccessDenied error of STS, which does not say why.
func (t Trust) AccessDenied(r Request) string {
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", r.Principal.wireName(), r.Action, r.Resource)
}
