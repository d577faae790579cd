// Package sns answers the SNS operations (API version 2010-03-31): topics whose messages go to http and https endpoints.
//
// A subscriber confirms with the token of the message that it gets first. Filter policies, other protocols, FIFO topics
// and encryption are refused with that reason.
package sns

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/sns"
	"greengate/internal/cloud"
)

// Resources keeps topics; *cloud.Cloud is one.
type Resources interface {
	State() cloud.State
	Update(ctx context.Context, edit func(d *cloud.Draft) error) error
}

// Message is what is published.
type Message struct {
	ID, Subject, Body string
	// PerProtocol replaces Body for subscribers of a protocol.
	PerProtocol map[string]string
	Attributes  map[string]Attribute
}

// Attribute is a message attribute; Value is base64 where Type is Binary.
type Attribute struct{ Type, Value string }

// Delivery takes messages on their way. What it has taken survives a restart.
type Delivery interface {
	Publish(ctx context.Context, topicARN string, messages []Message) error
	// Confirm sends a subscriber the token by which it confirms.
	Confirm(ctx context.Context, topicARN, messageID string, s cloud.Subscription) error
}

// Config is what a Service needs.
type Config struct {
	Region, AccountID string
	Resources         Resources
	Delivery          Delivery
	// CheckEndpoint says what is wrong with the URL of a subscriber.
	CheckEndpoint func(protocol, endpoint string) error
	// UnsubscribeToken is what the link in a subscriber's messages presents.
	UnsubscribeToken func(cloud.Subscription) string
	// TokenLife is how long a subscriber has to confirm.
	TokenLife time.Duration
	Now       func() time.Time
}

// Service answers SNS.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Handlers are the operations that are served.
func (s *Service) Handlers() awsapi.Handlers {
	h := awsapi.Handlers{}
	s.topicHandlers(h)
	s.subscriptionHandlers(h)
	s.publishHandlers(h)
	return h
}

func invalid(format string, args ...any) error {
	return awsapi.Fault("InvalidParameterException", "Invalid parameter: "+format, args...)
}

func notFound(what string) error {
	return &awsapi.Error{Name: "NotFoundException", Message: what + " does not exist", Status: 404}
}

func check(in any) error {
	if faults := shapes.Check(in); len(faults) > 0 {
		return invalid("%s", strings.Join(faults, "; "))
	}
	return nil
}

// newUUID is the id of a message or a subscription.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (its contract since Go 1.24)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func newToken() string {
	var b [64]byte
	_, _ = rand.Read(b[:]) // never fails (its contract since Go 1.24)
	return hex.EncodeToString(b[:])
}

func (s *Service) arn(topic string) string {
	return "arn:aws:sns:" + s.cfg.Region + ":" + s.cfg.AccountID + ":" + topic
}

// nameOf is the name in the ARN of a topic or of a subscription.
func nameOf(arn string) (topic, subscription string, ok bool) {
	fields := strings.Split(arn, ":")
	if len(fields) < 6 || len(fields) > 7 || fields[0] != "arn" || fields[2] != "sns" || fields[5] == "" {
		return "", "", false
	}
	if len(fields) == 7 {
		subscription = fields[6]
	}
	return fields[5], subscription, true
}

