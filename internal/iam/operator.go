package iam

import "strings"

// family says how an operator compares.
type family string

const (
	familyString  family = "string"
	familyFold    family = "string ignoring case"
	familyLike    family = "string pattern"
	familyNumeric family = "number"
	familyDate    family = "date"
	familyBool    family = "boolean"
	familyBinary  family = "base64"
	familyIP      family = "IP address"
	familyARN     family = "ARN"
	familyNull    family = "null"
)

// variables tells whether values may hold policy variables: those of the string and the ARN operators may
// (reference_policies_variables); the page of the operators adds Bool.
func (f family) variables() bool {
	return f == familyString || f == familyFold || f == familyLike || f == familyARN || f == familyBool
}

// quantifier says how a key with several values is compared
// (reference_policies_condition-single-vs-multi-valued-context-keys).
type quantifier string

const (
	single quantifier = ""
	forAll quantifier = "ForAllValues"
	forAny quantifier = "ForAnyValue"
)

// operator is a condition operator (reference_policies_elements_condition_operators).
type operator struct {
	family family
	// order holds the outcomes of cmp.Compare(request, policy) that match; only numbers and dates use it.
	order      []int
	negated    bool
	ifExists   bool
	quantifier quantifier
}

// parseOperator reads a name such as "ForAnyValue:StringLikeIfExists". Case is ignored.
func parseOperator(name string) (operator, bool) {
	rest := strings.ToLower(name)
	o := operator{}
	if after, ok := strings.CutPrefix(rest, "forallvalues:"); ok {
		rest, o.quantifier = after, forAll
	} else if after, ok := strings.CutPrefix(rest, "foranyvalue:"); ok {
		rest, o.quantifier = after, forAny
	}
	rest, o.ifExists = strings.CutSuffix(rest, "ifexists")
	base, ok := textOperator(rest)
	if !ok {
		base, ok = orderOperator(rest)
	}
	o.family, o.order, o.negated = base.family, base.order, base.negated
	// Every operator but Null may end in IfExists. That a set operator before Null is refused is our choice.
	if o.family == familyNull && (o.ifExists || o.quantifier != single) {
		return operator{}, false
	}
	return o, ok
}

func textOperator(name string) (operator, bool) {
	switch name {
	case "stringequals":
		return operator{family: familyString}, true
	case "stringnotequals":
		return operator{family: familyString, negated: true}, true
	case "stringequalsignorecase":
		return operator{family: familyFold}, true
	case "stringnotequalsignorecase":
		return operator{family: familyFold, negated: true}, true
	case "stringlike":
		return operator{family: familyLike}, true
	case "stringnotlike":
		return operator{family: familyLike, negated: true}, true
	case "arnequals", "arnlike": // two names of one operator
		return operator{family: familyARN}, true
	case "arnnotequals", "arnnotlike":
		return operator{family: familyARN, negated: true}, true
	case "bool":
		return operator{family: familyBool}, true
	case "binaryequals":
		return operator{family: familyBinary}, true
	case "ipaddress":
		return operator{family: familyIP}, true
	case "notipaddress":
		return operator{family: familyIP, negated: true}, true
	case "null":
		return operator{family: familyNull}, true
	}
	return operator{}, false
}

func orderOperator(name string) (operator, bool) {
	o := operator{family: familyNumeric}
	rest, ok := strings.CutPrefix(name, "numeric")
	if !ok {
		o.family = familyDate
		if rest, ok = strings.CutPrefix(name, "date"); !ok {
			return operator{}, false
		}
	}
	switch rest {
	case "equals":
		o.order = []int{0}
	case "notequals":
		o.order, o.negated = []int{0}, true
	case "lessthan":
		o.order = []int{-1}
	case "lessthanequals":
		o.order = []int{-1, 0}
	case "greaterthan":
		o.order = []int{1}
	case "greaterthanequals":
		o.order = []int{1, 0}
	default:
		return operator{}, false
	}
	return o, true
}
