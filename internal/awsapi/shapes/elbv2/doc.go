// Package elbv2 holds the wire shapes of Elastic Load Balancing v2, generated from its service model (2015-12-01) for the operations
// listed in operations.txt.
//
// The generated file is committed; `go generate` makes it again and needs botocore for the model.
package elbv2

//go:generate go run ../../shapesgen -service elbv2/2015-12-01 -package elbv2
