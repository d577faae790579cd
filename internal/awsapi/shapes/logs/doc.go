// Package logs holds the wire shapes of CloudWatch Logs, generated from its service model (2014-03-28) for the operations
// listed in operations.txt.
//
// The generated file is committed; `go generate` makes it again and needs botocore for the model.
package logs

//go:generate go run ../../shapesgen -service logs/2014-03-28 -package logs
