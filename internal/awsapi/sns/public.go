package sns

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"greengate/internal/cloud"
)

// Public answers the links in messages, which are followed without a signature: the token in them is what allows it.
// It is nil for every other request.
func (s *Service) Public(r *http.Request) http.Handler {
	if r.Method != http.MethodGet || r.URL.Path != "/" || r.Header.Get("Authorization") != "" || r.URL.Query().Has("X-Amz-Signature") {
		return nil
	}
	if !r.URL.Query().Has("Token") {
		return nil
	}
	switch r.URL.Query().Get("Action") {
	case "ConfirmSubscription":
		return http.HandlerFunc(s.confirmLink)
	case "Unsubscribe":
		return http.HandlerFunc(s.unsubscribeLink)
	}
	return nil
}

func (s *Service) confirmLink(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id, err := s.confirmToken(r.Context(), q.Get("TopicArn"), q.Get("Token"), q.Get("AuthenticateOnUnsubscribe") == "true")
	if err != nil {
		refuse(w)
		return
	}
	name, _, _ := nameOf(q.Get("TopicArn"))
	answer(w, "ConfirmSubscription", "<ConfirmSubscriptionResult><SubscriptionArn>"+s.arn(name)+":"+id+"</SubscriptionArn></ConfirmSubscriptionResult>")
}

func (s *Service) unsubscribeLink(w http.ResponseWriter, r *http.Request) {
	arn, token := r.URL.Query().Get("SubscriptionArn"), r.URL.Query().Get("Token")
	gone := false
	err := s.cfg.Resources.Update(r.Context(), func(d *cloud.Draft) error {
		t, i, err := s.find(d.State(), arn)
		if err != nil {
			return err
		}
		sub := t.Subscriptions[i]
		if subtle.ConstantTimeCompare([]byte(s.cfg.UnsubscribeToken(sub)), []byte(token)) != 1 || sub.Attributes[authenticateOnUnsubscribe] == "true" {
			return invalid("Token")
		}
		t.Subscriptions = append(t.Subscriptions[:i], t.Subscriptions[i+1:]...)
		d.Put(t)
		gone = true
		return nil
	})
	if err != nil || !gone {
		refuse(w)
		return
	}
	answer(w, "Unsubscribe", "")
}

// refuse says the same whatever is wrong: who has no token learns nothing.
func refuse(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write([]byte(`<ErrorResponse xmlns="` + namespace + `"><Error><Type>Sender</Type><Code>InvalidParameter</Code>` +
		`<Message>Invalid parameter: Token</Message></Error></ErrorResponse>` + "\n")) // whoever left needs no answer
}

const namespace = "http://sns.amazonaws.com/doc/2010-03-31/"

// answer writes an answer in XML; result is made of names that need no escaping.
func answer(w http.ResponseWriter, operation, result string) {
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write([]byte(strings.Join([]string{ //nolint:gosec // the names in it are of [A-Za-z0-9_-], and its type is set
		"<", operation, `Response xmlns="`, namespace, `">`, result, "<ResponseMetadata><RequestId>", newUUID(), "</RequestId></ResponseMetadata></", operation, "Response>\n",
	}, ""))) // whoever left needs no answer
}
