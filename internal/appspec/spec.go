package appspec

import (
	"fmt"

	"greengate/internal/deploy"
)

// Spec is what an AppSpec file says. Everything but the first four fields may be absent, which means
// that the running task set's value is kept.
type Spec struct {
	// Resource is the free name under which the file describes the service.
	Resource string `json:"resource"`
	// TaskDefinition is an ARN, or a family with or without a revision, as written.
	TaskDefinition string `json:"taskDefinition"`
	ContainerName  string `json:"containerName"`
	ContainerPort  int    `json:"containerPort"`

	PlatformVersion   string             `json:"platformVersion,omitempty"`
	Network           *Network           `json:"network,omitempty"`
	CapacityProviders []CapacityProvider `json:"capacityProviders,omitempty"`
	// Hooks are in the order of the lifecycle, at most one for each event.
	Hooks []Hook `json:"hooks,omitempty"`
}

// Network is where the tasks' network interfaces are (AwsvpcConfiguration).
type Network struct {
	Subnets        []string `json:"subnets"`
	SecurityGroups []string `json:"securityGroups"`
	AssignPublicIP bool     `json:"assignPublicIp"`
}

// CapacityProvider is one entry of the capacity provider strategy.
type CapacityProvider struct {
	Name   string `json:"name"`
	Base   int    `json:"base"`
	Weight int    `json:"weight"`
}

// Hook is what the file registers for one lifecycle event.
type Hook struct {
	Event deploy.Phase `json:"event"`
	// Kind is a function, or one of the kinds that a prefix names: "scenario:NAME", "command:NAME",
	// "task:NAME".
	Kind deploy.HookKind `json:"kind"`
	// Name is a function's name or ARN as written, qualified or not; of the other kinds it is the name
	// that is registered with the service.
	Name string `json:"name"`
}

// Hook returns the hook of a lifecycle event, and false where there is none.
func (s Spec) Hook(event deploy.Phase) (Hook, bool) {
	for _, h := range s.Hooks {
		if h.Event == event {
			return h, true
		}
	}
	return Hook{}, false
}

// Fault is one thing that is wrong with a file. Line and Column count from 1.
type Fault struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Field   string `json:"field,omitempty"` // path as written, "Resources[0].TargetService.Type"
	Message string `json:"message"`
}

// String puts a fault on one line: "line:column: field: message".
func (f Fault) String() string {
	if f.Field == "" {
		return fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.Message)
	}
	return fmt.Sprintf("%d:%d: %s: %s", f.Line, f.Column, f.Field, f.Message)
}
