package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"syscall"
	"time"

	"greengate/internal/config"
	"greengate/internal/supervise"
)

// ServeOptions are what the supervisor needs beside the settings.
type ServeOptions struct {
	Settings config.Serve
	// Executable is this binary, for the role processes.
	Executable string
	// Env is the environment of the role processes, KEY=VALUE: the search path and little else. Tasks
	// and functions get nothing of it.
	Env []string
	// TraceEnv is what the controller alone is given beside it, for its traces; it may hold secrets.
	TraceEnv []string
	Out      io.Writer
	Log      *slog.Logger
}

// RunServe runs the supervisor with its three roles until ctx ends. When everything answers it
// prints one line.
func RunServe(ctx context.Context, o ServeOptions) error {
	if err := os.MkdirAll(o.Settings.Data, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	if err := adoptOrphans(); err != nil {
		return err
	}
	s, err := supervise.New(superviseConfig(o)) //nolint:contextcheck // it takes over roles that outlive ctx
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-s.Ready():
	}
	if err := announce(o, s); err != nil {
		return errors.Join(err, <-done)
	}
	return <-done
}

func announce(o ServeOptions, s *supervise.Supervisor) error {
	minute := ""
	if o.Settings.Minute != time.Minute {
		minute = fmt.Sprintf(" (a minute lasts %s)", o.Settings.Minute)
	}
	_, err := fmt.Fprintf(o.Out, "greengate: serving http://%s data %s%s\n", s.Addr(socketAPI), o.Settings.Data, minute)
	if err != nil {
		return fmt.Errorf("print ready line: %w", err)
	}
	return nil
}

func superviseConfig(o ServeOptions) supervise.Config {
	paths := Paths(o.Settings.Data)
	role := func(name string) supervise.Role {
		return supervise.Role{
			Name: name, Path: o.Executable, Env: o.Env, WorkDir: "/",
			Args: []string{
				name, "--data", o.Settings.Data, "--region", o.Settings.Region, "--account-id", o.Settings.AccountID,
				"--minute", o.Settings.Minute.String(), "--listen", o.Settings.Listen,
				"--compat", o.Settings.Compat, "--load-balancers", o.Settings.LoadBalancers,
				"--notify", o.Settings.Notify,
				"--hooks", o.Settings.Hooks,
			},
		}
	}
	controller, proxy, runner := role(RoleController), role(RoleProxy), role(RoleRunner)
	controller.Env = slices.Concat(o.Env, o.TraceEnv)
	proxy.Survives, runner.Survives = true, true
	// The supervisor only ends the runner together with all that it runs; a plain SIGTERM, as an init
	// system sends for a restart, leaves tasks alone.
	runner.StopSignal, runner.StopTimeout = syscall.SIGINT, stopAllLimit+10*time.Second
	proxy.StopTimeout = time.Minute
	controller.After = []string{RoleProxy, RoleRunner}
	return supervise.Config{
		Dir: o.Settings.Data, Ephemeral: o.Settings.Ephemeral, Logger: o.Log,
		Sockets: []supervise.Socket{
			{Name: socketAPI, Network: "tcp", Address: o.Settings.Listen, Role: RoleController},
			{Name: socketProxy, Network: "unix", Address: paths.ProxySocket(), Mode: 0o600, Role: RoleProxy},
			{Name: socketRunner, Network: "unix", Address: paths.RunnerSocket(), Mode: 0o600, Role: RoleRunner},
		},
		Roles: []supervise.Role{runner, proxy, controller},
	}
}
