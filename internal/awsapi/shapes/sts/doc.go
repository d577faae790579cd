// Package sts holds the wire shapes of STS, generated from its service model (2011-06-15) for the operations
// listed in operations.txt.
//
// The generated file is committed; `go generate` makes it again and needs botocore for the model.
package sts

//go:generate go run ../../shapesgen -service sts/2011-06-15 -package sts
