// Command shapesgen writes Go shapes from an AWS service model (botocore's service-2.json, plain or gzipped) for the
// operations listed, one name a line, and everything that they reach.
//
//	go run ./internal/awsapi/shapesgen -model FILE -operations FILE -package NAME -out FILE
package main
