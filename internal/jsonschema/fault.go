package jsonschema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limit is the keyword of the one fault of a value that cannot be checked within bounds.
const Limit = "$limit"

// Fault is one thing that keeps a value from a schema. What Got and Want hold depends on the keyword:
//
//	                                              Got                        Want
//	"" (the schema false)                         the value                  nil
//	type                                          its type, string           []string
//	const                                         the value                  the value wanted
//	enum                                          the value                  []any
//	minimum, maximum, exclusive..., multipleOf    the number                 the number of the schema
//	min..., max... of length, items, properties   int                        int
//	pattern, format                               string                     string
//	uniqueItems                                   []int, two equal items     nil
//	required                                      nil                        []string, what is missing
//	dependentRequired, dependencies               the name that needs them   []string, what is missing
//	additionalProperties                          []string                   []string, the names of properties
//	unevaluatedProperties                         []string                   nil
//	items, additionalItems                        int, how many there are    int, how many may be
//	unevaluatedItems                              []int                      nil
//	contains, maxContains                         int, how many fit          int
//	propertyNames                                 the name                   nil
//	anyOf, oneOf                                  the value                  nil; []int of oneOf where several fit
//	not                                           the value                  nil
//	Limit                                         nil                        string, the reason
type Fault struct {
	// Place is where in the value: keys, and indexes as decimals.
	Place []string
	// Keyword that is not kept.
	Keyword string
	// Schema is the JSON pointer of the keyword in the schema.
	Schema string
	// Got and Want are what there is and what there should be.
	Got, Want any
	// Branches are of anyOf and oneOf, where none fits, the faults by each, and of propertyNames those of the name.
	Branches [][]Fault
}

// Closest is what is wrong by the one branch of anyOf or oneOf that the value is nearest to: the first that takes its type.
// It is nil where none does.
func (f Fault) Closest() []Fault {
	for _, branch := range f.Branches {
		if !slices.ContainsFunc(branch, f.mistypes) {
			return branch
		}
	}
	return nil
}

// Types are those that the branches of anyOf or oneOf take, where the value has none of them.
func (f Fault) Types() []string {
	var all []string
	for _, branch := range f.Branches {
		for _, own := range branch {
			if f.mistypes(own) {
				want, _ := own.Want.([]string)
				all = append(all, want...)
			}
		}
	}
	return all
}

// mistypes tells whether a fault of a branch is that the value itself is of another type.
func (f Fault) mistypes(own Fault) bool {
	return own.Keyword == "type" && len(own.Place) == len(f.Place)
}

// String is what is wrong, in English and without the place. It holds values whole: one who keeps it takes secrets out of it
// before he cuts it, so that no part of one stays.
func (f Fault) String() string {
	switch f.Keyword {
	case "":
		return "nothing is allowed here"
	case "type":
		return fmt.Sprintf("got %s, want %s", orNothing(f.Got), list(f.Want, " or "))
	case "const":
		return fmt.Sprintf("got %s, want %s", display(f.Got), display(f.Want))
	case "enum":
		return fmt.Sprintf("got %s, want one of %s", display(f.Got), list(f.Want, ", "))
	case "pattern":
		return fmt.Sprintf("%s does not match pattern %s", display(f.Got), display(f.Want))
	case "format":
		return fmt.Sprintf("%s is not a valid %s", display(f.Got), f.Want)
	case "not":
		return display(f.Got) + " fits the schema of not, and must not"
	case "anyOf", "oneOf":
		return f.choice()
	case Limit:
		return fmt.Sprintf("the value cannot be checked: %s", f.Want)
	}
	if s := f.ofNumber(); s != "" {
		return s
	}
	if s := f.ofObject(); s != "" {
		return s
	}
	return f.ofList()
}

func (f Fault) ofNumber() string {
	relation := map[string]string{
		"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than", "exclusiveMaximum": "less than", "multipleOf": "a multiple of",
	}[f.Keyword]
	if relation != "" {
		return fmt.Sprintf("got %s, want %s %s", display(f.Got), relation, display(f.Want))
	}
	of := map[string]string{
		"minLength": "at least %v characters", "maxLength": "at most %v characters", "minItems": "at least %v items", "maxItems": "at most %v items",
		"minProperties": "at least %v properties", "maxProperties": "at most %v properties", keyItems: "at most %v items",
		"additionalItems": "at most %v items", "contains": "at least %v that fit contains", "maxContains": "at most %v that fit contains",
	}[f.Keyword]
	if of == "" {
		return ""
	}
	return fmt.Sprintf("got %v, want "+of, f.Got, f.Want)
}

