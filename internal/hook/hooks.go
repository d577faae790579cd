// Package hook runs hooks: it is the engine's Hooks over the runner role.
//
// Every kind is started under the identity of its effect and at most once: the runner keeps a
// journal of units and the sandboxes one of invocations, and both take a second start of the same
// identity for the first. Where a journal cannot tell whether something ran, or how it ended, the
// verdict is deploy.VerdictError and blames nobody.
package hook

import (
	"context"
	"maps"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/runner"
	"greengate/internal/runner/sandbox"
)

// Functions invokes Lambda functions; *sandbox.Client is one.
type Functions interface {
	Invoke(ctx context.Context, inv sandbox.Invocation) error
	Await(ctx context.Context, id string) (sandbox.Result, error)
	Cancel(ctx context.Context, id string) error
}

// Caller knows what a hook is told and with what it may call back.
type Caller interface {
	// ExecutionID is the token with which the hook reports.
	ExecutionID(effect string) string
	// Credentials are short-lived ones of the hook's role. Where a role may not do what the hook needs of it, the error
	// matches deploy.ErrPermission.
	Credentials(call deploy.HookCall, ttl time.Duration) (sandbox.Credentials, error)
	// Addresses are those of the service's listeners; test is empty where there is none.
	Addresses(service string) (production, test string)
}

// Config is what Hooks needs.
type Config struct {
	Runner    *runner.Client
	Functions Functions
	Caller    Caller
	// EndpointURL is the address of the API, for AWS_ENDPOINT_URL.
	EndpointURL       string
	Region, AccountID string
	// Dir is a folder for the results that hooks write.
	Dir string
	// Executable is this program: it runs scenarios, and compares live traffic.
	Executable string
	// ProxySocket is the control socket of the data plane, which copies live traffic.
	ProxySocket string
}

// Hooks is the engine's Hooks.
type Hooks struct{ cfg Config }

// New returns Hooks.
func New(cfg Config) *Hooks { return &Hooks{cfg: cfg} }

// Start implements engine.Hooks.
func (h *Hooks) Start(ctx context.Context, id string, call deploy.HookCall) error {
	if call.Hook.Kind == deploy.HookFunction {
		return h.invoke(ctx, id, call)
	}
	return h.startUnit(ctx, id, call)
}

// Await implements engine.Hooks.
func (h *Hooks) Await(ctx context.Context, id string, call deploy.HookCall) (deploy.Verdict, error) {
	v, err := h.await(ctx, id, call)
	if err != nil {
		return deploy.Verdict{}, err
	}
	v.ProductionURL, v.TestURL = h.urls(call.Service)
	v.Message = Mask(v.Message, call)
	return v, nil
}

func (h *Hooks) await(ctx context.Context, id string, call deploy.HookCall) (deploy.Verdict, error) {
	if call.Hook.Kind == deploy.HookFunction {
		return h.awaitFunction(ctx, id, call)
	}
	if call.Hook.Kind == deploy.HookScenario || call.Hook.Kind == deploy.HookShadow {
		return h.awaitScenario(ctx, id, call)
	}
	return h.awaitUnit(ctx, id, call)
}

// Cancel implements engine.Hooks.
func (h *Hooks) Cancel(ctx context.Context, id string, call deploy.HookCall) error {
	if call.Hook.Kind == deploy.HookFunction {
		return h.cancelFunction(ctx, id, call.Hook.Function.Name)
	}
	if err := h.cancelUnit(ctx, UnitID(id)); err != nil {
		return err
	}
	if call.Hook.Kind == deploy.HookScenario { // it had no more than a moment for its own
		return h.cleanUp(ctx, id, call, &deploy.Verdict{})
	}
	return nil
}

// environment is what every hook is told.
func (h *Hooks) environment(id string, call deploy.HookCall) map[string]string {
	production, test := h.urls(call.Service)
	deployment, _, _ := strings.Cut(id, "/")
	env := map[string]string{
		"GREENGATE_SERVICE":           call.Service,
		"GREENGATE_DEPLOYMENT_ID":     deployment,
		"GREENGATE_LIFECYCLE_EVENT":   string(call.List),
		"GREENGATE_VERSION":           call.TaskSet.Revision.Version,
		"GREENGATE_TASK_SET":          call.TaskSet.ID,
		"GREENGATE_PRODUCTION_URL":    production,
		"GREENGATE_TEST_URL":          test,
		"GREENGATE_RESULTS":           h.results(id),
		"GREENGATE_HOOK_EXECUTION_ID": h.cfg.Caller.ExecutionID(id),
	}
	maps.DeleteFunc(env, func(_, v string) bool { return v == "" })
	return env
}

// results is where a hook may leave JUnit XML.
func (h *Hooks) results(id string) string {
	return filepath.Join(h.cfg.Dir, strings.ReplaceAll(id, "/", "-")+".xml")
}

func (h *Hooks) urls(service string) (production, test string) {
	p, t := h.cfg.Caller.Addresses(service)
	return listenerURL(p), listenerURL(t)
}

// listenerURL is where a client on this machine reaches a listener.
func listenerURL(address string) string {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return ""
	}
	if ap.Addr().IsUnspecified() {
		ap = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), ap.Port())
	}
	return "http://" + ap.String()
}

// minSecret is the shortest value that is masked; shorter ones would mask ordinary words.
const minSecret = 6

// Mask hides the values of the environment that a hook got: its output may quote them.
func Mask(s string, call deploy.HookCall) string {
	for _, env := range []map[string]string{call.Hook.Env, call.TaskSet.Revision.Workload.Env} {
		for name, v := range env {
			if len(v) >= minSecret && secretName(name) {
				s = strings.ReplaceAll(s, v, "***")
			}
		}
	}
	return s
}

func secretName(name string) bool {
	name = strings.ToUpper(name)
	for _, word := range []string{"SECRET", "PASSWORD", "PASSWD", "TOKEN", "KEY", "CREDENTIAL", "DSN"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
