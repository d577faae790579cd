// Package iam answers the IAM operations (API version 2010-05-08) that a pipeline needs: roles, users and their access keys,
// inline and managed policies, and simulation. What is stored here decides about every call.
package iam

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/iam"
	"greengate/internal/cloud"
	policy "greengate/internal/iam"
	"greengate/internal/lazyregexp"
)

// Resources keeps roles, users and policies; *cloud.Cloud is one.
type Resources interface {
	State() cloud.State
	Update(ctx context.Context, edit func(d *cloud.Draft) error) error
}

// Keys makes access keys of users; *awsapi.KeyRing is one.
type Keys interface {
	NewUserKey() (id string, secret awsapi.Secret, err error)
}

// Config is what a Service needs.
type Config struct {
	AccountID string
	Resources Resources
	Judge     *cloud.Judge
	Keys      Keys
	Now       func() time.Time
}

// Service answers IAM.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Handlers are the operations that are served.
func (s *Service) Handlers() awsapi.Handlers {
	h := awsapi.Handlers{}
	s.roleHandlers(h)
	s.userHandlers(h)
	s.keyHandlers(h)
	s.inlineHandlers(h)
	s.attachHandlers(h)
	s.policyHandlers(h)
	h["SimulatePrincipalPolicy"] = handle(s.simulatePrincipal, func(_ awsapi.Principal, in *shape.SimulatePrincipalPolicyRequest) []string {
		return []string{in.PolicySourceARN}
	})
	h["SimulateCustomPolicy"] = handle(s.simulateCustom, nil)
	return h
}

// nothing is the output of an operation that has none.
type nothing struct{}

// handle makes a handler that refuses what the model does not allow. on names the resources as ARNs.
func handle[In, Out any](f func(ctx context.Context, by awsapi.Principal, in *In) (*Out, error), on func(by awsapi.Principal, in *In) []string) awsapi.Handler {
	return handleNeeds(f, func(by awsapi.Principal, in *In) []awsapi.AccessRequest {
		if on == nil {
			return nil
		}
		var needs []awsapi.AccessRequest
		for _, arn := range on(by, in) {
			needs = append(needs, awsapi.AccessRequest{Resource: arn})
		}
		return needs
	})
}

func handleNeeds[In, Out any](f func(ctx context.Context, by awsapi.Principal, in *In) (*Out, error), needs func(by awsapi.Principal, in *In) []awsapi.AccessRequest) awsapi.Handler {
	return awsapi.HandleNeeds(func(ctx context.Context, by awsapi.Principal, in *In) (*Out, error) {
		if faults := shapes.Faults(in); faults != "" {
			return nil, awsapi.Fault("ValidationException", "%s", faults)
		}
		return f(ctx, by, in)
	}, needs)
}

func noSuch(format string, args ...any) error {
	return awsapi.Fault("NoSuchEntityException", format, args...)
}

func invalid(format string, args ...any) error {
	return awsapi.Fault("ValidationException", format, args...)
}

func conflict(message string) error { return awsapi.Fault("DeleteConflictException", "%s", message) }

func limit(format string, args ...any) error {
	return awsapi.Fault("LimitExceededException", format, args...)
}

// document reads a policy document before it is stored.
func document(kind policy.Kind, text string) error {
	_, err := policy.Parse(kind, text)
	if long, ok := errors.AsType[*policy.LimitError](err); ok {
		return limit("%v", long)
	}
	if err != nil {
		return awsapi.Fault("MalformedPolicyDocumentException", "%v", err)
	}
	return nil
}

// encoded is a document as answers have it: percent-encoded (RFC 3986).
func encoded(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// newID is a unique id: a prefix of four letters and 17 characters.
func newID(prefix string) string {
	var b [11]byte
	_, _ = rand.Read(b[:]) // never fails (its contract since Go 1.24)
	return prefix + base32.StdEncoding.EncodeToString(b[:])[:17]
}

var (
	namePattern = lazyregexp.New(`^[\w+=,.@-]+$`)
	pathPattern = lazyregexp.New(`^/([!-~]+/)?$`)
)

// named checks the name of something that is made, and gives its path.
func named(what, name, path string) (string, error) {
	if !namePattern.MatchString(name) {
		return "", invalid("The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", what)
	}
	if path == "" {
		path = "/"
	}
	if !pathPattern.MatchString(path) {
		return "", invalid("The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return path, nil
}

const (
	maxTags = 50
	// pageSize is how many items a page has where the call names none.
	pageSize = 100
)

// page cuts a page out of a list; a marker is the key of the last item before it.
func page[T any](list []T, key func(T) string, marker string, size *int32) (items []T, truncated *bool, next string, err error) {
	start := 0
	if marker != "" {
		last, err := base64.RawURLEncoding.DecodeString(marker)
		i := slices.IndexFunc(list, func(v T) bool { return key(v) == string(last) })
		if err != nil || i < 0 {
			return nil, nil, "", invalid("Invalid Marker.")
		}
		start = i + 1
	}
	n := pageSize
	if size != nil {
		n = int(*size)
	}
	if start+n >= len(list) {
		return append([]T{}, list[start:]...), new(false), "", nil
	}
	items = list[start : start+n]
	return items, new(true), base64.RawURLEncoding.EncodeToString([]byte(key(items[n-1]))), nil
}

func self(s string) string { return s }

// tagsOf takes over tags, refusing those that come twice.
func tagsOf(old map[string]string, tags []shape.Tag) (map[string]string, error) {
	all := map[string]string{}
	maps.Copy(all, old)
	seen := map[string]bool{}
	for _, t := range tags {
		if seen[t.Key] {
			return nil, awsapi.Fault("InvalidInputException", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, awsapi.Fault("InvalidInputException", "Tag keys must not begin with aws:.")
		}
		seen[t.Key], all[t.Key] = true, t.Value
	}
	if len(all) > maxTags {
		return nil, limit("Cannot exceed quota for TagsPerEntity: %d", maxTags)
	}
	return all, nil
}

func tagList(tags map[string]string) []shape.Tag {
	out := []shape.Tag{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, shape.Tag{Key: k, Value: tags[k]})
	}
	return out
}

// noBoundary refuses permissions boundaries: one that is stored and not enforced would be worse than none.
func noBoundary(arn string) error {
	if arn == "" {
		return nil
	}
	return awsapi.Fault("InvalidInputException", "Permissions boundaries are not served: %s would not be enforced.", arn)
}
