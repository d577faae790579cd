// Command shapesgen writes Go shapes from an AWS service model (botocore's service-2.json, plain or gzipped) for the
// operations listed, one name a line, and everything that they reach.
//
//	go run ./internal/awsapi/shapesgen -service ecs/2014-11-13 -package ecs
//	go run ./internal/awsapi/shapesgen -model FILE -operations FILE -package NAME -out FILE
//
// What a protocol needs to know of a member stands in the tags of its field:
//
//	json   the name of the member in the model, which is also its name in JSON and CBOR
//	aws    required, min and max
//	wire   where the member is and how it is written, for the protocols that differ from JSON (see package wire)
package main
