// Package ecs holds the wire shapes of Amazon ECS, generated from its service model (2014-11-13) for the operations
// listed in operations.txt.
//
// The generated file is committed; `go generate` makes it again and needs botocore for the model.
package ecs

//go:generate go run ../../shapesgen -service ecs/2014-11-13 -package ecs
