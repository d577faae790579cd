package notify_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/notify"
)

const topicARN = "arn:aws:sns:us-east-1:000000000000:t"

var signer = sync.OnceValue(func() *notify.Signer {
	file, err := notify.NewSignerFile(time.Now())
	if err != nil {
		panic(err)
	}
	s, err := notify.ReadSigner(file)
	if err != nil {
		panic(err)
	}
	return s
})

// world is a topic with one confirmed subscriber, over a store that outlives outboxes.
type world struct {
	store *cloudtest.Memory
	cloud *cloud.Cloud
}

func newWorld(t *testing.T, endpoint string, attributes map[string]string) *world {
	t.Helper()
	w := &world{store: &cloudtest.Memory{}}
	var err error
	if w.cloud, err = cloud.Open(t.Context(), w.store); err != nil {
		t.Fatal(err)
	}
	err = w.cloud.Update(t.Context(), func(d *cloud.Draft) error {
		d.Put(cloud.Topic{Name: "t", Subscriptions: []cloud.Subscription{{
			ID: "s", Protocol: "http", Endpoint: endpoint, Confirmed: true, Token: "secret", Attributes: attributes,
		}}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) open(t *testing.T) *notify.Outbox {
	t.Helper()
	o, err := notify.Open(t.Context(), notify.Config{
		Store: w.store, State: w.cloud.State, Client: notify.NewClient(nil), Signer: signer(), Endpoint: "http://127.0.0.1:1",
		Minute: 100 * time.Millisecond, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// run delivers until the test ends, or the returned function is called.
func run(t *testing.T, o *notify.Outbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = o.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func publish(t *testing.T, o *notify.Outbox, ids ...string) {
	t.Helper()
	var posts []notify.Post
	for _, id := range ids {
		posts = append(posts, notify.Post{TopicARN: topicARN, ID: id, Subject: "about " + id, Message: "body of " + id})
	}
	if _, err := o.Publish(t.Context(), posts); err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for give := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(give) {
			t.Fatalf("%s: not within 30 seconds", what)
		}
	}
}

// request is what a subscriber got.
type request struct {
	id, body string
	header   http.Header
}

// subscriber answers with the statuses in order, then with 200.
type subscriber struct {
	mu       sync.Mutex
	statuses []int
	got      []request
}

func (s *subscriber) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, request{r.Header.Get("X-Amz-Sns-Message-Id"), string(body), r.Header})
	if len(s.statuses) > 0 {
		if s.statuses[0] == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(s.statuses[0])
		s.statuses = s.statuses[1:]
	}
}

func (s *subscriber) ids() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, r := range s.got {
		ids = append(ids, r.id)
	}
	return strings.Join(ids, " ")
}

func (s *subscriber) listen(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return srv.URL + "/hook"
}

// What fails with 5xx or 429 is tried again before what comes after it; what is refused, or redirected, is dropped.
func TestOutbox_order(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		statuses []int
		want     string
	}{
		{nil, "a b c"},
		{[]int{500, 503}, "a a a b c"},
		{[]int{200, 429, 200}, "a b b c"},
		{[]int{404}, "a b c"},
		{[]int{302}, "a b c"},
	} {
		s := &subscriber{statuses: c.statuses}
		o := newWorld(t, s.listen(t), nil).open(t)
		run(t, o)
		publish(t, o, "a", "b")
		publish(t, o, "c")
		until(t, "delivered", func() bool { return o.Waiting() == 0 })
		if got := s.ids(); got != c.want {
			t.Errorf("answers %v: got %q, want %q", c.statuses, got, c.want)
		}
	}
}

// What was not delivered when a controller ended is delivered by the next one, under the same id; nothing else is.
func TestOutbox_restart(t *testing.T) {
	t.Parallel()
	s := &subscriber{statuses: []int{200, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500}}
	w := newWorld(t, s.listen(t), nil)
	first := w.open(t)
	stop := run(t, first)
	publish(t, first, "a", "b", "c")
	until(t, "b was tried", func() bool { return strings.HasPrefix(s.ids(), "a b") })
	stop()
	s.mu.Lock()
	s.statuses, s.got = nil, nil
	s.mu.Unlock()
	second := w.open(t)
	if n := second.Waiting(); n != 2 {
		t.Fatalf("%d wait, want 2", n)
	}
	run(t, second)
	publish(t, second, "d")
	until(t, "delivered", func() bool { return second.Waiting() == 0 })
	if got := s.ids(); got != "b c d" {
		t.Errorf("the second controller sent %q", got)
	}
	if third := w.open(t); third.Waiting() != 0 {
		t.Errorf("%d are left behind", third.Waiting())
	}
}

// A write whose fate is not known: what it stored is found before the next one.
func TestOutbox_tornWrite(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{true, false} {
		s := &subscriber{}
		w := newWorld(t, s.listen(t), nil)
		o := w.open(t)
		run(t, o)
		w.store.Fail(stored)
		if _, err := o.Publish(t.Context(), []notify.Post{{TopicARN: topicARN, ID: "a", Message: "m"}}); err == nil {
			t.Fatal("the failed write is taken for a good one")
		}
		publish(t, o, "b")
		until(t, "delivered", func() bool { return o.Waiting() == 0 })
		want := map[bool]string{true: "a b", false: "b"}[stored]
		if got := s.ids(); got != want {
			t.Errorf("stored %v: got %q, want %q", stored, got, want)
		}
	}
}

func TestOutbox_bounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://127.0.0.1:1/", nil)
	o := w.open(t)
	posts := make([]notify.Post, 10_001)
	for i := range posts {
		posts[i] = notify.Post{TopicARN: topicARN, ID: fmt.Sprint(i), Message: "m"}
	}
	if _, err := o.Publish(t.Context(), posts); err != nil || o.Waiting() != 10_000 {
		t.Errorf("%d wait, %v", o.Waiting(), err)
	}
}

func TestOutbox_gone(t *testing.T) {
	t.Parallel()
	s := &subscriber{}
	w := newWorld(t, s.listen(t), nil)
	o := w.open(t)
	publish(t, o, "a")
	err := w.cloud.Update(t.Context(), func(d *cloud.Draft) error { d.Remove(cloud.Topic{Name: "t"}); return nil })
	if err != nil {
		t.Fatal(err)
	}
	run(t, o)
	until(t, "dropped", func() bool { return o.Waiting() == 0 })
	if got := s.ids(); got != "" {
		t.Errorf("sent %q to a topic that is gone", got)
	}
}

// The document is signed as the SNS guide says, with the key of the certificate that is served.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	s := &subscriber{}
	o := newWorld(t, s.listen(t), nil).open(t)
	run(t, o)
	_, err := o.Publish(t.Context(), []notify.Post{{
		TopicARN: topicARN, ID: "a", Subject: "s", Message: "<m> & \"n\"", PerProtocol: map[string]string{"https": "other"},
		Attributes: map[string]notify.Attribute{"k": {Type: "String", Value: "v"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "delivered", func() bool { return o.Waiting() == 0 })
	got := s.got[0]
	if h := got.header; h.Get("X-Amz-Sns-Message-Type") != "Notification" || h.Get("X-Amz-Sns-Topic-Arn") != topicARN ||
		h.Get("X-Amz-Sns-Subscription-Arn") != topicARN+":s" || h.Get("Content-Type") != "text/plain; charset=UTF-8" {
		t.Errorf("headers: %v", h)
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(got.body), &e); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("Message\n%s\nMessageId\na\nSubject\ns\nTimestamp\n%s\nTopicArn\n%s\nType\nNotification\n", e["Message"], e["Timestamp"], topicARN)
	verify(t, text, e["Signature"].(string))
	if e["Message"] != "<m> & \"n\"" || e["SignatureVersion"] != "2" || e["SigningCertURL"] != "http://127.0.0.1:1"+signer().Path() {
		t.Errorf("document: %v", e)
	}
	if a := e["MessageAttributes"].(map[string]any)["k"].(map[string]any); a["Type"] != "String" || a["Value"] != "v" {
		t.Errorf("attributes: %v", e["MessageAttributes"])
	}
}

func verify(t *testing.T, text, signature string) {
	t.Helper()
	block, _ := pem.Decode(signer().Certificate())
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	if err := rsa.VerifyPKCS1v15(certificate.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], sig); err != nil {
		t.Errorf("the signature of %q: %v", text, err)
	}
}

func TestRawMessageDelivery(t *testing.T) {
	t.Parallel()
	s := &subscriber{}
	o := newWorld(t, s.listen(t), map[string]string{"RawMessageDelivery": "true"}).open(t)
	run(t, o)
	publish(t, o, "a")
	until(t, "delivered", func() bool { return o.Waiting() == 0 })
	if got := s.got[0]; got.body != "body of a" || got.header.Get("X-Amz-Sns-Rawdelivery") != "true" {
		t.Errorf("got %+v", got)
	}
}

func TestCheckEndpoint(t *testing.T) {
	t.Parallel()
	for endpoint, ok := range map[string]bool{
		"http://127.0.0.1:8080/hook?a=b":                  true,
		"http://example.org":                              true,
		"https://example.org":                             false, // the protocol is http
		"http://":                                         false,
		"/hook":                                           false,
		"http://u:p@example.org/":                         false,
		"http://example.org/#f":                           false,
		"http://169.254.169.254/latest/meta-data/":        false,
		"http://[fe80::1]/":                               false,
		"http://[::ffff:169.254.169.254]/":                false,
		"http://[fd00:ec2::254]/":                         false,
		"http://0.0.0.0/":                                 false,
		"http://224.0.0.1/":                               false,
		"http://example.org/" + strings.Repeat("a", 2048): false,
		"file:///etc/passwd":                              false,
	} {
		if err := notify.CheckEndpoint("http", endpoint); (err == nil) != ok {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

// No connection leads to the API itself, also where a name resolves to it.
func TestClient_notTheAPI(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	everywhere := &net.TCPAddr{IP: net.IPv4zero, Port: srv.Listener.Addr().(*net.TCPAddr).Port}
	name := strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	for _, api := range []net.Addr{srv.Listener.Addr(), everywhere} {
		for _, url := range []string{srv.URL, name} {
			resp, err := notify.NewClient(api).Post(url, "text/plain", strings.NewReader("x"))
			if err == nil {
				resp.Body.Close()
				t.Errorf("%s at %s was reached", url, api)
			} else if !strings.Contains(err.Error(), "not sent to that address") && url == srv.URL {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
	resp, err := notify.NewClient(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}).Post(srv.URL, "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatalf("a neighbour is not reached: %v", err)
	}
	resp.Body.Close()
}
