package sns_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/awsapitest"
	shape "greengate/internal/awsapi/shapes/sns"
	"greengate/internal/awsapi/sns"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/notify"
)

// delivery delivers for real.
type delivery struct{ *notify.Outbox }

func (d delivery) Publish(ctx context.Context, arn string, messages []sns.Message) error {
	var posts []notify.Post
	for _, m := range messages {
		p := notify.Post{TopicARN: arn, ID: m.ID, Subject: m.Subject, Message: m.Body, PerProtocol: m.PerProtocol, Attributes: map[string]notify.Attribute{}}
		for name, a := range m.Attributes {
			p.Attributes[name] = notify.Attribute{Type: a.Type, Value: a.Value}
		}
		posts = append(posts, p)
	}
	_, err := d.Outbox.Publish(ctx, posts)
	return err
}

func newService(t *testing.T, now func() time.Time) (*sns.Service, *cloud.Cloud) {
	t.Helper()
	store := &cloudtest.Memory{}
	c, err := cloud.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	file, err := notify.NewSignerFile(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := notify.ReadSigner(file)
	if err != nil {
		t.Fatal(err)
	}
	o, err := notify.Open(t.Context(), notify.Config{
		Store: store, State: c.State, Client: notify.NewClient(nil), Signer: signer, Endpoint: "http://127.0.0.1:1", Minute: 100 * time.Millisecond,
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = o.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return sns.New(sns.Config{
		Region: awsapitest.Region, AccountID: awsapitest.AccountID, Resources: c, Delivery: delivery{o}, CheckEndpoint: notify.CheckEndpoint,
		UnsubscribeToken: notify.UnsubscribeToken, TokenLife: notify.TokenLife, Now: now,
	}), c
}

func TestBoto3(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, time.Now)
	srv := awsapitest.Start(t, map[string]awsapi.Handlers{"sns": s.Handlers()}, nil)
	srv.Python(t, "testdata/sns.py")
}

// Every operation of the model is served.
func TestHandlers_areTheModel(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, time.Now)
	h := s.Handlers()
	for _, op := range shape.Model().Operations {
		if _, ok := h[op.Name]; !ok {
			t.Errorf("%s is not served", op.Name)
		}
	}
}

const arn = "arn:aws:sns:us-east-1:000000000000:t"

func subscribed(t *testing.T, c *cloud.Cloud, sub cloud.Subscription) {
	t.Helper()
	err := c.Update(t.Context(), func(d *cloud.Draft) error {
		d.Put(cloud.Topic{Name: "t", Subscriptions: []cloud.Subscription{sub}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func follow(s *sns.Service, url string) int {
	r := httptest.NewRequest(http.MethodGet, url, nil)
	h := s.Public(r)
	if h == nil {
		return 0
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// The links in messages work without a signature, with the right token alone and in time.
func TestPublic(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, c := newService(t, func() time.Time { return now })
	sub := cloud.Subscription{ID: "s", Protocol: "http", Endpoint: "http://127.0.0.1:1", Token: strings.Repeat("a", 128), Created: now}
	subscribed(t, c, sub)
	confirm := "/?Action=ConfirmSubscription&TopicArn=" + arn + "&Token="
	for _, token := range []string{"", "b", strings.Repeat("b", 128), sub.Token[1:]} {
		if got := follow(s, confirm+token); got != http.StatusForbidden {
			t.Errorf("token %q: %d", token, got)
		}
	}
	now = now.Add(49 * time.Hour)
	if got := follow(s, confirm+sub.Token); got != http.StatusForbidden {
		t.Errorf("a token that is too old: %d", got)
	}
	now = now.Add(-2 * time.Hour)
	for range 2 {
		if got := follow(s, confirm+sub.Token); got != http.StatusOK {
			t.Errorf("the right token: %d", got)
		}
	}
	topic, _ := cloud.Find[cloud.Topic](c.State(), "t")
	if !topic.Subscriptions[0].Confirmed {
		t.Fatal("not confirmed")
	}
	end := "/?Action=Unsubscribe&SubscriptionArn=" + arn + ":s&Token="
	if got := follow(s, end+sub.Token); got != http.StatusForbidden {
		t.Errorf("the token to confirm ends the subscription: %d", got)
	}
	if got := follow(s, end+notify.UnsubscribeToken(sub)); got != http.StatusOK {
		t.Errorf("the token to unsubscribe: %d", got)
	}
	if topic, _ := cloud.Find[cloud.Topic](c.State(), "t"); len(topic.Subscriptions) != 0 {
		t.Errorf("still subscribed: %+v", topic.Subscriptions)
	}
	for _, other := range []string{"/?Action=Publish&Token=x", "/?Action=ConfirmSubscription", "/b?Action=Unsubscribe&Token=x", "/?Action=Unsubscribe&Token=x&X-Amz-Signature=y"} {
		if got := follow(s, other); got != 0 {
			t.Errorf("%s is answered without a signature: %d", other, got)
		}
	}
}

// A subscription that asked for it does not end by the link.
func TestPublic_authenticateOnUnsubscribe(t *testing.T) {
	t.Parallel()
	s, c := newService(t, time.Now)
	sub := cloud.Subscription{ID: "s", Protocol: "http", Endpoint: "http://127.0.0.1:1", Token: "t", Created: time.Now()}
	subscribed(t, c, sub)
	if got := follow(s, "/?Action=ConfirmSubscription&AuthenticateOnUnsubscribe=true&Token=t&TopicArn="+arn); got != http.StatusOK {
		t.Fatalf("confirm: %d", got)
	}
	if got := follow(s, "/?Action=Unsubscribe&SubscriptionArn="+arn+":s&Token="+notify.UnsubscribeToken(sub)); got != http.StatusForbidden {
		t.Errorf("unsubscribe: %d", got)
	}
}
