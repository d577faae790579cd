package shapes

import "reflect"

// Service is what a model says of a service.
type Service struct {
	// ID is the model's name of the service, "Elastic Load Balancing v2".
	ID string
	// Prefix begins the service's IAM actions; Signing is its name in signatures.
	Prefix, Signing string
	// Version is the version of the API, a date.
	Version string
	// Protocols are those that the service speaks, as models call them, the preferred one first.
	Protocols []string
	// Target begins X-Amz-Target, JSONVersion is 1.0 or 1.1; both only where the service speaks JSON.
	Target, JSONVersion string
	// Namespace is that of XML answers.
	Namespace string
	// QueryErrors: the service once spoke the query protocol only, and clients still match on its error codes.
	QueryErrors bool
	Operations  []Operation
	// Errors has the errors of the operations by the name of their shape.
	Errors map[string]Fault
}

// Operation is what the model says of one operation.
type Operation struct {
	Name string
	// Method and URI are empty where they are POST and /. The URI holds labels, {Bucket} or {Key+}, and may hold a query.
	Method, URI string
	// Status of a success, 0 is 200.
	Status int
	// Input and Output are structures; nil where the operation has none.
	Input, Output reflect.Type
	// Errors are the names of the exceptions that the model lists.
	Errors []string
}

// Fault is what the model says of an error where it is not a fault of the client with status 400 that is called on the
// wire as in the model, with a member "message".
type Fault struct {
	// Code is the name on the wire where it is not that of the shape.
	Code string
	// Status is 0 for 400.
	Status int
	// Server: the fault is ours.
	Server bool
	// Message is the member that holds the message, empty is "message".
	Message string
	// Typed: the error has a member Type that says "User" or "Service".
	Typed bool
}
