// Package appspec reads the AppSpec file of an Amazon ECS deployment, YAML or JSON, into values.
//
// The rules are those of the CodeDeploy user guide ("AppSpec resources section for Amazon ECS
// deployments", "AppSpec hooks section for an Amazon ECS deployment"); where the guide is silent they
// are those that shipping clients need: keys match whatever their case, the version is a number or a
// string (aws-actions/amazon-ecs-deploy-task-definition sends the number 0), unknown properties are
// ignored. Parse says everything that is wrong at once, each fault with its line and column.
//
// It is pure: what a file names (a task definition, a function) is looked up by the caller.
package appspec
