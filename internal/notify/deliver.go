package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"greengate/internal/cloud"
)

// errPermanent says that another attempt is not worth it.
var errPermanent = errors.New("the subscriber will not take it")

// maxAnswer bounds what of an answer is read; nobody looks at it.
const maxAnswer = 64 << 10

// deliver sends a delivery to its subscriber. Where the subscription is gone, or is not what the message is for any more,
// there is nothing to send.
func (o *Outbox) deliver(ctx context.Context, d *delivery) error {
	topic, ok := FindTopic(o.cfg.State(), d.Topic)
	if !ok {
		return nil
	}
	i := slices.IndexFunc(topic.Subscriptions, func(s cloud.Subscription) bool { return s.ID == d.Subscription })
	if i < 0 {
		return nil
	}
	s := topic.Subscriptions[i]
	if s.Confirmed == (d.Type == typeConfirmation) {
		return nil
	}
	body, err := o.body(d, s)
	if err != nil {
		return fmt.Errorf("%w: %w", errPermanent, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Endpoint, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %w", errPermanent, err)
	}
	// Headers of the SNS guide, "HTTP/HTTPS headers".
	h := req.Header
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("User-Agent", "Amazon Simple Notification Service Agent")
	h.Set("X-Amz-Sns-Message-Type", d.Type)
	h.Set("X-Amz-Sns-Message-Id", d.ID)
	h.Set("X-Amz-Sns-Topic-Arn", d.Topic)
	if d.Type == typeNotification {
		h.Set("X-Amz-Sns-Subscription-Arn", d.Topic+":"+s.ID)
	}
	if raw(d, s) {
		h.Set("X-Amz-Sns-Rawdelivery", "true")
	}
	return o.post(req)
}

func (o *Outbox) post(req *http.Request) error {
	resp, err := o.cfg.Client.Do(req)
	if err != nil {
		if errors.Is(err, errForbidden) {
			return fmt.Errorf("%w: %w", errPermanent, err)
		}
		return err
	}
	defer resp.Body.Close()                                          //nolint:errcheck // it was only read
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // only so that the connection can be used again
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests || code >= 500 || code < 200:
		return fmt.Errorf("the subscriber answered %d", code)
	default: // also a redirect: it is not followed
		return fmt.Errorf("%w: it answered %d", errPermanent, resp.StatusCode)
	}
}
