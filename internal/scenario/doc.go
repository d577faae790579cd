// Package scenario is the end-to-end check that a file describes: its format, its loader and its runner.
//
// A gate must fail closed. A key that is not known, an expression that does not compile, a field that is not there, a
// list that is empty, a step that was skipped: none of them is ever a pass. A Result says pass, fail (an assertion was
// false) or error (it could not be told), and holds the evidence for it with secrets masked.
//
// The package knows no deployments: who runs a scenario tells it the address, the release and what it may do.
package scenario
