package awsapi

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Access decides what principals may do.
type Access interface {
	// Allow is nil where by may carry out the action ("ecs:CreateService") on the resource, an ARN or "*"; else an
	// *Error that says what is missing.
	Allow(ctx context.Context, by Principal, r AccessRequest) error
}

// AccessRequest is one question of Access.
type AccessRequest struct {
	// Action is "service:Operation"; in what an operation needs, empty stands for its own.
	Action   string
	Resource string
	// Context holds values of IAM condition keys, such as iam:PassedToService; it may be nil. What is known of every
	// request (aws:SourceIp, aws:RequestedRegion, aws:SecureTransport, aws:UserAgent) is added by the server.
	Context map[string][]string
}

// PassRole is the permission to hand a role to a service such as "lambda.amazonaws.com". Whether the role exists is not
// asked here, but when it is used.
func PassRole(role, service string) AccessRequest {
	return AccessRequest{Action: "iam:PassRole", Resource: role, Context: map[string][]string{"iam:PassedToService": {service}}}
}

// Scopes is the Access that decides by what credentials say themselves: root may everything, functions and tasks what
// their scope lists and, of CodeDeploy, on their own deployment group only; nobody else anything. It fails closed: an
// empty scope allows nothing, an empty group owns nothing.
type Scopes struct{}

// Allow implements Access.
func (Scopes) Allow(_ context.Context, by Principal, r AccessRequest) error {
	switch by.Kind {
	case KindRoot:
		return nil
	case KindFunction, KindTask:
		on, owned := groupOf(r.Resource)
		if slices.Contains(by.Scope.Actions, r.Action) && (!owned || on.ownedBy(by.Scope)) {
			return nil
		}
	case KindUser, KindRole: // their policies decide
	}
	return fault("AccessDeniedException",
		fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", by.ARN, r.Action, r.Resource))
}

// groupName is the full name of a deployment group, or of an application where group is empty.
type groupName struct {
	application string
	group       string
}

// arn is the name as codedeploy writes it; of no name at all it stands for every group.
func (g groupName) arn(region, account string) string {
	prefix := "arn:aws:codedeploy:" + region + ":" + account
	switch {
	case g.application == "":
		return prefix + ":deploymentgroup:*"
	case g.group == "":
		return prefix + ":application:" + g.application
	}
	return prefix + ":deploymentgroup:" + g.application + "/" + g.group
}

// groupOf is the group or application that an ARN names; false where it names neither.
func groupOf(arn string) (groupName, bool) {
	fields := strings.SplitN(arn, ":", 7)
	if len(fields) != 7 || fields[2] != serviceCodeDeploy {
		return groupName{}, false
	}
	switch fields[5] {
	case "application":
		return groupName{application: fields[6]}, true
	case "deploymentgroup":
		application, group, _ := strings.Cut(fields[6], "/")
		return groupName{application, group}, true
	}
	return groupName{}, false
}

func (g groupName) ownedBy(s Scope) bool {
	if s.Application == "" || s.Group == "" || s.Application != g.application {
		return false
	}
	return g.group == "" || g.group == s.Group
}

// guard is the Access of a Server: it adds what is known of the request.
type guard struct{ access Access }

// Allow implements Access.
func (g guard) Allow(ctx context.Context, by Principal, r AccessRequest) error {
	known := factsOf(ctx)
	if by.Kind == KindRoot || known == nil {
		return g.access.Allow(ctx, by, r)
	}
	values := known.context()
	maps.Copy(values, r.Context)
	r.Context = values
	return g.access.Allow(ctx, by, r)
}

// facts are what conditions may ask of a request.
type facts struct {
	source, region, agent string
	tls                   bool
}

type factsKey struct{}

// withFacts lets a request's context carry its facts. The region is the one that was signed for.
func withFacts(ctx context.Context, r *http.Request, region string) context.Context {
	return context.WithValue(ctx, factsKey{}, &facts{source: Source(r), region: region, agent: r.UserAgent(), tls: r.TLS != nil})
}

func factsOf(ctx context.Context) *facts {
	f, _ := ctx.Value(factsKey{}).(*facts)
	return f
}

func (f *facts) context() map[string][]string {
	values := map[string][]string{
		"aws:RequestedRegion": {f.region}, "aws:SecureTransport": {strconv.FormatBool(f.tls)}, "aws:ViaAWSService": {"false"},
	}
	if f.source != "" {
		values["aws:SourceIp"] = []string{f.source}
	}
	if f.agent != "" {
		values["aws:UserAgent"] = []string{f.agent}
	}
	return values
}
