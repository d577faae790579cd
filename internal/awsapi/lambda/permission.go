package lambda

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/lambda"
	"greengate/internal/cloud"
)

// maxPolicy bounds the policy of a function, in bytes (Lambda quotas: 20 KB).
const maxPolicy = 20 << 10

// policy is a resource policy as Lambda writes it.
type policy struct {
	Version   string            `json:"Version"`
	ID        string            `json:"Id"`
	Statement []json.RawMessage `json:"Statement"`
}

// statement is one permission, its members in the order in which Lambda writes them.
type statement struct {
	SID       string                       `json:"Sid"`
	Effect    string                       `json:"Effect"`
	Principal any                          `json:"Principal"` // "*", or {"Service": …} or {"AWS": …}
	Action    string                       `json:"Action"`
	Resource  string                       `json:"Resource"`
	Condition map[string]map[string]string `json:"Condition,omitempty"`
}

var (
	sidPattern    = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,100}$`)
	actionPattern = regexp.MustCompile(`^(lambda:[*]|lambda:[a-zA-Z]+|[*])$`)
	account       = regexp.MustCompile(`^[0-9]{12}$`)
)

// statementOf makes the statement of a permission (API reference, "AddPermission").
func (s *Service) statementOf(in *shape.AddPermissionRequest, resource string) statement {
	st := statement{SID: in.StatementID, Effect: "Allow", Action: in.Action, Resource: resource}
	switch {
	case in.Principal == "*":
		st.Principal = "*"
	case account.MatchString(in.Principal):
		st.Principal = map[string]string{"AWS": "arn:aws:iam::" + in.Principal + ":root"}
	case strings.HasPrefix(in.Principal, "arn:"):
		st.Principal = map[string]string{"AWS": in.Principal}
	default:
		st.Principal = map[string]string{"Service": in.Principal}
	}
	condition := map[string]map[string]string{}
	add := func(operator, key, value string) {
		if value == "" {
			return
		}
		if condition[operator] == nil {
			condition[operator] = map[string]string{}
		}
		condition[operator][key] = value
	}
	add("StringEquals", "AWS:SourceAccount", in.SourceAccount)
	add("ArnLike", "AWS:SourceArn", in.SourceARN)
	add("StringEquals", "aws:PrincipalOrgID", in.PrincipalOrgID)
	add("StringEquals", "lambda:EventSourceToken", in.EventSourceToken)
	if len(condition) > 0 {
		st.Condition = condition
	}
	return st
}

// addPermission adds a statement to the policy of a function, or of one of its versions or aliases.
func (s *Service) addPermission(ctx context.Context, _ awsapi.Principal, in *shape.AddPermissionRequest) (*shape.AddPermissionResponse, error) {
	if faults := shapes.Check(in); len(faults) > 0 {
		return nil, awsapi.Fault("ValidationException", "%s", strings.Join(faults, "; "))
	}
	switch {
	case !sidPattern.MatchString(in.StatementID):
		return nil, badInput("The statement id '%s' must have 1 to 100 letters, digits, hyphens and underscores.", in.StatementID)
	case !actionPattern.MatchString(in.Action):
		return nil, badInput("'%s' is not an action of Lambda.", in.Action)
	case in.FunctionURLAuthType != "" || in.InvokedViaFunctionURL != nil:
		return nil, badInput("Function URLs are not served.")
	}
	var text []byte
	err := s.editPolicy(ctx, in.FunctionName, in.Qualifier, in.RevisionID, func(arn string, list []cloud.PermissionStatement) ([]cloud.PermissionStatement, error) {
		if slices.ContainsFunc(list, func(p cloud.PermissionStatement) bool { return p.ID == in.StatementID }) {
			return nil, &awsapi.Error{Name: "ResourceConflictException", Message: "The statement id (" + in.StatementID + ") provided already exists. Please provide a new statement id, or remove the existing statement.", Status: 409}
		}
		var err error
		if text, err = json.Marshal(s.statementOf(in, arn)); err != nil {
			return nil, fmt.Errorf("encode statement: %w", err)
		}
		list = append(slices.Clone(list), cloud.PermissionStatement{ID: in.StatementID, Statement: text})
		size := 0
		for _, p := range list {
			size += len(p.Statement)
		}
		if size > maxPolicy {
			return nil, awsapi.Fault("PolicyLengthExceededException", "The final policy size (%d) is bigger than the limit (%d).", size, maxPolicy)
		}
		return list, nil
	})
	return &shape.AddPermissionResponse{Statement: string(text)}, err
}

// removePermission takes a statement out of a policy.
func (s *Service) removePermission(ctx context.Context, _ awsapi.Principal, in *shape.RemovePermissionRequest) (*struct{}, error) {
	return &struct{}{}, s.editPolicy(ctx, in.FunctionName, in.Qualifier, in.RevisionID, func(_ string, list []cloud.PermissionStatement) ([]cloud.PermissionStatement, error) {
		i := slices.IndexFunc(list, func(p cloud.PermissionStatement) bool { return p.ID == in.StatementID })
		if i < 0 {
			return nil, &awsapi.Error{Name: "ResourceNotFoundException", Message: "Statement " + in.StatementID + " is not found in resource policy.", Status: 404}
		}
		return slices.Delete(slices.Clone(list), i, i+1), nil
	})
}

// qualified finds what a policy is of: a function, or one of its versions or aliases, and the key under which it is kept.
func (s *Service) qualified(st cloud.State, ref, qualifier string) (f cloud.Function, key, arn string, err error) {
	if qualifier == "" {
		_, qualifier = cloud.FunctionName(ref)
	}
	if f, _, err = s.find(st, ref, qualifier); err != nil {
		return f, "", "", err
	}
	if qualifier == latest {
		return f, "", "", badInput("We currently do not support adding policies for $LATEST.")
	}
	return f, qualifier, s.arn(f.Name, qualifier), nil
}

func (s *Service) editPolicy(ctx context.Context, ref, qualifier, revision string, change func(arn string, list []cloud.PermissionStatement) ([]cloud.PermissionStatement, error)) error {
	return s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		f, key, arn, err := s.qualified(d.State(), ref, qualifier)
		if err != nil {
			return err
		}
		if revision != "" && revision != revisionOf(f.Permissions[key]) {
			return &awsapi.Error{Name: "PreconditionFailedException", Message: "The RevisionId provided does not match the latest RevisionId. Call the GetPolicy API to retrieve the latest RevisionId", Status: 412}
		}
		list, err := change(arn, f.Permissions[key])
		if err != nil {
			return err
		}
		if f.Permissions = maps.Clone(f.Permissions); f.Permissions == nil {
			f.Permissions = map[string][]cloud.PermissionStatement{}
		}
		if f.Permissions[key] = list; len(list) == 0 {
			delete(f.Permissions, key)
		}
		d.Put(f)
		return nil
	})
}

// revisionOf follows from what a policy says.
func revisionOf(list []cloud.PermissionStatement) string {
	var all strings.Builder
	for _, p := range list {
		all.Write(p.Statement)
	}
	sum := sha256.Sum256([]byte(all.String()))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

func (s *Service) getPolicy(_ context.Context, _ awsapi.Principal, in *shape.GetPolicyRequest) (*shape.GetPolicyResponse, error) {
	f, key, _, err := s.qualified(s.cfg.Resources.State(), in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if len(f.Permissions[key]) == 0 {
		return nil, &awsapi.Error{Name: "ResourceNotFoundException", Message: "The resource you requested does not exist.", Status: 404}
	}
	p := policy{Version: "2012-10-17", ID: "default"}
	for _, st := range f.Permissions[key] {
		p.Statement = append(p.Statement, st.Statement)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode policy: %w", err)
	}
	return &shape.GetPolicyResponse{Policy: string(text), RevisionID: revisionOf(f.Permissions[key])}, nil
}
