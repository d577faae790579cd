package sns

import (
	"context"
	"crypto/subtle"
	"maps"
	"slices"
	"strings"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/sns"
	"greengate/internal/cloud"
)

// maxSubscriptions is the most a topic has.
const maxSubscriptions = 1000

func (s *Service) subscriptionHandlers(h awsapi.Handlers) {
	topicOf := func(subscription string) []string {
		if i := strings.LastIndexByte(subscription, ':'); i > 0 {
			return []string{subscription[:i]}
		}
		return nil
	}
	h["Subscribe"] = awsapi.Handle(s.subscribe, func(in *shape.SubscribeInput) []string { return []string{in.TopicARN} })
	h["ConfirmSubscription"] = awsapi.Handle(s.confirm, func(in *shape.ConfirmSubscriptionInput) []string { return []string{in.TopicARN} })
	h["Unsubscribe"] = awsapi.Handle(s.unsubscribe, func(in *shape.UnsubscribeInput) []string { return topicOf(in.SubscriptionARN) })
	h["ListSubscriptions"] = awsapi.Handle(s.listSubscriptions, nil)
	h["ListSubscriptionsByTopic"] = awsapi.Handle(s.listByTopic, func(in *shape.ListSubscriptionsByTopicInput) []string { return []string{in.TopicARN} })
	h["GetSubscriptionAttributes"] = awsapi.Handle(s.getSubscription, func(in *shape.GetSubscriptionAttributesInput) []string { return topicOf(in.SubscriptionARN) })
	h["SetSubscriptionAttributes"] = awsapi.Handle(s.setSubscription, func(in *shape.SetSubscriptionAttributesInput) []string { return topicOf(in.SubscriptionARN) })
}

// checkSubscriptionAttribute refuses what would have no effect though somebody relies on it.
func checkSubscriptionAttribute(name, value string) error {
	switch name {
	case "RawMessageDelivery":
		if value == "true" || value == "false" {
			return nil
		}
		return invalid("Attributes Reason: RawMessageDelivery: Invalid value [%s]. Must be true or false.", value)
	case "DeliveryPolicy":
		return nil
	}
	return invalid("AttributeName Reason: the attribute %s is not served", name)
}

func checkSubscriptionAttributes(attributes map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if err := checkSubscriptionAttribute(name, attributes[name]); err != nil {
			return err
		}
	}
	return nil
}

