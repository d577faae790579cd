// Package iam reads IAM policy documents and decides with them.
//
// It is pure: it takes values and returns values, knows no clock, no store and no wire. [Parse] turns the text of a
// document into a [Document] or tells every fault at once; [Evaluate] decides one [Request] over the policies of an
// identity; [CanAssume] asks a trust policy; [Simulate] answers as SimulatePrincipalPolicy needs it; [Managed] holds
// the policies of AWS that a pipeline attaches.
//
// # Contract
//
//   - A matching Deny wins over every Allow, whatever the order of policies and statements; nothing matching is a deny.
//   - What cannot be told is denied: a request without action or resource, a policy without a document, a trust policy
//     handed over as a permissions policy, several values compared without a set operator.
//   - What a document says and AWS documents as impossible is refused by [Parse] and never silently without effect.
//   - Work is bounded: a document has at most [MaxText] characters, a pattern [MaxPattern]; matching never
//     backtracks further than to the last wildcard, or runs in pattern length times value length.
//
// # Sources
//
// Comments name the page of the AWS IAM User Guide that a rule comes from, such as reference_policies_grammar. Where
// these pages are silent, the comment says "our choice".
//
// Permissions boundaries, policies passed to AssumeRole, service control policies and resource policies other than trust policies
// are not evaluated.
package iam
