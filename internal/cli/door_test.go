package cli

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
)

// nothing stands for the parts of the API that these requests do not reach.
type nothing struct {
	awsapi.Deployments
	awsapi.Catalog
	awsapi.Control
}

// TestClient_realDoor sends requests through the API's own verification of signatures.
func TestClient_realDoor(t *testing.T) {
	ring, err := awsapi.NewKeyRing(awsapi.KeyRingConfig{
		AccountID: "000000000000", MasterKey: make([]byte, 32), Now: time.Now,
		Root: []awsapi.RootKey{{AccessKeyID: testKeys.AccessKeyID, SecretAccessKey: awsapi.Secret(testKeys.SecretAccessKey)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	resources, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	door, err := awsapi.New(awsapi.Config{
		Resources: resources,
		Region:    "us-east-1", AccountID: "000000000000", Keys: ring, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Deployments: nothing{}, Catalog: nothing{}, Control: nothing{},
		Operations: map[string]awsapi.Operation{
			"ListServices": func(context.Context, awsapi.Principal, json.RawMessage) (any, error) {
				return deploy.ListServicesOutput{Services: []deploy.ServiceView{{Name: "shop"}}}, nil
			},
			"RestartService": func(context.Context, awsapi.Principal, json.RawMessage) (any, error) {
				return nil, deploy.Errorf(deploy.CodeActiveDeployment, "deployment d-1 is active")
			},
			"DescribeService": func(context.Context, awsapi.Principal, json.RawMessage) (any, error) {
				return nil, deploy.Errorf(deploy.CodeNotFound, "there is no service")
			},
			"DescribeDeployment": func(context.Context, awsapi.Principal, json.RawMessage) (any, error) {
				return nil, deploy.Errorf(deploy.CodeNotFound, "there is no deployment")
			},
			"ScaleService": func(context.Context, awsapi.Principal, json.RawMessage) (any, error) {
				return nil, &deploy.Error{Code: deploy.CodeInvalid, Message: "is too much", Field: "tasks"}
			},
			"DeleteService": func(context.Context, awsapi.Principal, json.RawMessage) (any, error) {
				return nil, deploy.Errorf(deploy.CodeServiceUnavailable, "starting")
			},
			"RollbackService": func(context.Context, awsapi.Principal, json.RawMessage) (any, error) {
				return nil, deploy.Errorf(deploy.CodeRefusedByCheck, "no")
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(door)
	defer server.Close()
	vars := knownController(t, server.URL)
	for _, tt := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"list"}, ExitDone, "shop"},
		{[]string{"restart", "shop"}, ExitActive, "d-1 is active"},
		{[]string{"status", "shop"}, ExitUsage, "there is no service and no deployment"},
		{[]string{"scale", "shop", "9"}, ExitUsage, "tasks: is too much"},
		{[]string{"delete", "shop", "--force"}, ExitUnreachable, "starting"},
		{[]string{"rollback", "shop"}, ExitRefused, "greengate check"},
		{[]string{"history"}, ExitOther, "of another version"},
	} {
		var out screen
		if code := Execute(t.Context(), testEnv(&out, &out, vars), Roles{}, tt.args); code != tt.code || !strings.Contains(out.String(), tt.text) {
			t.Errorf("%v: exit code %d, want %d with %q:\n%s", tt.args, code, tt.code, tt.text, out.String())
		}
	}
	issued, err := ring.Issue(awsapi.Principal{
		Kind: awsapi.KindTask, ARN: "arn:aws:iam::000000000000:role/x", Scope: awsapi.Scope{Actions: []string{"greengate:ListServices"}},
	}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	hook := map[string]string{
		"GREENGATE_DEPLOYMENT_ID": "d-1", "AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": issued.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY": string(issued.SecretAccessKey), "AWS_SESSION_TOKEN": issued.SessionToken,
	}
	var out screen
	if code := Execute(t.Context(), testEnv(&out, &out, hook), Roles{}, []string{"list"}); code != ExitDone {
		t.Errorf("issued keys: exit code %d:\n%s", code, out.String())
	}
	hook["AWS_SECRET_ACCESS_KEY"] = "another"
	if code := Execute(t.Context(), testEnv(&out, &out, hook), Roles{}, []string{"list"}); code != ExitOther {
		t.Errorf("wrong keys: exit code %d:\n%s", code, out.String())
	}
}
