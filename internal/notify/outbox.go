package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"greengate/internal/cloud"
)

// kindDelivery is the kind of the stored deliveries.
const kindDelivery = "sns-delivery"

const (
	// maxWaiting bounds what waits for one subscriber; what comes on top of it is dropped, and logged.
	maxWaiting = 10_000
	// senders bounds how many subscribers are spoken to at a time.
	senders = 16
	// The pauses between attempts double from 1 second to 5 minutes; after an hour a message is dropped. All of them
	// are shortened with the minute of the wire.
	firstPause, lastPause, patience = 1, 300, 3600 // seconds
)

// Post is a message for a topic.
type Post struct {
	TopicARN string
	// ID is the MessageId, a UUID.
	ID      string
	Subject string
	Message string
	// PerProtocol replaces Message for subscribers of a protocol (MessageStructure "json").
	PerProtocol map[string]string
	Attributes  map[string]Attribute
}

// Attribute is one of the attributes of a message.
type Attribute struct {
	Type  string `json:"Type"`
	Value string `json:"Value"` // base64 where Type is Binary
}

// delivery is a message on its way to one subscriber.
type delivery struct {
	Seq          int64                `json:"seq"`
	Topic        string               `json:"topic"`        // ARN
	Subscription string               `json:"subscription"` // its id
	Type         string               `json:"type"`
	ID           string               `json:"id"`
	Subject      string               `json:"subject,omitempty"`
	Message      string               `json:"message"`
	Attributes   map[string]Attribute `json:"attributes,omitempty"`
	Token        string               `json:"token,omitempty"`
	Created      time.Time            `json:"created"`

	version int64
	// done: the subscriber has it, or will not get it, but the row is still there.
	done bool
}

func (d *delivery) name() string { return fmt.Sprintf("%020d", d.Seq) }

// Config is what an Outbox needs.
type Config struct {
	Store cloud.Resources
	// State knows the topics and their subscriptions.
	State func() cloud.State
	// Client speaks to subscribers; see NewClient.
	Client *http.Client
	Signer *Signer
	// Endpoint is the address of the API; links in messages lead there.
	Endpoint string
	// Minute is how long a minute of the wire lasts.
	Minute time.Duration
	Now    func() time.Time
	Log    *slog.Logger
}

// Outbox holds what is to be delivered. It is safe for concurrent use.
type Outbox struct {
	cfg Config

	mu     sync.Mutex
	next   int64
	torn   bool                   // a write failed: what it stored is not known and is looked for before the next one
	queues map[string][]*delivery // by subscription, in order
	busy   map[string]bool        // somebody sends to the subscription
	wake   chan struct{}
}

// Open loads what was not delivered yet.
func Open(ctx context.Context, cfg Config) (*Outbox, error) {
	o := &Outbox{cfg: cfg, next: 1, queues: map[string][]*delivery{}, busy: map[string]bool{}, wake: make(chan struct{}, 1)}
	return o, o.loadLocked(ctx)
}

// loadLocked takes what is stored and not known into the queues.
func (o *Outbox) loadLocked(ctx context.Context) error {
	records, err := o.cfg.Store.List(ctx, kindDelivery)
	if err != nil {
		return fmt.Errorf("list deliveries: %w", err)
	}
	slices.SortFunc(records, func(a, b cloud.Record) int { return strings.Compare(a.Name, b.Name) })
	known := map[int64]bool{}
	for _, q := range o.queues {
		for _, d := range q {
			known[d.Seq] = true
		}
	}
	for _, r := range records {
		d := &delivery{version: r.Version}
		if err := json.Unmarshal(r.Data, d); err != nil {
			return fmt.Errorf("decode delivery %s: %w", r.Name, err)
		}
		if known[d.Seq] {
			continue
		}
		o.queues[d.Subscription] = append(o.queues[d.Subscription], d)
		o.next = max(o.next, d.Seq+1)
	}
	o.torn = false
	o.wakeUp()
	return nil
}

// Publish stores messages for the subscribers of their topics, in one transaction with writes of the caller's own, whose
// new versions it returns. A topic that does not exist has no subscribers.
func (o *Outbox) Publish(ctx context.Context, posts []Post, also ...cloud.Write) ([]int64, error) {
	state := o.cfg.State()
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []*delivery
	for _, p := range posts {
		topic, ok := FindTopic(state, p.TopicARN)
		if !ok {
			o.cfg.Log.WarnContext(ctx, "publish to a topic that does not exist", "topic", p.TopicARN)
			continue
		}
		for _, s := range topic.Subscriptions {
			if s.Confirmed {
				list = append(list, o.deliveryOf(p, s))
			}
		}
	}
	return o.addLocked(ctx, list, also)
}

func (o *Outbox) deliveryOf(p Post, s cloud.Subscription) *delivery {
	d := &delivery{
		Topic: p.TopicARN, Subscription: s.ID, Type: typeNotification, ID: p.ID, Subject: p.Subject, Message: p.Message,
		Attributes: p.Attributes, Created: o.cfg.Now().UTC(),
	}
	if m, ok := p.PerProtocol[s.Protocol]; ok {
		d.Message = m
	}
	return d
}

