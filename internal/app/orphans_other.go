//go:build !linux

package app

// adoptOrphans does nothing: only Linux knows subreapers, and only there the runner works.
func adoptOrphans() error { return nil }
