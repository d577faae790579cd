package awsapi

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"

	"greengate/internal/deploy"
)

// audit tells what a request of the wire changed, or tried to change. Who is not known is not written down: anybody could
// fill the audit with that.
func (s *Server) audit(r *http.Request, x *exchange) {
	if s.cfg.Audit == nil || x.principal.ARN == "" || x.call.target.operation == "" || !changes(x.call.target) {
		return
	}
	e := deploy.AuditEntry{
		At: s.cfg.Now(), Principal: x.principal.ARN, Source: Source(r), Agent: r.UserAgent(),
		Service: x.call.target.service, Operation: x.call.target.operation, Resource: resourceOf(x.call.input), Outcome: outcomeOK,
	}
	if x.code != "" {
		e.Outcome = x.code
	}
	// The change was made: its trace must not be lost with the client.
	s.cfg.Audit(context.WithoutCancel(r.Context()), e)
}

const outcomeOK = "ok"

// Source is the address that a request came from, without the port.
func Source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// changes reports whether an operation changes something. Those that only store what programs say of themselves, many a
// second, do not count.
func changes(t target) bool {
	switch t.service + ":" + t.operation {
	case "logs:PutLogEvents", "cloudwatch:PutMetricData", "greengate:Events", "greengate:Logs":
		return false
	}
	for _, reads := range []string{"Get", "List", "Describe", "BatchGet", "Head", "Filter", "Check", "Simulate", "Search", "Test"} {
		if strings.HasPrefix(t.operation, reads) {
			return false
		}
	}
	return true
}

// naming are the members of inputs that name what a call is about. Nothing else of an input is written down.
func naming() []string {
	return []string{
		"deploymentId", "applicationName", "deploymentGroupName", "currentDeploymentGroupName", "deploymentConfigName", "cluster", "clusterName",
		"service", "serviceName", "taskSet", "taskDefinition", "family", "task", "name", "id", "FunctionName", "LoadBalancerArn", "ListenerArn",
		"RuleArn", "TargetGroupArn", "RoleName", "UserName", "PolicyName", "PolicyArn", "AccessKeyId", "Bucket", "Key", "TopicArn",
		"SubscriptionArn", "AlarmName", "logGroupName", "resourceArn",
	}
}

const maxNamed = 200 // bytes of each name

// resourceOf names what a call is about.
func resourceOf(input any) string {
	data, err := json.Marshal(input)
	if raw, ok := input.(*json.RawMessage); ok && raw != nil {
		data, err = *raw, nil
	}
	if err != nil {
		return ""
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return ""
	}
	folded := map[string]string{}
	for name, value := range members {
		var text string
		var nested struct {
			Name string `json:"name"`
		}
		if json.Unmarshal(value, &text) != nil && json.Unmarshal(value, &nested) == nil {
			text = nested.Name // ApplyService holds a whole service
		}
		folded[strings.ToLower(name)] = text
	}
	var parts []string
	for _, name := range naming() {
		if v := folded[strings.ToLower(name)]; v != "" {
			parts = append(parts, v[:min(len(v), maxNamed)])
			delete(folded, strings.ToLower(name))
		}
	}
	return strings.Join(parts, " ")
}
