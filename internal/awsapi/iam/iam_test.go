package iam_test

import (
	"testing"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/awsapitest"
	"greengate/internal/awsapi/iam"
	shape "greengate/internal/awsapi/shapes/iam"
	"greengate/internal/awsapi/sts"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
)

func newService(t *testing.T) (*iam.Service, *cloud.Cloud) {
	t.Helper()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := awsapi.NewKeyRing(awsapi.KeyRingConfig{AccountID: awsapitest.AccountID, MasterKey: make([]byte, 32), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return iam.New(iam.Config{
		AccountID: awsapitest.AccountID, Resources: c, Judge: cloud.NewJudge(awsapitest.AccountID), Keys: ring, Now: time.Now,
	}), c
}

func TestBoto3(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	srv := awsapitest.Start(t, map[string]awsapi.Handlers{
		"iam": s.Handlers(), "sts": sts.New(sts.Config{AccountID: awsapitest.AccountID}).Handlers(),
	}, nil)
	srv.Python(t, "testdata/iam.py")
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
