// Package sns holds the wire shapes of SNS, generated from its service model (2010-03-31) for the operations
// listed in operations.txt.
//
// The generated file is committed; `go generate` makes it again and needs botocore for the model.
package sns

//go:generate go run ../../shapesgen -service sns/2010-03-31 -package sns
