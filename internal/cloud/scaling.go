package cloud

import (
	"encoding/json"
	"time"
)

// ScalableTarget is what somebody registered with Application Auto Scaling: it is remembered, and scales nothing.
type ScalableTarget struct {
	// ResourceID is "service/CLUSTER/NAME".
	ResourceID string            `json:"resourceId"`
	ID         string            `json:"id"` // part of its ARN
	Min        int               `json:"min"`
	Max        int               `json:"max"`
	Role       string            `json:"role,omitempty"`
	Created    time.Time         `json:"created"`
	Suspended  SuspendedScaling  `json:"suspended,omitzero"`
	Tags       map[string]string `json:"tags,omitempty"`
	Policies   []ScalingPolicy   `json:"policies,omitempty"`
}

// SuspendedScaling says which kinds of scaling are suspended.
type SuspendedScaling struct {
	In        bool `json:"in,omitempty"`
	Out       bool `json:"out,omitempty"`
	Scheduled bool `json:"scheduled,omitempty"`
}

// ScalingPolicy is a policy of a target.
type ScalingPolicy struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"` // part of its ARN
	Type    string    `json:"type"`
	Created time.Time `json:"created"`
	// Input holds what is only echoed (PutScalingPolicy's input as JSON).
	Input json.RawMessage `json:"input"`
}

// ResourceKind implements Resource.
func (ScalableTarget) ResourceKind() Kind { return KindScalableTarget }

// ResourceKey implements Resource.
func (t ScalableTarget) ResourceKey() string { return t.ResourceID }