func (f Fault) ofObject() string {
	switch f.Keyword {
	case "required":
		return "missing " + property(f.Want)
	case "dependentRequired", "dependencies":
		return fmt.Sprintf("missing %s, which %s needs", property(f.Want), display(f.Got))
	case keyAdditional, keyUnevaluated:
		return "additional " + property(f.Got) + " not allowed"
	case "propertyNames":
		return fmt.Sprintf("the name %s is not allowed: %s", display(f.Got), sentences(f.Branches[0]))
	}
	return ""
}

func (f Fault) ofList() string {
	at, _ := f.Got.([]int)
	switch {
	case f.Keyword == "uniqueItems" && len(at) == 2:
		return fmt.Sprintf("items %d and %d are equal", at[0], at[1])
	case f.Keyword == "unevaluatedItems":
		return fmt.Sprintf("additional items at %s not allowed", list(at, ", "))
	}
	return f.Keyword + " is not kept"
}

// choice says what is wrong with a value of which one of several forms is wanted.
func (f Fault) choice() string {
	if fits, ok := f.Want.([]int); ok {
		return fmt.Sprintf("fits the schemas %s of oneOf, and must fit one alone", list(fits, " and "))
	}
	if closest := f.Closest(); closest != nil {
		return fmt.Sprintf("fits none of the %d schemas of %s; by the nearest: %s", len(f.Branches), f.Keyword, f.nested(closest))
	}
	if types := f.Types(); len(types) > 0 {
		return Fault{Keyword: "type", Got: typeOf(f.Got), Want: types}.String()
	}
	return "fits no schema of " + f.Keyword
}

// nested says the faults of a branch, each with its place below this one.
func (f Fault) nested(branch []Fault) string {
	all := make([]string, len(branch))
	for i, own := range branch {
		all[i] = own.String()
		if below := own.Place[len(f.Place):]; len(below) > 0 {
			all[i] = strings.Join(below, ".") + ": " + all[i]
		}
	}
	return strings.Join(all, "; ")
}

func sentences(faults []Fault) string {
	all := make([]string, len(faults))
	for i, f := range faults {
		all[i] = f.String()
	}
	return strings.Join(all, "; ")
}

// display writes a value as JSON does, texts in single quotes.
func display(value any) string {
	if s, ok := value.(string); ok {
		return quoted(s)
	}
	return inJSON(value)
}

// quoted puts a text into single quotes. What is in them is escaped as in JSON, and in no other way: who looks for secrets in a
// message knows that form.
func quoted(s string) string {
	return "'" + strings.TrimSuffix(strings.TrimPrefix(inJSON(s), `"`), `"`) + "'"
}

func inJSON(value any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(value) != nil {
		return "what is no JSON"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// list writes values one after the other; names of types are not quoted.
func list(values any, separator string) string {
	var all []string
	switch values := values.(type) {
	case []string:
		all = values
	case []int:
		for _, i := range values {
			all = append(all, strconv.Itoa(i))
		}
	case []any:
		for _, v := range values {
			all = append(all, display(v))
		}
	}
	return strings.Join(all, separator)
}

// property names one or several.
func property(names any) string {
	all, _ := names.([]string)
	shown := make([]string, len(all))
	for i, name := range all {
		shown[i] = quoted(name)
	}
	if len(all) == 1 {
		return "property " + shown[0]
	}
	return "properties " + strings.Join(shown, ", ")
}

// orNothing says what is no JSON.
func orNothing(kind any) string {
	if kind == "" {
		return "what is no JSON"
	}
	return fmt.Sprint(kind)
}

// article is the kind of a value with its article.
func article(value any) string {
	switch kind := typeOf(value); kind {
	case "":
		return "what is no JSON"
	case typeNull, typeBoolean:
		return display(value)
	case typeArray, typeObject, typeInteger:
		return "an " + kind
	default:
		return "a " + kind
	}
}
