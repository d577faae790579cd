// Package deploy is the domain: what a deployment is, and what happens to it next.
//
// The contract, in order:
//
//  1. A Deployment is a value. Step takes one and an Event and returns the next Deployment, the
//     effects to carry out and the records to log. It takes no clock (events bring their time),
//     does no I/O, starts no goroutine and never alters its input; the same input gives the same
//     output.
//  2. The caller persists the new value before it carries out any effect. An effect has an
//     identity, "deployment/seq", and stays in Deployment.Open until its outcome came back as an
//     event; after a crash every open effect is carried out again under the same identity.
//  3. An outcome whose sequence number is not open changes nothing, so late and doubled outcomes
//     are harmless.
//  4. Deployment.Due says when the caller must send the next Tick. Every phase that is not
//     terminal either has a deadline or waits for a named decision that has one.
//  5. Effects are carried out beside each other, but those that act on the same thing in the order of
//     their sequence numbers, each after the one before it has ended or was cancelled and has let
//     go: Routes (the listeners), Install and Retire of one task set, Hooks (a retry never runs
//     beside the attempt that timed out). So nothing that was cancelled acts late.
//  6. A terminal deployment has no open effects and ignores every event.
//
// Phases carry the names that the AWS wire uses for lifecycle events; the few between them are
// named after the waits and the way back. One function handles one phase (phases.go, wayback.go).
package deploy
