package hook

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/runner/sandbox"
)

// defaultFunctionTimeout is the limit of one invocation where the hook names none.
const defaultFunctionTimeout = time.Minute

// InvocationID is the request id under which an effect's function is invoked. It has the form of a
// UUID, as handlers expect, and is the same for the same effect.
func InvocationID(effect string) string {
	sum := sha256.Sum256([]byte("greengate hook invocation\n" + effect))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// payload is what CodeDeploy sends to a hook function (user guide, "AppSpec hooks").
type payload struct {
	DeploymentID string `json:"DeploymentId"`
	ExecutionID  string `json:"LifecycleEventHookExecutionId"`
}

func (h *Hooks) invoke(ctx context.Context, id string, call deploy.HookCall) error {
	f := call.Hook.Function
	deployment, _, _ := strings.Cut(id, "/")
	event, err := json.Marshal(payload{DeploymentID: deployment, ExecutionID: h.cfg.Caller.ExecutionID(id)})
	if err != nil {
		return fmt.Errorf("encode hook event: %w", err)
	}
	timeout := f.Timeout
	if timeout <= 0 {
		timeout = defaultFunctionTimeout
	}
	creds, err := h.cfg.Caller.Credentials(call, time.Hour+timeout)
	if errors.Is(err, deploy.ErrPermission) {
		return err // it says who lacks what
	}
	if err != nil {
		return fmt.Errorf("issue credentials for function %s: %w", f.Name, err)
	}
	env := map[string]string{}
	for _, from := range []map[string]string{f.Env, call.Hook.Env, h.functionEnv(call)} {
		maps.Copy(env, from)
	}
	err = h.cfg.Functions.Invoke(ctx, sandbox.Invocation{
		ID: InvocationID(id), Payload: event, Credentials: &creds, EndpointURL: h.cfg.EndpointURL, Deadline: call.Until,
		Function: sandbox.Function{
			Name: f.Name, Runtime: f.Runtime, Handler: f.Handler, CodeDir: f.CodeDir, Timeout: timeout, MemoryMB: f.MemoryMB,
			Env: env, Version: f.Digest, AccountID: h.cfg.AccountID, Region: h.cfg.Region,
		},
	})
	if errors.Is(err, sandbox.ErrInvalid) {
		return deploy.Permanent(fmt.Errorf("invoke function %s: %w", f.Name, err))
	}
	if err != nil {
		return fmt.Errorf("invoke function %s: %w", f.Name, err)
	}
	return nil
}

// functionEnv tells a function the addresses of the service; a warm sandbox serves many deployments,
// so what is of one deployment alone comes in the event.
func (h *Hooks) functionEnv(call deploy.HookCall) map[string]string {
	production, test := h.urls(call.Service)
	env := map[string]string{"GREENGATE_SERVICE": call.Service, "GREENGATE_PRODUCTION_URL": production}
	if test != "" {
		env["GREENGATE_TEST_URL"] = test
	}
	return env
}

// awaitFunction has a verdict only where the callback cannot come any more: a handler that returned
// may report later (an approval, say), so that one waits for the callback, as AWS does.
func (h *Hooks) awaitFunction(ctx context.Context, id string, call deploy.HookCall) (deploy.Verdict, error) {
	res, err := h.cfg.Functions.Await(ctx, InvocationID(id))
	if errors.Is(err, sandbox.ErrNotFound) {
		return deploy.Verdict{
			Status: deploy.VerdictError, Reason: deploy.ReasonInconclusive,
			Message: "the runner does not know the invocation; it is not known whether the function ran",
		}, nil
	}
	if err != nil {
		return deploy.Verdict{}, fmt.Errorf("await function %s: %w", call.Hook.Function.Name, err)
	}
	v := deploy.Verdict{Start: res.Started, End: res.Ended, Log: "/aws/lambda/" + call.Hook.Function.Name + "/" + res.LogStream}
	name := call.Hook.Function.Name
	switch {
	case res.State == sandbox.StateUnknown:
		v.Status, v.Reason = deploy.VerdictError, deploy.ReasonInconclusive
		v.Message = fmt.Sprintf("it is not known whether function %s ran to its end", name)
		return v, nil
	case res.TimedOut && !res.Ended.Before(call.Until): // the event's limit, not the function's own
		v.Status, v.Reason = deploy.VerdictError, deploy.ReasonHookTimeout
		v.Message = fmt.Sprintf("function %s did not report within the time limit", name)
		return v, nil
	case res.State == sandbox.StateFailed && res.ErrorType == sandbox.ErrorTypeCancelled:
		v.Status, v.Reason = deploy.VerdictError, deploy.ReasonInconclusive
		v.Message = fmt.Sprintf("function %s was cancelled before it ended", name)
		return v, nil
	case res.State == sandbox.StateFailed && neverRan(res):
		v.Status, v.Reason = deploy.VerdictError, deploy.ReasonInconclusive
		v.Message = fmt.Sprintf("function %s could not be started: %s: %s", name, res.ErrorType, res.ErrorMessage)
		return v, nil
	case res.State == sandbox.StateFailed && !call.Hook.StrictReturn:
		v.Status, v.Reason = deploy.VerdictFail, deploy.ReasonHookFailed
		v.Message = fmt.Sprintf("function %s ended without a callback: %s: %s", name, res.ErrorType, res.ErrorMessage)
		return v, nil
	}
	<-ctx.Done()
	return deploy.Verdict{}, context.Cause(ctx)
}

// neverRan reports whether the handler's code had no part in the failure.
func neverRan(res sandbox.Result) bool {
	return res.ErrorType == sandbox.ErrorTypeStart
}

// cancelFunction returns when the invocation has ended, so that the next attempt runs alone.
func (h *Hooks) cancelFunction(ctx context.Context, id, name string) error {
	err := h.cfg.Functions.Cancel(ctx, InvocationID(id))
	if err == nil {
		_, err = h.cfg.Functions.Await(ctx, InvocationID(id))
	}
	if err != nil && !errors.Is(err, sandbox.ErrNotFound) {
		return fmt.Errorf("cancel function %s: %w", name, err)
	}
	return nil
}
