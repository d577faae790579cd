package iam

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Request is one call that asks for permission. What it holds must come from the server, not from the caller.
type Request struct {
	// Principal makes the call.
	Principal Principal
	// Action is service:Action, without wildcards, such as lambda:InvokeFunction.
	Action string
	// Resource is the ARN that the call is about, or * for an action that is about none.
	Resource string
	// Context holds the values of context keys, such as aws:SourceIp; keys in any case. It takes precedence over what
	// Evaluate derives from Principal and Time.
	Context map[string][]string
	// Time is aws:CurrentTime and aws:EpochTime; the zero time leaves them out.
	Time time.Time
}

// Policy is a document under the name that messages call it by.
type Policy struct {
	// Name is the policy's name or ARN.
	Name string
	// Document is the parsed text. A policy without one denies everything: what it says is not known.
	Document *Document
}

// Effect is an outcome, in the words of SimulatePrincipalPolicy (PolicyEvaluationDecisionType).
type Effect string

const (
	// Allowed means that a statement allows it and none denies it.
	Allowed Effect = "allowed"
	// ExplicitDeny means that a statement denies it.
	ExplicitDeny Effect = "explicitDeny"
	// ImplicitDeny means that no statement allows it.
	ImplicitDeny Effect = "implicitDeny"
)

// Statement points to a statement of a policy.
type Statement struct {
	// Policy is the Name of its policy, empty where no statement decided.
	Policy string
	// Sid is its Sid, empty where it has none; Index counts from 0.
	// Index is -1 where the policy has no document of the right kind.
	Sid   string
	Index int
	// Start and End are its place in the text of the document.
	Start, End Position
}

// String names the statement as messages do: "policy deploy, statement AllowHooks", or "policy deploy, Statement[0]".
func (s Statement) String() string {
	if s.Index < 0 {
		return "policy " + s.Policy + ", which cannot be used and so"
	}
	if s.Sid != "" {
		return "policy " + s.Policy + ", statement " + s.Sid
	}
	return "policy " + s.Policy + ", Statement[" + strconv.Itoa(s.Index) + "]"
}

// Miss tells why a statement that allows the action did not apply.
type Miss struct {
	Statement Statement
	// Element is the element that did not match: Principal, Resource, NotResource or Condition.
	Element string
	// Reason says what was expected and what was there.
	Reason string
}

// Decision is the answer to a request.
type Decision struct {
	// Effect is the outcome; anything but [Allowed] is a refusal.
	Effect Effect
	// Statement decided: the first that denies, or else the first that allows; zero for an implicit deny.
	Statement Statement
	// Missing tells, for an implicit deny, which statements allow the action but did not apply, and why. It is empty
	// where no statement names the action.
	Missing []Miss
}

// Allowed tells whether the call may go on.
func (d Decision) Allowed() bool { return d.Effect == Allowed }

// Explain says in a sentence what was decided for r and by what, for people who must mend it.
func (d Decision) Explain(r Request) string {
	subject := r.Principal.String()
	switch d.Effect {
	case Allowed:
		return fmt.Sprintf("%s is allowed to perform %s on %s: %s allows it", subject, r.Action, r.Resource, d.Statement)
	case ExplicitDeny:
		return fmt.Sprintf("%s is not allowed to perform %s on %s: %s denies it", subject, r.Action, r.Resource, d.Statement)
	case ImplicitDeny:
	}
	text := fmt.Sprintf("%s is not allowed to perform %s on %s: no policy allows it", subject, r.Action, r.Resource)
	if len(d.Missing) == 0 {
		return text
	}
	m := d.Missing[0]
	for _, other := range d.Missing {
		if m.Element != "Condition" && other.Element == "Condition" {
			m = other // its action and resource match
		}
	}
	return fmt.Sprintf("%s; %s comes close, but its %s does not match: %s", text, m.Statement, m.Element, m.Reason)
}

// AccessDenied is the message of an AccessDenied error as AWS words it (troubleshoot_access-denied).
func (d Decision) AccessDenied(r Request) string {
	text := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", r.Principal.wireName(), r.Action, r.Resource)
	if d.Effect == ExplicitDeny {
		return text + " with an explicit deny in an identity-based policy"
	}
	return text + " because no identity-based policy allows the " + r.Action + " action"
}

// Evaluate decides r by the permissions policies of its principal: one Deny that matches wins over every Allow;
// without an allow the answer is an implicit deny
// (reference_policies_evaluation-logic_policy-eval-denyallow).
//
// The root of an account is not subject to permissions policies; that is for the caller to know.
func Evaluate(r Request, policies []Policy) Decision {
	e := newEvaluation(r)
	e.policies(policies, false)
	return e.decision()
}

