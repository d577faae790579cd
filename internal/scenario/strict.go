package scenario

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// strict rewrites an expression so that it cannot be true by accident. In the library's own way a field that is not
// there is nil, and `body.nam != "bob"` is true; 3 != "3" is true; all() of an empty list is true. Here the first is a
// failure, and so are the others.
type strict struct {
	names env
	uses  map[string]bool
	// paths are the names along which a rewritten access goes: steps, login, token.
	paths map[ast.Node][]string
	// unknown are names that nothing gives, unless the expression itself does: let x = 1; x
	unknown []ast.Node
	own     []string
	err     *compileError
	from    int // of err, in runes
}

// Visit implements ast.Visitor. Children come before their parents.
func (s *strict) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		s.uses[n.Value] = true
		if _, ok := s.names.types()[n.Value]; !ok && !slices.Contains(functionNames(), n.Value) {
			s.unknown = append(s.unknown, n)
		}
	case *ast.VariableDeclaratorNode:
		s.own = append(s.own, n.Name)
	case *ast.MemberNode:
		s.member(node, n)
	case *ast.ChainNode:
		s.fail(n, "?. takes a missing field for nothing; use has(value, \"field\") to ask whether it is there")
	case *ast.BinaryNode:
		s.binary(node, n)
	case *ast.BuiltinNode:
		s.builtin(node, n)
	case *ast.CallNode:
		if _, ok := n.Callee.(*ast.IdentifierNode); !ok {
			s.fail(n, "only functions can be called")
		}
	}
}

// finish refuses names that nothing gives. The library overlooks those among the arguments of a function.
func (s *strict) finish() {
	for _, n := range s.unknown {
		name := n.String()
		if slices.Contains(s.own, name) {
			continue
		}
		known := slices.Sorted(maps.Keys(s.names.types()))
		suffix := didYouMean(name, slices.Concat(known, functionNames()))
		if suffix == "" {
			suffix = "; known here are " + strings.Join(known, ", ")
		}
		s.fail(n, "unknown name %q%s", name, suffix)
	}
}

func (s *strict) fail(n ast.Node, format string, args ...any) {
	if s.err == nil {
		s.err, s.from = &compileError{message: fmt.Sprintf(format, args...)}, n.Location().From
	}
}

// located is the fault with its column.
func (s *strict) located(source string) error {
	for i, r := range []rune(source) {
		if i == s.from {
			break
		}
		s.err.column++
		if r == '\n' {
			s.err.line++
			s.err.column = 0
		}
	}
	return s.err
}

func call(name string, args ...ast.Node) *ast.CallNode {
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
}

func (s *strict) member(node *ast.Node, n *ast.MemberNode) {
	if n.Optional {
		s.fail(n, "?. takes a missing field for nothing; use has(value, \"field\") to ask whether it is there")
		return
	}
	path := s.path(n.Node)
	if property, ok := n.Property.(*ast.StringNode); ok && path != nil {
		path = append(slices.Clone(path), property.Value)
		s.known(n, path)
	} else {
		s.computed(n, path)
		path = nil
	}
	access := call("__get", n.Node, n.Property, &ast.StringNode{Value: s.label(n)})
	access.SetLocation(n.Location())
	ast.Patch(node, access)
	s.paths[*node] = path
}

// path is along which names a value is reached; nil where it is not by names alone.
func (s *strict) path(n ast.Node) []string {
	if id, ok := n.(*ast.IdentifierNode); ok {
		return []string{id.Value}
	}
	return s.paths[n]
}

// known refuses names that no run could find.
func (s *strict) known(n ast.Node, path []string) {
	check := func(what, name string, known []string) {
		if !slices.Contains(known, name) {
			suffix := didYouMean(name, known)
			if suffix == "" && len(known) > 0 {
				suffix = "; there are " + strings.Join(known, ", ")
			}
			s.fail(n, "there is no %s %q%s", what, name, suffix)
		}
	}
	switch {
	case len(path) == 2 && path[0] == "vars":
		check("var", path[1], s.names.vars)
	case len(path) == 2 && path[0] == "secrets":
		check("secret", path[1], s.names.secrets)
	case len(path) == 2 && path[0] == "release":
		check("field of the release", path[1], releaseFields())
	case len(path) == 2 && path[0] == "steps":
		var known []string
		for name := range s.names.steps {
			known = append(known, name)
		}
		slices.Sort(known)
		check("earlier step with captures called", path[1], known)
	case len(path) == 3 && path[0] == "steps":
		check("captured value of step "+path[1], path[2], s.names.steps[path[1]])
	}
}

// computed refuses computed names where the known ones are what protects from a typing mistake.
func (s *strict) computed(n *ast.MemberNode, path []string) {
	if len(path) == 1 && slices.Contains([]string{"vars", "secrets", "release", "steps"}, path[0]) {
		s.fail(n, "%s takes a name that is written out", path[0])
	}
}

// label is how the access was written, for messages.
func (s *strict) label(n *ast.MemberNode) string {
	base := n.Node.String()
	if c, ok := n.Node.(*ast.CallNode); ok && len(c.Arguments) == 3 {
		if text, ok := c.Arguments[2].(*ast.StringNode); ok {
			base = text.Value
		}
	}
	switch p := n.Property.(type) {
	case *ast.StringNode:
		if wordPattern.MatchString(p.Value) {
			return base + "." + p.Value
		}
		return base + "[" + strconv.Quote(p.Value) + "]"
	case *ast.IntegerNode:
		return base + "[" + strconv.Itoa(p.Value) + "]"
	}
	return base + "[…]"
}

func (s *strict) binary(node *ast.Node, n *ast.BinaryNode) {
	replace := func(name string) {
		c := call(name, n.Left, n.Right)
		c.SetLocation(n.Location())
		ast.Patch(node, c)
	}
	switch n.Operator {
	case "==":
		replace("__eq")
	case "!=":
		replace("__ne")
	case "in":
		replace("__in")
	case "??":
		s.fail(n, "?? takes a missing value for nothing; use has(value, \"field\") to ask whether it is there")
	}
}

// builtin refuses answers that a function makes out of nothing.
func (s *strict) builtin(node *ast.Node, n *ast.BuiltinNode) {
	switch n.Name {
	case "get":
		s.fail(n, "get takes a missing field for nothing; write value.field, or has(value, \"field\") to ask whether it is there")
	case "all", "none", "min", "max", "mean", "median":
		if len(n.Arguments) > 0 && !literal(n.Arguments[0]) {
			n.Arguments[0] = call("__some", n.Arguments[0], &ast.StringNode{Value: n.Name})
		}
	case "first", "last", "find", "findLast":
		ast.Patch(node, call("__found", n, &ast.StringNode{Value: n.Name}))
	}
}

// literal reports whether a value is a number that is written out: min and max take those beside lists.
func literal(n ast.Node) bool {
	switch n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return true
	}
	return false
}
