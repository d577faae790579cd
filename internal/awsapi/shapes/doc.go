// Package shapes holds the wire shapes of the AWS operations that we serve, generated from the official service models,
// and the decoder for them.
//
// Strings, enums, lists, maps and structures are absent when they are zero (nil for lists and maps: an empty list is
// sent as []). Numbers, booleans and timestamps are pointers, because 0 and false differ from absent.
//
// The generated files are committed. `go generate` makes them again and needs botocore's models.
package shapes

//go:generate sh -c "go run ../shapesgen -model $(python3 -c 'import botocore,os;print(os.path.dirname(botocore.__file__))')/data/codedeploy/2014-10-06/service-2.json.gz -service CodeDeploy -operations operations/codedeploy.txt -out codedeploy_gen.go"
