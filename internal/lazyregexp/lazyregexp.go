// Package lazyregexp compiles regular expressions when they are first used. The program has dozens of them, and each of its
// many short-lived processes needs one or two: compiling all of them was a fifth of its start-up.
package lazyregexp

import (
	"regexp"
	"sync"
)

// Regexp is a regular expression that is compiled on its first use. It may be used by several goroutines at once.
type Regexp struct {
	compiled func() *regexp.Regexp
}

// New returns an expression in the syntax of package regexp. One that cannot be compiled panics when it is first used; the
// test of this package compiles all that the program has.
func New(expr string) *Regexp {
	return &Regexp{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })}
}

// MatchString is [regexp.Regexp.MatchString].
func (r *Regexp) MatchString(s string) bool { return r.compiled().MatchString(s) }

// FindAllStringSubmatch is [regexp.Regexp.FindAllStringSubmatch].
func (r *Regexp) FindAllStringSubmatch(s string, n int) [][]string {
	return r.compiled().FindAllStringSubmatch(s, n)
}

// ReplaceAllFunc is [regexp.Regexp.ReplaceAllFunc].
func (r *Regexp) ReplaceAllFunc(src []byte, repl func([]byte) []byte) []byte {
	return r.compiled().ReplaceAllFunc(src, repl)
}

// String is the expression as it was given.
func (r *Regexp) String() string { return r.compiled().String() }
