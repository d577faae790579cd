// Package wire holds the codecs of the AWS wire protocols: query, rest-json, rest-xml, rpc-v2-cbor and JSON 1.0 and 1.1.
// They are driven by the generated shapes alone and know no service, except for what quirks.go lists.
//
// A codec reads a request into the input of an operation and writes outputs and errors as clients parse them. Decoding
// ignores members that the model does not have and refuses values of the wrong type (ErrMalformed, with the path of the
// member). Nothing here checks what is required or how long it may be: services word that each in their own way
// (shapes.Check).
//
// Where a member is, and how it is written, stands in the wire tag of its field, made by shapesgen:
//
//	uri=N       a label of the path            query=N     a parameter of the query string
//	header=N    a header                       headers=N   a map: all headers that begin with N
//	status      the HTTP status                payload     the whole body
//	name=N      its name in XML and in forms, where that is not the name in the model
//	flat        list or map without an element around it
//	item=N, key=N, value=N                     names inside a list or a map
//	time=F      iso8601, rfc822 or unixTimestamp
//
// Limits: bodies come in whole and are bounded by the caller, except for streams; nesting is bounded by
// shapes.MaxDepth, the parameters of a form by MaxParameters, the elements of an XML document by MaxElements.
package wire
