package shapes

import "reflect"

// Operation is what the model says of one operation.
type Operation struct {
	Name string
	// Input and Output are structures; nil where the operation has none.
	Input, Output reflect.Type
	// Errors are the names of the exceptions that the model lists.
	Errors []string
}
