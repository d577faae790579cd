package scenario

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// This file, strict.go and functions.go are the only ones that know the expression library.

// maxExpression bounds one expression in bytes.
const maxExpression = 4 << 10

// stage is when an expression is evaluated: it decides which names there are.
type stage int

const (
	before     stage = iota // templates, when, foreach
	afterHTTP               // an answer is there
	afterRun                // a program has ended
	afterTalk               // a WebSocket conversation has ended
	afterCall               // a gRPC call has ended
	afterSteps              // the steps of another file have run
)

// env are the names that an expression may use.
type env struct {
	stage         stage
	vars, secrets []string
	// steps are the captured names of each step that has run before, by its name.
	steps map[string][]string
	loop  bool
}

func (e env) at(s stage) env {
	e.stage = s
	return e
}

// observed are the names that hold what was seen, by stage.
func (s stage) observed() types.Map {
	switch s {
	case afterHTTP:
		return types.Map{
			"status": types.Int, "headers": types.Any, "body": types.Any, "raw": types.String, "latency": types.TypeOf(time.Duration(0)),
			"latencies": types.Any, "url": types.String, "cookies": types.Any, "certificate": types.Any,
		}
	case afterRun:
		return types.Map{
			"exit_code": types.Int, "stdout": types.String, "stderr": types.String, "latency": types.TypeOf(time.Duration(0)),
		}
	case afterTalk:
		return types.Map{"messages": types.Any, "latency": types.TypeOf(time.Duration(0))}
	case afterCall:
		return types.Map{
			"status": types.String, "code": types.Int, "message": types.String, "body": types.Any, "headers": types.Any, "trailers": types.Any,
			"latency": types.TypeOf(time.Duration(0)), "latencies": types.Any, "url": types.String, "certificate": types.Any,
		}
	case before, afterSteps:
	}
	return types.Map{}
}

// types are all names with their types, for the compiler.
func (e env) types() types.Map {
	m := types.Map{"vars": types.Any, "secrets": types.Any, "steps": types.Any, "release": types.Any, "base_url": types.String}
	maps.Copy(m, e.stage.observed())
	if e.loop {
		m["item"], m["index"] = types.Any, types.Int
	}
	return m
}

// releaseFields are what may be known of the release under test.
func releaseFields() []string {
	return []string{"deployment", "revision", "service", "task_set", "version"}
}

// resultKind is what an expression must be.
type resultKind int

const (
	anyResult resultKind = iota
	boolResult
)

// expression is one that was compiled.
type expression struct {
	source  string
	file    string
	at      position
	program *vm.Program
	// uses are the names of the outermost values that it reads.
	uses map[string]bool
}

// compileError is what is wrong with an expression, and where in it, counted from 0.
type compileError struct {
	message      string
	line, column int
}

func (e *compileError) Error() string { return e.message }

// compile makes a program of an expression.
func compile(source string, names env, kind resultKind) (*vm.Program, map[string]bool, error) {
	if len(source) > maxExpression {
		return nil, nil, &compileError{message: "the expression is too long"}
	}
	s := &strict{names: names, uses: map[string]bool{}, paths: map[ast.Node][]string{}}
	options := append(functions(), expr.Env(names.types()), expr.Patch(s), expr.Optimize(false), expr.DisableBuiltin("get"))
	program, err := expr.Compile(source, options...)
	s.finish()
	switch {
	case s.err != nil:
		return nil, nil, s.located(source)
	case err != nil:
		return nil, nil, located(err)
	case kind == boolResult && !maybeBool(program.Node().Type()):
		return nil, nil, &compileError{message: "is not true or false, but of type " + program.Node().Type().String()}
	}
	return program, s.uses, nil
}

// maybeBool reports whether a value of a type can be true or false.
func maybeBool(t reflect.Type) bool {
	return t == nil || t.Kind() == reflect.Bool || t.Kind() == reflect.Interface
}

// located takes position and words out of the library's error.
func located(err error) error {
	var e *file.Error
	if !errors.As(err, &e) {
		return &compileError{message: err.Error()}
	}
	message := e.Message
	if strings.Contains(message, "mismatched types time.Duration") {
		message += "; write a duration as duration(\"800ms\")"
	}
	return &compileError{message, max(e.Line-1, 0), e.Column}
}

