package iam

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Simulation is what SimulatePrincipalPolicy and SimulateCustomPolicy ask: every action on every resource.
type Simulation struct {
	// Principal is the caller that is simulated.
	Principal Principal
	// Policies are those of the principal and those given in the call.
	Policies []Policy
	// Actions are service:Action; Resources are ARNs, none stands for *.
	Actions, Resources []string
	// Context holds the context keys of the call.
	Context map[string][]string
	// Time is aws:CurrentTime; the zero time leaves it out.
	Time time.Time
}

// Simulated is one EvaluationResult.
type Simulated struct {
	Action, Resource string
	Effect           Effect
	// Matched are the statements that determine the result: those that deny, or else those that allow.
	Matched []Statement
	// MissingContext are the keys that the policies need and the simulation does not have, sorted.
	MissingContext []string
	// Decision is what [Evaluate] says, with the reasons of an implicit deny.
	Decision Decision
}

// Simulate evaluates every action on every resource, actions first, in the order given (API_SimulatePrincipalPolicy).
func Simulate(s Simulation) []Simulated {
	resources := s.Resources
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	results := make([]Simulated, 0, len(s.Actions)*len(resources))
	missing := missingContext(s)
	for _, action := range s.Actions {
		for _, res := range resources {
			e := newEvaluation(s.request(action, res))
			e.policies(s.Policies, false)
			d := e.decision()
			result := Simulated{Action: action, Resource: res, Effect: d.Effect, MissingContext: missing, Decision: d}
			switch d.Effect {
			case Allowed:
				result.Matched = e.allows
			case ExplicitDeny:
				result.Matched = e.denies
			case ImplicitDeny:
			}
			results = append(results, result)
		}
	}
	return results
}

func (s Simulation) request(action, res string) Request {
	return Request{Principal: s.Principal, Action: action, Resource: res, Context: s.Context, Time: s.Time}
}

// missingContext lists the keys that the policies name and the caller gave no value for (API_EvaluationResult).
func missingContext(s Simulation) []string {
	have := newLookup(s.request("", ""))
	return slices.DeleteFunc(ContextKeys(s.Policies), func(key string) bool {
		return len(have[strings.ToLower(key)]) > 0
	})
}

// ContextKeys lists the context keys that policies name in conditions and variables, sorted, each once in its first
// spelling (GetContextKeysForPrincipalPolicy).
func ContextKeys(policies []Policy) []string {
	spelled := map[string]string{}
	add := func(key string) {
		if folded := strings.ToLower(key); spelled[folded] == "" {
			spelled[folded] = key
		}
	}
	for _, p := range policies {
		if p.Document == nil {
			continue
		}
		for _, s := range p.Document.statements {
			s.keys(add)
		}
	}
	keys := slices.Collect(maps.Values(spelled))
	slices.Sort(keys)
	return keys
}

func (s statement) keys(add func(key string)) {
	for _, r := range s.resources {
		r.text.keys(add)
	}
	for _, c := range s.conditions {
		c.keys(add)
	}
}
