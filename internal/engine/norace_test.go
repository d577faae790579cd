//go:build !race

package engine_test

// raceEnabled says that the race detector is on.
const raceEnabled = false
