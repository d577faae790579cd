package jsonschema

import (
	"net/url"
	"slices"
	"strings"
)

// reference is a $ref or a relative of it.
type reference struct {
	at      string
	keyword string
	text    string
	from    *resource
	target  *schema
	// dynamic is the name of the anchor that is looked for in what was gone through, where anchored holds.
	dynamic  string
	anchored bool
}

// identify reads who a schema is: $id, $schema and anchors.
func (c *compiler) identify(s *schema, object map[string]any) {
	draft := s.resource.draft
	if uri, ok := object["$schema"]; ok && (s.at == "" || object["$id"] != nil) {
		draft = c.draft(s.at+"/$schema", uri, draft)
		if s.at == "" {
			s.resource.draft = draft
		}
	}
	if _, refers := object["$ref"]; !refers || draft >= draft2019 {
		if id, ok := object["$id"]; ok {
			c.resource(s, id, draft)
		}
	}
	if draft >= draft2019 {
		c.anchor(s, object, "$anchor")
	}
	if draft >= draft2020 {
		c.anchor(s, object, "$dynamicAnchor")
	}
	if draft == draft2019 && s.resource.at == s.at && object["$recursiveAnchor"] == true {
		s.resource.setDynamic("", s)
	}
}

func (c *compiler) draft(at string, uri any, otherwise draft) draft {
	text, ok := uri.(string)
	if !ok {
		c.problem(at, "must be a string, not %s", article(uri))
		return otherwise
	}
	d, ok := draftOf(text)
	if !ok {
		c.problem(at, "%q is none of the drafts 2020-12, 2019-09, 07 and 06", text)
		return otherwise
	}
	return d
}

// resource begins a resource at a schema with $id.
func (c *compiler) resource(s *schema, id any, draft draft) {
	at := s.at + "/$id"
	text, ok := id.(string)
	if !ok {
		c.problem(at, "must be a string, not %s", article(id))
		return
	}
	uri, fragment, _ := strings.Cut(text, "#")
	if fragment != "" && draft >= draft2019 {
		c.problem(at, "%q has a fragment; use $anchor", text)
		return
	}
	if uri != "" || fragment == "" {
		relative, err := url.Parse(uri)
		if err != nil {
			c.problem(at, "%q is not a URI", text)
			return
		}
		own := s.resource
		if s.at != "" {
			own = &resource{draft: draft, at: s.at}
		}
		own.id, own.root = s.resource.id.ResolveReference(relative), s
		s.resource = own
		name := own.id.String()
		if other := c.resources[name]; other != nil {
			c.problem(at, "%q is the $id of another schema too, at %q", text, other.at)
		}
		c.resources[name] = own
	}
	if fragment != "" {
		c.name(s, at, fragment)
	}
}

func (c *compiler) anchor(s *schema, object map[string]any, keyword string) {
	value, ok := object[keyword]
	if !ok {
		return
	}
	at := s.at + "/" + keyword
	name, ok := value.(string)
	if !ok {
		c.problem(at, "must be a string, not %s", article(value))
		return
	}
	if !isAnchor(name) {
		c.problem(at, "%q is not a name: use letters, digits, - . and _, and a letter or _ first", name)
		return
	}
	c.name(s, at, name)
	if keyword == "$dynamicAnchor" {
		s.resource.setDynamic(name, s)
	}
}

func isAnchor(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r != '-' && r != '.' && (r < '0' || r > '9')) {
			return false
		}
	}
	return name != ""
}

// name gives a schema an anchor in its resource.
func (c *compiler) name(s *schema, at, name string) {
	r := s.resource
	if other := r.anchors[name]; other != nil && other != s {
		c.problem(at, "%q is the anchor of another schema too, at %q", name, other.at)
	}
	if r.anchors == nil {
		r.anchors = map[string]*schema{}
	}
	r.anchors[name] = s
}

func (r *resource) setDynamic(name string, s *schema) {
	if r.dynamic == nil {
		r.dynamic = map[string]*schema{}
	}
	r.dynamic[name] = s
}

