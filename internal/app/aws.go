package app

import "greengate/internal/awsapi"

// services are the AWS services that the wire answers besides CodeDeploy, by their prefixes in IAM actions.
func (c *Controller) services() map[string]awsapi.Handlers {
	return map[string]awsapi.Handlers{}
}
