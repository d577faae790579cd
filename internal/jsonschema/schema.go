// Package jsonschema checks values against JSON Schemas, https://json-schema.org. It knows draft 2020-12, 2019-09, 07 and 06:
// the $schema of a document says which, and without one it is 2020-12. Earlier drafts are refused, as they give other meanings
// to the same words.
//
// A schema is one document: a reference to another one is refused, and nothing is fetched. All faults of a schema and all
// faults of a value are found at once, each with its place. Numbers are exact whatever their size. The keyword format is
// asserted, in every draft. Patterns are those of package regexp, which refuses look-around and back-references; escapes that only
// ECMA-262 has (\u0061, \cJ) are understood.
//
// Nothing is done before it is needed: importing the package costs no time.
package jsonschema

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxNesting bounds how deep a document nests schemas. JSON as package encoding/json decodes it nests 10,000 deep.
const maxNesting = 1000

// Schema is a compiled schema. It may be used by several goroutines at once.
type Schema struct {
	root    *schema
	steps   int // that one validation may take
	ignored []Ignored
}

// Ignored is a word of a schema that checks nothing, though it may have been meant to: a keyword that the draft does not have,
// or not there, or a format that is not known. Annotations are not among them, nor what holds a schema that is referred to.
type Ignored struct {
	// At is the JSON pointer of the keyword.
	At string
	// Word is the keyword or the format.
	Word string
	// Why it is ignored: a predicate that follows the word.
	Why string
	// Known are the words that would have been something, in the order of the alphabet; nil where the word is right and its
	// place is not.
	Known []string
}

// Ignored are the words that check nothing, ordered by their places. By the specification they are no problem of a schema; who
// must not let anything pass by a slip of the hand asks for them.
func (s *Schema) Ignored() []Ignored { return s.ignored }

// Problem is one thing that is wrong with a schema.
type Problem struct {
	// At is the JSON pointer of the keyword or schema; "" is the whole document.
	At string
	// What is wrong with it.
	What string
}

// Path are the keys and indexes of the place.
func (p Problem) Path() []string { return parts(p.At) }

// String is the place and what is wrong there.
func (p Problem) String() string {
	if p.At == "" {
		return "the schema itself: " + p.What
	}
	return p.At + ": " + p.What
}

// Error is every problem of a schema.
type Error struct{ Problems []Problem }

// Error is all problems in a line.
func (e *Error) Error() string {
	all := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		all[i] = p.String()
	}
	return strings.Join(all, "; ")
}

// Compile makes a schema of a document, which is decoded JSON: nil, bool, string, []any, map[string]any, and numbers as
// [encoding/json.Number], float64, int, int64 or uint64. What is wrong with it comes as an *Error with every problem.
// What the draft does not have is ignored, and named by [Schema.Ignored].
//
// Formats are date-time, date, time, duration, email, hostname, ipv4, ipv6, uri, uri-reference, iri, iri-reference, uuid, regex,
// json-pointer and relative-json-pointer, and of OpenAPI 3 int32, int64 and byte; its float, double, password and binary are taken
// and refuse nothing. See [Schema.Ignored] for any other.
func Compile(doc any) (*Schema, error) {
	c := &compiler{
		doc: doc, keywords: keywords(), schemas: map[string]*schema{}, resources: map[string]*resource{}, patterns: map[string]*regexp.Regexp{},
	}
	whole := &resource{id: &url.URL{}, draft: draft2020}
	root := c.schema("", doc, whole, 0)
	if whole.root == nil { // the root has no $id
		whole.root = root
		c.resources[""] = whole
	}
	for len(c.references) > 0 {
		r := c.references[0]
		c.references = c.references[1:]
		c.resolve(r)
	}
	if len(c.problems) == 0 {
		c.refuseLoops()
	}
	if len(c.problems) > 0 {
		return nil, &Error{c.problems}
	}
	return &Schema{root, maxSteps, c.unused()}, nil
}

// schema is one schema of a document: the document itself, or what a keyword holds.
type schema struct {
	at       string // its JSON pointer
	resource *resource
	never    bool // the schema false
	asks     bool // it has unevaluatedItems or unevaluatedProperties
	checks   []check
	// What is applied to the same value as this schema is; see refuseLoops.
	inPlace    []*schema
	references []*reference
}

// check applies one keyword to a value and tells whether the value keeps it. What it looked at it writes into seen, unless
// that is nil.
type check func(v *validation, value any, seen *evaluated) bool

// resource is a schema with an identity of its own, and what belongs to it.
type resource struct {
	id      *url.URL
	at      string // the pointer of its root
	root    *schema
	draft   draft
	anchors map[string]*schema
	dynamic map[string]*schema // by $dynamicAnchor; "" is a root with $recursiveAnchor
}

