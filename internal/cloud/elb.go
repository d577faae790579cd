package cloud

import (
	"strconv"
	"time"
)

// LoadBalancer is an ELBv2 load balancer. Each has an address of its own, so that two may listen on the same port.
type LoadBalancer struct {
	Name string `json:"name"`
	ID   string `json:"id"`   // 16 hex digits, part of its ARN
	Type string `json:"type"` // application or network
	// Address is the literal IP that its DNSName is.
	Address        string            `json:"address"`
	Scheme         string            `json:"scheme,omitempty"`
	Subnets        []string          `json:"subnets,omitempty"`
	SecurityGroups []string          `json:"securityGroups,omitempty"`
	Created        time.Time         `json:"created"`
	Attributes     map[string]string `json:"attributes,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
}

// ResourceKind implements Resource.
func (LoadBalancer) ResourceKind() Kind { return KindLoadBalancer }

// ResourceKey implements Resource.
func (b LoadBalancer) ResourceKey() string { return b.Name }

// TargetGroup is an ELBv2 target group. Its targets are the tasks of the task sets that name it, and those that were
// registered by hand.
type TargetGroup struct {
	Name            string             `json:"name"`
	ID              string             `json:"id"`
	Protocol        string             `json:"protocol,omitempty"`
	ProtocolVersion string             `json:"protocolVersion,omitempty"` // HTTP1, HTTP2 or GRPC
	Port            int                `json:"port,omitempty"`
	TargetType      string             `json:"targetType,omitempty"`
	VPC             string             `json:"vpc,omitempty"`
	Health          TargetHealth       `json:"health"`
	Registered      []RegisteredTarget `json:"registered,omitempty"`
	Created         time.Time          `json:"created"`
	Attributes      map[string]string  `json:"attributes,omitempty"`
	Tags            map[string]string  `json:"tags,omitempty"`
}

// TargetHealth is how a target group asks for the health of its targets.
type TargetHealth struct {
	Disabled           bool          `json:"disabled,omitempty"`
	Protocol           string        `json:"protocol,omitempty"`
	Port               string        `json:"port,omitempty"`
	Path               string        `json:"path,omitempty"`
	Matcher            string        `json:"matcher,omitempty"`
	Interval           time.Duration `json:"interval,omitempty"`
	Timeout            time.Duration `json:"timeout,omitempty"`
	HealthyThreshold   int           `json:"healthyThreshold,omitempty"`
	UnhealthyThreshold int           `json:"unhealthyThreshold,omitempty"`
}

// RegisteredTarget is an address that was registered by hand (RegisterTargets).
type RegisteredTarget struct {
	ID   string `json:"id"` // an IP
	Port int    `json:"port"`
}

// ResourceKind implements Resource.
func (TargetGroup) ResourceKind() Kind { return KindTargetGroup }

// ResourceKey implements Resource.
func (g TargetGroup) ResourceKey() string { return g.Name }

// ELBListener is a listener of a load balancer with its rules.
type ELBListener struct {
	LoadBalancer string            `json:"loadBalancer"` // its name
	ID           string            `json:"id"`           // 16 hex digits, part of its ARN
	Protocol     string            `json:"protocol"`
	Port         int               `json:"port"`
	Default      Action            `json:"default"`
	Rules        []ListenerRule    `json:"rules,omitempty"` // in rising priority
	Created      time.Time         `json:"created"`
	Attributes   map[string]string `json:"attributes,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	// Shifted are the weights by target group that the last deployment set; other weights are somebody else's edit.
	Shifted []GroupWeight `json:"shifted,omitempty"`
	// Ledger is where requests are counted.
	Ledger string `json:"ledger,omitempty"`
}

// Action is what a listener or rule does with a request: one of its members.
type Action struct {
	Forward  []GroupWeight   `json:"forward,omitempty"`
	Fixed    *FixedResponse  `json:"fixed,omitempty"`
	Redirect *RedirectAction `json:"redirect,omitempty"`
}

// GroupWeight is the share of a target group, relative to the sum of the weights (0 to 999).
type GroupWeight struct {
	TargetGroup string `json:"targetGroup"` // its name
	Weight      int    `json:"weight"`
}

// FixedResponse answers without a target.
type FixedResponse struct {
	Status      int    `json:"status"`
	ContentType string `json:"contentType,omitempty"`
	Body        string `json:"body,omitempty"`
}

// RedirectAction sends the client elsewhere; members may hold #{protocol}, #{host}, #{port}, #{path}, #{query}.
type RedirectAction struct {
	Protocol string  `json:"protocol,omitempty"`
	Host     string  `json:"host,omitempty"`
	Port     string  `json:"port,omitempty"`
	Path     string  `json:"path,omitempty"`
	Query    *string `json:"query,omitempty"`
	Status   int     `json:"status"` // 301 or 302
}

// ListenerRule is a rule of a listener.
type ListenerRule struct {
	ID         string            `json:"id"` // 16 hex digits
	Priority   int               `json:"priority"`
	Conditions []RuleCondition   `json:"conditions"`
	Action     Action            `json:"action"`
	Tags       map[string]string `json:"tags,omitempty"`
}

// RuleCondition is one condition of a rule (RuleCondition of the ELBv2 model).
type RuleCondition struct {
	Field  string     `json:"field"`
	Header string     `json:"header,omitempty"` // for http-header
	Values []string   `json:"values,omitempty"`
	Query  []KeyValue `json:"query,omitempty"` // for query-string
}

// KeyValue is a condition on the query string; an empty Key matches any.
type KeyValue struct {
	Key   string `json:"key,omitempty"`
	Value string `json:"value"`
}

// ResourceKind implements Resource.
func (ELBListener) ResourceKind() Kind { return KindELBListener }

// ResourceKey implements Resource: "loadbalancer/id".
func (l ELBListener) ResourceKey() string { return l.LoadBalancer + "/" + l.ID }

// Address is where it listens, IP:port, given its load balancer.
func (l ELBListener) Address(b LoadBalancer) string { return b.Address + ":" + strconv.Itoa(l.Port) }