// subscribe adds an endpoint and sends it a token. An endpoint that is there already stays; it gets a new message as long
// as it is not confirmed.
func (s *Service) subscribe(ctx context.Context, _ awsapi.Principal, in *shape.SubscribeInput) (*shape.SubscribeResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	if _, err := s.topic(s.cfg.Resources.State(), in.TopicARN); err != nil {
		return nil, err
	}
	if in.Protocol != "http" && in.Protocol != "https" {
		return nil, invalid("Does not support this protocol: %s (http and https are served)", in.Protocol)
	}
	if err := s.cfg.CheckEndpoint(in.Protocol, in.Endpoint); err != nil {
		return nil, invalid("Endpoint Reason: %s", err.Error())
	}
	if err := checkSubscriptionAttributes(in.Attributes); err != nil {
		return nil, err
	}
	var sub cloud.Subscription
	err := s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		t, err := s.topic(d.State(), in.TopicARN)
		if err != nil {
			return err
		}
		t.Subscriptions = slices.Clone(t.Subscriptions)
		i := slices.IndexFunc(t.Subscriptions, func(v cloud.Subscription) bool { return v.Protocol == in.Protocol && v.Endpoint == in.Endpoint })
		switch {
		case i >= 0 && t.Subscriptions[i].Confirmed:
			if !contains(t.Subscriptions[i].Attributes, in.Attributes) {
				return invalid("Attributes Reason: Subscription already exists with different attributes")
			}
			sub = t.Subscriptions[i]
			return nil
		case i >= 0:
			t.Subscriptions[i].Token, t.Subscriptions[i].Created = newToken(), s.cfg.Now()
			t.Subscriptions[i].Attributes = in.Attributes
		case len(t.Subscriptions) >= maxSubscriptions:
			return &awsapi.Error{Name: "SubscriptionLimitExceededException", Message: "The topic has too many subscriptions", Status: 403}
		default:
			i = len(t.Subscriptions)
			t.Subscriptions = append(t.Subscriptions, cloud.Subscription{
				ID: newUUID(), Protocol: in.Protocol, Endpoint: in.Endpoint, Token: newToken(), Created: s.cfg.Now(), Attributes: in.Attributes,
			})
		}
		sub = t.Subscriptions[i]
		d.Put(t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if sub.Confirmed {
		return &shape.SubscribeResponse{SubscriptionARN: in.TopicARN + ":" + sub.ID}, nil
	}
	if err := s.cfg.Delivery.Confirm(ctx, in.TopicARN, newUUID(), sub); err != nil {
		return nil, err
	}
	if in.ReturnSubscriptionARN != nil && *in.ReturnSubscriptionARN {
		return &shape.SubscribeResponse{SubscriptionARN: in.TopicARN + ":" + sub.ID}, nil
	}
	return &shape.SubscribeResponse{SubscriptionARN: "pending confirmation"}, nil
}

func (s *Service) confirm(ctx context.Context, _ awsapi.Principal, in *shape.ConfirmSubscriptionInput) (*shape.ConfirmSubscriptionResponse, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	id, err := s.confirmToken(ctx, in.TopicARN, in.Token, in.AuthenticateOnUnsubscribe == "true")
	if err != nil {
		return nil, err
	}
	return &shape.ConfirmSubscriptionResponse{SubscriptionARN: in.TopicARN + ":" + id}, nil
}

// confirmToken confirms the subscription that a token is of. Every token of the topic is compared, each in constant time.
func (s *Service) confirmToken(ctx context.Context, topicARN, token string, authenticate bool) (id string, err error) {
	err = s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		t, err := s.topic(d.State(), topicARN)
		if err != nil {
			return err
		}
		found := -1
		for i, sub := range t.Subscriptions {
			if subtle.ConstantTimeCompare([]byte(sub.Token), []byte(token)) == 1 {
				found = i
			}
		}
		if found < 0 || t.Subscriptions[found].Token == "" {
			return invalid("Token")
		}
		if id = t.Subscriptions[found].ID; t.Subscriptions[found].Confirmed {
			return nil
		}
		if s.cfg.Now().After(t.Subscriptions[found].Created.Add(s.cfg.TokenLife)) {
			return invalid("Token Reason: it has expired; subscribe again")
		}
		t.Subscriptions = slices.Clone(t.Subscriptions)
		t.Subscriptions[found].Confirmed = true
		if authenticate {
			t.Subscriptions[found].Attributes = with(t.Subscriptions[found].Attributes, authenticateOnUnsubscribe, "true")
		}
		d.Put(t)
		return nil
	})
	return id, err
}

// authenticateOnUnsubscribe is the attribute under which a subscription says that the link of its messages does not end it.
const authenticateOnUnsubscribe = "AuthenticateOnUnsubscribe"

func with(m map[string]string, key, value string) map[string]string {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

// find finds a subscription by its ARN.
func (s *Service) find(st cloud.State, arn string) (cloud.Topic, int, error) {
	name, id, ok := nameOf(arn)
	if !ok || id == "" {
		return cloud.Topic{}, 0, invalid("SubscriptionArn Reason: '%s' is not the ARN of a subscription", arn)
	}
	t, _ := cloud.Find[cloud.Topic](st, name)
	i := slices.IndexFunc(t.Subscriptions, func(v cloud.Subscription) bool { return v.ID == id })
	if i < 0 {
		return t, 0, notFound("Subscription")
	}
	t.Subscriptions = slices.Clone(t.Subscriptions)
	return t, i, nil
}

// unsubscribe removes a subscription. One that does not exist is none, as on AWS.
func (s *Service) unsubscribe(ctx context.Context, _ awsapi.Principal, in *shape.UnsubscribeInput) (*struct{}, error) {
	if _, id, ok := nameOf(in.SubscriptionARN); !ok || id == "" {
		return nil, invalid("SubscriptionArn Reason: '%s' is not the ARN of a subscription", in.SubscriptionARN)
	}
	return &struct{}{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		t, i, err := s.find(d.State(), in.SubscriptionARN)
		if err != nil {
			return nil //nolint:nilerr // it is gone already
		}
		t.Subscriptions = slices.Delete(t.Subscriptions, i, i+1)
		d.Put(t)
		return nil
	})
}

