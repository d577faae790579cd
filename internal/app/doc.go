// Package app wires the roles together: it is the only package that knows all others.
//
// RunController, RunProxy and RunRunner are the three role processes, RunServe the supervisor above
// them. Each takes its options as values and returns when its context ends.
package app
