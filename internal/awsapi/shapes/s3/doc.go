// Package s3 holds the wire shapes of S3, generated from its service model (2006-03-01) for the operations
// listed in operations.txt.
//
// The generated file is committed; `go generate` makes it again and needs botocore for the model.
package s3

//go:generate go run ../../shapesgen -service s3/2006-03-01 -package s3
