package lazyregexp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Every expression of the program compiles: what is lazy would fail at run time only.
func TestNew_allCompile(t *testing.T) {
	t.Parallel()
	count := 0
	err := fs.WalkDir(os.DirFS("../.."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("../..", path), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, expr := range literals(t, path, file) {
			count++
			if _, err := regexp.Compile(expr); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if count == 0 {
		t.Error("there is no expression in the program")
	}
}

// literals are the texts given to New, which may be sums of literals and nothing else.
func literals(t *testing.T, path string, file *ast.File) []string {
	t.Helper()
	var list []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !isNew(call.Fun) {
			return true
		}
		text, ok := literal(call.Args[0])
		if !ok {
			t.Errorf("%s: an expression that is no literal cannot be checked here", path)
		}
		list = append(list, text)
		return true
	})
	return list
}

func isNew(e ast.Expr) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != "New" {
		return false
	}
	p, ok := s.X.(*ast.Ident)
	return ok && p.Name == "lazyregexp"
}

func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, ok := literal(e.X)
		right, also := literal(e.Y)
		return left + right, ok && also
	}
	return "", false
}

func TestRegexp(t *testing.T) {
	t.Parallel()
	r := New(`b(.)`)
	if !r.MatchString("abc") || r.MatchString("acb") {
		t.Error("it does not match as its expression")
	}
	if got := r.FindAllStringSubmatch("bx by", -1); len(got) != 2 || got[1][1] != "y" {
		t.Errorf("found %q", got)
	}
	if got := r.ReplaceAllFunc([]byte("abc"), func([]byte) []byte { return []byte("-") }); string(got) != "a-" {
		t.Errorf("replaced: %q", got)
	}
}
