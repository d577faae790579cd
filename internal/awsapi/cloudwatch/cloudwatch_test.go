package cloudwatch_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/internal/alarm"
	"greengate/internal/awsapi"
	"greengate/internal/awsapi/awsapitest"
	"greengate/internal/awsapi/cloudwatch"
	shape "greengate/internal/awsapi/shapes/cloudwatch"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/metric"
)

// topic notes what is published.
type topic struct {
	mu   sync.Mutex
	sent []string
}

func (p *topic) Publish(_ context.Context, arn, subject, message string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, arn+"|"+subject+"|"+message)
	return nil
}

func newService(t *testing.T) (*cloudwatch.Service, *topic) {
	t.Helper()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	p := &topic{}
	store := metric.NewStore(time.Minute)
	w := alarm.New(alarm.Config{
		Region: awsapitest.Region, AccountID: awsapitest.AccountID, Resources: c, Metrics: store, Publisher: p, Minute: time.Minute, Now: time.Now,
		Log: slog.New(slog.DiscardHandler),
	})
	return cloudwatch.New(cloudwatch.Config{
		Region: awsapitest.Region, AccountID: awsapitest.AccountID, Resources: c, Metrics: store, Minute: time.Minute, Now: time.Now, Act: w.Act,
	}), p
}

// TestBoto3 speaks each of the protocols of CloudWatch with botocore's own serializers and parsers.
func TestBoto3(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"smithy-rpc-v2-cbor", "json", "query"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s, p := newService(t)
			srv := awsapitest.Start(t, map[string]awsapi.Handlers{"cloudwatch": s.Handlers()}, nil)
			srv.Python(t, "testdata/cloudwatch.py", protocol)
			p.mu.Lock()
			defer p.mu.Unlock()
			if len(p.sent) != 1 || !strings.HasPrefix(p.sent[0], `arn:aws:sns:us-east-1:000000000000:page|ALARM: "5xx" in us-east-1|{"AlarmName":"5xx"`) {
				t.Errorf("published: %q", p.sent)
			}
		})
	}
}

// Every operation of the model is served.
func TestHandlers_areTheModel(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	h := s.Handlers()
	for _, op := range shape.Model().Operations {
		if _, ok := h[op.Name]; !ok {
			t.Errorf("%s is not served", op.Name)
		}
	}
}