// expression compiles one of the file; nil after a fault.
func (d *decoder) expression(source string, at position, names env, kind resultKind) *expression {
	program, uses, err := compile(source, names, kind)
	if err != nil {
		var c *compileError
		if errors.As(err, &c) && c.line == 0 && !strings.Contains(source, "\n") {
			at.column += c.column
		}
		d.fault(at, "expression %q: %s", clip(source, 120), err)
		return nil
	}
	return &expression{source: source, file: d.file, at: at, program: program, uses: uses}
}

// value evaluates the expression.
func (e *expression) value(values map[string]any) (any, error) { return evaluate(e.program, values) }

func evaluate(program *vm.Program, values map[string]any) (any, error) {
	v, err := expr.Run(program, values)
	if missing, ok := errors.AsType[*missingError](err); ok {
		return nil, missing
	}
	if f, ok := errors.AsType[*file.Error](err); ok {
		return nil, errors.New(f.Message)
	}
	if err != nil {
		return nil, err
	}
	if bad, ok := v.(unreadable); ok {
		return nil, bad
	}
	return v, nil
}

// missingError says that a value is not there.
type missingError struct {
	path    string
	message string
}

func (e *missingError) Error() string { return e.message }

// assertion is an expression that must be true. It is split at its outermost "and", so that a result names the part
// that was false with its two operands.
type assertion struct {
	*expression
	parts []assertionPart
}

type assertionPart struct {
	source      string
	program     *vm.Program
	operator    string
	left, right *vm.Program // nil where there is none
}

// assertion compiles an assertion of the file; nil after a fault.
func (d *decoder) assertion(n *node, names env) *assertion {
	source := strings.TrimSpace(n.text)
	at := n.within(len(n.text) - len(strings.TrimLeft(n.text, " ")))
	e := d.expression(source, at, names, boolResult)
	if e == nil {
		return nil
	}
	if !e.observes(names) {
		d.fault(at, "expression %q: looks at nothing that was answered, so it is always the same", clip(source, 120))
		return nil
	}
	a := &assertion{expression: e}
	tree, err := parser.Parse(source)
	if err != nil {
		d.fault(at, "expression %q: %s", clip(source, 120), err)
		return nil
	}
	all := conjuncts(tree.Node, nil)
	if len(all) == 1 { // it is compiled already
		p := assertionPart{source: source, program: e.program}
		p.show(all[0], names)
		a.parts = []assertionPart{p}
		return a
	}
	for _, n := range all {
		p := assertionPart{source: n.String()}
		p.program, _, _ = compile(p.source, names, boolResult) // nil where it does not compile
		p.show(n, names)
		a.parts = append(a.parts, p)
	}
	for _, p := range a.parts {
		if p.program == nil { // it does not print as it was written
			a.parts = []assertionPart{{source: source, program: e.program}}
			break
		}
	}
	return a
}

// observes reports whether the expression depends on what was seen.
func (e *expression) observes(names env) bool {
	for name := range names.stage.observed() {
		if e.uses[name] {
			return true
		}
	}
	return e.uses["steps"]
}

// conjuncts are the operands of the outermost "and".
func conjuncts(n ast.Node, into []ast.Node) []ast.Node {
	if b, ok := n.(*ast.BinaryNode); ok && (b.Operator == "and" || b.Operator == "&&") {
		return conjuncts(b.Right, conjuncts(b.Left, into))
	}
	return append(into, n)
}

// show compiles what a result names beside the expression: the operator and its operands.
func (p *assertionPart) show(n ast.Node, names env) {
	operand := func(n ast.Node) *vm.Program {
		program, _, err := compile(n.String(), names, anyResult)
		if err != nil {
			return nil // it is shown without
		}
		return program
	}
	if not, ok := n.(*ast.UnaryNode); ok {
		p.operator = "not"
		n = not.Node
	}
	switch n := n.(type) {
	case *ast.BinaryNode:
		p.operator = strings.TrimSpace(p.operator + " " + n.Operator)
		p.left, p.right = operand(n.Left), operand(n.Right)
	case *ast.BuiltinNode:
		p.operator = n.Name
		if len(n.Arguments) > 0 {
			p.left = operand(n.Arguments[0])
		}
	case *ast.CallNode:
		if len(n.Arguments) > 0 {
			p.left = operand(n.Arguments[0])
		}
		if len(n.Arguments) > 1 {
			p.right = operand(n.Arguments[1])
		}
	default:
		p.left = operand(n)
	}
}
