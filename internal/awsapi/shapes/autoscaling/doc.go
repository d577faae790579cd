// Package autoscaling holds the wire shapes of Application Auto Scaling, generated from its service model (2016-02-06) for the operations
// listed in operations.txt.
//
// The generated file is committed; `go generate` makes it again and needs botocore for the model.
package autoscaling

//go:generate go run ../../shapesgen -service application-autoscaling/2016-02-06 -package autoscaling