func (s *Service) shapeOf(t cloud.Topic, sub cloud.Subscription) shape.Subscription {
	v := shape.Subscription{
		SubscriptionARN: s.arn(t.Name) + ":" + sub.ID, Owner: s.cfg.AccountID, Protocol: sub.Protocol, Endpoint: sub.Endpoint, TopicARN: s.arn(t.Name),
	}
	if !sub.Confirmed {
		v.SubscriptionARN = "PendingConfirmation"
	}
	return v
}

// listed is a subscription with its place in the lists.
type listed struct {
	key string
	v   shape.Subscription
}

func (s *Service) list(topics []cloud.Topic, token string) ([]shape.Subscription, string) {
	var all []listed
	for _, t := range topics {
		for _, sub := range t.Subscriptions {
			all = append(all, listed{t.Name + ":" + sub.ID, s.shapeOf(t, sub)})
		}
	}
	slices.SortFunc(all, func(a, b listed) int { return strings.Compare(a.key, b.key) })
	cut, next := page(all, func(l listed) string { return l.key }, token)
	out := []shape.Subscription{}
	for _, l := range cut {
		out = append(out, l.v)
	}
	return out, next
}

func (s *Service) listSubscriptions(_ context.Context, _ awsapi.Principal, in *shape.ListSubscriptionsInput) (*shape.ListSubscriptionsResponse, error) {
	out := &shape.ListSubscriptionsResponse{}
	out.Subscriptions, out.NextToken = s.list(cloud.All[cloud.Topic](s.cfg.Resources.State()), in.NextToken)
	return out, nil
}

func (s *Service) listByTopic(_ context.Context, _ awsapi.Principal, in *shape.ListSubscriptionsByTopicInput) (*shape.ListSubscriptionsByTopicResponse, error) {
	t, err := s.topic(s.cfg.Resources.State(), in.TopicARN)
	if err != nil {
		return nil, err
	}
	out := &shape.ListSubscriptionsByTopicResponse{}
	out.Subscriptions, out.NextToken = s.list([]cloud.Topic{t}, in.NextToken)
	return out, nil
}

func (s *Service) getSubscription(_ context.Context, _ awsapi.Principal, in *shape.GetSubscriptionAttributesInput) (*shape.GetSubscriptionAttributesResponse, error) {
	t, i, err := s.find(s.cfg.Resources.State(), in.SubscriptionARN)
	if err != nil {
		return nil, err
	}
	sub := t.Subscriptions[i]
	word := map[bool]string{true: "true", false: "false"}
	out := map[string]string{
		"SubscriptionArn": in.SubscriptionARN, "TopicArn": s.arn(t.Name), "Owner": s.cfg.AccountID, "Protocol": sub.Protocol, "Endpoint": sub.Endpoint,
		"PendingConfirmation": word[!sub.Confirmed], "RawMessageDelivery": "false",
		"ConfirmationWasAuthenticated": word[sub.Attributes[authenticateOnUnsubscribe] == "true"],
	}
	for k, v := range sub.Attributes {
		if k != authenticateOnUnsubscribe {
			out[k] = v
		}
	}
	return &shape.GetSubscriptionAttributesResponse{Attributes: out}, nil
}

func (s *Service) setSubscription(ctx context.Context, _ awsapi.Principal, in *shape.SetSubscriptionAttributesInput) (*struct{}, error) {
	if err := checkSubscriptionAttribute(in.AttributeName, in.AttributeValue); err != nil {
		return nil, err
	}
	return &struct{}{}, s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		t, i, err := s.find(d.State(), in.SubscriptionARN)
		if err != nil {
			return err
		}
		t.Subscriptions[i].Attributes = with(t.Subscriptions[i].Attributes, in.AttributeName, in.AttributeValue)
		d.Put(t)
		return nil
	})
}