// reference notes a reference. Its target may be a schema that is yet to come.
func (c *compiler) reference(k site) *reference {
	text, ok := k.value.(string)
	if !ok {
		c.problem(k.at, "must be a string, not %s", article(k.value))
		return nil
	}
	r := &reference{at: k.at, keyword: k.name, text: text, from: k.schema.resource}
	k.schema.references = append(k.schema.references, r)
	c.references = append(c.references, r)
	return r
}

func (c *compiler) resolve(r *reference) {
	uri, fragment, _ := strings.Cut(r.text, "#")
	target := r.from
	if uri != "" {
		relative, err := url.Parse(uri)
		if err != nil {
			c.problem(r.at, "%q is not a URI", r.text)
			return
		}
		target = c.resources[r.from.id.ResolveReference(relative).String()]
	}
	if target == nil {
		c.problem(r.at, "%q is not part of the schema, and nothing is fetched; write the schema in one file", r.text)
		return
	}
	name, err := url.PathUnescape(fragment)
	if err != nil {
		c.problem(r.at, "%q is not a URI", r.text)
		return
	}
	switch {
	case name == "":
		r.target = target.root
	case strings.HasPrefix(name, "/"):
		r.target = c.locate(target.at + name)
	default:
		r.target = target.anchors[name]
		r.dynamic = name
	}
	if r.target == nil {
		c.problem(r.at, "there is nothing at %q", r.text)
		return
	}
	if r.keyword == keyRecursiveRef || r.keyword == keyDynamicRef && r.dynamic != "" {
		r.anchored = target.dynamic[r.dynamic] == r.target
	}
}

// locate is the schema at a pointer. It may stand where no keyword is known: then it is compiled now.
func (c *compiler) locate(pointer string) *schema {
	value, at := c.doc, ""
	in, depth := c.schemas[""].resource, 0
	for _, key := range parts(pointer) {
		next, ok := step(value, key)
		if !ok {
			return nil
		}
		value, at = next, at+"/"+escape(key)
		depth++
		if s := c.schemas[at]; s != nil {
			in = s.resource
		}
	}
	return c.schema(at, value, in, depth)
}

// refuseLoops finds schemas that lead back to themselves without a step into the value: nothing could be checked by them.
// A dynamic reference counts as one to every schema that it may mean.
func (c *compiler) refuseLoops() {
	dynamic := map[string][]*schema{}
	seen := map[*resource]bool{}
	pointers := slices.Sorted(func(yield func(string) bool) {
		for at := range c.schemas {
			if !yield(at) {
				return
			}
		}
	})
	for _, at := range pointers {
		if r := c.schemas[at].resource; !seen[r] {
			seen[r] = true
			for name, s := range r.dynamic {
				dynamic[name] = append(dynamic[name], s)
			}
		}
	}
	l := &loops{c: c, dynamic: dynamic, state: map[*schema]visit{}}
	for _, at := range pointers {
		l.visit(c.schemas[at])
	}
}

type visit int

const (
	visitNever visit = iota
	visitOpen
	visitDone
)

type loops struct {
	c       *compiler
	dynamic map[string][]*schema
	state   map[*schema]visit
}

// visit goes where a schema leads and tells whether that is open, which makes a loop.
func (l *loops) visit(s *schema) (loop bool) {
	switch l.state[s] {
	case visitOpen:
		return true
	case visitDone:
		return false
	case visitNever:
	}
	l.state[s] = visitOpen
	for _, next := range s.inPlace {
		if l.visit(next) {
			l.c.problem(next.at, "leads back to itself without a step into the value")
		}
	}
	for _, r := range s.references {
		targets := []*schema{r.target}
		if r.anchored {
			targets = append(targets, l.dynamic[r.dynamic]...)
		}
		if slices.ContainsFunc(targets, l.visit) {
			l.c.problem(r.at, "%q leads back to itself without a step into the value", r.text)
		}
	}
	l.state[s] = visitDone
	return false
}
