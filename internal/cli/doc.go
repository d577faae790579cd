// Package cli is the command line: one file a command. It is a client; all that it knows of a controller it learns over
// the wire, as anybody else could.
//
// The contract:
//
//   - Results go to standard output, everything else (progress with --json, errors, hints) to standard error.
//   - --json gives exactly one JSON document, or JSON lines where there is no end (events, logs). Its keys are those of
//     the wire (package deploy): lower camel case, durations in nanoseconds, times in RFC 3339.
//   - The exit code is one of the table in exit.go and nowhere else.
//   - A wait outlives its controller: it asks again until the controller is back, or patience ends.
//   - An interrupt ends the waiting, never the deployment.
package cli