func (s *Service) topic(st cloud.State, arn string) (cloud.Topic, error) {
	name, subscription, ok := nameOf(arn)
	if !ok || subscription != "" {
		return cloud.Topic{}, invalid("TopicArn Reason: '%s' is not the ARN of a topic", arn)
	}
	t, ok := cloud.Find[cloud.Topic](st, name)
	if !ok {
		return t, notFound("Topic")
	}
	return t, nil
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

func (s *Service) topicHandlers(h awsapi.Handlers) {
	h["CreateTopic"] = awsapi.Handle(s.createTopic, func(in *shape.CreateTopicInput) []string { return []string{s.arn(in.Name)} })
	h["DeleteTopic"] = awsapi.Handle(s.deleteTopic, func(in *shape.DeleteTopicInput) []string { return []string{in.TopicARN} })
	h["ListTopics"] = awsapi.Handle(s.listTopics, nil)
	h["GetTopicAttributes"] = awsapi.Handle(s.getTopic, func(in *shape.GetTopicAttributesInput) []string { return []string{in.TopicARN} })
	h["SetTopicAttributes"] = awsapi.Handle(s.setTopic, func(in *shape.SetTopicAttributesInput) []string { return []string{in.TopicARN} })
	h["TagResource"] = awsapi.Handle(s.tag, func(in *shape.TagResourceRequest) []string { return []string{in.ResourceARN} })
	h["UntagResource"] = awsapi.Handle(s.untag, func(in *shape.UntagResourceRequest) []string { return []string{in.ResourceARN} })
	h["ListTagsForResource"] = awsapi.Handle(s.listTags, func(in *shape.ListTagsForResourceRequest) []string { return []string{in.ResourceARN} })
}

// checkTopicAttribute refuses what would have no effect though somebody relies on it.
func checkTopicAttribute(name, value string) error {
	switch name {
	case "DisplayName", "Policy", "DeliveryPolicy", "TracingConfig":
		return nil
	case "SignatureVersion":
		if value == "2" {
			return nil
		}
		return invalid("SignatureVersion Reason: messages are signed with version 2 only")
	case "FifoTopic":
		if value == "false" {
			return nil
		}
		return invalid("FifoTopic Reason: FIFO topics are not served")
	case "KmsMasterKeyId":
		if value == "" {
			return nil
		}
		return invalid("KmsMasterKeyId Reason: there are no encryption keys")
	}
	return invalid("AttributeName Reason: the attribute %s is not served", name)
}

// createTopic is idempotent: a topic that exists with the same attributes and tags is answered.
func (s *Service) createTopic(ctx context.Context, _ awsapi.Principal, in *shape.CreateTopicInput) (*shape.CreateTopicResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	if !topicName.MatchString(in.Name) {
		return nil, invalid("Topic Name")
	}
	for _, name := range slices.Sorted(maps.Keys(in.Attributes)) {
		if err := checkTopicAttribute(name, in.Attributes[name]); err != nil {
			return nil, err
		}
	}
	t := cloud.Topic{Name: in.Name, Created: s.cfg.Now(), Attributes: in.Attributes, Tags: tagMap(in.Tags)}
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		old, ok := cloud.Find[cloud.Topic](d.State(), t.Name)
		switch {
		case !ok:
			d.Put(t)
		case len(in.Tags) > 0 && !maps.Equal(old.Tags, t.Tags):
			return invalid("Tags Reason: Topic already exists with different tags")
		case !contains(old.Attributes, in.Attributes):
			return invalid("Attributes Reason: Topic already exists with different attributes")
		}
		return nil
	})
	return &shape.CreateTopicResponse{TopicARN: s.arn(in.Name)}, err
}

func contains(all, some map[string]string) bool {
	for k, v := range some {
		if all[k] != v {
			return false
		}
	}
	return true
}

// deleteTopic removes a topic with its subscriptions. One that does not exist is none, as on AWS.
func (s *Service) deleteTopic(ctx context.Context, _ awsapi.Principal, in *shape.DeleteTopicInput) (*struct{}, error) {
	name, subscription, ok := nameOf(in.TopicARN)
	if !ok || subscription != "" {
		return nil, invalid("TopicArn Reason: '%s' is not the ARN of a topic", in.TopicARN)
	}
	return &struct{}{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		d.Remove(cloud.Topic{Name: name})
		return nil
	})
}

// pageSize is of every list (SNS API reference).
const pageSize = 100

// page cuts a page out of a list that is sorted by key; the token is the key of the last item before it.
func page[T any](list []T, key func(T) string, token string) ([]T, string) {
	start := 0
	for start < len(list) && token != "" && key(list[start]) <= token {
		start++
	}
	list = list[start:]
	if len(list) <= pageSize {
		return list, ""
	}
	return list[:pageSize], key(list[pageSize-1])
}

func (s *Service) listTopics(_ context.Context, _ awsapi.Principal, in *shape.ListTopicsInput) (*shape.ListTopicsResponse, error) {
	out := &shape.ListTopicsResponse{Topics: []shape.Topic{}}
	topics, next := page(cloud.All[cloud.Topic](s.cfg.Resources.State()), cloud.Topic.ResourceKey, in.NextToken)
	for _, t := range topics {
		out.Topics = append(out.Topics, shape.Topic{TopicARN: s.arn(t.Name)})
	}
	out.NextToken = next
	return out, nil
}

