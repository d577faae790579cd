// Package lambdahook is a scenario as a function of AWS Lambda: a zip for the runtime provided.al2023 whose bootstrap is
// this very program, with the scenario beside it. The function runs the scenario and tells the verdict both ways:
// CodeDeploy by a callback, the blue/green deployments of ECS by what it returns. The last line that it logs is the
// verdict, in a form that greengate watch reads.
package lambdahook
