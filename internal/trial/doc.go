// Package trial runs a scratch installation for those who try something out: on free ports, in a folder of its own, with
// a steady load on a production address. It drives the binary by its own commands, as a person would.
package trial