func (s *Service) getTopic(_ context.Context, _ awsapi.Principal, in *shape.GetTopicAttributesInput) (*shape.GetTopicAttributesResponse, error) {
	t, err := s.topic(s.cfg.Resources.State(), in.TopicARN)
	if err != nil {
		return nil, err
	}
	confirmed := 0
	for _, sub := range t.Subscriptions {
		if sub.Confirmed {
			confirmed++
		}
	}
	out := map[string]string{
		"TopicArn": s.arn(t.Name), "Owner": s.cfg.AccountID, "DisplayName": "", "SubscriptionsConfirmed": fmt.Sprint(confirmed),
		"SubscriptionsPending": fmt.Sprint(len(t.Subscriptions) - confirmed), "SubscriptionsDeleted": "0", "SignatureVersion": "2",
		"EffectiveDeliveryPolicy": effectivePolicy, "Policy": "",
	}
	maps.Copy(out, t.Attributes)
	return &shape.GetTopicAttributesResponse{Attributes: out}, nil
}

// effectivePolicy says how messages are really tried again, in the words of a delivery policy.
const effectivePolicy = `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":300,"numRetries":19,"backoffFunction":"exponential"},"disableSubscriptionOverrides":true}}`

func (s *Service) setTopic(ctx context.Context, _ awsapi.Principal, in *shape.SetTopicAttributesInput) (*struct{}, error) {
	if err := checkTopicAttribute(in.AttributeName, in.AttributeValue); err != nil {
		return nil, err
	}
	return &struct{}{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		t, err := s.topic(d.State(), in.TopicARN)
		if err != nil {
			return err
		}
		t.Attributes = maps.Clone(t.Attributes)
		if t.Attributes == nil {
			t.Attributes = map[string]string{}
		}
		t.Attributes[in.AttributeName] = in.AttributeValue
		d.Put(t)
		return nil
	})
}

func tagMap(tags []shape.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// maxTags is the most a topic has.
const maxTags = 50

func (s *Service) taggedTopic(st cloud.State, arn string) (cloud.Topic, error) {
	t, err := s.topic(st, arn)
	if err != nil {
		return t, &awsapi.Error{Name: "ResourceNotFoundException", Message: "Resource does not exist", Status: 404}
	}
	t.Tags = maps.Clone(t.Tags)
	if t.Tags == nil {
		t.Tags = map[string]string{}
	}
	return t, nil
}

func (s *Service) tag(ctx context.Context, _ awsapi.Principal, in *shape.TagResourceRequest) (*shape.TagResourceResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	return &shape.TagResourceResponse{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		t, err := s.taggedTopic(d.State(), in.ResourceARN)
		if err != nil {
			return err
		}
		if maps.Copy(t.Tags, tagMap(in.Tags)); len(t.Tags) > maxTags {
			return awsapi.Fault("TagLimitExceededException", "Could not complete request: tag quota of per resource exceeded")
		}
		d.Put(t)
		return nil
	})
}

func (s *Service) untag(ctx context.Context, _ awsapi.Principal, in *shape.UntagResourceRequest) (*shape.UntagResourceResponse, error) {
	return &shape.UntagResourceResponse{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		t, err := s.taggedTopic(d.State(), in.ResourceARN)
		if err != nil {
			return err
		}
		for _, k := range in.TagKeys {
			delete(t.Tags, k)
		}
		d.Put(t)
		return nil
	})
}

func (s *Service) listTags(_ context.Context, _ awsapi.Principal, in *shape.ListTagsForResourceRequest) (*shape.ListTagsForResourceResponse, error) {
	t, err := s.taggedTopic(s.cfg.Resources.State(), in.ResourceARN)
	if err != nil {
		return nil, err
	}
	out := &shape.ListTagsForResourceResponse{Tags: []shape.Tag{}}
	for _, k := range slices.Sorted(maps.Keys(t.Tags)) {
		out.Tags = append(out.Tags, shape.Tag{Key: k, Value: t.Tags[k]})
	}
	return out, nil
}
