package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"time"

	"greengate/internal/awsapi/sns"
	"greengate/internal/cloud"
	"greengate/internal/durable"
	"greengate/internal/notify"
	"greengate/internal/store"
)

// topics delivers messages of topics, and tells topics of deployments.
type topics struct {
	outbox  *notify.Outbox
	signer  *notify.Signer
	notices *notices
}

func openTopics(ctx context.Context, c *Controller) (*topics, error) {
	signer, err := topicSigner(c.opts.Paths.TopicKey())
	if err != nil {
		return nil, err
	}
	o := c.opts
	keep := resourcesOf(c.db, o.Paths)
	outbox, err := notify.Open(ctx, notify.Config{
		Store: keep, State: c.cloud.State, Client: notify.NewClient(o.API.Addr()), Signer: signer, Endpoint: o.EndpointURL,
		Minute: o.Minute, Now: time.Now, Log: o.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("open topics: %w", err)
	}
	t := &topics{outbox: outbox, signer: signer, notices: &notices{
		db: c.db, keep: keep, cloud: c.cloud, outbox: outbox, judge: cloud.NewJudge(o.AccountID), region: o.Region, account: o.AccountID, log: o.Log,
	}}
	if err := t.notices.begin(ctx); err != nil {
		return nil, fmt.Errorf("begin notices: %w", err)
	}
	return t, nil
}

// topicSigner reads the key of messages, or makes it.
func topicSigner(path string) (*notify.Signer, error) {
	file, err := os.ReadFile(path) //nolint:gosec // a path in our own data folder
	if errors.Is(err, fs.ErrNotExist) {
		if file, err = notify.NewSignerFile(time.Now()); err == nil {
			err = durable.WriteFile(path, file, 0o600)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make topic key: %w", err)
	}
	s, err := notify.ReadSigner(file)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

func (t *topics) run(ctx context.Context) error {
	var told sync.WaitGroup
	defer told.Wait()
	told.Go(func() { t.notices.run(ctx) })
	return t.outbox.Run(ctx)
}

// Publish sends a message to the confirmed subscribers of a topic. Once it returns nil, the message survives a restart.
// A topic that does not exist has no subscribers.
func (t *topics) Publish(ctx context.Context, topicARN, subject, message string) error {
	id := stableUUID("message", randomText(32, "0123456789abcdef"))
	_, err := t.outbox.Publish(ctx, []notify.Post{{TopicARN: topicARN, ID: id, Subject: subject, Message: message}})
	return err
}

// topicService answers SNS.
func (c *Controller) topicService() *sns.Service {
	return sns.New(sns.Config{
		Region: c.opts.Region, AccountID: c.opts.AccountID, Resources: c.cloud, Delivery: topicDelivery{c.topics}, Now: time.Now,
		CheckEndpoint: notify.CheckEndpoint, UnsubscribeToken: notify.UnsubscribeToken, TokenLife: notify.TokenLife,
	})
}

// public answers what needs no signature: the links in messages, and the certificate of their signatures.
func (c *Controller) public(r *http.Request) http.Handler {
	if r.Method == http.MethodGet && r.URL.Path == c.topics.signer.Path() {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-pem-file")
			_, _ = w.Write(c.topics.signer.Certificate()) // whoever left needs no answer
		})
	}
	return c.topicService().Public(r)
}

// topicDelivery implements sns.Delivery.
type topicDelivery struct{ topics *topics }

// Publish implements sns.Delivery.
func (d topicDelivery) Publish(ctx context.Context, topicARN string, messages []sns.Message) error {
	posts := make([]notify.Post, len(messages))
	for i, m := range messages {
		posts[i] = notify.Post{TopicARN: topicARN, ID: m.ID, Subject: m.Subject, Message: m.Body, PerProtocol: m.PerProtocol}
		for name, a := range m.Attributes {
			if posts[i].Attributes == nil {
				posts[i].Attributes = map[string]notify.Attribute{}
			}
			posts[i].Attributes[name] = notify.Attribute{Type: a.Type, Value: a.Value}
		}
	}
	_, err := d.topics.outbox.Publish(ctx, posts)
	return err
}

// Confirm implements sns.Delivery.
func (d topicDelivery) Confirm(ctx context.Context, topicARN, messageID string, s cloud.Subscription) error {
	return d.topics.outbox.Confirm(ctx, topicARN, messageID, s)
}

var _ sns.Delivery = topicDelivery{}

var _ history = (*store.DB)(nil)
