package awsapi

import (
	"fmt"
	"slices"
)

// authorize asks whether p may carry out an action of a service ("codedeploy:StopDeployment") on a resource, given as
// an ARN. on is the deployment group (or application) that the resource belongs to, nil where it belongs to none.
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
			allowed = on.ownedBy(p.Scope)
		}
		if allowed {
			return nil
		}
	}
	return fault("AccessDeniedException",
		fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", p.ARN, action, arn))
}

// groupName is the full name of a deployment group, or of an application where group is empty.
type groupName struct {
	application string
	group       string
}

// arn is the name as codedeploy writes it.
func (g groupName) arn(region, account string) string {
	if g.application == "" {
		return "*"
	}
	if g.group == "" {
		return "arn:aws:codedeploy:" + region + ":" + account + ":application:" + g.application
	}
	return "arn:aws:codedeploy:" + region + ":" + account + ":deploymentgroup:" + g.application + "/" + g.group
}

func (g groupName) ownedBy(s Scope) bool {
	if s.Application == "" || s.Group == "" || s.Application != g.application {
		return false
	}
	return g.group == "" || g.group == s.Group
}