// evaluation collects what the statements say about one request.
type evaluation struct {
	principal Principal
	action    []rune
	resource  []rune
	ctx       lookup
	// void says that the request lacks an action or a resource: nothing allows it.
	void           bool
	allows, denies []Statement
	missing        []Miss
	// direct says that an allowing statement of a trust policy names the principal itself.
	direct bool
}

func newEvaluation(r Request) *evaluation {
	return &evaluation{
		principal: r.Principal.known(),
		action:    []rune(strings.ToLower(r.Action)),
		resource:  []rune(r.Resource),
		ctx:       newLookup(r),
		void:      r.Action == "" || r.Resource == "",
	}
}

// newLookup folds the case of keys. Keys that differ in case only are one key with several values.
func newLookup(r Request) lookup {
	ctx := make(lookup, len(r.Context)+8)
	for _, key := range slices.Sorted(maps.Keys(r.Context)) {
		folded := strings.ToLower(key)
		ctx[folded] = append(ctx[folded], r.Context[key]...)
	}
	set := func(key, value string) {
		if _, given := ctx[key]; !given && value != "" {
			ctx[key] = []string{value}
		}
	}
	r.Principal.known().context(set)
	if key := "aws:principalservicenameslist"; len(r.Principal.Services) > 0 && ctx[key] == nil {
		ctx[key] = r.Principal.Services
	}
	if !r.Time.IsZero() {
		set("aws:currenttime", r.Time.UTC().Format(time.RFC3339))
		set("aws:epochtime", strconv.FormatInt(r.Time.Unix(), 10))
	}
	return ctx
}

// policies goes through all statements. A document of the wrong kind, like one that is absent, denies.
func (e *evaluation) policies(policies []Policy, trust bool) {
	for _, policy := range policies {
		if policy.Document == nil || (policy.Document.kind == KindTrust) != trust {
			e.denies = append(e.denies, Statement{Policy: policy.Name, Index: -1})
			continue
		}
		for i := range policy.Document.statements {
			e.statement(policy.Name, &policy.Document.statements[i])
		}
	}
}

func (e *evaluation) statement(policy string, s *statement) {
	if slices.ContainsFunc(s.actions, func(g glob) bool { return g.match(e.action) }) == s.notAction {
		return
	}
	at := Statement{Policy: policy, Sid: s.sid, Index: s.index, Start: s.start, End: s.end}
	if miss, ok := e.rest(s); !ok {
		if !s.deny {
			miss.Statement = at
			e.missing = append(e.missing, miss)
		}
		return
	}
	if s.deny {
		e.denies = append(e.denies, at)
		return
	}
	e.allows = append(e.allows, at)
	e.direct = e.direct || s.principals != nil && (s.notPrincipal || s.principals.direct(e.principal))
}

// rest tests what a statement says besides its actions.
func (e *evaluation) rest(s *statement) (Miss, bool) {
	if !s.applies(e.principal) {
		return Miss{Element: "Principal", Reason: "it does not name " + e.principal.String()}, false
	}
	if len(s.resources) > 0 && slices.ContainsFunc(s.resources, e.covers) == s.notResource {
		return s.resourceMiss(), false
	}
	for _, c := range s.conditions {
		if ok, reason := c.test(e.ctx, s.deny); !ok {
			return Miss{Element: "Condition", Reason: reason}, false
		}
	}
	return Miss{}, true
}

// covers tells whether a pattern matches the resource. A pattern with a variable that has no value matches none
// (reference_policies_variables, "Policy variables with no value").
func (e *evaluation) covers(r resource) bool {
	if r.pattern != nil {
		return r.pattern.match(e.resource)
	}
	pieces, missing := r.text.expand(e.ctx)
	return missing == "" && compileResource(pieces).match(e.resource)
}

func (s *statement) resourceMiss() Miss {
	element := "Resource"
	if s.notResource {
		element = "NotResource"
	}
	written := make([]string, 0, len(s.resources))
	for _, r := range s.resources {
		written = append(written, r.written)
	}
	return Miss{Element: element, Reason: "it holds " + quoteList(written)}
}

func (e *evaluation) decision() Decision {
	switch {
	case len(e.denies) > 0:
		return Decision{Effect: ExplicitDeny, Statement: e.denies[0]}
	case len(e.allows) > 0 && !e.void:
		return Decision{Effect: Allowed, Statement: e.allows[0]}
	}
	return Decision{Effect: ImplicitDeny, Missing: e.missing}
}
