// Package awsapi is the wire: it answers AWS-compatible requests on one port and turns them into calls of small
// interfaces that it declares itself.
//
// The contract of one request, in order:
//
//  1. A request id (UUID) is chosen; every answer carries it where the clients of its protocol look for it:
//     x-amzn-RequestId, the XML of query answers, x-amz-request-id for S3.
//  2. /healthz is answered without credentials. Everything else must be signed.
//  3. The dispatcher names protocol, service and operation (dispatch.go): by X-Amz-Target (JSON 1.0 and 1.1), the path
//     of rpc-v2-cbor, the service in the scope of the signature where protocols share paths (S3 and Lambda), and Action
//     with Version in a form (query), which is only read once it is known to be the caller's.
//  4. The signature (SigV4) is verified, from the Authorization header or the query string, over the whole body. The
//     region of the scope is not compared: hook functions hard-code regions. The service is. Bodies of S3 are verified
//     while they are read (payload.go, chunked.go): who reads one to its end without an error has what was signed.
//  5. The operation decodes its input, asks whether the caller may act on the resource, validates and calls the domain.
//  6. Errors leave through one table (errors.go): code of the domain -> exception name; package wire says which code and
//     status that is in each protocol.
//
// Bodies, secrets, tokens and signatures are never logged.
//
// What nobody serves yet is refused in the protocol of its service (InvalidAction, UnknownOperationException,
// NotImplemented). An operation is served by putting it into the Server's table under the prefix of its service in IAM
// actions and its name. Operations of our own, which the AWS wire cannot say, have the target prefix Greengate_20261122
// (see Config.Operations).
package awsapi
