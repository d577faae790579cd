// Package kill holds the crash tests of the whole program: they run the real binary, put load on a
// service that it deploys, and end the supervisor and its roles with SIGKILL, each at every position that
// can be reached. They look at it from outside only: the API, /proc, an append-only file that every hook
// writes to at its start, and the answers that their own load got.
//
// A short run takes a fixed choice of positions, every phase among them, and prints it:
//
//	go test ./test/e2e/kill
//	go test ./test/e2e/kill -timeout 60m -args -all    # every position, before and after
//
// The positions are named by a build with -tags faultinject (internal/app/fault_inject.go); everything
// else is done to the program as it is shipped.
package kill
