package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"greengate/internal/cloud"
)

// The types of messages (x-amz-sns-message-type).
const (
	typeNotification = "Notification"
	typeConfirmation = "SubscriptionConfirmation"
)

// envelope is the document that a subscriber gets, its members in the order of the SNS guide.
type envelope struct {
	Type              string               `json:"Type"`
	MessageID         string               `json:"MessageId"`
	Token             string               `json:"Token,omitempty"`
	TopicARN          string               `json:"TopicArn"`
	Subject           string               `json:"Subject,omitempty"`
	Message           string               `json:"Message"`
	SubscribeURL      string               `json:"SubscribeURL,omitempty"`
	Timestamp         string               `json:"Timestamp"`
	SignatureVersion  string               `json:"SignatureVersion"`
	Signature         string               `json:"Signature"`
	SigningCertURL    string               `json:"SigningCertURL"`
	UnsubscribeURL    string               `json:"UnsubscribeURL,omitempty"`
	MessageAttributes map[string]Attribute `json:"MessageAttributes,omitempty"`
}

// signed is the text that is signed: names and values of some members in the order of their names, each on a line of its
// own (SNS guide, "Verifying the signatures of Amazon SNS messages").
func (e *envelope) signed() string {
	var b strings.Builder
	add := func(name, value string) {
		b.WriteString(name + "\n" + value + "\n")
	}
	add("Message", e.Message)
	add("MessageId", e.MessageID)
	if e.Type == typeNotification && e.Subject != "" {
		add("Subject", e.Subject)
	}
	if e.Type == typeConfirmation {
		add("SubscribeURL", e.SubscribeURL)
	}
	add("Timestamp", e.Timestamp)
	if e.Type == typeConfirmation {
		add("Token", e.Token)
	}
	add("TopicArn", e.TopicARN)
	add("Type", e.Type)
	return b.String()
}

// raw reports whether a subscriber gets the bare message.
func raw(d *delivery, s cloud.Subscription) bool {
	return d.Type == typeNotification && s.Attributes["RawMessageDelivery"] == "true"
}

// body is what is sent.
func (o *Outbox) body(d *delivery, s cloud.Subscription) (string, error) {
	if raw(d, s) {
		return d.Message, nil
	}
	e := &envelope{
		Type: d.Type, MessageID: d.ID, Token: d.Token, TopicARN: d.Topic, Subject: d.Subject, Message: d.Message,
		Timestamp: d.Created.UTC().Format("2006-01-02T15:04:05.000Z"), SignatureVersion: "2",
		SigningCertURL: strings.TrimSuffix(o.cfg.Endpoint, "/") + o.cfg.Signer.Path(), MessageAttributes: d.Attributes,
	}
	if d.Type == typeConfirmation {
		e.SubscribeURL = o.link(url.Values{"Action": {"ConfirmSubscription"}, "TopicArn": {d.Topic}, "Token": {d.Token}})
	} else {
		e.UnsubscribeURL = o.link(url.Values{
			"Action": {"Unsubscribe"}, "SubscriptionArn": {d.Topic + ":" + s.ID}, "Token": {UnsubscribeToken(s)},
		})
	}
	var err error
	if e.Signature, err = o.cfg.Signer.sign(e.signed()); err != nil {
		return "", err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(e); err != nil {
		return "", fmt.Errorf("encode message: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func (o *Outbox) link(query url.Values) string {
	return strings.TrimSuffix(o.cfg.Endpoint, "/") + "/?" + query.Encode()
}

// TokenLife is how long a subscriber has to confirm (SNS API reference, ConfirmSubscription: two days).
const TokenLife = 48 * time.Hour