// Confirm stores the message that asks a new subscriber to confirm.
func (o *Outbox) Confirm(ctx context.Context, topicARN, messageID string, s cloud.Subscription) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, err := o.addLocked(ctx, []*delivery{{
		Topic: topicARN, Subscription: s.ID, Type: typeConfirmation, ID: messageID, Token: s.Token, Created: o.cfg.Now().UTC(),
		Message: "You have chosen to subscribe to the topic " + topicARN + ".\nTo confirm the subscription, visit the SubscribeURL included in this message.",
	}}, nil)
	return err
}

// addLocked stores deliveries and takes them into the queues.
func (o *Outbox) addLocked(ctx context.Context, list []*delivery, also []cloud.Write) ([]int64, error) {
	if o.torn {
		if err := o.loadLocked(ctx); err != nil {
			return nil, err
		}
	}
	writes := slices.Clone(also)
	var taken []*delivery
	count := map[string]int{}
	for _, d := range list {
		if count[d.Subscription]++; len(o.queues[d.Subscription])+count[d.Subscription] > maxWaiting {
			o.cfg.Log.WarnContext(ctx, "drop message: too many wait for the subscriber", "topic", d.Topic, "subscription", d.Subscription, "message_id", d.ID)
			continue
		}
		d.Seq = o.next
		o.next++
		data, err := json.Marshal(d)
		if err != nil {
			return nil, fmt.Errorf("encode delivery: %w", err)
		}
		writes = append(writes, cloud.Write{Record: cloud.Record{Kind: kindDelivery, Name: d.name(), Data: data}})
		taken = append(taken, d)
	}
	if len(writes) == 0 {
		return nil, nil
	}
	versions, err := o.cfg.Store.Put(ctx, writes)
	if err != nil {
		o.torn = true
		return nil, fmt.Errorf("store deliveries: %w", err)
	}
	for i, d := range taken {
		d.version = versions[len(also)+i]
		o.queues[d.Subscription] = append(o.queues[d.Subscription], d)
	}
	o.wakeUp()
	return versions[:len(also)], nil
}

func (o *Outbox) wakeUp() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends.
func (o *Outbox) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	slots := make(chan struct{}, senders)
	for {
		for _, id := range o.idle() {
			workers.Go(func() { o.drain(ctx, id, slots) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.wake:
		}
	}
}

// idle marks the subscriptions that nobody sends to as busy and returns them.
func (o *Outbox) idle() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []string
	for id := range o.queues {
		if !o.busy[id] {
			o.busy[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// drain sends what waits for a subscription, in order, until nothing does.
func (o *Outbox) drain(ctx context.Context, id string, slots chan struct{}) {
	for failures := 0; ; {
		d := o.head(id)
		if d == nil {
			return
		}
		if o.attempt(ctx, d, slots) {
			failures = 0
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(o.pause(failures)):
		}
		failures++
	}
}

// pause is the time until the next attempt, after so many have failed before this one.
func (o *Outbox) pause(failures int) time.Duration {
	return o.seconds(min(firstPause<<min(failures, 20), lastPause))
}

func (o *Outbox) seconds(n int) time.Duration { return time.Duration(n) * o.cfg.Minute / 60 }

// head is the oldest delivery for a subscription; nil says that nobody is busy with it any more.
func (o *Outbox) head(id string) *delivery {
	o.mu.Lock()
	defer o.mu.Unlock()
	if q := o.queues[id]; len(q) > 0 {
		return q[0]
	}
	delete(o.queues, id)
	delete(o.busy, id)
	return nil
}

// attempt sends a delivery once and forgets it where nothing is left to do. It reports whether it is gone.
func (o *Outbox) attempt(ctx context.Context, d *delivery, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-slots }()
	if !d.done {
		err := o.deliver(ctx, d)
		if ctx.Err() != nil {
			return false // it is sent again by the next controller
		}
		refused := errors.Is(err, errPermanent)
		late := o.cfg.Now().After(d.Created.Add(o.seconds(patience)))
		if err != nil {
			o.cfg.Log.WarnContext(ctx, "deliver message", "topic", d.Topic, "subscription", d.Subscription, "message_id", d.ID, "dropped", refused || late, "err", err)
		}
		if err != nil && !refused && !late {
			return false
		}
		d.done = true
	}
	if err := o.forget(ctx, d); err != nil {
		o.cfg.Log.WarnContext(ctx, "forget delivered message", "message_id", d.ID, "err", err)
		return false
	}
	return true
}

func (o *Outbox) forget(ctx context.Context, d *delivery) error {
	_, err := o.cfg.Store.Put(ctx, []cloud.Write{{Record: cloud.Record{Kind: kindDelivery, Name: d.name(), Version: d.version}, Delete: true}})
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queues[d.Subscription] = o.queues[d.Subscription][1:]
	return nil
}

// Waiting counts what is not delivered yet.
func (o *Outbox) Waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, q := range o.queues {
		n += len(q)
	}
	return n
}

// FindTopic finds a topic by its ARN.
func FindTopic(s cloud.State, arn string) (cloud.Topic, bool) {
	fields := strings.Split(arn, ":")
	if len(fields) != 6 || fields[2] != "sns" {
		return cloud.Topic{}, false
	}
	return cloud.Find[cloud.Topic](s, fields[5])
}
