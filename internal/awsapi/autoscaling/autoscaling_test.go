package autoscaling_test

import (
	"testing"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/autoscaling"
	"greengate/internal/awsapi/awsapitest"
	shape "greengate/internal/awsapi/shapes/autoscaling"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
)

func TestBoto3(t *testing.T) {
	t.Parallel()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Update(t.Context(), func(d *cloud.Draft) error {
		d.Put(cloud.ECSService{Cluster: "c", Name: "s"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := autoscaling.New(autoscaling.Config{Region: awsapitest.Region, AccountID: awsapitest.AccountID, Resources: c, Now: time.Now})
	srv := awsapitest.Start(t, map[string]awsapi.Handlers{"application-autoscaling": s.Handlers()}, nil)
	srv.Python(t, "testdata/autoscaling.py")
	for _, op := range shape.Model().Operations {
		if _, ok := s.Handlers()[op.Name]; !ok {
			t.Errorf("%s is not served", op.Name)
		}
	}
}
