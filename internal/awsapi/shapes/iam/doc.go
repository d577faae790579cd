// Package iam holds the wire shapes of IAM, generated from its service model (2010-05-08) for the operations
// listed in operations.txt.
//
// The generated file is committed; `go generate` makes it again and needs botocore for the model.
package iam

//go:generate go run ../../shapesgen -service iam/2010-05-08 -package iam
