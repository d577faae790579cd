package elb_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/awsapitest"
	"greengate/internal/awsapi/elb"
	shape "greengate/internal/awsapi/shapes/elbv2"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
)

func newService(t *testing.T, sync func(context.Context, string) error) (*elb.Service, *cloud.Cloud) {
	t.Helper()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	return elb.New(elb.Config{
		Region: awsapitest.Region, AccountID: awsapitest.AccountID, Resources: c, Now: time.Now, Sync: sync,
		Network: netip.MustParsePrefix("127.77.0.0/16"), Fits: fits,
	}), c
}

// fits refuses rules for a path that the data plane would refuse.
func fits(st cloud.State) error {
	for _, l := range cloud.All[cloud.ELBListener](st) {
		for _, r := range l.Rules {
			if slices.ContainsFunc(r.Conditions, func(c cloud.RuleCondition) bool { return slices.Contains(c.Values, "/no good") }) {
				return errors.New("a path has a blank")
			}
		}
	}
	return nil
}

func TestBoto3(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, func(context.Context, string) error { return nil })
	srv := awsapitest.Start(t, map[string]awsapi.Handlers{"elasticloadbalancing": s.Handlers()}, nil)
	srv.Python(t, "testdata/elb.py")
}

// Every operation of the model is served.
func TestHandlers_areTheModel(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, nil)
	h := s.Handlers()
	for _, op := range shape.Model().Operations {
		if _, ok := h[op.Name]; !ok {
			t.Errorf("%s is not served", op.Name)
		}
	}
}

// A listener whose address cannot be opened is taken back.
func TestCreateListener_addressInUse(t *testing.T) {
	t.Parallel()
	busy := errors.New("address 127.77.0.1:80 is in use")
	s, c := newService(t, func(_ context.Context, listener string) error {
		if listener != "" {
			return busy
		}
		return nil
	})
	srv := awsapitest.Start(t, map[string]awsapi.Handlers{"elasticloadbalancing": s.Handlers()}, nil)
	srv.Python(t, "testdata/busy.py")
	if got := cloud.All[cloud.ELBListener](c.State()); len(got) != 0 {
		t.Errorf("left behind: %+v", got)
	}
}
