// Package cloudwatch holds the wire shapes of CloudWatch, generated from its service model (2010-08-01) for the operations
// listed in operations.txt.
//
// The generated file is committed; `go generate` makes it again and needs botocore for the model.
package cloudwatch

//go:generate go run ../../shapesgen -service cloudwatch/2010-08-01 -package cloudwatch
