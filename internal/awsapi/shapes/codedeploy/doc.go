// Package codedeploy holds the wire shapes of CodeDeploy, generated from its service model (2014-10-06) for the operations
// listed in operations.txt.
//
// The generated file is committed; `go generate` makes it again and needs botocore for the model.
package codedeploy

//go:generate go run ../../shapesgen -service codedeploy/2014-10-06 -package codedeploy
