package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"greengate/internal/config"
	"greengate/internal/durable"
	"greengate/internal/proxy"
	"greengate/internal/runner"
	"greengate/internal/supervise"
)

// Names of the roles, and of the sockets that the supervisor opens for them.
const (
	RoleController = "controller"
	RoleProxy      = "proxy"
	RoleRunner     = "runner"

	socketAPI    = "api"
	socketProxy  = "proxy-control"
	socketRunner = "runner-control"
)

// Role is what each role process is given by its environment.
type Role struct {
	Settings config.Serve
	Handover *supervise.Handover
	Log      *slog.Logger
	// SearchPath is the PATH of tasks and hooks that name none, and where the interpreters of functions are looked for.
	SearchPath string
	// Traces: the environment names where traces go (config.TraceEnvironment).
	Traces bool
	// StopAll is closed when the runner is told to end together with everything that it runs.
	StopAll <-chan struct{}
}

// listener takes a socket that was handed over under name, or opens it: a role that was started by
// hand has none.
func (r Role) listener(name string, open func() (net.Listener, error)) (net.Listener, error) {
	if l := r.Handover.Listeners()[name]; l != nil {
		return l, nil
	}
	l, err := open()
	if err != nil {
		return nil, fmt.Errorf("open %s socket: %w", name, err)
	}
	return l, nil
}

// claim makes sure that the role runs once for the data folder.
func (r Role) claim(ctx context.Context, name string) error {
	if err := r.Handover.Claim(ctx, r.Settings.Data, name); err != nil {
		return fmt.Errorf("claim role %s: %w", name, err)
	}
	return nil
}

// RunController is the controller role.
func RunController(ctx context.Context, r Role) error {
	if err := r.claim(ctx, RoleController); err != nil {
		return err
	}
	api, err := r.listener(socketAPI, func() (net.Listener, error) {
		return (&net.ListenConfig{}).Listen(ctx, "tcp", r.Settings.Listen)
	})
	if err != nil {
		return err
	}
	if err := durable.Sweep(r.Settings.Data); err != nil {
		return fmt.Errorf("look at data folder: %w", err)
	}
	endpoint := "http://" + api.Addr().String()
	if err := ensureCredentials(r.Settings, endpoint); err != nil {
		return err
	}
	balancers, err := netip.ParsePrefix(r.Settings.LoadBalancers)
	if err != nil {
		return fmt.Errorf("read network of load balancers: %w", err)
	}
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	var sinks []config.Sink
	if r.Settings.Notify != "" {
		if sinks, err = config.ReadSinks(r.Settings.Notify); err != nil {
			return err
		}
	}
	c, err := NewController(ctx, ControllerOptions{
		Sinks:      sinks,
		Traces:     r.Traces,
		Executable: executable,
		Paths:      Paths(r.Settings.Data), Region: r.Settings.Region, AccountID: r.Settings.AccountID, Minute: r.Settings.Minute,
		Compat: r.Settings.Compat, LoadBalancers: balancers,
		Hooks:       r.Settings.Hooks,
		EndpointURL: endpoint, API: api, Ready: r.Handover.Ready, Down: r.Handover.Down, Log: r.Log,
	})
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

// RunProxy is the data plane role.
func RunProxy(ctx context.Context, r Role) error {
	if err := r.claim(ctx, RoleProxy); err != nil {
		return err
	}
	control, err := r.listener(socketProxy, func() (net.Listener, error) { return runner.Listen(ctx, Paths(r.Settings.Data).ProxySocket()) })
	if err != nil {
		return err
	}
	p, err := proxy.New(proxy.Config{ //nolint:contextcheck // it opens listeners that outlive ctx
		Dir: Paths(r.Settings.Data).Proxy(), Control: control, Inherited: r.kept(socketProxy),
		Keep:   func(name string, l *net.TCPListener) error { return r.Handover.Keep(name, l) },
		Forget: r.Handover.Forget, Logger: r.Log,
	})
	if err != nil {
		return fmt.Errorf("make data plane: %w", err)
	}
	return r.serve(ctx, p.Run)
}

// kept are the sockets that an earlier process of the role left with the supervisor.
func (r Role) kept(but string) map[string]net.Listener {
	kept := r.Handover.Listeners()
	delete(kept, but)
	return kept
}

// serve runs a role and says that it is ready.
func (r Role) serve(ctx context.Context, run func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	if err := r.Handover.Ready(); err != nil {
		cancel()
		return errors.Join(fmt.Errorf("say ready: %w", err), <-done)
	}
	return <-done
}

// stopAllLimit bounds how long the runner waits for everything that it runs to end.
const stopAllLimit = 5 * time.Minute

// RunRunner is the runner role. When ctx ends, tasks and functions go on.
func RunRunner(ctx context.Context, r Role) error {
	if err := r.claim(ctx, RoleRunner); err != nil {
		return err
	}
	paths := Paths(r.Settings.Data)
	control, err := r.listener(socketRunner, func() (net.Listener, error) { return runner.Listen(ctx, paths.RunnerSocket()) })
	if err != nil {
		return err
	}
	server, err := runner.New(runner.Config{
		Dir: paths.Runner(), Control: control, Logger: r.Log, Subreaper: true, Fault: runnerFault(paths),
		SearchPath: r.SearchPath,
	})
	if err != nil {
		return fmt.Errorf("make runner: %w", err)
	}
	functions, err := newFunctions(paths.in("runner", "functions"), server, r) //nolint:contextcheck // it takes over sandboxes that outlive ctx
	if err != nil {
		return err
	}
	server.Handle("/functions/", functions.Handler())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- r.stopAll(ctx, cancel, server, functions.StopAll) }()
	err = r.serve(ctx, server.Run)
	cancel()
	return errors.Join(err, <-stopped, functions.Close())
}

// stopAll ends everything that runs once it is asked to, and then the runner itself.
func (r Role) stopAll(ctx context.Context, cancel func(), server *runner.Server, functions func(context.Context) error) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.StopAll:
	}
	defer cancel()
	limit, release := context.WithTimeout(context.WithoutCancel(ctx), stopAllLimit)
	defer release()
	return errors.Join(functions(limit), server.StopAll(limit))
}

// ensureCredentials makes the root key at the first start, and notes where the API is.
func ensureCredentials(s config.Serve, endpoint string) error {
	c, err := config.ReadCredentials(s.Data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read credentials: %w", err)
	}
	if err != nil {
		c = config.Credentials{
			AccessKeyID:     "AKIA" + randomText(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
			SecretAccessKey: randomText(40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
		}
	}
	c.Region, c.Endpoint = s.Region, endpoint
	if err := config.WriteCredentials(s.Data, c); err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	return nil
}

// searchPath is where programs are looked for when the environment does not say.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func orDefault(s, otherwise string) string {
	if strings.TrimSpace(s) == "" {
		return otherwise
	}
	return s
}
