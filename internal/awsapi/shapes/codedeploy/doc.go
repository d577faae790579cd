// Package codedeploy holds the wire shapes of CodeDeploy, generated from its service model (2014-10-06) for the
// operations listed in operations.txt.
//
// The generated file is committed; `go generate` makes it again and needs botocore for the model.
package codedeploy

//go:generate sh -c "go run ../../shapesgen -model \"$(python3 -c 'import botocore,os;print(os.path.dirname(botocore.__file__))')/data/codedeploy/2014-10-06/service-2.json.gz\" -operations operations.txt -package codedeploy -out codedeploy_gen.go"
