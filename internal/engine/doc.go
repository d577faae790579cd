// Package engine runs deployments: one goroutine for each that is not terminal.
//
// The loop of a deployment, in order: take the oldest event of its durable inbox (or a Tick that is
// due), ask deploy.Step what follows, commit state, records and the consumed event in one
// transaction, and only then carry out the effects. Effects run beside the loop under their id
// "deployment/seq"; their outcome is one more event in the inbox. Those that act on the same thing are
// carried out in order. Whatever the process was doing when it died is done again from
// Deployment.Open: adapters ensure rather than create, and a hook is started at most once for its id.
// The same holds for a write that returned an error and was stored all the same.
//
// A shutdown (the end of Run's context) writes nothing: the next process goes on. A cancel and a
// deadline are events, decided by deploy.Step.
//
// All adapters come in through ports.go.
package engine
