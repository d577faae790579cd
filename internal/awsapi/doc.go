// Package awsapi is the wire: it answers AWS-compatible requests on one port and turns them into calls of small
// interfaces that it declares itself.
//
// The contract of one request, in order:
//
//  1. A request id (UUID) is chosen; every answer carries it as x-amzn-RequestId.
//  2. /healthz is answered without credentials. Everything else must be signed.
//  3. The protocol that recognises the request names service and operation. JSON 1.1 is the only one so far; others
//     implement the protocol interface (protocol.go) and join the list in newProtocols.
//  4. The signature (SigV4, Authorization header) is verified over the whole body. The region of the scope is not
//     compared: hook functions hard-code regions.
//  5. The operation decodes its input, asks whether the caller may act on the resource, validates and calls the domain.
//  6. Errors leave through one table (errors.go): code of the domain -> exception name and status.
//
// Bodies, secrets, tokens and signatures are never logged.
//
// Two services are behind the door: CodeDeploy (target prefix CodeDeploy_20141006) and the operations of our own that
// the AWS wire cannot say (target prefix Greengate_20261122, see Config.Operations).
package awsapi
