// Package awsapitest runs an API server for the tests of a service's handlers, on a real socket and with a real signature
// check, so that real clients can drive them.
package awsapitest

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
)

// What a test server is called.
const (
	Region    = "us-east-1"
	AccountID = "000000000000"
	// KeyID and Secret are of the root of the account.
	KeyID  = "AKIAGREENGATETEST000"
	Secret = "greengate-test-secret"
)

// Server is a running API server.
type Server struct {
	// URL is its endpoint.
	URL string
	// Keys issues session credentials of other principals.
	Keys *awsapi.KeyRing
}

// Env is the environment of a client that speaks to the server as root.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.URL, "AWS_ACCESS_KEY_ID=" + KeyID, "AWS_SECRET_ACCESS_KEY=" + Secret,
		"AWS_DEFAULT_REGION=" + Region, "AWS_REGION=" + Region, "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
	}
}

// Start serves the handlers until the test ends. access may be nil.
func Start(t *testing.T, services map[string]awsapi.Handlers, access awsapi.Access) *Server {
	t.Helper()
	keys, err := awsapi.NewKeyRing(awsapi.KeyRingConfig{
		AccountID: AccountID, MasterKey: make([]byte, 32), Now: time.Now,
		Root: []awsapi.RootKey{{AccessKeyID: KeyID, SecretAccessKey: Secret}},
	})
	if err != nil {
		t.Fatal(err)
	}
	resources, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := awsapi.New(awsapi.Config{
		Region: Region, AccountID: AccountID, Keys: keys, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Deployments: nobody{}, Catalog: nobody{}, Control: nobody{}, Resources: resources, Access: access, Services: services,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return &Server{URL: srv.URL, Keys: keys}
}

// nobody has no deployments.
type nobody struct{}

var errNone = deploy.Errorf(deploy.CodeNotFound, "the test server has no deployments")

func (nobody) Deployment(context.Context, string) (awsapi.Deployment, error) {
	return awsapi.Deployment{}, errNone
}

func (nobody) ListDeployments(context.Context, awsapi.DeploymentQuery) ([]string, error) {
	return nil, errNone
}

func (nobody) TaskSets(context.Context, string) ([]awsapi.TaskSet, error) { return nil, errNone }

func (nobody) Application(context.Context, string) (awsapi.Application, error) {
	return awsapi.Application{}, errNone
}

func (nobody) Applications(context.Context) ([]string, error) { return nil, errNone }

func (nobody) Group(context.Context, string, string) (awsapi.Group, error) {
	return awsapi.Group{}, errNone
}

func (nobody) Groups(context.Context, string) ([]string, error)       { return nil, errNone }
func (nobody) Stop(context.Context, awsapi.StopRequest) error         { return errNone }
func (nobody) Continue(context.Context, awsapi.ContinueRequest) error { return errNone }
func (nobody) Report(context.Context, awsapi.HookReport) error        { return errNone }
func (nobody) Denied(context.Context, awsapi.HookDenial) error        { return nil }

func (nobody) Create(context.Context, awsapi.CreateRequest) (string, error) { return "", errNone }
