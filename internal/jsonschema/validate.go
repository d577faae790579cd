package jsonschema

import (
	"slices"
	"strconv"
)

const (
	// maxDepth bounds how deep schemas are applied within one another, in the value and in references together.
	maxDepth = 10_000
	// maxSteps bounds the work of one validation: a small schema can ask for more than there is time for. It is some seconds,
	// and a value of some megabytes is far below it.
	maxSteps = 1 << 25
)

// Validate returns all faults of a value, and none where it keeps the schema. Values are as for [Compile]; what is no JSON
// has no type. Faults are in the order of the keywords and, within one, of the value; keys are in the order of the alphabet.
//
// A value that cannot be checked within bounds has one fault, of the keyword [Limit].
func (s *Schema) Validate(value any) []Fault {
	v := &validation{left: s.steps}
	v.apply(s.root, value, nil)
	if v.limit != nil {
		return []Fault{*v.limit}
	}
	return v.faults
}

// validation is the state of one.
type validation struct {
	faults []Fault
	path   []part
	quiet  int // only whether a value fits is asked for: faults are not kept
	scope  []*resource
	depth  int
	left   int    // steps that may still be taken
	limit  *Fault // what has ended it
}

// part is a key or an index.
type part struct {
	key   string
	index int
	item  bool
}

func (v *validation) place() []string {
	place := make([]string, len(v.path))
	for i, p := range v.path {
		place[i] = p.key
		if p.item {
			place[i] = strconv.Itoa(p.index)
		}
	}
	return place
}

// fail reports that a keyword is not kept. It returns false.
func (v *validation) fail(k site, got, want any, branches ...[]Fault) bool {
	if v.quiet == 0 {
		v.faults = append(v.faults, Fault{v.place(), k.name, k.at, got, want, branches})
	}
	return false
}

// apply tells whether a value keeps a schema.
func (v *validation) apply(s *schema, value any, seen *evaluated) bool {
	if v.left--; v.limit != nil || v.spent(s, value) {
		return false
	}
	if s.never {
		return v.fail(site{at: s.at}, value, nil)
	}
	if len(s.checks) == 0 {
		return true
	}
	v.depth++
	entered := len(v.scope) == 0 || v.scope[len(v.scope)-1] != s.resource
	if entered {
		v.scope = append(v.scope, s.resource)
	}
	own := seen
	if s.asks {
		own = &evaluated{}
	}
	ok := true
	for _, check := range s.checks {
		ok = check(v, value, own) && ok
		if !ok && v.quiet > 0 {
			break
		}
	}
	if own != seen {
		seen.add(own)
	}
	if entered {
		v.scope = v.scope[:len(v.scope)-1]
	}
	v.depth--
	return ok
}

// spent ends a validation that goes beyond its bounds.
func (v *validation) spent(s *schema, value any) bool {
	switch value := value.(type) {
	case string:
		v.left -= len(value) / 64
	case []any:
		v.left -= len(value) / 8
	case map[string]any:
		v.left -= len(value) / 8
	}
	switch {
	case v.left < 0:
		v.limit = &Fault{Place: v.place(), Keyword: Limit, Schema: s.at, Want: "it takes too many steps"}
	case v.depth >= maxDepth:
		v.limit = &Fault{Place: v.place(), Keyword: Limit, Schema: s.at, Want: "it is nested too deep"}
	}
	return v.limit != nil
}

func (v *validation) member(s *schema, name string, value any) bool {
	v.path = append(v.path, part{key: name})
	ok := v.apply(s, value, nil)
	v.path = v.path[:len(v.path)-1]
	return ok
}

func (v *validation) item(s *schema, index int, value any) bool {
	v.path = append(v.path, part{index: index, item: true})
	ok := v.apply(s, value, nil)
	v.path = v.path[:len(v.path)-1]
	return ok
}

// holds tells whether a value keeps a schema; it is no fault when it does not.
func (v *validation) holds(s *schema, value any, seen *evaluated) bool {
	v.quiet++
	own := seen.fresh()
	ok := v.apply(s, value, own)
	v.quiet--
	if ok {
		seen.add(own)
	}
	return ok
}

// try applies a schema and returns its faults apart.
func (v *validation) try(s *schema, value any, seen *evaluated) (bool, []Fault) {
	begin := len(v.faults)
	own := seen.fresh()
	ok := v.apply(s, value, own)
	if ok {
		seen.add(own)
	}
	faults := slices.Clone(v.faults[begin:])
	v.faults = v.faults[:begin]
	return ok, faults
}

// branches tries several schemas: which fit, and what keeps the value from each when none does.
func (v *validation) branches(all []*schema, value any, seen *evaluated) (fits []int, faults [][]Fault) {
	for i, s := range all {
		ok, own := v.try(s, value, seen)
		if ok {
			fits = append(fits, i)
		}
		faults = append(faults, own)
	}
	if len(fits) > 0 {
		return fits, nil
	}
	return nil, faults
}

// evaluated is what of an object or list was looked at, for the keywords that are about the rest. A nil one keeps nothing:
// mostly nobody asks.
type evaluated struct {
	properties map[string]bool
	items      map[int]bool
	first      int // so many items from the begin
}

// fresh is an empty one, where there is one.
func (e *evaluated) fresh() *evaluated {
	if e == nil {
		return nil
	}
	return &evaluated{}
}

func (e *evaluated) property(name string) {
	if e == nil {
		return
	}
	if e.properties == nil {
		e.properties = map[string]bool{}
	}
	e.properties[name] = true
}

func (e *evaluated) hasProperty(name string) bool { return e != nil && e.properties[name] }

func (e *evaluated) item(i int) {
	if e == nil {
		return
	}
	if e.items == nil {
		e.items = map[int]bool{}
	}
	e.items[i] = true
}

func (e *evaluated) itemsTo(n int) {
	if e != nil {
		e.first = max(e.first, n)
	}
}

func (e *evaluated) hasItem(i int) bool { return e != nil && (i < e.first || e.items[i]) }

func (e *evaluated) add(other *evaluated) {
	if e == nil || other == nil {
		return
	}
	for name := range other.properties {
		e.property(name)
	}
	for i := range other.items {
		e.item(i)
	}
	e.itemsTo(other.first)
}
