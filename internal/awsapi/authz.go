package awsapi

import (
	"fmt"
	"slices"
)

// authorize asks whether p may carry out an action of a service ("codedeploy:StopDeployment") on a resource, given as
// an ARN. on is the deployment group that the resource belongs to, nil where it belongs to none.
//
// Root may everything. A function or a task may what its scope lists, and what belongs to a deployment group only where
// that is its own. It fails closed: an empty scope allows nothing, an empty group owns nothing.
func authorize(p Principal, action, arn string, on *groupName) error {
	switch p.Kind {
	case KindRoot:
		return nil
	case KindFunction, KindTask:
		allowed := slices.Contains(p.Scope.Actions, action)
		if allowed && on != nil {
			allowed = p.Scope.Application != "" && p.Scope.Group != "" &&
				p.Scope.Application == on.application && p.Scope.Group == on.group
		}
		if allowed {
			return nil
		}
	}
	return fault("AccessDeniedException",
		fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", p.ARN, action, arn))
}

// groupName is the full name of a deployment group.
type groupName struct {
	application string
	group       string
}
