// Package lambda holds the wire shapes of Lambda, generated from its service model (2015-03-31) for the operations
// listed in operations.txt.
//
// The generated file is committed; `go generate` makes it again and needs botocore for the model.
package lambda

//go:generate go run ../../shapesgen -service lambda/2015-03-31 -package lambda
