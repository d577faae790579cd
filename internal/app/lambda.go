package app

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"time"

	"greengate/internal/awsapi/lambda"
	"greengate/internal/bundle"
	"greengate/internal/runner/sandbox"
)

// functionCode keeps the code of functions in the data folder; it implements lambda.Code. A folder bears the digest of
// its bundle, so what an invocation runs in never changes.
type functionCode struct{ dir string }

// Store implements lambda.Code.
func (c functionCode) Store(_ context.Context, function, digest string, zip []byte) (string, error) {
	dir := filepath.Join(c.dir, function, digest)
	err := bundle.Unpack(zip, dir)
	if errors.Is(err, bundle.ErrInvalid) {
		return "", &lambda.BundleError{Reason: err.Error()}
	}
	return dir, err
}

// invoker invokes functions on request; it implements lambda.Invoker. They get no credentials: those are of roles, which
// are not kept yet.
type invoker struct {
	functions       *sandbox.Client
	endpoint        string
	region, account string
}

// Invoke implements lambda.Invoker.
func (i invoker) Invoke(ctx context.Context, inv lambda.Invocation) (string, error) {
	v, id := inv.Version, stableUUID("invocation", randomText(24, "0123456789abcdef"))
	return id, i.functions.Invoke(ctx, sandbox.Invocation{
		ID: id, Payload: inv.Payload, EndpointURL: i.endpoint, Deadline: time.Now().Add(v.Timeout + time.Minute),
		Function: sandbox.Function{
			Name: inv.Function.Name, Runtime: v.Runtime, Handler: v.Handler, CodeDir: v.CodeDir, Timeout: v.Timeout, MemoryMB: v.MemoryMB,
			Env: v.Env, Version: v.CodeSHA256 + v.RevisionID, AccountID: i.account, Region: i.region,
		},
	})
}

// Await implements lambda.Invoker.
func (i invoker) Await(ctx context.Context, id string) (lambda.Result, error) {
	r, err := i.functions.Await(ctx, id)
	if err != nil {
		return lambda.Result{}, err
	}
	out := lambda.Result{Payload: r.Payload, Log: r.LogTail}
	if r.State != sandbox.StateSucceeded {
		out.ErrorType = r.ErrorType
		if out.ErrorType == "" {
			out.ErrorType = "Unhandled"
		}
		out.Payload, err = json.Marshal(map[string]any{"errorMessage": r.ErrorMessage, "errorType": out.ErrorType, "stackTrace": r.StackTrace})
	}
	return out, err
}