type compiler struct {
	doc        any
	keywords   map[string]keyword
	schemas    map[string]*schema   // by pointer
	resources  map[string]*resource // by URI
	patterns   map[string]*regexp.Regexp
	references []*reference // that are yet to be resolved
	problems   []Problem
	ignored    []Ignored
}

func (c *compiler) problem(at, format string, args ...any) {
	c.problems = append(c.problems, Problem{at, fmt.Sprintf(format, args...)})
}

// schema compiles what stands at a pointer, once.
func (c *compiler) schema(at string, doc any, in *resource, depth int) *schema {
	if s := c.schemas[at]; s != nil {
		return s
	}
	s := &schema{at: at, resource: in}
	c.schemas[at] = s
	object, ok := doc.(map[string]any)
	if !ok {
		always, isBool := doc.(bool)
		if !isBool {
			c.problem(at, "a schema is an object, true or false, not %s", article(doc))
		}
		s.never = isBool && !always
		return s
	}
	if depth > maxNesting {
		c.problem(at, "schemas are nested more than %d deep", maxNesting)
		return s
	}
	c.identify(s, object)
	names := make([]string, 0, len(object))
	for name := range object {
		if c.counts(s, object, name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return c.keywords[a].rank - c.keywords[b].rank })
	for _, name := range names {
		k := site{name: name, at: at + "/" + escape(name), value: object[name], schema: s, object: object, depth: depth}
		if check := c.keywords[name].compile(c, k); check != nil {
			s.checks = append(s.checks, check)
		}
	}
	return s
}

// counts tells whether a keyword means something where it stands, and notes one that might have been meant to.
func (c *compiler) counts(s *schema, object map[string]any, name string) bool {
	k, known := c.keywords[name]
	draft := s.resource.draft
	ignore := func(why string, known []string) { c.ignore(s.at+"/"+escape(name), name, why, known) }
	switch {
	case known && k.since <= draft && draft <= k.until:
		if !has(object, "$ref") || name == "$ref" || draft >= draft2019 {
			return true
		}
		if k.checks {
			ignore("counts for nothing beside $ref in "+draft.String(), nil)
		}
	case known && k.checks:
		ignore("is not a keyword of "+draft.String(), nil)
	case !known && !isCore(name):
		ignore("is not a keyword of "+draft.String(), c.known(draft))
	}
	return false
}

// known are the keywords of a draft.
func (c *compiler) known(in draft) []string {
	var all []string
	for name, k := range c.keywords {
		if k.since <= in && in <= k.until {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func (c *compiler) ignore(at, word, why string, known []string) {
	c.ignored = append(c.ignored, Ignored{at, word, why, known})
}

// unused are the words that are ignored, without those that hold a schema which is referred to.
func (c *compiler) unused() []Ignored {
	holds := func(i Ignored) bool {
		for at := range c.schemas {
			if at == i.At || strings.HasPrefix(at, i.At+"/") {
				return true
			}
		}
		return false
	}
	left := slices.DeleteFunc(c.ignored, holds)
	slices.SortFunc(left, func(a, b Ignored) int { return strings.Compare(a.At, b.At) })
	return left
}

// site is a keyword where it stands.
type site struct {
	name   string
	at     string // its pointer
	value  any
	schema *schema
	object map[string]any // that it stands in
	depth  int
}

// within is the site of a value below that of the keyword.
func (k site) within(key string, value any) site {
	k.at, k.value = k.at+"/"+escape(key), value
	return k
}

// sub compiles the schema that a keyword holds.
func (c *compiler) sub(k site) *schema {
	return c.schema(k.at, k.value, k.schema.resource, k.depth+1)
}

// list compiles the schemas of a list. It must hold one at least.
func (c *compiler) list(k site) []*schema {
	items, ok := k.value.([]any)
	if !ok || len(items) == 0 {
		c.problem(k.at, "must be an array of at least one schema, not %s", article(k.value))
		return nil
	}
	all := make([]*schema, len(items))
	for i, item := range items {
		all[i] = c.sub(k.within(strconv.Itoa(i), item))
	}
	return all
}

// named is a schema and the key it has.
type named struct {
	name   string
	schema *schema
}

// mapping compiles the schemas of an object, ordered by their keys.
func (c *compiler) mapping(k site) []named {
	object, ok := k.value.(map[string]any)
	if !ok {
		c.problem(k.at, "must be an object of schemas, not %s", article(k.value))
		return nil
	}
	all := make([]named, 0, len(object))
	for _, name := range sortedKeys(object) {
		all = append(all, named{name, c.sub(k.within(name, object[name]))})
	}
	return all
}
